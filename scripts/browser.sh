#!/usr/bin/env bash
# Runs the tests in tests/browser against a backend: browser.sh UPREEL [PREFIX...]
#
# UPREEL is the program. With prefixes, runs only the test files whose names start with one of them.
set -euo pipefail
upreel=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
cd "$(dirname "$0")/.."
for packages in tests/browser examples/uppy examples/react; do ./scripts/npm.sh $packages; done
export UPREEL=$upreel
cd tests/browser
files=()
for prefix in "${@:-}"; do files+=("$prefix"*.test.js); done
node --test "${files[@]}"
