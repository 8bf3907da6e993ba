#!/usr/bin/env bash
# Makes the videos that the benchmark reads: files.sh NAME... prints the folder they are in.
#
# They look like what people upload: 1080p at 30 frames a second, some 8 Mb/s, a keyframe of 100 to 300 kB every
# two seconds, sound interleaved. A short clip of each codec is encoded once and then repeated without encoding
# until the file has its size, so the processor time stays below three minutes in all; film.mp4 takes two more.
#
# Kept under ${UPREEL_CACHE:-~/.cache/upreel}/bench by the hash of the recipe, which is in the first section.
# Everything but the folder goes to standard error.
set -euo pipefail
export LC_ALL=C

say() { echo "bench: $*" >&2; }
die() { say "$*"; exit 1; }

# ---- The recipe ----

# NAME  MEGABYTES  CLIP  OPTIONS OF THE MUXER
recipes() {
  cat <<'LIST'
mp4-60m.mp4       60  h264.mp4  -movflags +faststart
mp4-1g.mp4      1000  h264.mp4  -movflags +faststart
mp4-1g-last.mp4 1000  h264.mp4
mp4-5g.mp4      5000  h264.mp4  -movflags +faststart
mp4-5g-last.mp4 5000  h264.mp4
mp4-1g-frag.mp4 1000  h264.mp4  -movflags +frag_keyframe+empty_moov+default_base_moof
mkv-1g.mkv      1000  h264.mp4
webm-1g.webm    1000  vp9.webm
mov-1g.mov      1000  hevc.mov  -tag:v hvc1
ts-1g.ts        1000  h264.mp4
film.mp4          76  5mb.mp4   -movflags +faststart
LIST
}

run() { ffmpeg -nostdin -hide_banner -loglevel error -y "$@" </dev/null >&2; }

# A picture with detail everywhere that moves, and the grain of a camera.
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
    # Two minutes without a repetition, of fewer bits.
    5mb.mp4) clip "$1" 120 -b:v 5M -maxrate 5M -bufsize 5M -c:v libx264 -preset superfast -bf 2 -sc_threshold 0 -c:a aac ;;
    h264.mp4) clip "$1" 30 -c:v libx264 -preset superfast -bf 2 -sc_threshold 0 -x264-params ipratio=2 -c:a aac ;;
    hevc.mov) clip "$1" 20 -c:v libx265 -preset ultrafast \
      -x265-params scenecut=0:open-gop=0:ipratio=2:log-level=error -tag:v hvc1 -c:a aac ;;
    vp9.webm) clip "$1" 20 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -row-mt 1 -threads 2 -c:a libopus ;;
  esac
}

# ---- What is missing, and whether there is room for it ----

[ $# -gt 0 ] || die "usage: files.sh NAME..."
command -v ffmpeg >/dev/null || die "there is no ffmpeg on the PATH (apt-get install ffmpeg)"
cache=${UPREEL_CACHE:-$HOME/.cache/upreel}/bench
recipe=$(declare -f recipes run clip encode | sha256sum | cut -c1-16)
folder=$cache/$recipe
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

missing=() megabytes=0 largest=0
for name; do
  read -r _ size _ < <(recipes | awk -v name="$name" '$1 == name') || die "there is no recipe for $name"
  [ "$size" -le "$largest" ] || largest=$size
  [ ! -f "$folder/$name" ] || continue
  missing+=("$name")
  megabytes=$((megabytes + size))
done

# The usual method downloads a file while it is measured, to the same disk.
free=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 * 1024 / 1000000) }')
needed=$((megabytes * 102 / 100 + largest + 300))
[ "$free" -ge "$needed" ] ||
  die "$needed MB are needed in $folder, $free MB are free; --quick needs less, UPREEL_CACHE names another place"
for older in "$cache"/*; do
  [[ ! $(basename "$older") =~ ^[0-9a-f]{16}$ || $older -ef $folder ]] ||
    say "$(du -sm "$older" | cut -f1) MB of an older recipe are in $older, and may be removed"
done
[ ${#missing[@]} -gt 0 ] || { echo "$folder"; exit; }

# ---- Making it ----

say "making $megabytes MB of videos in $folder, once: ${missing[*]}"
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
