#!/usr/bin/env bash
# Exchanges the token of a GitHub job for credentials of an AWS role, and prints them as NAME=value: assume.sh ROLE_ARN
# Without an action of a third party, which would see the credentials.
set -euo pipefail
token=$(curl -fsS -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com" | jq -r .value)
echo "::add-mask::$token" >&2
curl -fsS "https://sts.$AWS_REGION.amazonaws.com/" -H 'Accept: application/json' \
  --data-urlencode Action=AssumeRoleWithWebIdentity --data-urlencode Version=2011-06-15 \
  --data-urlencode "RoleArn=$1" --data-urlencode "RoleSessionName=github-${GITHUB_RUN_ID:-run}" \
  --data-urlencode DurationSeconds=3600 --data-urlencode "WebIdentityToken=$token" |
  jq -r '.AssumeRoleWithWebIdentityResponse.AssumeRoleWithWebIdentityResult.Credentials |
    "AWS_ACCESS_KEY_ID=\(.AccessKeyId)", "AWS_SECRET_ACCESS_KEY=\(.SecretAccessKey)", "AWS_SESSION_TOKEN=\(.SessionToken)"'
