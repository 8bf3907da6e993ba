#!/usr/bin/env bash
# The AWS SAM CLI and cargo-lambda of the pinned versions, as `sam`: sam.sh ARGS...
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
sam=$("$root/scripts/venv.sh" "$root/tests/template/sam.txt")
build=$("$root/scripts/venv.sh" "$root/tests/template/build.txt")
# sam looks for the binaries where cargo puts them by default.
unset CARGO_TARGET_DIR
export PATH="$build:$sam:$PATH" SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-us-east-1}"
exec sam "$@"
