#!/usr/bin/env bash
# Holds what `sam build` made to bench/functions/src/limits.rs: limits.sh BUILD_DIR. On Linux, as /proc and valgrind are.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(uname)" = Linux ] || exit 0
./scripts/tools.sh valgrind
cargo run --quiet --locked --package upreel-bench-functions -- check "$1"
