#!/usr/bin/env bash
# Creates a Python environment from a requirements file with hashes, once, outside of the repository. Prints the
# environment's bin folder, or runs a program from it: venv.sh REQUIREMENTS [PROGRAM ARGS...]
set -euo pipefail

requirements=$1
shift
python=${PYTHON:-python3}
"$(dirname "$0")/tools.sh" python >&2
"$python" -c 'import sys; assert sys.version_info >= (3, 11)' || {
  echo "Python 3.11 or newer is required. Set PYTHON to use another one." >&2
  exit 1
}
# A change of Python or of the file creates a new environment. Old environments are not removed.
hash=$("$python" -c 'import hashlib, sys
print(hashlib.sha256(sys.version.encode() + open(sys.argv[1], "rb").read()).hexdigest()[:16])' "$requirements")
cache=${UPREEL_CACHE:-$HOME/.cache/upreel}
venv=$cache/venv-$hash
mkdir -p "$cache"

if [ ! -e "$venv/.complete" ]; then
  # A lock against concurrent installation, by mkdir because macOS has no flock. Removes the lock of a killed process.
  until mkdir "$venv.lock" 2>/dev/null; do
    kill -0 "$(cat "$venv.lock/pid" 2>/dev/null || echo $$)" 2>/dev/null || rm -rf "$venv.lock"
    sleep 1
  done
  echo $$ >"$venv.lock/pid"
  trap 'rm -rf "$venv.lock"' EXIT
  if [ ! -e "$venv/.complete" ]; then
    echo "Installing the Python packages of $requirements into $venv." >&2
    rm -rf "$venv"
    "$python" -m venv "$venv"
    # The file pins every package, so there is nothing to resolve.
    "$venv/bin/pip" install --quiet --no-deps --require-hashes -r "$requirements" >&2
    "$venv/bin/pip" check >&2 >/dev/null
    touch "$venv/.complete"
  fi
  rm -rf "$venv.lock"
  trap - EXIT
fi

if [ $# = 0 ]; then
  echo "$venv/bin"
else
  program=$1
  shift
  exec "$venv/bin/$program" "$@"
fi
