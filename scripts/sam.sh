#!/usr/bin/env bash
# Runs the AWS SAM CLI, with cargo-lambda on the PATH, in their pinned versions: sam.sh ARGS...
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
sam=$("$root/scripts/venv.sh" "$root/tests/template/sam.txt")
build=$("$root/scripts/venv.sh" "$root/tests/template/build.txt")
# sam expects the binaries in cargo's default target folder.
unset CARGO_TARGET_DIR
case ${1:-} in
  # These touch no account, but sam needs some region.
  build | validate | -* | '') region=${AWS_REGION:-${AWS_DEFAULT_REGION:-us-east-1}} ;;
  *) region=$("$sam/python" "$root/scripts/region.py") ;;
esac
# sam reads AWS_DEFAULT_REGION only.
export PATH="$build:$sam:$PATH" SAM_CLI_TELEMETRY=0 AWS_REGION="$region" AWS_DEFAULT_REGION="$region"
exec sam "$@"
