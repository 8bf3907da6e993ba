#!/usr/bin/env bash
# Checks template.yaml without an AWS account. Needs no network once its tools are installed.
#
#   gate.sh FOLDER   runs every check; the folder has the functions' programs
#   gate.sh fast     only linters, SAM transform, assertions
#
# To update the tools, change the versions in sam.in, checkov.in or build.in, then run for each
#   pip-compile --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
#     --no-emit-options --no-header NAME.in
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/template
sam=$(scripts/venv.sh $here/sam.txt)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# Uses neither credentials nor settings of this machine, and sends no telemetry.
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=eu-central-1
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
export SAM_CLI_TELEMETRY=0 PYTHONDONTWRITEBYTECODE=1

programs=${1:?expected the folder of the functions, or fast}

step() { # NAME COMMAND...
  local name=$1 start=$SECONDS
  shift
  if ! "$@" >"$out/log" 2>&1; then
    cat "$out/log" >&2
    echo "template gate: $name: FAILED" >&2
    exit 1
  fi
  # Shows the result of a step that counts something.
  echo "template gate: $name: ok ($((SECONDS - start)) s)$(grep -E '(caught|findings|Passed checks.*)$' "$out/log" | tail -1 | sed 's/^/, /')"
}

# Informational findings fail too, except I3042 (a hardcoded partition, written by SAM), W2001 (an unused parameter: only
# SAM reads it) and W3011 (see the template).
lint_result() {
  "$sam/cfn-lint" -t "$out/transformed.json" -c I -i I3042 W2001 W3011 -r eu-central-1
}

checks() { # FILE
  local file=$1
  SCAN=$("$checkov/checkov" -f "$file" --framework cloudformation --skip-download --compact --quiet) || {
    echo "$SCAN"
    return 1
  }
  # Fails if checkov found nothing to check.
  echo "$SCAN" | grep -E 'Passed checks: [1-9]'
}

step "cfn-lint with the serverless rules" "$sam/cfn-lint" -t template.yaml -a cfn_lint_serverless.rules -c I -r eu-central-1
step "sam validate --lint" "$sam/sam" validate --lint --template template.yaml
step "cfn-lint on bootstrap.yaml" "$sam/cfn-lint" -t bootstrap.yaml -r eu-central-1
step "SAM transform without cycles" "$sam/python" $here/transform.py template.yaml "$out/transformed.json"
step "cfn-lint on the result" lint_result
step "assertions" "$sam/python" $here/assert_transformed.py template.yaml
if [ "$programs" = fast ]; then exit; fi

checkov=$(scripts/venv.sh $here/checkov.txt)
step "checkov" checks template.yaml
step "checkov on the result" checks "$out/transformed.json"
step "mutations" "$sam/python" $here/mutations.py template.yaml
step "failed starts of the programs" "$sam/python" $here/starts.py "$programs"
step "operators' scripts and documents" "$sam/python" tests/operations/run.py
