#!/usr/bin/env bash
# Holds template.yaml to what it promises, without an account and, once its tools are there, without a network.
#
#   gate.sh          everything
#   gate.sh fast     what needs no checkov: linters, transform, assertions
#
# To pin other versions: change sam.in, checkov.in or build.in, then for each
#   pip-compile --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
#     --no-emit-options --no-header NAME.in
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/template
sam=$(scripts/venv.sh $here/sam.txt)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# No credentials, no region of this machine's, no talking home.
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=eu-central-1
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
export SAM_CLI_TELEMETRY=0 PYTHONDONTWRITEBYTECODE=1

step() {
  local name=$1 start=$SECONDS
  shift
  if ! "$@" >"$out/log" 2>&1; then
    cat "$out/log" >&2
    echo "template gate: $name: FAILED" >&2
    exit 1
  fi
  # The last line of what counts something is worth a look.
  echo "template gate: $name: ok ($((SECONDS - start)) s)$(grep -E '(caught|findings|Passed checks.*)$' "$out/log" | tail -1 | sed 's/^/, /')"
}

# Infos count, but for I3042 (a partition that SAM writes) and W2001 (a parameter that only SAM reads).
lint_result() {
  "$sam/cfn-lint" -t "$out/transformed.json" -c I -i I3042 W2001 -r eu-central-1
}

checks() {
  local file=$1
  SCAN=$("$checkov/checkov" -f "$file" --framework cloudformation --skip-download --compact --quiet) || {
    echo "$SCAN"
    return 1
  }
  # A scan that found nothing to look at is no success.
  echo "$SCAN" | grep -E 'Passed checks: [1-9]'
}

step "cfn-lint with the serverless rules" "$sam/cfn-lint" -t template.yaml -a cfn_lint_serverless.rules -c I -r eu-central-1
step "sam validate --lint" "$sam/sam" validate --lint --template template.yaml
step "SAM transform, no cycles" "$sam/python" $here/transform.py template.yaml "$out/transformed.json"
step "cfn-lint on the result" lint_result
step "assertions" "$sam/python" $here/assert_transformed.py template.yaml
if [ "${1:-}" = fast ]; then exit; fi

checkov=$(scripts/venv.sh $here/checkov.txt)
step "checkov" checks template.yaml
step "checkov on the result" checks "$out/transformed.json"
step "mutations" "$sam/python" $here/mutations.py template.yaml
