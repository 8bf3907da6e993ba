#!/usr/bin/env bash
# What `sam build` made: sizes, and whether provided.al2023 (glibc 2.34) can run it. binaries.sh BUILD_DIR
set -euo pipefail
newest=2.34
for bootstrap in "$1"/*/bootstrap; do
  glibc=$(grep -ao 'GLIBC_2\.[0-9]*' "$bootstrap" | sed s/GLIBC_// | sort -uV | tail -n 1)
  printf '%-20s %5d KiB, glibc %s\n' "$(basename "$(dirname "$bootstrap")")" $(($(wc -c <"$bootstrap") / 1024)) "$glibc"
  if [ "$(printf '%s\n' "$glibc" $newest | sort -V | tail -n 1)" != $newest ]; then
    echo "$bootstrap needs glibc $glibc; Lambda has $newest" >&2
    exit 1
  fi
done
for layer in "$1"/*Layer; do
  printf '%-20s %5d KiB\n' "$(basename "$layer")" "$(du -sk "$layer" | cut -f 1)"
done
