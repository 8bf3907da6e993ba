#!/usr/bin/env bash
# Creates a set of files that are not usable videos: bad.sh OUT_DIR
#
# Writes the files and OUT_DIR/manifest.tsv, which describes them.
# Does nothing if OUT_DIR already contains the set that this version of the script creates.
# Uses $FFMPEG if set; eight of the files need an ffmpeg.
set -euo pipefail
. "$(dirname "$0")/set.sh"
complete=yes

# Writes standard input to FILE and adds it to the manifest:  ... | bad FILE DESCRIPTION
bad() {
  cat >"$tmp/made"
  mv "$tmp/made" "$out/$1"
  printf '%s\t%s\n' "$1" "$2" >>"$tmp/manifest.tsv"
}

# Does the same with the first PERCENT_KEPT of ffmpeg's output:  encoded FILE DESCRIPTION PERCENT_KEPT FFMPEG_ARGS...
encoded() {
  local file=$1 what=$2 percent=$3
  shift 3
  if ! command -v "$ffmpeg" >/dev/null; then
    echo "$0: skipped $file: ffmpeg not found ('$ffmpeg')" >&2
    complete=
    return
  fi
  "$ffmpeg" -nostdin -hide_banner -loglevel error -y "$@" -fflags +bitexact "file:$tmp/whole"
  head -c $(($(wc -c <"$tmp/whole") * percent / 100)) "$tmp/whole" | bad "$file" "$what"
}

noise() { # COUNT SEED: prints COUNT pseudo-random bytes, the same for each SEED on every machine
  local octal
  octal=$(awk -v n="$1" -v x="$2" 'BEGIN { while (n-- > 0) { x = (x * 16807) % 2147483647; printf "\\%03o", int(x / 256) % 256 } }')
  # shellcheck disable=SC2059 # the octal escapes are the format
  printf "$octal"
}

ftyp() { printf '\0\0\0\030ftypisom\0\0\002\0isommp41'; } # 24 bytes

printf 'file\twhat\n' >"$tmp/manifest.tsv"

printf '' | bad empty.mp4 'an empty file'
echo 'This is a text, not a video.' | bad text.mp4 'plain text'
printf '<!DOCTYPE html>\n<html><head><title>Hi</title></head><body><script>alert(1)</script></body></html>\n' | bad page.mp4 'an HTML page with a script'
printf '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="320" height="180"><script>alert(1)</script><rect width="320" height="180" fill="red"/></svg>\n' | bad image.mp4 'an SVG image with a script'
{ # one stored file, hello.txt: local header and content, central directory, end of central directory
  printf 'PK\003\004\012\0\0\0\0\0\0\0\041\0\040\060\072\066\006\0\0\0\006\0\0\0\011\0\0\0hello.txthello\n'
  printf 'PK\001\002\012\0\012\0\0\0\0\0\0\0\041\0\040\060\072\066\006\0\0\0\006\0\0\0\011\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0hello.txt'
  printf 'PK\005\006\0\0\0\0\001\0\001\0\067\0\0\0\055\0\0\0\0\0'
} | bad archive.mp4 'a ZIP archive'
encoded audio.m4a 'an MP4 with audio only' 100 -f lavfi -i sine=frequency=440:duration=1 -c:a aac -b:a 64k -f mp4
encoded chapter-pictures.m4a 'an MP4 with audio, and pictures for its chapters' 100 -f lavfi -i testsrc=s=160x160:r=1:d=3 -f lavfi -i sine=frequency=440:duration=3 -c:v mjpeg -pix_fmt yuvj420p -c:a aac -b:a 64k -f mp4
[ ! -e "$out/chapter-pictures.m4a" ] || PYTHONPATH=$here python3 -B "$here/patch.py" "$out/chapter-pictures.m4a" chapters
encoded encrypted.mp4 'an MP4 with Common Encryption' 100 -f lavfi -i testsrc=s=320x180:r=25:d=1 -c:v mpeg4 -b:v 300k -encryption_scheme cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb -encryption_kid a7e61c373e219033c21091fa607bf3b8 -f mp4
encoded raw.h264 'H.264 in no container' 100 -f lavfi -i testsrc=s=320x180:r=25:d=1 -c:v libx264 -preset ultrafast -f h264
encoded raw.hevc 'H.265 in no container' 100 -f lavfi -i testsrc=s=320x180:r=25:d=1 -c:v libx265 -preset ultrafast -x265-params log-level=error:pools=1 -f hevc
encoded professional.mxf 'MXF' 100 -f lavfi -i testsrc=s=320x180:r=25:d=1 -c:v mpeg2video -f mxf
encoded truncated.mp4 'the first 40% of an MP4 whose moov is at the end' 40 -f lavfi -i testsrc=s=320x180:r=25:d=2 -c:v mpeg4 -b:v 300k -f mp4
encoded photo.mp4 'a JPEG photo' 100 -f lavfi -i testsrc=s=320x180:r=1:d=1 -frames:v 1 -c:v mjpeg -pix_fmt yuvj420p -f mjpeg
{ printf '\0\0\0\030ftypheic\0\0\0\0mif1heic'; noise 4096 1; } | bad heic.mp4 'the header of a HEIC photo, then noise'
ftyp | bad header-only.mp4 'an MP4 ftyp box and nothing else'
{ ftyp; printf '\0\0\020\010moov'; noise 4096 2; } | bad moov-garbage.mp4 'an MP4 ftyp box, then a moov box full of noise'
{ ftyp; printf '\0\0\0\001mdat\077\377\377\377\377\377\377\377'; noise 4096 3; } | bad huge-box.mp4 'an MP4 ftyp box, then a box that declares 2^62 - 1 bytes'
printf '#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n' | bad hls.mp4 'an HLS playlist that refers to file:///etc/passwd'
printf '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1000" width="320" height="180"><BaseURL>file:///etc/passwd</BaseURL></Representation></AdaptationSet></Period></MPD>\n' | bad dash.mp4 'a DASH manifest that refers to file:///etc/passwd'
printf "ffconcat version 1.0\nfile '/etc/passwd'\n" | bad concat.mp4 'an ffconcat script that refers to /etc/passwd'
for packet in $(seq 1 40); do printf G; noise 187 "$((100 + packet))"; done | bad ts-of-noise.ts 'MPEG-TS sync bytes with noise between them'
printf '\032\105\337\243\243\102\206\201\001\102\367\201\001\102\362\201\004\102\363\201\010\102\202\210matroska\102\207\201\004\102\205\201\002' | bad mkv-header-only.mkv 'an EBML header with the doc type matroska and nothing else'

mv "$tmp/manifest.tsv" "$out/manifest.tsv"
[ -z "$complete" ] || finish # otherwise the next run tries again
