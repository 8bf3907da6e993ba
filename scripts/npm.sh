#!/usr/bin/env bash
# Installs what the lock file of a folder names, unless that has been done: npm.sh FOLDER
set -euo pipefail
"$(dirname "$0")/tools.sh" node
cd "$1"
if ! [ node_modules/.package-lock.json -nt package-lock.json ]; then
  echo "Installing the packages of $1."
  # No package needs its install script here, and so none gets to run one.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel error
  touch node_modules/.package-lock.json
fi
