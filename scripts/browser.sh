#!/usr/bin/env bash
# Runs the tests in tests/browser, or those whose file name begins with a word: browser.sh [WORD...]
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in ffmpeg node chromium; do ./scripts/tools.sh $tool; done
for packages in tests/browser examples/uppy; do ./scripts/npm.sh $packages; done
FFMPEG_PATH=$(./scripts/ffmpeg.sh now)
export FFMPEG_PATH
cargo build --quiet --locked --package upreel-local
target=$(cargo metadata --locked --no-deps --format-version 1 | node -p 'JSON.parse(fs.readFileSync(0)).target_directory')
export UPREEL=$target/debug/upreel
cd tests/browser
files=()
for word in "${@:-}"; do files+=("$word"*.test.js); done
node --test "${files[@]}"
