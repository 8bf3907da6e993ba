#!/usr/bin/env bash
# Installs what the machine lacks: tools.sh cc | chromium | curl | ffmpeg | node | python | valgrind. Says what it does;
# does nothing if it is there.
set -euo pipefail

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# PACKAGE ON DEBIAN, FORMULA ON macOS
install() {
  if command -v apt-get >/dev/null; then
    echo "Installing $1 with apt-get."
    as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "$1" >/dev/null
  elif command -v brew >/dev/null; then
    echo "Installing $2 with Homebrew."
    brew install --quiet "$2"
  else
    echo "Please install $1: neither apt-get nor brew is here." >&2
    exit 1
  fi
}

command -v cargo >/dev/null || {
  echo "Rust is missing: install it from https://rustup.rs, then try again." >&2
  exit 1
}

case ${1:-} in
  cc) # ring and SQLite are compiled from C
    command -v cc >/dev/null || install build-essential gcc
    ;;
  curl)
    command -v curl >/dev/null || install curl curl
    ;;
  ffmpeg) # one with every encoder: it makes the videos of the tests; ffmpeg.sh tells which one Upreel uses
    command -v ffmpeg >/dev/null || install ffmpeg ffmpeg
    ;;
  python) # with venv, which Debian packs apart
    python3 -c 'import venv, ensurepip' 2>/dev/null || install python3-venv python
    ;;
  node) # with npm, which Debian packs apart
    command -v node >/dev/null || install nodejs node
    command -v npm >/dev/null || install npm node
    node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || {
      echo "Node 20 or newer is needed, and $(command -v node) is $(node --version): see https://nodejs.org." >&2
      exit 1
    }
    ;;
  chromium) # or the Chrome that somebody has
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
      [ -d "/Applications/Google Chrome.app" ] || [ -d /Applications/Chromium.app ] || install chromium google-chrome
    ;;
  valgrind) # Linux only
    command -v valgrind >/dev/null || install valgrind valgrind
    ;;
  *)
    echo "usage: tools.sh cc|chromium|curl|ffmpeg|node|python|valgrind" >&2
    exit 2
    ;;
esac
