#!/usr/bin/env bash
# Prints the path of the ffmpeg that Upreel runs with: ffmpeg.sh now | layer
#
#   now    the layer's if it has been built, else the one on the PATH, which is installed if it is missing
#   layer  the layer's, which takes ten minutes to build the first time; there is none but on Linux
#
# What $FFMPEG_PATH names comes before both. Which one it is, it says on standard error.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/layers/ffmpeg/build.sh

answer() { # PATH WHOSE
  echo "ffmpeg: $2, $1" >&2
  echo "$1"
  exit
}

if [ -n "${FFMPEG_PATH:-}" ]; then
  path=$(command -v "$FFMPEG_PATH") || {
    echo "ffmpeg: FFMPEG_PATH is $FFMPEG_PATH, and there is no such program." >&2
    exit 1
  }
  # A test has another working directory.
  case $path in /*) ;; *) path=$PWD/$path ;; esac
  answer "$path" "FFMPEG_PATH's"
fi

case ${1:-} in
  now)
    if [ "$(uname -s)" = Linux ] && path=$("$build" --if-built); then
      answer "$path" "the layer's"
    fi
    ;;
  layer)
    if [ "$(uname -s)" = Linux ]; then
      path=$("$build") || {
        echo "ffmpeg: the layer's could not be built; FFMPEG_PATH may name another." >&2
        exit 1
      }
      answer "$path" "the layer's"
    fi
    ;;
  *)
    echo "usage: ffmpeg.sh now|layer" >&2
    exit 2
    ;;
esac

"$root/scripts/tools.sh" ffmpeg >&2
answer "$(command -v ffmpeg)" "this machine's"
