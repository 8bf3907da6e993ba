#!/usr/bin/env bash
# Makes a Python environment from a requirements file with hashes, once, outside the tree, and prints its
# bin folder: venv.sh REQUIREMENTS
set -euo pipefail

requirements=$1
python=${PYTHON:-python3}
"$(dirname "$0")/tools.sh" python >&2
"$python" -c 'import sys; assert sys.version_info >= (3, 11)' || {
  echo "Python 3.11 or newer is needed; name one with PYTHON." >&2
  exit 1
}
# Another Python or another file is another environment; the old one stays until somebody removes it.
hash=$("$python" -c 'import hashlib, sys
print(hashlib.sha256(sys.version.encode() + open(sys.argv[1], "rb").read()).hexdigest()[:16])' "$requirements")
cache=${UPREEL_CACHE:-$HOME/.cache/upreel}
venv=$cache/venv-$hash
mkdir -p "$cache"

if [ ! -e "$venv/.complete" ]; then
  # Of two at the same time one waits; mkdir is the lock that macOS has too. A killed one's is broken.
  until mkdir "$venv.lock" 2>/dev/null; do
    kill -0 "$(cat "$venv.lock/pid" 2>/dev/null || echo $$)" 2>/dev/null || rm -rf "$venv.lock"
    sleep 1
  done
  echo $$ >"$venv.lock/pid"
  trap 'rm -rf "$venv.lock"' EXIT
  if [ ! -e "$venv/.complete" ]; then
    echo "Installing $(basename "$requirements" .txt)'s Python packages into $venv." >&2
    rm -rf "$venv"
    "$python" -m venv "$venv"
    # The file names everything, so there is nothing to resolve.
    "$venv/bin/pip" install --quiet --no-deps --require-hashes -r "$requirements" >&2
    "$venv/bin/pip" check >&2 >/dev/null
    touch "$venv/.complete"
  fi
fi
echo "$venv/bin"
