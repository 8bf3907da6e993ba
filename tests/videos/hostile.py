#!/usr/bin/env -S python3 -B
"""Creates the set of malicious files: hostile.py OUT_DIR GOOD_DIR

GOOD_DIR contains the output of make.sh. Writes the files, three canaries that none of them may access, and
OUT_DIR/manifest.tsv. Does nothing if OUT_DIR already contains the set that these scripts create from that GOOD_DIR.
Uses $FFMPEG if set. See README.md.
"""

import hashlib
import os
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
from hostile import damaged, fragments, manifests, matroska, mp4, others, sizes, tables  # noqa: E402

# Modules with a function make(files).
FAMILIES = [manifests, mp4, tables, fragments, sizes, matroska, others, damaged]
HOLE = bytes(1 << 16)


class Files:
    """The output folder, and the canaries that files may refer to."""

    def __init__(self, folder, good):
        self.folder, self.good_folder = folder, good
        self.rows = []
        self.fifo = folder / "canary.fifo"  # opening it for reading unblocks the test's writer
        self.movie = folder / "canary.mp4"  # magenta, to recognise a poster that was made from it
        self.image = folder / "canary.jpg"

    def add(self, family, name, what, *parts):
        """Writes a file of these parts, with holes for whole blocks of zeros, and adds it to the manifest."""
        assert "\t" not in what and all(row[0] != name for row in self.rows), name
        with open(self.folder / name, "wb") as file:
            for part in parts:
                for at in range(0, len(part), len(HOLE)):
                    block = part[at : at + len(HOLE)]
                    if block == HOLE:
                        file.seek(len(HOLE), os.SEEK_CUR)
                    else:
                        file.write(block)
            file.truncate()
        self.rows.append((name, what, family))

    def good(self, name):
        return (self.good_folder / name).read_bytes()

    def url(self, name):
        """Returns a URL of the canary server; the test replaces the zeros with its port."""
        return f"http://127.0.0.1:00000/{name}"

    def targets(self, name):
        """Returns the references that a file may try: the server and the canaries, in all notations and protocols."""
        movie = str(self.movie)
        return [
            self.url(name), f"file://{movie}", movie, movie[1:], str(self.fifo), f"file:{self.fifo}",
            f"concat:{movie}|{self.fifo}", f"subfile,,start,0,end,0,,:{movie}", f"cache:{self.url(name)}",
            f"crypto:{movie}", f"async:file:{self.fifo}", "../" * 40 + movie[1:],
        ]

    def encode(self, *arguments):
        """Runs ffmpeg with the arguments and returns its output file."""
        made = self.folder / "made"
        ffmpeg = os.environ.get("FFMPEG", "ffmpeg")
        quiet = ["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
        subprocess.run([ffmpeg, *quiet, *arguments, "-fflags", "+bitexact", f"file:{made}"], check=True)
        content = made.read_bytes()
        made.unlink()
        return content


def canaries(files):
    magenta = ["-f", "lavfi", "-i", "color=c=magenta:s=320x180:d=1"]
    movie = files.encode(*magenta, "-c:v", "mpeg4", "-f", "mp4")
    image = files.encode(*magenta, "-frames:v", "1", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-f", "mjpeg")
    files.movie.write_bytes(movie)
    files.image.write_bytes(image)
    os.mkfifo(files.fifo)


def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} OUT_DIR GOOD_DIR")
    folder, good = (pathlib.Path(arg).resolve() for arg in sys.argv[1:])
    complete = folder / ".complete"
    scripts = sorted((pathlib.Path(__file__).parent / "hostile").glob("*.py"))
    hash_ = hashlib.sha256(str(folder).encode())
    for part in [pathlib.Path(__file__), good / ".complete", *scripts]:
        hash_.update(part.read_bytes())
    stamp = hash_.hexdigest() + "\n"
    if complete.exists() and complete.read_text() == stamp:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    files = Files(folder, good)
    canaries(files)
    for family in FAMILIES:
        family.make(files)
    lines = ["\t".join(row) + "\n" for row in [("file", "what", "family"), *files.rows]]
    (folder / "manifest.tsv").write_text("".join(lines))
    complete.write_text(stamp)


if __name__ == "__main__":
    main()
