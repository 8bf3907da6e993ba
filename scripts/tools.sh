#!/usr/bin/env bash
# Installs missing tools: tools.sh TOOL..., with cc | chromium | curl | ffmpeg | node | python | valgrind
#
# Reports what it installs, and does nothing if the tool is present.
set -euo pipefail

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install() { # DEBIAN_PACKAGE HOMEBREW_FORMULA
  if command -v apt-get >/dev/null; then
    echo "Installing $1 with apt-get."
    as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "$1" >/dev/null
  elif command -v brew >/dev/null; then
    echo "Installing $2 with Homebrew."
    brew install --quiet "$2"
  else
    echo "Please install $1. It could not be installed automatically: neither apt-get nor brew was found." >&2
    exit 1
  fi
}

command -v cargo >/dev/null || {
  echo "Rust is missing. Install it from https://rustup.rs, then try again." >&2
  exit 1
}

for tool in "${@:-none}"; do
  case $tool in
    cc) # compiles ring and SQLite
      command -v cc >/dev/null || install build-essential gcc
      ;;
    curl)
      command -v curl >/dev/null || install curl curl
      ;;
    ffmpeg) # a build with every encoder, which creates the test videos; see ffmpeg.sh for the one that Upreel runs
      command -v ffmpeg >/dev/null || install ffmpeg ffmpeg
      ;;
    python) # with venv, a separate package on Debian
      python3 -c 'import venv, ensurepip' 2>/dev/null || install python3-venv python
      ;;
    node) # with npm, a separate package on Debian
      command -v node >/dev/null || install nodejs node
      command -v npm >/dev/null || install npm node
      node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || {
        echo "Node 20 or newer is required; $(command -v node) is $(node --version). See https://nodejs.org." >&2
        exit 1
      }
      ;;
    chromium) # or Chrome
      command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
        [ -d "/Applications/Google Chrome.app" ] || [ -d /Applications/Chromium.app ] || install chromium google-chrome
      ;;
    valgrind) # used on Linux only
      [ "$(uname)" != Linux ] || command -v valgrind >/dev/null || install valgrind valgrind
      ;;
    *)
      echo "usage: tools.sh cc|chromium|curl|ffmpeg|node|python|valgrind..." >&2
      exit 2
      ;;
  esac
done
