#!/usr/bin/env bash
# Fails if the functions enable different features of a crate that several of them share: `sam build` would then compile
# that crate, and every crate that depends on it, once per set of features. crates/function enables the missing ones.
set -euo pipefail
cd "$(dirname "$0")/.."
functions=$(sed -n 's/^ *BuildProperties: {Binary: \(.*\)}$/\1/p' template.yaml | sort -u)
# Only the functions' own events depend on this crate, so it is cheap.
different=$(for function in $functions; do
  "${CARGO:-cargo}" tree --locked --offline --package "upreel-$function" --target x86_64-unknown-linux-gnu \
    --edges normal --prefix none --format '{p} [{f}]' | sed 's/ (proc-macro)//; s/ (\*)$//' | sort -u
done | sort -u | cut -d ' ' -f 1,2 | uniq -d | grep -v '^aws_lambda_events ' || true)
if [ -n "$different" ]; then
  echo "These crates have different features in different functions, see crates/function/Cargo.toml:" >&2
  for crate in ${different// /@}; do
    echo "$crate" >&2
  done
  exit 1
fi
