#!/usr/bin/env bash
# Checks what `sam build` built against the limits in bench/functions/src/limits.rs: limits.sh PROGRAM BUILD_DIR
#
# PROGRAM is upreel-bench-functions. Runs on Linux only: the checks need /proc and valgrind.
set -euo pipefail
[ "$(uname)" = Linux ] || exit 0
"$1" check "$2"
