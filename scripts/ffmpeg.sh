#!/usr/bin/env bash
# Prints the path of the ffmpeg that Upreel runs, or runs a command with FFMPEG_PATH set to it:
#
#   ffmpeg.sh now|layer [COMMAND...]
#
#   now    the ffmpeg of the layer if it has been built, otherwise the one on the PATH, which is installed if missing
#   layer  the ffmpeg of the layer; building it takes ten minutes the first time. Same as "now" except on Linux
#
# A FFMPEG_PATH in the environment overrides both. Reports its choice on standard error.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/layers/ffmpeg/build.sh
choice=${1:-}
shift || true
command=("$@")

use() { # PATH SOURCE
  echo "ffmpeg: $1 ($2)" >&2
  if [ ${#command[@]} = 0 ]; then
    echo "$1"
    exit
  fi
  export FFMPEG_PATH=$1
  exec "${command[@]}"
}

if [ -n "${FFMPEG_PATH:-}" ]; then
  path=$(command -v "$FFMPEG_PATH") || {
    echo "ffmpeg: FFMPEG_PATH is set to $FFMPEG_PATH, which does not exist." >&2
    exit 1
  }
  # Tests run in other working directories.
  case $path in /*) ;; *) path=$PWD/$path ;; esac
  use "$path" "from FFMPEG_PATH"
fi

case $choice in
  now)
    if [ "$(uname -s)" = Linux ] && path=$("$build" --if-built); then
      use "$path" "from the layer"
    fi
    ;;
  layer)
    if [ "$(uname -s)" = Linux ]; then
      path=$("$build") || {
        echo "ffmpeg: building the layer failed. Set FFMPEG_PATH to use another ffmpeg." >&2
        exit 1
      }
      use "$path" "from the layer"
    fi
    ;;
  *)
    echo "usage: ffmpeg.sh now|layer [COMMAND...]" >&2
    exit 2
    ;;
esac

"$root/scripts/tools.sh" ffmpeg >&2
use "$(command -v ffmpeg)" "from the PATH"
