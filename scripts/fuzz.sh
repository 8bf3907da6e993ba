#!/usr/bin/env bash
# Fuzzes the parsers of untrusted bytes: fuzz.sh [TARGET|all [SECONDS]]. See fuzz/README.md.
#
# Without SECONDS, as in CI, each target runs a fixed number of executions with a fixed seed from fuzz/corpus alone. The
# same code then has the same result on every machine, and a finding comes from the change under test. With SECONDS, it
# also starts from the inputs of earlier runs (fuzz/target/corpus). Fails on a finding.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.13.2
unset CARGO_TARGET_DIR
all=(mp4 matroska other multipart event captions)
# Takes up to a minute per target.
RUNS=50000

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

# Without a sanitizer: the crates are safe Rust (`unsafe_code = "forbid"`), so bugs show as panics, hangs or memory use.
# A sanitizer would need a nightly toolchain and halve the speed.
fuzz() { # COMMAND ARGS...
  local command=$1
  shift
  PATH=$tool/bin:$PATH cargo fuzz "$command" --fuzz-dir fuzz --sanitizer none "$@"
}
built=fuzz/target/.built
mkdir -p fuzz/target
[ -e "$built" ] || echo "Building the targets; the first time takes some minutes."
# Fails if the lock file needs an update. cargo fuzz would update it.
cargo tree --locked --depth 0 --manifest-path fuzz/Cargo.toml >/dev/null
fuzz build 2>"$built.log" || { cat "$built.log" >&2; exit 1; }
touch "$built"

run() { # TARGET
  local target=$1 log=fuzz/target/$1.log corpus=fuzz/target/corpus/$1 seeds=(fuzz/corpus/"$1")
  [ "$target" != event ] || seeds+=(events)
  local limits=(-rss_limit_mb=1024)
  if [ -n "$seconds" ]; then
    # As many segments as a file can have take up to 5 s of processor time with the instrumentation for coverage.
    limits+=(-timeout=30 -max_total_time="$seconds")
  else
    corpus=fuzz/target/once/$target
    rm -rf "$corpus"
    # Only an input that hangs takes ten minutes, however loaded the machine is.
    limits+=(-seed=1 -runs="$RUNS" -timeout=600)
  fi
  mkdir -p "$corpus"
  case $target in
    mp4 | matroska | other) limits+=(-max_len=12288) ;;
    multipart) limits+=(-max_len=2048) ;; # below the limit for the parts around the file, see the target
    event | captions) limits+=(-max_len=4096) ;;
  esac
  echo "$target: $([ -n "$seconds" ] && echo "$seconds s" || echo "$RUNS executions")"
  fuzz run "$target" "$corpus" "${seeds[@]}" -- "${limits[@]}" -dict=fuzz/dict/"$target" -print_final_stats=1 \
    >"$log" 2>&1 || {
    # The end of the log names the finding and how to reproduce it. Cuts the lines that contain the whole input.
    tail -n 60 "$log" | cut -c -200 >&2
    local result='stopped early'
    ! grep -aq 'Test unit written to' "$log" || result='FOUND a failing input'
    echo "$target: $result, see above and $log" >&2
    return 1
  }
  # Fails if a run without a time limit ended before its last execution.
  awk -v target="$target" -v least="$([ -n "$seconds" ] && echo 1 || echo "$RUNS")" '
    / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
    /^stat::number_of_executed_units:/ { runs = $2 }
    /^stat::average_exec_per_sec:/ { rate = $2 }
    END {
      if (runs < least) { print target ": " runs + 0 " executions, see the log" > "/dev/stderr"; exit 1 }
      printf "%s: %d executions, %d/s, %d edges, nothing found\n", target, runs, rate, edges
    }' "$log"
}

for target in "${targets[@]}"; do run "$target"; done
