#!/usr/bin/env bash
# Creates the set of valid test videos: make.sh OUT_DIR
#
# Writes small videos and OUT_DIR/manifest.tsv, which describes them.
# Does nothing if OUT_DIR already contains the set that this version of the script creates.
# Uses $FFMPEG if set. See README.md for the test pattern and the columns of the manifest.
set -euo pipefail
. "$(dirname "$0")/set.sh"
command -v "$ffmpeg" >/dev/null || { echo "$0: ffmpeg not found ('$ffmpeg')" >&2; exit 1; }
export SVT_LOG=1 # otherwise SVT-AV1 writes informational messages to stderr

encoders=" $("$ffmpeg" -hide_banner -encoders 2>/dev/null | awk '{ printf "%s ", $2 }')"
has_encoder() { [[ $encoders == *" $1 "* ]]; }
# ffmpeg before version 6 takes the rotation as output metadata, later versions only as an input option. Both are
# counter-clockwise, whatever the older documentation says.
# (The help is read completely first: under pipefail, grep -q would break the pipe.)
help=$("$ffmpeg" -hide_banner -h long 2>/dev/null)
case $help in *-display_rotation*) new_rotation=yes ;; *) new_rotation= ;; esac

# Prints the upright test pattern as a lavfi graph: red and green above blue and yellow, and a white box that moves
# around the centre. $COLOURS overrides the colours. Arguments: WIDTH HEIGHT RATE SECONDS
test_pattern() {
  local box=$((($1 < $2 ? $1 : $2) / 8)) colours
  [ "$box" -gt 0 ] || box=1
  read -ra colours <<<"${COLOURS:-0xe02020 0x20a020 0x2040e0 0xe0e020 0xffffff}"
  echo "color=c=${colours[0]}:s=$1x$2:r=$3:d=$4,format=rgb24," \
    "drawbox=x=iw/2:y=0:w=iw:h=ih/2:color=${colours[1]}:t=fill," \
    "drawbox=x=0:y=ih/2:w=iw/2:h=ih:color=${colours[2]}:t=fill," \
    "drawbox=x=iw/2:y=ih/2:w=iw:h=ih:color=${colours[3]}:t=fill[p];" \
    "color=c=${colours[4]}:s=${box}x$box:r=$3:d=$4[b];" \
    "[p][b]overlay=format=gbrp:shortest=1:x='(W-w)/2+W/16*sin(2*PI*t)':y='(H-h)/2+H/16*cos(2*PI*t)'"
}

# Prints the filter that stores frames so that they are upright after a player rotates them by CLOCKWISE degrees.
stored() {
  case $1 in
    0) echo null ;;
    90) echo transpose=cclock ;;
    180) echo hflip,vflip ;;
    270) echo transpose=clock ;;
  esac
}

# Creates one video and its line of the manifest:
#   video FILE MIME CONTAINER WIDTHxHEIGHT MS VIDEO_CODEC AUDIO_CODEC ROTATION RATE [FFMPEG ARGS...]
# WIDTH and HEIGHT are the display size; RATE may be -. The ffmpeg arguments follow the two inputs (0 is the video,
# 1 the audio unless AUDIO_CODEC is -). Environment variables of a call:
#   COLOURS     colours of the stored frames, for a transfer function other than that of SDR
#   SHOWN       what the poster shows, for the manifest: see README.md
#   VIDEO_MS    length of the video stream if it differs from that of the file (MS)
#   INPUT=FILE  another input
#   LIVE=yes    write an unseekable stream, as a browser's recorder does
#   LARGE=yes   then convert the chunk offsets of a MOV to 64 bits
#   MEDIA_MS    length of the media if it differs from the presentation (MS), because of the edit list of PATCH
#   PATCH=KIND  then change the file with patch.py
#   CUT=SECONDS then remove this much from the start without re-encoding
video() {
  local file=$1 mime=$2 container=$3 size=$4 ms=$5 vcodec=$6 acodec=$7 rotation=$8 rate=$9
  shift 9
  local arg previous='' width=${size%x*} height=${size#*x} fps=$rate
  [ "$rate" != - ] || fps=30
  for arg in "$@"; do
    case $previous in
      -c:*)
        if [ "$arg" != copy ] && ! has_encoder "$arg"; then
          echo "$0: skipped $file: this ffmpeg has no encoder $arg" >&2
          return
        fi ;;
    esac
    previous=$arg
  done

  local graph input to="file:$tmp/made"
  graph=$(test_pattern "$width" "$height" "$fps" "$(seconds "${VIDEO_MS:-${MEDIA_MS:-$ms}}" "${CUT:-0}")")
  input=(-f lavfi -i "$graph,$(stored "$rotation")")
  [ "$acodec" = - ] || input+=(-f lavfi -i "sine=frequency=440:sample_rate=44100:duration=$(seconds "${MEDIA_MS:-$ms}" "${CUT:-0}")")
  [ -z "${INPUT:-}" ] || input+=(-i "file:$INPUT")
  [ -z "${LIVE:-}" ] || to=pipe:1
  # The muxer is explicit because the name of the temporary file does not imply it.
  run "${input[@]}" -pix_fmt yuv420p -fflags +bitexact -f "$(muxer "$container")" "$@" "$to" >"$tmp/piped" ||
    { echo "$0: could not create $file" >&2; exit 1; }
  [ -z "${LIVE:-}" ] || mv "$tmp/piped" "$tmp/made"

  if [ "$rotation" != 0 ]; then
    if [ -n "$new_rotation" ]; then
      remux "$container" -display_rotation:v:0 "-$rotation" -i "file:$tmp/made"
    else
      remux "$container" -i "file:$tmp/made" -metadata:s:v:0 "rotate=$((360 - rotation))"
    fi
    check_rotation "$file" "$rotation"
  fi
  [ -z "${CUT:-}" ] || remux "$container" -ss "$CUT" -i "file:$tmp/made"

  [ -z "${LARGE:-}" ] || large_offsets
  [ -z "${PATCH:-}" ] || PYTHONPATH=$here python3 -B "$here/patch.py" "$tmp/made" "$PATCH"

  mv "$tmp/made" "$out/$file"
  printf '%s\t' "$file" "$mime" "$container" "$width" "$height" "$ms" "$vcodec" "$acodec" "$rotation" "$rate" >>"$tmp/manifest.tsv"
  printf '%s\n' "${SHOWN:-picture}" >>"$tmp/manifest.tsv"
}

seconds() { awk -v ms="$1" -v more="$2" 'BEGIN { print ms / 1000 + more }'; }

muxer() {
  case $1 in
    mkv) echo matroska ;;
    mpegps) echo vob ;;
    mpegvideo) echo mpeg2video ;;
    wmv) echo asf ;;
    *) echo "$1" ;;
  esac
}

# Converts stco to co64, which ffmpeg writes only beyond 4 GiB. The moov box is at the end, so no offset changes.
large_offsets() {
  PYTHONPATH=$here python3 -B - "$tmp/made" <<'PYTHON'
import pathlib, sys
from hostile import edit, full, u64
def co64(stco):
    offsets = [int.from_bytes(stco[at : at + 4], "big") for at in range(8, len(stco), 4)]
    return full("co64", stco[4:8], u64(*offsets))
file = pathlib.Path(sys.argv[1])
file.write_bytes(edit(file.read_bytes(), stco=co64))
PYTHON
}

remux() { # CONTAINER ARGS...
  local container=$1
  shift
  run "$@" -map 0 -c copy -fflags +bitexact -f "$(muxer "$container")" "file:$tmp/remuxed"
  mv "$tmp/remuxed" "$tmp/made"
}

check_rotation() { # FILE DEGREES. ffmpeg prints counter-clockwise degrees from -180 to 180.
  local shown
  shown=$("$ffmpeg" -nostdin -hide_banner -i "file:$tmp/made" 2>&1 || true)
  case $2 in
    90) [[ $shown == *"rotation of -90.00"* ]] ;;
    180) [[ $shown == *"rotation of -180.00"* || $shown == *"rotation of 180.00"* ]] ;;
    270) [[ $shown == *"rotation of 90.00"* ]] ;;
  esac || { echo "$0: $1 isn't rotated by $2 degrees" >&2; exit 1; }
}

x264=(-c:v libx264 -preset veryfast -crf 26)
x265=(-c:v libx265 -preset ultrafast -crf 28 -x265-params log-level=error:pools=1:frame-threads=1)
vp8=(-c:v libvpx -deadline realtime -cpu-used 8 -b:v 300k)
vp9=(-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 300k)
if has_encoder libsvtav1; then av1=(-c:v libsvtav1 -preset 10 -crf 40)
elif has_encoder libaom-av1; then av1=(-c:v libaom-av1 -cpu-used 8 -crf 40 -b:v 0)
else av1=(-c:v librav1e -speed 10 -qp 120)
fi
aac=(-c:a aac -b:a 64k)
bt2020=(-pix_fmt yuv420p10le -vf scale=out_color_matrix=bt2020:out_range=tv -colorspace bt2020nc -color_primaries bt2020 -color_range tv)
# The colours of the test pattern with white at 203 nits (ITU-R BT.2408), converted to each transfer with zscale.
pq='0x815240 0x60774a 0x504f8a 0x8b8c59 0x949494'
hlg='0xa8432b 0x5a8f35 0x4342bf 0xb1b347 0xbfbfbf'
opus=(-c:a libopus -b:a 48k)
cover=$tmp/cover.jpg # magenta, to recognise a poster that was made from it
run -f lavfi -i color=c=magenta:s=200x200:d=1 -frames:v 1 -c:v mjpeg -pix_fmt yuvj420p "file:$cover"

printf '%s\t' file mime container display_width display_height duration_ms video_codec audio_codec rotation frame_rate >"$tmp/manifest.tsv"
printf '%s\n' shown >>"$tmp/manifest.tsv"

# MP4: location of the index
video h264-faststart.mp4      video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" "${aac[@]}" -movflags +faststart
video h264-moov-at-end.mp4    video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" "${aac[@]}"
video h264-fragmented.mp4     video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" -g 25 "${aac[@]}" -movflags +empty_moov+frag_keyframe+default_base_moof
video h264-fragmented-sidx.mp4 video/mp4 mp4 320x180 2000 h264 - 0 25 "${x264[@]}" -g 25 -movflags +empty_moov+frag_keyframe+default_base_moof+dash+global_sidx
video h264-fragmented-half.mp4 video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" -g 25 "${aac[@]}" -movflags +frag_keyframe
video h264-fragmented-smooth.mp4 video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" -g 25 "${aac[@]}" -f ismv -movflags +frag_keyframe
video h264-fragmented-separate.mp4 video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" -g 25 "${aac[@]}" -movflags +empty_moov+frag_keyframe+separate_moof+omit_tfhd_offset
video h264-fragmented-all.mp4 video/mp4 mp4 320x180 2000 h264 - 0 25 "${x264[@]}" -g 25 -movflags +empty_moov+frag_every_frame+dash
LIVE=yes video h264-fragmented-live.mp4 video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" -g 25 "${aac[@]}" -movflags +empty_moov+frag_keyframe
LIVE=yes video h264-fragmented-many.mp4 video/mp4 mp4 320x180 12000 h264 aac 0 25 "${x264[@]}" -g 5 "${aac[@]}" -movflags +empty_moov+frag_keyframe
LIVE=yes PATCH='later 1000' video h264-fragmented-later.mp4 video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" -g 25 "${aac[@]}" -movflags +empty_moov+frag_keyframe
LIVE=yes PATCH=untimed video h264-fragmented-untimed.mp4 video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" -g 25 "${aac[@]}" -movflags +empty_moov+frag_keyframe
PATCH=compact-sizes video h264-compact-sizes.mp4 video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" "${aac[@]}"
video 'name with spaces – été 视频 🎬.mp4' video/mp4 mp4 320x180 1000 h264 aac 0 25 "${x264[@]}" "${aac[@]}" -movflags +faststart

# Rotation and aspect ratio
video h264-rotated-90.mp4     video/mp4 mp4 180x320 1000 h264 aac 90 30 "${x264[@]}" "${aac[@]}"
video h264-rotated-180.mp4    video/mp4 mp4 320x180 1000 h264 aac 180 30 "${x264[@]}" "${aac[@]}"
video h264-rotated-270.mp4    video/mp4 mp4 180x320 1000 h264 aac 270 30 "${x264[@]}" "${aac[@]}"
video hevc-rotated-90.mov     video/quicktime mov 180x320 1000 hevc aac 90 30 "${x265[@]}" -tag:v hvc1 "${aac[@]}"
video h264-rotated-90-anamorphic.mp4 video/mp4 mp4 180x320 1000 h264 - 90 25 "${x264[@]}" -vf scale=240:180,setsar=4/3
PATCH=mirror video h264-mirrored.mp4 video/mp4 mp4 320x180 1000 h264 aac 0 25 "${x264[@]}" -vf hflip "${aac[@]}"
SHOWN=- video h264-2x2.mp4    video/mp4 mp4 2x2 1000 h264 - 0 25 "${x264[@]}"
video h264-portrait.mp4       video/mp4 mp4 180x320 1000 h264 aac 0 25 "${x264[@]}" "${aac[@]}"
video h264-anamorphic.mp4     video/mp4 mp4 320x180 1000 h264 - 0 25 "${x264[@]}" -vf scale=240:180,setsar=4/3
video h264-very-wide.mp4      video/mp4 mp4 640x40 1000 h264 - 0 25 "${x264[@]}"
video h264-very-tall.mp4      video/mp4 mp4 40x640 1000 h264 - 0 25 "${x264[@]}"
video vp9-odd-size.webm       video/webm webm 321x179 1000 vp9 - 0 25 "${vp9[@]}"
video h264-odd-size-yuv444.mp4 video/mp4 mp4 321x179 1000 h264 - 0 25 "${x264[@]}" -pix_fmt yuv444p

# Timing
video h264-short.mp4          video/mp4 mp4 320x180 300 h264 - 0 30 "${x264[@]}"
video h264-single-frame.mp4   video/mp4 mp4 320x180 40 h264 - 0 25 "${x264[@]}"
video h264-one-keyframe.mp4   video/mp4 mp4 320x180 4000 h264 aac 0 25 "${x264[@]}" -g 1000 -keyint_min 1000 -sc_threshold 0 "${aac[@]}"
video h264-b-frames.mp4       video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" -bf 3 -b_strategy 0 "${aac[@]}"
CUT=1 video h264-edit-list.mp4 video/mp4 mp4 320x180 2000 h264 - 0 25 "${x264[@]}" -g 1000 -keyint_min 1000 -sc_threshold 0 -bf 3
# Black where the edit list leaves the media out.
MEDIA_MS=6000 PATCH='edits 500: 1480:520 1480:4200' video h264-edits-cut.mp4 video/mp4 mp4 320x180 3460 h264 aac 0 25 "${x264[@]}" -g 25 -bf 0 "${aac[@]}" -vf "drawbox=color=black:t=fill:enable='not(between(t,0.51,1.99)+between(t,4.19,5.67))'"
MEDIA_MS=6000 PATCH='edits 1000:2000 1000:4000' video h264-edits-inside-gop.mp4 video/mp4 mp4 320x180 2000 h264 aac 0 25 "${x264[@]}" -g 1000 -keyint_min 1000 -sc_threshold 0 -bf 3 "${aac[@]}" -vf "drawbox=color=black:t=fill:enable='not(between(t,1.99,2.99)+between(t,3.99,4.99))'"
video h264-variable-rate.mp4  video/mp4 mp4 320x180 2000 h264 - 0 - "${x264[@]}" -vf "select='lt(n,15)+not(mod(n,7))+gt(n,58)'" -fps_mode vfr
video h264-variable-rate.mkv  video/x-matroska mkv 320x180 2000 h264 - 0 - "${x264[@]}" -vf "select='lt(n,15)+not(mod(n,7))+gt(n,58)'" -fps_mode vfr
VIDEO_MS=1000 video h264-audio-longer.mp4 video/mp4 mp4 320x180 3000 h264 aac 0 25 "${x264[@]}" "${aac[@]}"
video h264-late.mp4           video/mp4 mp4 320x180 12000 h264 - 0 25 "${x264[@]}" -g 50 -vf "drawbox=color=black:t=fill:enable='lt(t,3)'"
video h264-late-one.mp4       video/mp4 mp4 320x180 12000 h264 - 0 25 "${x264[@]}" -g 50 -vf "drawbox=color=black:t=fill:enable='lt(t,9)'"
video h264-white-first.mp4    video/mp4 mp4 320x180 8000 h264 - 0 25 "${x264[@]}" -g 50 -vf "drawbox=color=white:t=fill:enable='lt(t,3)'"
video vp9-late.webm           video/webm webm 320x180 6000 vp9 - 0 25 "${vp9[@]}" -g 25 -vf "drawbox=color=black:t=fill:enable='lt(t,3)'"
video mpeg4-late.avi          video/x-msvideo avi 320x180 6000 mpeg4 - 0 25 -c:v mpeg4 -vtag XVID -b:v 500k -g 25 -vf "drawbox=color=black:t=fill:enable='lt(t,3)'"
SHOWN=black video h264-black.mp4 video/mp4 mp4 320x180 2000 h264 - 0 25 "${x264[@]}" -g 1000 -keyint_min 1000 -sc_threshold 0 -vf drawbox=color=black:t=fill
video h264-fade-in.mp4        video/mp4 mp4 320x180 3000 h264 - 0 25 "${x264[@]}" -g 250 -vf fade=t=in:d=1
video h264-fade-in.avi        video/x-msvideo avi 320x180 3000 h264 - 0 25 "${x264[@]}" -g 250 -bf 0 -vf fade=t=in:d=1
video h264-open-gop.mp4       video/mp4 mp4 320x180 4000 h264 - 0 25 "${x264[@]}" -bf 2 -g 40 -x264-params open-gop=1:scenecut=0

# Colour and bit depth
video h264-10-bit.mp4         video/mp4 mp4 320x180 1000 h264 - 0 25 "${x264[@]}" -pix_fmt yuv420p10le
video h264-yuv444.mp4         video/mp4 mp4 320x180 1000 h264 - 0 25 "${x264[@]}" -pix_fmt yuv444p
video h264-bt709.mp4          video/mp4 mp4 320x180 1000 h264 - 0 25 "${x264[@]}" -vf scale=out_color_matrix=bt709:out_range=tv -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv
video h264-full-range.mp4     video/mp4 mp4 320x180 1000 h264 - 0 25 "${x264[@]}" -vf scale=out_range=pc -color_range pc -pix_fmt yuvj420p
COLOURS=$hlg SHOWN=toned video hevc-10-bit-hlg.mov video/quicktime mov 320x180 1000 hevc aac 0 30 "${x265[@]}" -tag:v hvc1 "${bt2020[@]}" -color_trc arib-std-b67 "${aac[@]}"
COLOURS=$pq SHOWN=toned video hevc-10-bit-pq.mp4 video/mp4 mp4 320x180 1000 hevc - 0 25 "${x265[@]}" -tag:v hvc1 "${bt2020[@]}" -color_trc smpte2084
COLOURS=$pq SHOWN=toned video hevc-10-bit-pq.mkv video/x-matroska mkv 320x180 1000 hevc - 0 25 "${x265[@]}" "${bt2020[@]}" -color_trc smpte2084
COLOURS=$pq SHOWN=toned video hevc-10-bit-pq-in-bitstream.mp4 video/mp4 mp4 320x180 1000 hevc - 0 25 "${x265[@]}:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited" -tag:v hvc1 -pix_fmt yuv420p10le -vf scale=out_color_matrix=bt2020:out_range=tv,setparams=colorspace=unknown
SHOWN=hole video prores-4444-transparent.mov video/quicktime mov 320x180 1000 prores - 0 25 -c:v prores_ks -profile:v 4 -alpha_bits 16 -pix_fmt yuva444p10le -vf "format=yuva444p10le,geq=lum='lum(X,Y)':cb='cb(X,Y)':cr='cr(X,Y)':a='if(lt(X,W/2)*lt(Y,H/2),0,1023)'"
video prores-4444.mov         video/quicktime mov 320x180 1000 prores - 0 25 -c:v prores_ks -profile:v 4 -alpha_bits 16 -pix_fmt yuva444p10le
video h264-interlaced.mp4     video/mp4 mp4 320x180 1000 h264 - 0 25 -vf fps=50,tinterlace=mode=interleave_top,setfield=tff "${x264[@]}" -flags +ilme+ildct
video h264-interlaced.mkv     video/x-matroska mkv 320x180 1000 h264 - 0 25 -vf fps=50,tinterlace=mode=interleave_bottom,setfield=bff "${x264[@]}" -flags +ilme+ildct
video vp9-alpha.webm          video/webm webm 320x180 1000 vp9 - 0 25 "${vp9[@]}" -pix_fmt yuva420p -auto-alt-ref 0
video mpeg2-interlaced.ts     video/mp2t mpegts 320x180 1000 mpeg2video mp2 0 25 -vf fps=50,tinterlace=mode=interleave_top,setfield=tff -c:v mpeg2video -flags +ilme+ildct -b:v 1M -c:a mp2

# Additional streams
video h264-no-audio.mp4       video/mp4 mp4 320x180 1000 h264 - 0 25 "${x264[@]}"
video h264-audio-first.mp4    video/mp4 mp4 320x180 1000 h264 aac 0 25 -map 1:a -map 0:v "${x264[@]}" "${aac[@]}"
INPUT=$cover video h264-cover-art.mp4 video/mp4 mp4 320x180 1000 h264 aac 0 25 -map 0:v -map 1:a -map 2:v -c:v:0 libx264 -c:v:1 copy -disposition:v:1 attached_pic "${aac[@]}"
video h264-cover-art.mkv      video/x-matroska mkv 320x180 1000 h264 aac 0 25 "${x264[@]}" "${aac[@]}" -attach "$cover" -metadata:s:t mimetype=image/jpeg -metadata:s:t filename=cover.jpg
INPUT=$cover video h264-cover-first.mp4 video/mp4 mp4 320x180 1000 h264 aac 0 25 -map 2:v -map 0:v -map 1:a -c:v:0 copy -c:v:1 libx264 "${aac[@]}"
PATCH=unknown-sound video h264-unknown-sound-first.mp4 video/mp4 mp4 320x180 1000 h264 aac 0 25 -map 0:v -map 1:a -map 1:a "${x264[@]}" "${aac[@]}"
video h264-lpcm.mov           video/quicktime mov 320x180 1000 h264 pcm_s24le 0 25 "${x264[@]}" -c:a pcm_s24le -ar 96000
video h264-timecode.mov       video/quicktime mov 320x180 1000 h264 pcm_s16le 0 25 "${x264[@]}" -timecode 01:00:00:00 -c:a pcm_s16le
video h264-two-videos.mp4     video/mp4 mp4 320x180 1000 h264 aac 0 25 -filter_complex '[0:v]negate[n]' -map 0:v -map 1:a -map '[n]' "${x264[@]}" "${aac[@]}"
video h264-fragmented-two-videos.mp4 video/mp4 mp4 320x180 1000 h264 aac 0 25 -filter_complex '[0:v]split[v][w];[w]negate[n]' -map '[v]' -map 1:a -map '[n]' "${x264[@]}" -g 5 "${aac[@]}" -movflags +empty_moov+frag_keyframe
PATCH=tag video h264-tagged.mp4 video/mp4 mp4 320x180 1000 h264 aac 0 25 "${x264[@]}" "${aac[@]}"
video h264-hints.mp4          video/mp4 mp4 320x180 1000 h264 aac 0 25 "${x264[@]}" "${aac[@]}" -movflags +rtphint

# Other codecs and containers
video hevc-hvc1.mp4           video/mp4 mp4 320x180 1000 hevc aac 0 25 "${x265[@]}" -tag:v hvc1 "${aac[@]}" -movflags +faststart
video hevc-hev1.mp4           video/mp4 mp4 320x180 1000 hevc - 0 25 "${x265[@]}" -tag:v hev1
video hevc.mov                video/quicktime mov 320x180 1000 hevc aac 0 29.97 "${x265[@]}" -tag:v hvc1 "${aac[@]}"
video av1.mp4                 video/mp4 mp4 320x180 1000 av1 opus 0 25 "${av1[@]}" "${opus[@]}" -movflags +faststart
video vp9.mp4                 video/mp4 mp4 320x180 1000 vp9 - 0 25 "${vp9[@]}"
video mpeg4.mp4               video/mp4 mp4 320x180 1000 mpeg4 aac 0 25 -c:v mpeg4 -b:v 500k "${aac[@]}"
video prores.mov              video/quicktime mov 320x180 1000 prores pcm_s16le 0 24 -c:v prores_ks -profile:v 0 -pix_fmt yuv422p10le -c:a pcm_s16le
LARGE=yes video mjpeg-co64.mov video/quicktime mov 320x180 1000 mjpeg - 0 25 -c:v mjpeg -q:v 8 -pix_fmt yuvj420p
video mjpeg.mov               video/quicktime mov 320x180 1000 mjpeg - 0 25 -c:v mjpeg -q:v 8 -pix_fmt yuvj420p
video h263.3gp                video/3gpp 3gp 176x144 1000 h263 aac 0 29.97 -c:v h263 -b:v 200k "${aac[@]}"
video h264.3gp                video/3gpp 3gp 320x180 1000 h264 aac 0 25 "${x264[@]}" "${aac[@]}"
video vp8.webm                video/webm webm 320x180 1000 vp8 vorbis 0 25 "${vp8[@]}" -c:a libvorbis
video vp9.webm                video/webm webm 320x180 2000 vp9 opus 0 25 "${vp9[@]}" "${opus[@]}"
video av1.webm                video/webm webm 320x180 1000 av1 opus 0 25 "${av1[@]}" "${opus[@]}"
LIVE=yes video vp8-live.webm  video/webm webm 320x180 2000 vp8 opus 0 30 "${vp8[@]}" "${opus[@]}"
video h264.mkv                video/x-matroska mkv 320x180 2000 h264 aac 0 25 "${x264[@]}" "${aac[@]}"
LIVE=yes video h264-no-cues.mkv video/x-matroska mkv 320x180 2000 h264 aac 0 25 "${x264[@]}" "${aac[@]}"
video mpeg4.avi               video/x-msvideo avi 320x180 1000 mpeg4 mp3 0 25 -c:v mpeg4 -vtag XVID -b:v 500k -c:a libmp3lame
video mjpeg.avi               video/x-msvideo avi 320x180 1000 mjpeg pcm_u8 0 25 -c:v mjpeg -q:v 8 -pix_fmt yuvj420p -c:a pcm_u8 -ar 11025
video h264.ts                 video/mp2t mpegts 320x180 2000 h264 aac 0 25 "${x264[@]}" "${aac[@]}"
# The first frames after a seek to one second depend on frames before it.
video hevc-open-gop.ts        video/mp2t mpegts 320x180 3000 hevc - 0 25 -c:v libx265 -preset ultrafast -crf 28 -bf 3 -x265-params log-level=error:pools=1:frame-threads=1:keyint=40:min-keyint=40:open-gop=1
video h264-open-gop.ts        video/mp2t mpegts 320x180 3000 h264 - 0 25 "${x264[@]}" -bf 2 -g 40 -x264-params open-gop=1:scenecut=0
video h264.m2ts               video/mp2t mpegts 320x180 1000 h264 ac3 0 50 "${x264[@]}" -c:a ac3 -mpegts_m2ts_mode 1
video mpeg2.ts                video/mp2t mpegts 320x180 1000 mpeg2video mp2 0 25 -c:v mpeg2video -b:v 1M -c:a mp2
video mpeg2-anamorphic.mpg    video/mpeg mpegps 512x288 1000 mpeg2video mp2 0 25 -vf scale=352:288,setdar=16/9 -c:v mpeg2video -b:v 1M -c:a mp2
# The first program counts.
video h264-two-programs.ts    video/mp2t mpegts 320x180 1000 h264 aac 0 25 -filter_complex '[0:v]split[v][w];[w]negate,scale=640:360[n]' -map '[v]' -map 1:a -map '[n]' "${x264[@]}" -b:v:1 2M "${aac[@]}" -program st=0:st=1 -program st=2
video mpeg1.mpg               video/mpeg mpegps 320x180 1000 mpeg1video mp2 0 25 -f mpeg -c:v mpeg1video -b:v 1M -c:a mp2
video mpeg2.m2v               video/mpv mpegvideo 320x180 2000 mpeg2video - 0 25 -c:v mpeg2video -b:v 1M
VIDEO_MS=1000 video mpeg4-audio-longer.avi video/x-msvideo avi 320x180 3000 mpeg4 mp3 0 25 -c:v mpeg4 -vtag XVID -b:v 500k -c:a libmp3lame
VIDEO_MS=1000 video h264-audio-longer.flv video/x-flv flv 320x180 3000 h264 aac 0 25 "${x264[@]}" "${aac[@]}"
VIDEO_MS=1000 video theora-audio-longer.ogv video/ogg ogg 320x180 3000 theora vorbis 0 25 -c:v libtheora -q:v 6 -c:a libvorbis
VIDEO_MS=1000 video wmv2-audio-longer.wmv video/x-ms-wmv wmv 320x180 3000 wmv2 wmav2 0 25 -c:v wmv2 -b:v 500k -c:a wmav2
video flv1.flv                video/x-flv flv 320x180 1000 flv1 mp3 0 25 -c:v flv -b:v 500k -c:a libmp3lame
video h264.flv                video/x-flv flv 320x180 1000 h264 aac 0 25 "${x264[@]}" "${aac[@]}"
video theora.ogv              video/ogg ogg 320x180 1000 theora vorbis 0 25 -c:v libtheora -q:v 6 -c:a libvorbis
video vp8.ogv                 video/ogg ogg 320x180 1000 vp8 opus 0 25 "${vp8[@]}" -c:a libopus
# Two files, one after the other.
MEDIA_MS=1000 PATCH='repeat 2' video theora-chain.ogv video/ogg ogg 320x180 2000 theora vorbis 0 25 -c:v libtheora -q:v 6 -c:a libvorbis
video wmv2.wmv                video/x-ms-wmv wmv 320x180 1000 wmv2 wmav2 0 25 -c:v wmv2 -b:v 500k -c:a wmav2

mv "$tmp/manifest.tsv" "$out/manifest.tsv"
finish
