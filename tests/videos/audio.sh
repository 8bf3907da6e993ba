#!/usr/bin/env bash
# Creates files with audio alone: audio.sh OUT_DIR
#
# Each has a second of silence, then a tone of 440 Hz at half the full level until 3 s. Covers are magenta.
# Writes the files and OUT_DIR/manifest.tsv, which describes them.
# Does nothing if OUT_DIR already contains the set that this version of the script creates.
# Uses $FFMPEG if set.
set -euo pipefail
. "$(dirname "$0")/set.sh"

tone="0.5*sin(2*PI*440*t)*gte(t\,1)"
run -f lavfi -i "aevalsrc=$tone|$tone:s=48000:d=3" "$tmp/tone.wav"
run -f lavfi -i color=magenta:s=300x300 -frames:v 1 "$tmp/cover.png"

# Creates one file and its line of the manifest:
#   audio FILE MIME CONTAINER CODEC CHANNELS RATE SHOWN FFMPEG_ARGS...
# SHOWN is what the poster shows, `waveform` or `cover`. The covers are in the second input.
audio() {
  local file=$1 mime=$2 container=$3 codec=$4 channels=$5 rate=$6 shown=$7
  shift 7
  # One of two equal channels: their sum would be louder.
  [ "$channels" != 1 ] || set -- "$@" -af 'pan=mono|c0=c0'
  run -i "$tmp/tone.wav" -i "$tmp/cover.png" -ac "$channels" -ar "$rate" "$@" -fflags +bitexact "file:$tmp/made.$file"
  mv "$tmp/made.$file" "$out/$file"
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$file" "$mime" "$container" "$codec" "$channels" "$rate" "$shown" >>"$tmp/manifest.tsv"
}
covered=(-map 0:a -map 1:v -c:v copy -disposition:v attached_pic)

printf '%s\t' file mime container codec channels rate >"$tmp/manifest.tsv"
printf 'shown\n' >>"$tmp/manifest.tsv"
audio aac.m4a audio/mp4 mp4 aac 2 48000 waveform -map 0:a -c:a aac -f mp4
audio cover.m4a audio/x-m4a mp4 aac 2 44100 cover "${covered[@]}" -c:a aac -f mp4
audio alac.m4a audio/mp4 mp4 alac 2 44100 waveform -map 0:a -c:a alac -f mp4
audio fragments.m4a audio/mp4 mp4 aac 1 44100 waveform -map 0:a -c:a aac -f mp4 -movflags empty_moov+default_base_moof -frag_duration 1000000
audio opus.weba audio/webm webm opus 2 48000 waveform -map 0:a -c:a libopus -f webm
audio flac.mka audio/x-matroska mkv flac 2 48000 waveform -map 0:a -c:a flac -f matroska
audio cover.mka audio/x-matroska mkv aac 2 48000 cover -map 0:a -c:a aac -f matroska -attach "$tmp/cover.png" -metadata:s:t mimetype=image/png
audio opus.ogg audio/ogg ogg opus 1 48000 waveform -map 0:a -c:a libopus -f ogg
audio vorbis.oga audio/ogg ogg vorbis 2 44100 waveform -map 0:a -c:a libvorbis -f ogg
audio vbr.mp3 audio/mpeg mp3 mp3 2 44100 waveform -map 0:a -c:a libmp3lame -q:a 4 -f mp3
audio cover.mp3 audio/mpeg mp3 mp3 1 22050 cover "${covered[@]}" -c:a libmp3lame -f mp3
audio bare.mp3 audio/mp3 mp3 mp3 2 48000 waveform -map 0:a -c:a libmp3lame -q:a 4 -write_xing 0 -id3v2_version 0 -f mp3
audio adts.aac audio/aac aac aac 2 44100 waveform -map 0:a -c:a aac -f adts
audio plain.flac audio/flac flac flac 2 96000 waveform -map 0:a -c:a flac -f flac
audio cover.flac audio/x-flac flac flac 2 44100 cover "${covered[@]}" -c:a flac -f flac
audio pcm.wav audio/wav wav pcm_s16le 2 44100 waveform -map 0:a -c:a pcm_s16le -f wav
audio bytes.wav audio/x-wav wav pcm_u8 1 8000 waveform -map 0:a -c:a pcm_u8 -f wav
audio surround.wav audio/wav wav pcm_s24le 6 48000 waveform -map 0:a -c:a pcm_s24le -f wav
audio adpcm.wav audio/wav wav adpcm_ms 2 44100 waveform -map 0:a -c:a adpcm_ms -f wav

mv "$tmp/manifest.tsv" "$out/manifest.tsv"
finish
