#!/usr/bin/env bash
# Runs one stage of `make test`, which runs several at a time:
#
#   stage.sh NAME COMMAND...  runs the command with its output in target/stages/NAME.log
#   stage.sh --begin          removes the logs of the previous run
#   stage.sh --summary        prints the time and the result of each stage, and the end and the failures of a failed log
#
# CPU seconds include child processes, except those that outlive the stage.
set -euo pipefail
cd "$(dirname "$0")/.."
logs=target/stages
export LC_ALL=C

case $1 in
  --begin)
    rm -rf "$logs"
    mkdir -p "$logs"
    exit
    ;;
  --summary)
    failed=()
    echo
    for result in $(ls -tr "$logs"/*.result); do
      name=$(basename "$result" .result)
      read -r status wall user system <"$result"
      [ "$status" = ok ] || failed+=("$name")
      printf '%-11s %-6s %5.0f s %6.0f s CPU\n' "$name" "$status" "$wall" "$(awk "BEGIN { print $user + $system }")"
      # The totals of cargo test and of node --test; of other stages the last line.
      grep -E '^(test result:|(#|ℹ) (pass|fail|skipped|cancelled) )' "$logs/$name.log" | sed 's/^/    /' ||
        tail -n 1 "$logs/$name.log" | cut -c -160 | sed 's/^/    /'
    done
    [ ${#failed[@]} -gt 0 ] || exit 0
    for name in "${failed[@]}"; do
      log=$logs/$name.log
      printf '\nThe end of %s:\n\n' "$log"
      tail -n 30 "$log"
      # node --test prints a failed test where it ran, cargo test at the end of the tests of its file. A reader may see only
      # the end of this output.
      printf '\n%s failed. Its failed tests:\n\n' "$name"
      { grep -E -A 30 '^ *(not ok|✖) ' "$log" || sed -n '/^failures:$/,/^test result:/p' "$log"; } | cut -c -1000 | sed -n 1,300p
      grep -E '^(test .* FAILED$| *(not ok|✖) )' "$log" | sed -n 1,40p || true
    done >&2
    exit 1
    ;;
esac

name=$1
shift
# The jobs and variables of `make test` are not those of a make that the command starts.
unset MAKEFLAGS MFLAGS MAKELEVEL
mkdir -p "$logs"
echo "$name: started"
TIMEFORMAT='%R %U %S'
status=ok
{ time "$@" >"$logs/$name.log" 2>&1 </dev/null; } 2>"$logs/$name.time" || status=FAILED
echo "$status $(cat "$logs/$name.time")" >"$logs/$name.result"
rm "$logs/$name.time"
printf '%s: %s after %.0f s\n' "$name" "$status" "$(cut -d ' ' -f 2 "$logs/$name.result")"
[ $status = ok ]
