# What the scripts that create a set of files have in common; they source it.
#
# Exits if $out, the argument, already contains the set that this version of the scripts creates. `finish` ends a set.
export LC_ALL=C

[ $# -eq 1 ] || { echo "usage: $0 OUT_DIR" >&2; exit 2; }
ffmpeg=${FFMPEG:-ffmpeg}
out=$1

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }
here=$(dirname "$0")
stamp=$(cat "$0" "$here/set.sh" "$here/patch.py" | sha256)
[ "$(cat "$out/.complete" 2>/dev/null || true)" != "$stamp" ] || exit 0

mkdir -p "$out"
rm -f "$out/.complete"
tmp=$(mktemp -d "$out/.tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

run() { "$ffmpeg" -nostdin -hide_banner -loglevel error -y "$@"; }

finish() {
  echo "$stamp" >"$tmp/complete"
  mv "$tmp/complete" "$out/.complete"
}
