#!/usr/bin/env bash
# Builds all that is compared, and compares it: run.sh [OPTION...], see --help
set -euo pipefail
cd "$(dirname "$0")/../.."
compare() { cargo run --quiet --locked --profile bench-run --package upreel-bench-functions -- bench "$@"; }
case " $* " in *" --help "* | *" -h "*) compare --help && exit ;; esac

for tool in cc node valgrind; do ./scripts/tools.sh $tool; done
python=$(./scripts/venv.sh bench/functions/python/requirements.txt)
echo "Bundling the functions in Node.js." >&2
# The bundler's own program is in a package; nothing has to be run to install it.
(cd bench/functions/node && npm ci --ignore-scripts --silent && npm run --silent build)
echo "Building the functions as they are deployed, and the usual ones in Rust; the first time takes some minutes." >&2
make --no-print-directory build >&2
cargo build --quiet --release --locked --manifest-path bench/functions/rust/Cargo.toml
compare --python "$python/python" --upreel .aws-sam/build "$@"
