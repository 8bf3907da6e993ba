#!/usr/bin/env bash
# Makes the seeds in corpus/ again: tiny videos of every shape that ffmpeg writes, and events and forms by hand.
# What it makes is committed, so that fuzzing needs no ffmpeg.
set -euo pipefail
cd "$(dirname "$0")"
rm -rf corpus
mkdir -p corpus/{mp4,matroska,other,multipart,event,captions}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

picture=(-f lavfi -i "testsrc2=s=64x64:r=5:d=1")
sound=(-f lavfi -i "sine=r=8000:d=1")
# Encoded once. The encoder's settings, which are longer than the pictures, are cut out of H.264.
run() { ffmpeg -nostdin -loglevel error -fflags +bitexact -y "$@"; }
av=(-c:v libx264 -crf 40 -g 2 -pix_fmt yuv420p -bsf:v "filter_units=remove_types=6" -c:a aac -b:a 8k)
run "${picture[@]}" "${sound[@]}" "${av[@]}" -flags +bitexact -bf 0 "$tmp/av.mov"
run "${picture[@]}" "${av[@]}" -flags +bitexact -bf 2 -sc_threshold 0 "$tmp/b.mov"
run "${picture[@]}" -c:v mpeg4 -q:v 31 -flags +bitexact "$tmp/mpeg4.mov"
run "${picture[@]}" -c:v libvpx -crf 60 -b:v 4k -g 2 -flags +bitexact -f matroska "$tmp/vp8.mkv"
run "${picture[@]}" -c:v libvpx-vp9 -crf 63 -b:v 0 -g 2 -flags +bitexact -f matroska "$tmp/vp9.mkv"
run "${picture[@]}" -c:v libx265 -crf 45 -x265-params log-level=error:info=0 -tag:v hvc1 -flags +bitexact \
  -color_trc smpte2084 -color_primaries bt2020 -colorspace bt2020nc "$tmp/hevc.mov"

# Index of an object: the object, at most 12 kB of it, and how often it is repeated (see src/lib.rs).
object() { # TARGET NAME FILE
  { head -c 12000 "$3" && printf '\0'; } >"corpus/$1/$2"
}
copy() { # TARGET NAME FORMAT INPUT ARGS... A stream cannot be sought in.
  local target=$1 name=$2 format=$3 input=$4 to=file:$tmp/made
  shift 4
  case $name in *stream*) to=pipe:1 ;; esac
  run -i "$tmp/$input" -map 0 -c copy -flags +bitexact -f "$format" "$@" "$to" >"$tmp/piped"
  case $name in *stream*) mv "$tmp/piped" "$tmp/made" ;; esac
  object "$target" "$name" "$tmp/made"
}
mp4() { copy mp4 "$@"; }
mkv() { copy matroska "$@"; }

# Changes an MP4 with tests/videos/patch.py.
patched() { # NAME KIND
  run -i "$tmp/av.mov" -map 0 -c copy -flags +bitexact -f mp4 "$tmp/made"
  PYTHONPATH=../tests/videos python3 -B ../tests/videos/patch.py "$tmp/made" "$2"
  object mp4 "$1" "$tmp/made"
}
other() { copy other "$@"; }
other avi avi mpeg4.mov
other ts mpegts av.mov
other m2ts mpegts av.mov -mpegts_m2ts_mode 1
other ts-hevc mpegts hevc.mov
run "${picture[@]}" -c:v mpeg2video -g 2 -q:v 31 -flags +bitexact -f mpegts "$tmp/mpeg2.ts"
other ps vob mpeg2.ts
other mpeg1 mpeg mpeg2.ts
other flv flv av.mov
other asf asf mpeg4.mov
run "${picture[@]}" -c:v libtheora -q:v 0 -g 2 -flags +bitexact -f ogg "$tmp/theora.ogv"
other ogg ogg theora.ogv

# Texts of each format.
printf '1\n00:00:00,100 --> 00:00:00,500\n<i>Hi</i> there\n\n2\n00:00:00,600 --> 00:00:00,900\nyou\n' >"$tmp/text.srt"
texts() { # TARGET FORMAT INPUT ARGS...
  local target=$1 format=$2 input=$3
  shift 3
  run -i "$tmp/$input" -i "$tmp/text.srt" -map 0:v -map 1 -map 1 -map 1 -c:v copy -flags +bitexact \
    -metadata:s:s:0 language=eng -metadata:s:s:1 language=ger -f "$format" "$@" "$tmp/made"
  object "$target" text "$tmp/made"
}
texts mp4 mp4 mpeg4.mov -c:s mov_text
texts matroska matroska vp8.mkv -c:s:0 srt -c:s:1 ass -c:s:2 webvtt

run "${sound[@]}" -c:a pcm_s16le "$tmp/sound.wav"
object other wav "$tmp/sound.wav"
while read -r name codec format; do
  run "${sound[@]}" -c:a "$codec" -flags +bitexact -f "$format" "$tmp/sound"
  object other "$name" "$tmp/sound"
done <<<'mp3 libmp3lame mp3
adts aac adts
flac flac flac
ogg-opus libopus ogg
ogg-vorbis libvorbis ogg
ogg-flac flac ogg'
run -i "$tmp/sound.wav" -c:a aac -b:a 8k -flags +bitexact "$tmp/sound.mov"
copy mp4 audio mp4 sound.mov
copy mp4 audio-fragments mp4 sound.mov -movflags empty_moov+default_base_moof
copy matroska audio matroska sound.mov

mp4 end mp4 av.mov
patched edits 'edits 100: 200:500 300:0'
patched chapters chapters
patched compact compact-sizes
mp4 start mp4 av.mov -movflags +faststart
mp4 b-frames mp4 b.mov
mp4 negative-offsets mp4 b.mov -movflags +negative_cts_offsets
mp4 no-edits mp4 b.mov -use_editlist 0
mp4 cut mp4 b.mov -ss 0.5
mp4 delayed mp4 b.mov -output_ts_offset 2
mp4 mov mov av.mov
mp4 3gp 3gp mpeg4.mov
mp4 esds mp4 mpeg4.mov
mp4 hevc-hdr mov hevc.mov
mp4 vp9 mp4 vp9.mkv
mp4 two-videos mp4 av.mov -map 0:v
mp4 sound-first mp4 av.mov -map -0 -map 0:a -map 0:v
mp4 interleaved mp4 av.mov -max_interleave_delta 1 -chunk_duration 100000 -movflags +faststart
mp4 fragments mp4 av.mov -movflags +frag_keyframe+empty_moov+default_base_moof
mp4 fragments-stream mp4 av.mov -movflags +frag_keyframe+empty_moov
mp4 fragments-delayed-moov mp4 av.mov -movflags +frag_keyframe+delay_moov
mp4 fragments-every-frame mp4 b.mov -movflags +frag_every_frame+empty_moov+default_base_moof
mp4 fragments-no-tfhd-offset mp4 av.mov -movflags +frag_keyframe+empty_moov+omit_tfhd_offset
mp4 sidx mp4 b.mov -movflags +frag_keyframe+empty_moov+default_base_moof+dash+global_sidx
mp4 sidx-each mp4 av.mov -movflags +frag_keyframe+empty_moov+default_base_moof+dash
mp4 mfra mp4 b.mov -movflags +frag_keyframe
mp4 cmaf mp4 b.mov -movflags +cmaf+frag_keyframe -write_prft pts
# A turned picture, and offsets of 64 bits, which ffmpeg writes for large files alone.
python3 - <<'PYTHON'
import struct
data = bytearray(open('corpus/mp4/esds', 'rb').read())
struct.pack_into('>iiiii', data, data.index(b'tkhd') + 44, 0, 1 << 16, 0, -1 << 16, 0)
open('corpus/mp4/turned', 'wb').write(data)
data = open('corpus/mp4/esds', 'rb').read()[:-1]
at = data.index(b'stco') - 4
size, = struct.unpack_from('>I', data, at)
offsets = struct.unpack_from(f'>{(size - 16) // 4}I', data, at + 16)
co64 = struct.pack(f'>I4sII{len(offsets)}Q', 16 + 8 * len(offsets), b'co64', 0, len(offsets), *offsets)
data, grown = data[:at] + co64 + data[at + size:], len(co64) - size
for name in (b'moov', b'trak', b'mdia', b'minf', b'stbl'):
    at = data.index(name) - 4
    data = data[:at] + struct.pack('>I', struct.unpack_from('>I', data, at)[0] + grown) + data[at + 4:]
open('corpus/mp4/co64', 'wb').write(data + b'\0')
PYTHON

mkv mkv matroska av.mov
mkv cues-first matroska av.mov -reserve_index_space 256
mkv stream matroska av.mov
mkv live-stream matroska av.mov -live 1
mkv webm webm vp9.mkv
mkv webm-stream webm vp9.mkv
mkv dash webm vp9.mkv -dash 1
mkv vp8 webm vp8.mkv
mkv clusters matroska b.mov -cluster_time_limit 200
mkv clusters-stream matroska b.mov -cluster_time_limit 200
mkv mpeg4 matroska mpeg4.mov
mkv hevc-hdr matroska hevc.mov
mkv two-videos matroska av.mov -map 0:v
mkv sound-first matroska av.mov -map -0 -map 0:a -map 0:v
mkv shifted matroska av.mov -output_ts_offset 3
# Audio that is encoded.
for audio in ac3 libmp3lame libvorbis pcm_u8; do
  run -i "$tmp/av.mov" -c:v copy -c:a "$audio" -b:a 32k -flags +bitexact "$tmp/$audio.mkv"
  mkv "$audio" matroska "$audio.mkv"
  mkv "$audio-stream" matroska "$audio.mkv"
done
# What ffmpeg does not write: sizes of every width, lacing, groups of blocks, stripped headers.
python3 - <<'PYTHON'
def size(n, width=0):
    width = width or next(w for w in range(1, 9) if n < (1 << 7 * w) - 1)
    return (n | 1 << 7 * width).to_bytes(width, 'big')
UNKNOWN = b'\x01' + b'\xff' * 7
def el(ident, body, width=0):
    return bytes.fromhex(ident) + size(len(body), width) + body
def uint(ident, n):
    return el(ident, n.to_bytes(max(1, (n.bit_length() + 7) // 8), 'big'))
HEAD = el('1A45DFA3', el('4282', b'matroska') + uint('4287', 4) + uint('4285', 2))
INFO = el('1549A966', uint('2AD7B1', 1_000_000) + el('4489', b'\x45\x1c\x40\x00'))
def track(number, kind, codec, more=b''):
    return el('AE', uint('D7', number) + uint('73C5', number) + uint('83', kind) + el('86', codec) + more)
VIDEO = el('E0', uint('B0', 64) + uint('BA', 64) + uint('9A', 2)
           + el('7670', uint('7671', 0) + el('7675', b'\xc2\xb4\0\0')))
ENCODINGS = el('6D80', el('6240', uint('5031', 0) + el('5034', uint('4254', 3) + el('4255', b'\0\0\1'))))
TRACKS = el('1654AE6B', track(1, 1, b'V_MPEG4/ISO/ASP', VIDEO + ENCODINGS) + track(2, 2, b'A_AAC'))
def block(number, time, flags, data):
    return size(number) + time.to_bytes(2, 'big', signed=True) + bytes([flags]) + data
KEY = b'\0\0\1\xb0' + b'k' * 20
def cluster(time, width=0, unknown=False):
    body = uint('E7', time)
    body += el('A3', block(2, 0, 0x02, b'\x02\x03\x03' + b'aaabbbccc'))                     # Xiph
    body += el('A3', block(2, 0, 0x04, b'\x02' + b'aaabbbccc'))                             # fixed
    body += el('A3', block(2, 0, 0x06, b'\x02' + size(3) + b'\xbf' + b'aaabbbccc'))         # EBML
    body += el('A0', el('A1', block(1, -5, 0, KEY)) + uint('9B', 40))
    body += el('A0', el('A1', block(1, 40, 0, b'p' * 9)) + el('FB', b'\xd8') + el('75A1', b''))
    body += el('A3', block(1, 80, 0x80, KEY))
    return bytes.fromhex('1F43B675') + (UNKNOWN if unknown else size(len(body), width)) + body
def cues(*times_places):
    return el('1C53BB6B', b''.join(
        el('BB', uint('B3', time) + el('B7', uint('F7', 1) + uint('F1', place) + uint('F0', 5)))
        for time, place in times_places))
def seek(*idents_places):
    return el('114D9B74', b''.join(
        el('4DBB', el('53AB', bytes.fromhex(ident)) + el('53AC', place.to_bytes(8, 'big')))
        for ident, place in idents_places))
def write(name, body, unknown=False, width=8):
    segment = bytes.fromhex('18538067') + (UNKNOWN if unknown else size(len(body), width)) + body
    open(f'corpus/matroska/{name}', 'wb').write(HEAD + segment + b'\0')
first = INFO + TRACKS
write('by-hand-lacing', first + cluster(0) + cluster(1000, 4) + cluster(2000, 8))
write('by-hand-unknown-sizes', first + b''.join(cluster(1000 * i, unknown=True) for i in range(4)), unknown=True)
clusters = [cluster(1000 * i) for i in range(4)]
begin = len(seek(('1C53BB6B', 0))) + len(first)
places = [begin + sum(map(len, clusters[:i])) for i in range(5)]
write('by-hand-cues', seek(('1C53BB6B', places[4])) + first + b''.join(clusters)
      + cues(*((1000 * i, places[i]) for i in range(4))))
write('by-hand-void', el('EC', b'\0' * 30) + el('BF', b'crc4') + first + el('1043A770', b'') + cluster(0)
      + el('1254C367', b'') + cluster(500))
PYTHON

python3 - <<'PYTHON'
import json
ID = '01890a5d-ac96-774b-bcce-b302099a8057'
VERSION = '0A' + '0' * 38 + '-e'
def record(key, name='ObjectCreated:Put', **more):
    thing = {'key': key, 'size': 7, 'eTag': 'e', 'sequencer': '0A', **more}
    return {'eventSource': 'aws:s3', 'eventName': name, 's3': {'object': thing}}
def write(name, event):
    open(f'corpus/event/{name}.json', 'w').write(json.dumps(event, separators=(',', ':')))
def sqs(event):
    return {'Records': [{'eventSource': 'aws:sqs', 'body': json.dumps(event)}]}
put = {'Records': [record(f'videos/u-1/{ID}.mp4'), record('a%2Bb+c%3A%2Fd.mov')]}
write('two', put)
write('keys', {'Records': [record(key) for key in (
    f'thumbnails/{ID}/{VERSION}.jpg', f'thumbnails/{ID}/{VERSION}-w1280.jpg', f'storyboards/{ID}/{VERSION}.vtt', f'videos/../{ID}.bin',
    'e%CC%81%E2%80%8B%CC%81.mp4', '%E2%80%AE4pm.exe', 'x' * 300 + '.webm')]})
write('removed', {'Records': [record('x', 'ObjectRemoved:Delete')]})
write('sqs', sqs(put))
write('destination', {'requestPayload': put})
write('sqs-of-destination', sqs({'requestPayload': sqs(put)}))
write('sizes', {'Records': [record('k', size=n, sequencer=s) for n in (0, 2**64 - 1, -1, 1.5) for s in ('', 'f' * 40)]})
def form(name, content_type, body):
    open(f'corpus/multipart/{name}', 'wb').write(content_type.encode() + b'\n' + body.replace('\n', '\r\n').encode())
TYPE = 'multipart/form-data; boundary=XyZ'
def part(disposition, body, more=''):
    return f'--XyZ\nContent-Disposition: form-data; {disposition}\n{more}\n{body}\n'
FILE = part('name="file"; filename="a.mp4"', 'by\n--Xytes')
END = '--XyZ--\n'
form('file', TYPE, FILE + END)
form('others', TYPE, part('name="title"', 'My holiday') + FILE + part('name="b"', '') + END)
form('typed', TYPE, part('name="file"; filename="a.mp4"', '0123', 'Content-Type: video/mp4\n') + END)
form('no-name', TYPE, part('name="file"', '0123') + END)
form('star', TYPE, part("name=\"file\"; filename*=UTF-8''%e2%82%ac.mp4; filename=\"e.mp4\"", '0123') + END)
form('quoted', TYPE, part('name="file"; filename="a\\"b\\\\c;d.mp4"', '0123') + END)
form('encoded', TYPE, part('name="file"; filename="été.mp4"', '0123', 'Content-Transfer-Encoding: base64\n') + END)
form('preamble', TYPE, 'hello\n' + FILE + END + 'goodbye')
form('cut', TYPE, FILE[:-5])
form('two', TYPE, FILE + FILE + END)
form('empty', TYPE, part('name="file"; filename="a"', '') + END)
form('large', TYPE, part('name="file"; filename="a"', 'x' * 1001) + END)
form('none', TYPE, END)
form('quoted-boundary', 'multipart/form-data; charset=utf-8; boundary="a b"', '--a b\nContent-Disposition: form-data; name=file\n\nx\n--a b--\n')
form('json', 'application/json', '{}')
PYTHON
du -b --max-depth=1 corpus

printf 'WEBVTT - x\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE x\n\n1\n00:01.000 --> 01:00:02.500 align:middle line:-1\n<v.a B>Hi</v> &amp; <c.x>you<00:01.500>\n' \
  >corpus/captions/webvtt
printf '\xef\xbb\xbf1\r\n00:00:01,000 --> 00:00:02,500 X1:1\r\n{\\an8}<I>Hi</I> <font color="a">b</font>\r\n\r\n2\r\n00:00:03,5 --> 00:00:04,000\r\n<script>\r\n' \
  >corpus/captions/subrip
