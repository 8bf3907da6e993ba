"""Takes the videos out of a package's archive and lists them in the manifest of the corpus. Standard library only.

usage: collect.py OUT_DIR PACKAGE VERSION ARCHIVE

A file counts if ffprobe finds a video stream in it (the cover of a song too), and if no other file of the corpus has
the same content. It is written to OUT_DIR/files/PACKAGE/..., and its line to OUT_DIR/manifest.tsv: package, version,
path below OUT_DIR/files, size, SHA-256.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

# Not of audio files, which rarely have a cover; `ts` is TypeScript too, so ffprobe has the last word.
NAMES = re.compile(
    r"\.(3g2|3gp|asf|avi|divx|dv|f4v|flv|insv|lrv|m1v|m2t|m2ts|m2v|m4a|m4v|mk3d|mkv|mov|mp4|mpe?g|mts|mxf|nut|og[gmvx]"
    r"|qt|rm|rmvb|tod|ts|vob|webm|wmv)$", re.IGNORECASE)
TYPESCRIPT = re.compile(rb"\s*(import|export|declare|interface|type|const|let|var|function|class|describe|/[/*]|<|['\"])")
LARGEST = 200_000_000


def members(archive):
    """Yields the path, size and reader of each file of a tar or zip archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                if not member.is_dir():
                    yield member.filename, member.file_size, lambda member=member: opened.open(member)
    else:
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.isfile():
                    yield member.name, member.size, lambda member=member: opened.extractfile(member)


def has_video(path):
    probed = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=codec_type:format=format_name",
         "-of", "json", path], capture_output=True, check=False)
    if probed.returncode:
        return False
    found = json.loads(probed.stdout)
    # A name such as tty or gif: text, pictures.
    return bool(found.get("streams")) and found["format"]["format_name"] not in ("tty", "gif", "png_pipe", "image2")


def main():
    out, package, version, archive = Path(sys.argv[1]), *sys.argv[2:5]
    manifest = out / "manifest.tsv"
    lines = manifest.read_text().splitlines()[1:] if manifest.exists() else []
    others = [line for line in lines if line.split("\t")[0] != package]
    known = {line.split("\t")[4] for line in others}
    files = out / "files"
    shutil.rmtree(files / package, ignore_errors=True)
    found = []
    for name, size, reader in members(archive):
        if not NAMES.search(name) or not 0 < size <= LARGEST:
            continue
        parts = [part for part in PurePosixPath(name).parts[1:] if part not in ("..", "/")]
        if not parts:
            continue
        with reader() as stream:
            content = stream.read()
        digest = hashlib.sha256(content).hexdigest()
        if digest in known or name.endswith(".ts") and TYPESCRIPT.match(content):
            continue
        path = files / package / "/".join(parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if has_video(path):
            known.add(digest)
            found.append("\t".join([package, version, str(path.relative_to(files)), str(size), digest]))
        else:
            path.unlink()
    partial = manifest.with_suffix(".part")
    partial.write_text("\n".join(["package\tversion\tpath\tsize\tsha256", *others, *sorted(found)]) + "\n")
    partial.rename(manifest)
    print(f"{package} {version}: {len(found)} videos")


if __name__ == "__main__":
    main()
