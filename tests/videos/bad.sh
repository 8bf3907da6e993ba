#!/usr/bin/env bash
# Makes a set of inputs that are not usable videos: bad.sh OUT_DIR
#
# Writes the files and OUT_DIR/manifest.tsv, which says what each one is.
# Does nothing if OUT_DIR already holds the set this version of the script makes.
# $FFMPEG may name the ffmpeg to use; three of the files need one.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 OUT_DIR" >&2; exit 2; }
ffmpeg=${FFMPEG:-ffmpeg}
out=$1

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }
stamp=$(sha256 <"${BASH_SOURCE[0]}")
[ "$(cat "$out/.complete" 2>/dev/null || true)" != "$stamp" ] || exit 0

mkdir -p "$out"
rm -f "$out/.complete"
tmp=$(mktemp -d "$out/.tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
export LC_ALL=C
complete=yes

# Puts what comes on standard input into FILE:  ... | bad FILE 'what it is'
bad() {
  cat >"$tmp/made"
  mv "$tmp/made" "$out/$1"
  printf '%s\t%s\n' "$1" "$2" >>"$tmp/manifest.tsv"
}

# As bad, for what ffmpeg makes of the ARGS:  encoded FILE 'what it is' PERCENT_KEPT ARGS...
encoded() {
  local file=$1 what=$2 percent=$3
  shift 3
  if ! command -v "$ffmpeg" >/dev/null; then
    echo "$0: skipped $file: no ffmpeg ('$ffmpeg')" >&2
    complete=
    return
  fi
  "$ffmpeg" -nostdin -hide_banner -loglevel error -y "$@" -fflags +bitexact "file:$tmp/whole"
  head -c $(($(wc -c <"$tmp/whole") * percent / 100)) "$tmp/whole" | bad "$file" "$what"
}

noise() { # COUNT SEED: the same COUNT bytes for the same SEED, on every machine
  local octal
  octal=$(awk -v n="$1" -v x="$2" 'BEGIN { while (n-- > 0) { x = (x * 16807) % 2147483647; printf "\\%03o", int(x / 256) % 256 } }')
  # shellcheck disable=SC2059 # it is the format
  printf "$octal"
}

ftyp() { printf '\0\0\0\030ftypisom\0\0\002\0isommp41'; } # 24 bytes

printf 'file\twhat\n' >"$tmp/manifest.tsv"

printf '' | bad empty.mp4 'nothing: 0 bytes'
echo 'This is a text, not a video.' | bad text.mp4 'plain text'
printf '<!DOCTYPE html>\n<html><head><title>Hi</title></head><body><script>alert(1)</script></body></html>\n' | bad page.mp4 'an HTML page with a script'
printf '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="320" height="180"><script>alert(1)</script><rect width="320" height="180" fill="red"/></svg>\n' | bad image.mp4 'an SVG image with a script'
{ # one stored file, hello.txt: its local header and content, the directory, the end of the directory
  printf 'PK\003\004\012\0\0\0\0\0\0\0\041\0\040\060\072\066\006\0\0\0\006\0\0\0\011\0\0\0hello.txthello\n'
  printf 'PK\001\002\012\0\012\0\0\0\0\0\0\0\041\0\040\060\072\066\006\0\0\0\006\0\0\0\011\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0hello.txt'
  printf 'PK\005\006\0\0\0\0\001\0\001\0\067\0\0\0\055\0\0\0\0\0'
} | bad archive.mp4 'a ZIP archive'
encoded audio.m4a 'an MP4 with sound only' 100 -f lavfi -i sine=frequency=440:duration=1 -c:a aac -b:a 64k -f mp4
encoded truncated.mp4 'the first 40% of an MP4 whose moov is at the end' 40 -f lavfi -i testsrc=s=320x180:r=25:d=2 -c:v mpeg4 -b:v 300k -f mp4
encoded photo.mp4 'a JPEG photo' 100 -f lavfi -i testsrc=s=320x180:r=1:d=1 -frames:v 1 -c:v mjpeg -pix_fmt yuvj420p -f mjpeg
{ printf '\0\0\0\030ftypheic\0\0\0\0mif1heic'; noise 4096 1; } | bad heic.mp4 'the header of a HEIC photo, then noise'
ftyp | bad header-only.mp4 'an MP4 ftyp box and nothing else'
{ ftyp; printf '\0\0\020\010moov'; noise 4096 2; } | bad moov-garbage.mp4 'an MP4 ftyp box, then a moov box full of noise'
{ ftyp; printf '\0\0\0\001mdat\077\377\377\377\377\377\377\377'; noise 4096 3; } | bad huge-box.mp4 'an MP4 ftyp box, then a box which claims 2^62 - 1 bytes'
printf '#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n' | bad hls.mp4 'an HLS playlist of file:///etc/passwd'
printf '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1000" width="320" height="180"><BaseURL>file:///etc/passwd</BaseURL></Representation></AdaptationSet></Period></MPD>\n' | bad dash.mp4 'a DASH manifest of file:///etc/passwd'
printf "ffconcat version 1.0\nfile '/etc/passwd'\n" | bad concat.mp4 'an ffconcat script of /etc/passwd'
for packet in $(seq 1 40); do printf G; noise 187 "$((100 + packet))"; done | bad ts-of-noise.ts 'MPEG-TS sync bytes, with noise between'
printf '\032\105\337\243\243\102\206\201\001\102\367\201\001\102\362\201\004\102\363\201\010\102\202\210matroska\102\207\201\004\102\205\201\002' | bad mkv-header-only.mkv 'an EBML header that says matroska, and nothing else'

mv "$tmp/manifest.tsv" "$out/manifest.tsv"
[ -n "$complete" ] || exit 0 # the next run tries again
echo "$stamp" >"$tmp/complete"
mv "$tmp/complete" "$out/.complete"
