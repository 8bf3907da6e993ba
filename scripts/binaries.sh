#!/usr/bin/env bash
# Prints the sizes of what `sam build` built. Fails if a program needs a newer glibc than provided.al2023 has (2.34).
# usage: binaries.sh BUILD_DIR
set -euo pipefail
newest=2.34
for bootstrap in "$1"/*/bootstrap; do
  glibc=$(grep -ao 'GLIBC_2\.[0-9]*' "$bootstrap" | sed s/GLIBC_// | sort -uV | tail -n 1)
  printf '%-20s %5d KiB, glibc %s\n' "$(basename "$(dirname "$bootstrap")")" $(($(wc -c <"$bootstrap") / 1024)) "$glibc"
  if [ "$(printf '%s\n' "$glibc" $newest | sort -V | tail -n 1)" != $newest ]; then
    echo "$bootstrap requires glibc $glibc; Lambda has $newest" >&2
    exit 1
  fi
done
for layer in "$1"/*Layer; do
  printf '%-20s %5d KiB\n' "$(basename "$layer")" "$(du -sk "$layer" | cut -f 1)"
done
