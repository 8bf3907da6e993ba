"""A video of 6 GB in parts, four at a time, through the whole backend on this machine: how long it takes, and how
much memory.

usage: large.py UPREEL [GIGABYTES]   (the program)
"""

import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import urllib3

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend import Backend, make_video, padded  # noqa: E402

HTTP = urllib3.PoolManager(retries=False, maxsize=4)
PART = 16 << 20
# Beside the video, which is stored once: each part goes when it has become a piece of it.
ROOM = 10**9
# It does not grow with the file.
MEMORY = 200 << 20


def sparse(folder, size):
    """A playable file of this size that takes a few kilobytes of disk; its index is at the very end."""
    head, free, length, index = padded(make_video(folder / "small.mp4"), size)
    path = folder / "large.mp4"
    with path.open("wb") as file:
        file.write(head + free)
        file.seek(length, 1)
        file.write(index)
    assert path.stat().st_size == size
    return path


def upload(backend, path):
    begun = backend.json("POST", "/s3/multipart", {"filename": path.name, "type": "video/mp4"})
    base, key = f"/s3/multipart/{begun['uploadId']}", f"?key={quote(begun['key'])}"

    def put(number):
        with path.open("rb") as file:
            file.seek((number - 1) * PART)
            content = file.read(PART)
        url = backend.json("GET", f"{base}/{number}{key}")["url"]
        part = HTTP.request("PUT", url, body=content)
        assert part.status == 200, part.data
        return {"PartNumber": number, "ETag": part.headers["ETag"]}

    start = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(put, range(1, -(-path.stat().st_size // PART) + 1)))
    sent = time.monotonic()
    complete = HTTP.request("POST", f"{backend.api}{base}/complete{key}", json={"parts": parts}, timeout=600)
    assert complete.status == 200, complete.data
    print(f"large: {len(parts)} parts in {sent - start:.0f} s, completed in {time.monotonic() - sent:.0f} s", flush=True)
    return begun["key"].rsplit("/", 1)[1].split(".")[0]


def main(program, gigabytes="6"):
    size = int(gigabytes) * 10**9
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        free = shutil.disk_usage(folder).free
        if free < size + ROOM:
            raise SystemExit(f"large: {size + ROOM:,} bytes of disk are needed in {folder}, {free:,} are free")
        path = sparse(folder, size)
        backend = Backend(program, folder)
        try:
            video_id = upload(backend, path)
            start = time.monotonic()
            video = backend.settled(video_id)
            took = time.monotonic() - start
        finally:
            memory = backend.stop()
    assert (video["status"], video["size"]) == ("PROCESSED", size) and video["thumbnailUrl"], video
    print(f"large: {size:,} bytes, PROCESSED with a poster {took:.1f} s later; at most {memory / (1 << 20):.0f} MiB of memory")
    assert memory < MEMORY, "that is too much memory"


if __name__ == "__main__":
    main(*sys.argv[1:])
