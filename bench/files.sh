#!/usr/bin/env bash
# Creates the videos for the benchmark and prints their folder: files.sh NAME...
#
# The videos resemble typical uploads: 1080p at 30 frames per second, about 8 Mb/s, a keyframe of 100 to 300 kB every
# two seconds, and interleaved audio. A short clip of each codec is encoded once and then repeated without re-encoding up
# to the size of the file, so that all of them take less than three minutes of CPU time, plus two for film.mp4.
#
# The result is cached in ${UPREEL_CACHE:-~/.cache/upreel}/bench under the hash of the recipe, the first section below.
# Only the folder goes to standard output.
set -euo pipefail
export LC_ALL=C

say() { echo "bench: $*" >&2; }
die() { say "$*"; exit 1; }

# ---- The recipe ----

# NAME  MEGABYTES  CLIP  MUXER OPTIONS
recipes() {
  cat <<'LIST'
mp4-60m.mp4       60  h264.mp4  -movflags +faststart
mp4-1g.mp4      1000  h264.mp4  -movflags +faststart
mp4-1g-last.mp4 1000  h264.mp4
mp4-5g.mp4      5000  h264.mp4  -movflags +faststart
mp4-5g-last.mp4 5000  h264.mp4
mp4-1g-frag.mp4 1000  h264.mp4  -movflags +frag_keyframe+empty_moov+default_base_moof
mp4-1g-open.mp4 1000  h264.mp4  -movflags +frag_keyframe+empty_moov+default_base_moof+skip_trailer
mp4-2h-60.mp4   1075  60fps.mp4 -movflags +faststart
mkv-1g.mkv      1000  h264.mp4
webm-1g.webm    1000  vp9.webm
mov-1g.mov      1000  hevc.mov  -tag:v hvc1
ts-1g.ts        1000  h264.mp4
film.mp4          76  5mb.mp4   -movflags +faststart
LIST
}

run() { ffmpeg -nostdin -hide_banner -loglevel error -y "$@" </dev/null >&2; }

# Encodes a clip with moving detail everywhere and camera grain.
clip() { # FILE SECONDS OPTIONS...
  [ ! -f "$folder/$1" ] || return 0
  say "encoding $2 seconds as $1"
  run -f lavfi -i "mandelbrot=s=640x360:r=30:maxiter=200,scale=1920:1080:flags=neighbor,noise=alls=11:allf=t" \
    -f lavfi -i "anoisesrc=colour=pink:sample_rate=48000:amplitude=0.3" -t "$2" -pix_fmt yuv420p \
    -b:v 8M -maxrate 8M -bufsize 8M -g 60 -keyint_min 60 -ac 2 -b:a 128k "${@:3}" "$work/$1"
  mv "$work/$1" "$folder/$1"
}
encode() {
  case $1 in
    # Two minutes without repetition, at a lower bit rate.
    5mb.mp4) clip "$1" 120 -b:v 5M -maxrate 5M -bufsize 5M -c:v libx264 -preset superfast -bf 2 -sc_threshold 0 -c:a aac ;;
    h264.mp4) clip "$1" 30 -c:v libx264 -preset superfast -bf 2 -sc_threshold 0 -x264-params ipratio=2 -c:a aac ;;
    # Two hours at 60 frames per second are 1075 MB.
    60fps.mp4) clip "$1" 30 -r 60 -s 1280x720 -b:v 1M -maxrate 1M -bufsize 1M -g 120 -keyint_min 120 \
      -c:v libx264 -preset superfast -bf 2 -sc_threshold 0 -x264-params ipratio=2 -c:a aac ;;
    hevc.mov) clip "$1" 20 -c:v libx265 -preset ultrafast \
      -x265-params scenecut=0:open-gop=0:ipratio=2:log-level=error -tag:v hvc1 -c:a aac ;;
    vp9.webm) clip "$1" 20 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -row-mt 1 -threads 2 -c:a libopus ;;
  esac
}

# ---- Missing files and disk space ----

[ $# -gt 0 ] || die "usage: files.sh NAME..."
command -v ffmpeg >/dev/null || die "ffmpeg is not on the PATH (apt-get install ffmpeg)"
cache=${UPREEL_CACHE:-$HOME/.cache/upreel}/bench
recipe=$(declare -f recipes run clip encode | sha256sum | cut -c1-16)
folder=$cache/$recipe
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

missing=() megabytes=0 largest=0
for name; do
  read -r _ size _ < <(recipes | awk -v name="$name" '$1 == name') || die "unknown video: $name"
  [ "$size" -le "$largest" ] || largest=$size
  [ ! -f "$folder/$name" ] || continue
  missing+=("$name")
  megabytes=$((megabytes + size))
done

# The baseline downloads a file to the same disk while it is measured.
free=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 * 1024 / 1000000) }')
needed=$((megabytes * 102 / 100 + largest + 300))
[ "$free" -ge "$needed" ] ||
  die "$folder needs $needed MB, but has $free MB free; --quick needs less, and UPREEL_CACHE sets another folder"
for older in "$cache"/*; do
  [[ ! $(basename "$older") =~ ^[0-9a-f]{16}$ || $older -ef $folder ]] ||
    say "$older contains $(du -sm "$older" | cut -f1) MB of an older recipe and can be deleted"
done
[ ${#missing[@]} -gt 0 ] || { echo "$folder"; exit; }

# ---- Creation ----

say "creating $megabytes MB of videos in $folder: ${missing[*]}"
work=$(mktemp -d "$folder/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

for name in "${missing[@]}"; do
  read -r _ size base options < <(recipes | awk -v name="$name" '$1 == name')
  encode "$base"
  say "writing $name"
  # shellcheck disable=SC2086 # the options are words
  run -stream_loop -1 -i "$folder/$base" -map 0 -c copy $options -fs "${size}000000" "$work/$name"
  mv "$work/$name" "$folder/$name"
done
echo "$folder"
