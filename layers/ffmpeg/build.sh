#!/usr/bin/env bash
# Builds ffmpeg for this project unless it is cached, and prints its path.
#
#   build.sh [DIR]             also copies bin/ and share/ to DIR, in the layout of a Lambda layer
#   build.sh --if-built        does not build: fails if there is no cached build
#   build.sh --configure-line  prints the configure line of FFmpeg
#
# The result is cached in ${UPREEL_CACHE:-~/.cache/upreel} under the hash of the recipe, which consists of two sections
# of this file: "What is built" and "Build". Only the result goes to standard output. See README.md.
set -euo pipefail

say() { echo "ffmpeg layer: $*" >&2; }
die() { say "$*"; exit 1; }

# ---- What is built ----

# Prints NAME VERSION, then LOCATION SHA-256 for each location of the source. Debian's archive comes first because apt
# can reach it on any network. Debian removes unused folders from some sources, so their sums differ.
sources() {
  cat <<'LIST'
ffmpeg 7.1.5
  debian:f/ffmpeg/ffmpeg_7.1.5.orig.tar.xz de668509caf9e35e3cd162473441fdb29538c6d96ed080292b3cf9e6fc5d558f
  https://ffmpeg.org/releases/ffmpeg-7.1.5.tar.xz de668509caf9e35e3cd162473441fdb29538c6d96ed080292b3cf9e6fc5d558f
dav1d 1.5.1
  debian:d/dav1d/dav1d_1.5.1.orig.tar.xz 401813f1f89fa8fd4295805aa5284d9aed9bc7fc1fdbe554af4292f64cbabe21
  https://downloads.videolan.org/pub/videolan/dav1d/1.5.1/dav1d-1.5.1.tar.xz 401813f1f89fa8fd4295805aa5284d9aed9bc7fc1fdbe554af4292f64cbabe21
x264 0.164.3108
  debian:x/x264/x264_0.164.3108+git31e19f9.orig.tar.gz 41606cb8e788a7f8c4514290646d4ba5c7bc68d9e1ccd1a73f446a90546913eb
  https://code.videolan.org/videolan/x264/-/archive/31e19f92f00c7003fa115047ce50978bc98c3a0d/x264-31e19f92f00c7003fa115047ce50978bc98c3a0d.tar.bz2 01a4acb74eea1118c3aa96c3e18ee3384bc1f2bc670f31fb0f63be853e4d9d08
zimg 3.0.4
  debian:z/zimg/zimg_3.0.4+ds1.orig.tar.xz 19266d15ffb2f4b36835878ac776c746664725227ac3d10ec5e415a55765cf06
  https://github.com/sekrit-twc/zimg/archive/refs/tags/release-3.0.4.tar.gz 219d1bc6b7fde1355d72c9b406ebd730a4aed9c21da779660f0a4c851243e32f
libwebp 1.5.0
  debian:libw/libwebp/libwebp_1.5.0.orig.tar.gz 7d6fab70cf844bf6769077bd5d7a74893f8ffd4dfb42861745750c63c2a5c92c
  https://storage.googleapis.com/downloads.webmproject.org/releases/webp/libwebp-1.5.0.tar.gz 7d6fab70cf844bf6769077bd5d7a74893f8ffd4dfb42861745750c63c2a5c92c
zlib 1.3.1
  debian:z/zlib/zlib_1.3.dfsg+really1.3.1.orig.tar.gz 60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb
  https://github.com/madler/zlib/releases/download/v1.3.1/zlib-1.3.1.tar.gz 9a93b2b7dfdac77ceba5a558a580e74667dd6fede4585b91eefb60f03b72df23
LIST
}

list() { local IFS=,; echo "$*"; }

# The containers that Upreel detects by content; mjpeg and rawvideo for frames from a pipe; dv for DV inside AVI. No
# demuxer that opens other files: no hls, dash, concat, sdp, image2. The second line has raw streams, which cannot refer
# to files: MPEG-PS, TS and AVI probe them to detect a codec that the file does not declare. Without mpegvideo, an
# ordinary .mpg has no video. The third line is for files of audio alone, and so are aac and mp3.
demuxers=(mov matroska avi dv mpegts mpegps flv ogg asf mjpeg rawvideo pcm_f32le
  aac ac3 dts eac3 h264 hevc loas m4v mp3 mpegvideo truehd
  flac wav)
decoders=(
  h264 hevc vvc vp8 vp9 libdav1d mpeg4 h263 mjpeg                        # phones, browsers, cameras
  prores dnxhd cfhd dvvideo mpeg1video mpeg2video ffv1 v210 v210x v308 v408 v410 r10k r210 yuv4 avui
  hap hq_hqa hqx jpeg2000 jpegls notchlc speedhq dirac snow cljr aic avrn avrp media100 pixlet
  sheervideo targa bmp tiff exr dpx webp                                 # editing, broadcast, camcorders
  flv theora vc1 vc1image wmv1 wmv2 wmv3 wmv3image msmpeg4v1 msmpeg4v2 msmpeg4v3
  flashsv flashsv2 vp3 vp4 vp5 vp6 vp6a vp6f vp7 rv10 rv20 rv30 rv40     # legacy web and Windows formats
  h261 h263i h263p svq1 svq3 cinepak qtrle rpza smc eightbps qdraw mjpegb mvc1 mvc2 aasc cyuv
  indeo2 indeo3 indeo4 indeo5 msvideo1 msrle truemotion1 truemotion2 ulti vcr1 wnv1 mimic sp5x
  xl asv1 asv2 aura aura2 loco vble zlib                         # old editors and cameras
  huffyuv ffvhuff hymt utvideo magicyuv lagarith png gif apng zmbv cscd tscc tscc2 fraps dxtory fic mss1 mss2
  mts2 msa1 g2m rscc screenpresso cllc ylc mszh zerocodec rawvideo       # screen recordings
  cavs
  aac aac_latm ac3 eac3 alac als amrnb amrwb ape dca flac mlp truehd mp1float mp2float mp3float mp3adufloat
  mp3on4float opus vorbis wavpack tta tak s302m dvaudio
  wmav1 wmav2 wmapro wmavoice wmalossless nellymoser speex qdm2 qdmc mace3 mace6 gsm gsm_ms truespeech
  qcelp evrc g723_1 g729 ilbc imc iac metasound cook sipr ra_144 ra_288 atrac3 atrac3p
  adpcm_4xm adpcm_adx adpcm_ct adpcm_g722 adpcm_g726 adpcm_g726le adpcm_ima_amv adpcm_ima_dk3 adpcm_ima_dk4
  adpcm_ima_qt adpcm_ima_wav adpcm_ms adpcm_swf adpcm_yamaha
  pcm_alaw pcm_bluray pcm_dvd pcm_f16le pcm_f24le pcm_f32be pcm_f32le pcm_f64be pcm_f64le pcm_mulaw
  pcm_s16be pcm_s16be_planar pcm_s16le pcm_s16le_planar pcm_s24be pcm_s24le pcm_s24le_planar
  pcm_s32be pcm_s32le pcm_s32le_planar pcm_s64be pcm_s64le pcm_s8 pcm_s8_planar
  pcm_u16be pcm_u16le pcm_u24be pcm_u24le pcm_u32be pcm_u32le pcm_u8
)
parsers=(aac aac_latm ac3 amr av1 cavsvideo cook dca dirac dnxhd dvaudio flac g723_1 g729 gsm h261 h263 h264 hevc
  jpeg2000 mjpeg mlp mpeg4video mpegaudio mpegvideo opus png rv34 sipr vc1 vorbis vp3 vp8 vp9 vvc webp)
bsfs=(aac_adtstoasc dovi_rpu extract_extradata filter_units h264_metadata h264_mp4toannexb hevc_mp4toannexb
  mpeg4_unpack_bframes null setts vp9_superframe vp9_superframe_split vvc_mp4toannexb)
filters=(
  scale zscale tonemap format setsar setdar setparams setpts fps trim select copy null # poster, ladder
  tpad concat loop
  hflip vflip transpose rotate crop pad color overlay
  estdif bwdif yadif setfield                                                          # interlaced sources
  premultiply alphaextract sidedata                                                    # transparent ones
  thumbnail signalstats blackframe entropy metadata showinfo                           # choosing a frame
  tile split hstack vstack                                                             # storyboard
  palettegen paletteuse                                                                # GIF
  aresample aformat anull atrim asetpts asplit apad pan anullsrc adelay
)
encoders=(mjpeg libwebp libwebp_anim gif libx264 aac rawvideo wrapped_avframe pcm_s16le pcm_f32le)
muxers=(image2pipe gif mjpeg mp4 mov rawvideo pcm_s16le null framecrc framemd5)
# fd instead of file: it uses file descriptors that the parent opened and passed on, and cannot open anything.
protocols=(http tcp pipe fd)

configure_line() {
  printf '%s\n' \
    --prefix=/opt --disable-everything --disable-autodetect --disable-programs --enable-ffmpeg \
    --disable-doc --disable-debug --disable-avdevice --disable-postproc --disable-iconv \
    --enable-gpl --enable-pthreads --enable-zlib --enable-libdav1d --enable-libx264 --enable-libzimg --enable-libwebp \
    --enable-static --disable-shared --enable-pic --pkg-config-flags=--static \
    '--extra-cflags=-fstack-protector-strong -D_FORTIFY_SOURCE=2' --extra-ldexeflags=-static --extra-libs=-lm \
    "--enable-demuxer=$(list "${demuxers[@]}")" "--enable-decoder=$(list "${decoders[@]}")" \
    "--enable-parser=$(list "${parsers[@]}")" "--enable-bsf=$(list "${bsfs[@]}")" \
    "--enable-filter=$(list "${filters[@]}")" "--enable-encoder=$(list "${encoders[@]}")" \
    "--enable-muxer=$(list "${muxers[@]}")" "--enable-protocol=$(list "${protocols[@]}")"
}

MAX_BYTES=20500000

# ---- Where it is kept ----

# Prints the configure line for pasting: one option per line, quoted if it contains spaces.
configure_line_for_a_shell() {
  echo './configure \'
  configure_line | sed -e "/ /s/.*/'&'/" -e 's/^/  /' -e '$!s/$/ \\/'
}

self=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$(basename "${BASH_SOURCE[0]}")
into='' only_if_built=''
case ${1:-} in
  --configure-line) configure_line_for_a_shell; exit ;;
  --if-built) only_if_built=yes ;;
  -*) die "unknown option: $1" ;;
  *) into=${1:-} ;;
esac
[ "$(uname -s)" = Linux ] || die "the layer can only be built on Linux"
mkdir -p "${UPREEL_CACHE:=$HOME/.cache/upreel}/ffmpeg"
cache=$(cd "$UPREEL_CACHE/ffmpeg" && pwd)
recipe=$(sed -n '/^# ---- What is built/,/^# ---- Where/p; /^# ---- Build/,/^# ---- Check/p' "$self" |
  sha256sum | cut -c1-16)
built=$cache/$(uname -m)-$recipe

finish() {
  if [ -n "$into" ]; then
    mkdir -p "$into"
    cp -R "$built/bin" "$built/share" "$into/"
  fi
  echo "$built/bin/ffmpeg"
}
# The last step moves the complete result here, so an existing one is complete.
[ ! -x "$built/bin/ffmpeg" ] || { finish; exit; }
[ -z "$only_if_built" ] || exit 1

# ---- Dependencies ----

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Installs the missing commands. Arguments are COMMAND:PACKAGE, with package names of Debian and Ubuntu.
need() {
  local pair missing=()
  for pair; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "please install ${missing[*]} (names of Debian packages; apt-get was not found)"
  say "installing ${missing[*]} with apt-get"
  {
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  } >/dev/null </dev/null
}

need flock:util-linux
# Child processes hold the lock too, so a new build waits for those that a killed build left running.
exec 9>"$cache/lock"
flock --nonblock 9 || { say "waiting for another build"; flock 9; }
[ ! -x "$built/bin/ffmpeg" ] || { finish; exit; }
rm -rf "$cache"/work.*

tools=(cc:gcc cc:libc6-dev c++:g++ make:make pkg-config:pkg-config meson:meson ninja:ninja-build
  autoreconf:autoconf automake:automake libtoolize:libtool xz:xz-utils bzip2:bzip2)
[ "$(uname -m)" != x86_64 ] || tools+=(nasm:nasm)
need "${tools[@]}"

# ---- Sources ----

matches() { echo "$2  $1" | sha256sum --check --status; }

# Prints the Debian mirrors that apt is configured for. The sources are downloaded by their path in the pool and
# verified against the sums above, so apt's lists and settings stay unchanged.
mirrors() {
  if command -v apt-get >/dev/null; then
    apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
      sed -n 's,/debian/*$,/debian,p' | sort -u
  fi
}

from_debian() { # PLACE FILE
  local mirror
  for mirror in $(mirrors); do
    /usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=3 \
      download-file "$mirror/pool/main/$1" "$2" </dev/null >/dev/null 2>&1 && return
  done
  return 1
}

from_upstream() { # URL FILE
  need curl:curl >&2
  curl --fail --silent --location --proto '=https' --retry 2 --connect-timeout 10 --output "$2" "$1"
}

# Unpacks the source of NAME into $work/NAME.
source_of() {
  local place sum kept found=
  while read -r place sum; do
    kept=$cache/sources/$sum-$(basename "$place")
    if [ -f "$kept" ] && matches "$kept" "$sum"; then found=$kept; break; fi
  done < <(places "$1")
  if [ -z "$found" ]; then
    while read -r place sum; do
      kept=$cache/sources/$sum-$(basename "$place")
      rm -f "$kept.part"
      case $place in
        debian:*) from_debian "${place#debian:}" "$kept.part" ;;
        *) from_upstream "$place" "$kept.part" ;;
      esac || { say "$place: not available"; continue; }
      matches "$kept.part" "$sum" || { say "$place: SHA-256 mismatch, expected $sum"; continue; }
      mv "$kept.part" "$kept"
      found=$kept
      break
    done < <(places "$1")
  fi
  [ -n "$found" ] || die "no source for $1; put it into $cache/sources, named SUM-FILE like the others"
  echo "$1 $(version_of "$1"): $place, SHA-256 $sum" >>"$work/sources.txt"
  mkdir "$work/$1"
  tar -xf "$found" -C "$work/$1" --strip-components=1
}
places() { sources | awk -v name="$1" '/^[^ ]/ { on = $1 == name; next } on { print $1, $2 }'; }
version_of() { sources | awk -v name="$1" '$1 == name { print $2 }'; }

mkdir -p "$cache/sources"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
for name in ffmpeg dav1d x264 zimg libwebp zlib; do source_of "$name"; done

# ---- Build ----

# Isolates the build from the caller's environment and the system's libraries.
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS MAKEFLAGS MFLAGS MAKELEVEL PKG_CONFIG_PATH
export LC_ALL=C TZ=UTC CC=cc CXX=c++
export PKG_CONFIG_LIBDIR=$work/prefix/lib/pkgconfig
umask 022
jobs=${JOBS:-$(nproc)}
harden='-fPIC -fstack-protector-strong -D_FORTIFY_SOURCE=2'

step() { # NAME: runs build_NAME in the folder of the source, with the output in a log
  say "$(date +%H:%M:%S) $1 $(version_of "$1")"
  (cd "$work/$1" && "build_$1") >"$cache/$1.log" 2>&1 </dev/null || {
    tail -n 30 "$cache/$1.log" >&2
    die "building $1 failed; see $cache/$1.log"
  }
}

# `set -e` has no effect inside `step ... ||`, so the commands are chained with &&.
build_zlib() {
  CFLAGS="-O3 $harden" ./configure --static --prefix="$work/prefix" && make -j"$jobs" libz.a && make install
}
build_zimg() {
  autoreconf --install --force &&
    CFLAGS="-O2 $harden" CXXFLAGS="-O2 $harden" ./configure --prefix="$work/prefix" --disable-shared --enable-static &&
    make -j"$jobs" && make install
}
# Only the encoder and the muxer for animations: FFmpeg has a decoder of its own.
build_libwebp() {
  autoreconf --install --force &&
    CFLAGS="-O2 $harden" ./configure --prefix="$work/prefix" --disable-shared --enable-static --enable-libwebpmux \
      --disable-libwebpdemux --disable-png --disable-jpeg --disable-tiff --disable-gif --disable-gl --disable-sdl \
      --disable-wic && make -j"$jobs" && make install
}
build_dav1d() {
  meson setup build --prefix="$work/prefix" --libdir=lib --buildtype=release --default-library=static \
    -Denable_tools=false -Denable_tests=false -Dc_args="$harden" &&
    ninja -C build -j"$jobs" install
}
# HLS renditions are 8 bits and 4:2:0, and interlaced sources are deinterlaced first.
build_x264() {
  # Replaces upstream's script, which gets the version from git; there is no repository here.
  printf '%s\n' '#!/bin/sh' "echo '#define X264_VERSION \" r3108 31e19f9\"'" \
    "echo '#define X264_POINTVER \"0.164.3108 31e19f9\"'" >version.sh &&
    ./configure --prefix="$work/prefix" --enable-static --enable-pic --disable-cli --disable-opencl \
      --bit-depth=8 --chroma-format=420 --disable-interlaced --extra-cflags="$harden" &&
    make -j"$jobs" && make install
}
build_ffmpeg() {
  local options kind name
  mapfile -t options < <(configure_line)
  ./configure "${options[@]}" || { tail -n 30 ffbuild/config.log; return 1; }
  # configure silently ignores unknown names and components with unmet dependencies.
  for kind in demuxer decoder parser bsf filter encoder muxer protocol; do
    local -n names=${kind}s
    for name in "${names[@]}"; do
      grep -qi "^#define CONFIG_${name}_$kind 1" config_components.h || { echo "no $kind $name"; return 1; }
    done
  done
  make -j"$jobs" ffmpeg
}

started=$SECONDS
say "building; this takes about ten minutes on two cores, and happens once"
for name in zlib zimg libwebp dav1d x264 ffmpeg; do step "$name"; done

# ---- Check and keep ----

out=$work/out
licences=$out/share/licenses/ffmpeg
mkdir -p "$out/bin" "$licences"
strip -o "$out/bin/ffmpeg" "$work/ffmpeg/ffmpeg"
cp "$work/ffmpeg/COPYING.GPLv2" "$licences/FFmpeg.GPLv2"
cp "$work/ffmpeg/LICENSE.md" "$licences/FFmpeg.md"
cp "$work/x264/COPYING" "$licences/x264.GPLv2"
cp "$work/dav1d/COPYING" "$licences/dav1d"
cp "$work/zimg/COPYING" "$licences/zimg"
cp "$work/libwebp/COPYING" "$licences/libwebp"
cp "$work/zlib/LICENSE" "$licences/zlib"
# The system's C and C++ libraries are linked statically too.
for library in libc.a libstdc++.a; do
  package=$(dpkg-query -S "$(realpath "$(cc -print-file-name="$library")")" 2>/dev/null | cut -d: -f1) || true
  [ ! -f "/usr/share/doc/${package:-none}/copyright" ] ||
    cp -L "/usr/share/doc/$package/copyright" "$licences/${library%.a}"
done
{
  echo "Built by Upreel's build.sh, recipe $recipe, from these sources, unchanged except for x264's version.sh:"
  sed 's/^/  /' "$work/sources.txt"
  echo "FFmpeg configured with:"
  configure_line | sed 's/^/  /'
} >"$licences/SOURCES"

check() {
  local ffmpeg=$out/bin/ffmpeg bytes had start
  bytes=$(stat -c %s "$ffmpeg")
  [ "$bytes" -lt "$MAX_BYTES" ] || die "ffmpeg has $bytes bytes, more than $MAX_BYTES"
  [[ $(readelf --program-headers "$ffmpeg") != *INTERP* ]] || die "ffmpeg is not linked statically"
  had=$("$ffmpeg" -hide_banner -demuxers 2>/dev/null | awk '$1 ~ /D/ && $2 ~ /^(hls|dash|concat|sdp|rtsp|image2)$/')
  [ -z "$had" ] || die "ffmpeg has a demuxer that it must not have: $had"
  # Encodes a green frame with x264 into a fragmented MP4, and decodes it to a JPEG with the filters for interlaced,
  # HDR and transparent video.
  local filters=setfield=tff,estdif=mode=frame:deint=interlaced,format=gbrap,premultiply=inplace=1,format=gbrp10
  filters+=,scale=640:-2,setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=gbr
  filters+=,zscale=t=linear:p=bt709:npl=203:agamma=0,format=gbrpf32le,tonemap=mobius:desat=0:peak=4.93
  filters+=,zscale=t=iec61966-2-1:m=170m:r=full,format=yuvj420p
  start=$(head -c 1382400 /dev/zero |
    "$ffmpeg" -nostdin -loglevel error -f rawvideo -video_size 1280x720 -pix_fmt yuv420p -i pipe:0 \
      -c:v libx264 -movflags +frag_keyframe+empty_moov -f mp4 pipe:1 |
    "$ffmpeg" -nostdin -loglevel error -f mov -i pipe:0 -frames:v 1 -vf "$filters" -c:v mjpeg -f image2pipe pipe:1 |
    od -An -tx1 -N3)
  [ "$start" = ' ff d8 ff' ] || die "ffmpeg does not produce a JPEG"
}
check

mv -T "$out" "$built"
say "$(date +%H:%M:%S) done in $((SECONDS - started)) s: $(stat -c %s "$built/bin/ffmpeg") bytes"
finish
