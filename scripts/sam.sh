#!/usr/bin/env bash
# Runs the AWS SAM CLI, with cargo-lambda on the PATH, in their pinned versions: sam.sh ARGS...
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
sam=$("$root/scripts/venv.sh" "$root/tests/template/sam.txt")
build=$("$root/scripts/venv.sh" "$root/tests/template/build.txt")
# sam expects the binaries in cargo's default target folder.
unset CARGO_TARGET_DIR
export PATH="$build:$sam:$PATH" SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-us-east-1}"
exec sam "$@"
