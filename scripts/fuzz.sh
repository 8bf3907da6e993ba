#!/usr/bin/env bash
# Fuzzes what reads untrusted bytes: fuzz.sh [TARGET|all [SECONDS]]. See fuzz/README.md.
#
# With SECONDS it begins with the seeds in fuzz/corpus and what earlier runs found (fuzz/target/corpus). Without, as
# CI does, it begins with the seeds alone and with the same random numbers each time: the same code gives the same
# outcome, and a finding is one of the change. It fails on a finding.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.13.2
unset CARGO_TARGET_DIR
all=(mp4 matroska multipart event)
# Of each target when no time is given; some 10 to 20 s.
RUNS=200000

target=${1:-all}
seconds=${2:-}
if [ "$target" = all ]; then targets=("${all[@]}"); else targets=("$target"); fi
if [ $# -gt 2 ] || [[ " ${all[*]} " != *" ${targets[0]} "* ]] || ! [[ $seconds =~ ^([1-9][0-9]*)?$ ]]; then
  echo "usage: fuzz.sh [${all[*]}|all [SECONDS]]" >&2
  exit 2
fi

./scripts/tools.sh cc
tool=${UPREEL_CACHE:-$HOME/.cache/upreel}/cargo-fuzz-$version
if [ ! -x "$tool/bin/cargo-fuzz" ]; then
  echo "Installing cargo-fuzz $version into $tool; this takes a minute or two."
  cargo install --quiet --locked --version "$version" --root "$tool" cargo-fuzz
fi

# No sanitizer: the crates are safe Rust (`unsafe_code = "forbid"`), so what there is to find panics, hangs or
# eats memory, which shows without one. It would need a nightly toolchain, and halve the speed.
fuzz() { # COMMAND ARGS...
  local command=$1
  shift
  PATH=$tool/bin:$PATH cargo fuzz "$command" --fuzz-dir fuzz --sanitizer none "$@"
}
built=fuzz/target/.built
mkdir -p fuzz/target
[ -e "$built" ] || echo "Building the targets; the first time takes some minutes."
# The lock file is that of the tree, or this fails instead of changing it.
cargo tree --locked --depth 0 --manifest-path fuzz/Cargo.toml >/dev/null
fuzz build 2>"$built.log" || { cat "$built.log" >&2; exit 1; }
touch "$built"

run() { # TARGET
  local target=$1 log=fuzz/target/$1.log corpus=fuzz/target/corpus/$1 seeds=(fuzz/corpus/"$1")
  [ "$target" != event ] || seeds+=(events)
  local limits=(-timeout=10 -rss_limit_mb=1024)
  if [ -n "$seconds" ]; then
    limits+=(-max_total_time="$seconds")
  else
    corpus=fuzz/target/once/$target
    rm -rf "$corpus"
    limits+=(-seed=1 -runs="$RUNS" -max_total_time=120)
  fi
  mkdir -p "$corpus"
  case $target in
    mp4 | matroska) limits+=(-max_len=12288) ;;
    multipart) limits+=(-max_len=2048) ;; # below what a form may have beside the file, see the target
    event) limits+=(-max_len=4096) ;;
  esac
  echo "$target: $([ -n "$seconds" ] && echo "$seconds s" || echo "$RUNS executions")"
  fuzz run "$target" "$corpus" "${seeds[@]}" -- "${limits[@]}" -dict=fuzz/dict/"$target" -print_final_stats=1 \
    >"$log" 2>&1 || {
    # The end tells what was found, and how to run it again; without the lines that have the whole input.
    tail -n 60 "$log" | cut -c -200 >&2
    local what='stopped before its end'
    ! grep -aq 'Test unit written to' "$log" || what='FOUND something'
    echo "$target: $what, see above and $log" >&2
    return 1
  }
  awk -v target="$target" '
    / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
    /^stat::number_of_executed_units:/ { runs = $2 }
    /^stat::average_exec_per_sec:/ { rate = $2 }
    END {
      if (!runs) { print target ": no executions, see the log" > "/dev/stderr"; exit 1 }
      printf "%s: %d executions, %d/s, %d edges, nothing found\n", target, runs, rate, edges
    }' "$log"
}

for target in "${targets[@]}"; do run "$target"; done
