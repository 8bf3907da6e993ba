#!/usr/bin/env bash
# Installs the packages of a folder's lock file unless they are installed: npm.sh FOLDER
set -euo pipefail
"$(dirname "$0")/tools.sh" node
cd "$1"
if ! [ node_modules/.package-lock.json -nt package-lock.json ]; then
  echo "Installing the packages of $1."
  # None of the packages needs an install script, so none may run one.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel error
  touch node_modules/.package-lock.json
fi
