"""Uploads a video of 6 GB to the local backend, four parts at a time, and measures time and memory.

usage: large.py UPREEL [GIGABYTES]   (UPREEL is the path of the program)
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
# Free disk space that is needed in addition to the size of the video, which is stored once: the backend deletes each
# part as soon as it is merged.
HEADROOM = 10**9
# Limit of the backend's peak memory, which does not depend on the file size.
MAX_MEMORY = 200 << 20


def sparse(folder, size):
    """Writes a playable sparse file of `size` bytes, with its moov box at the end, and returns its path."""
    head, free, length, index = padded(make_video(folder / "small.mp4"), size)
    path = folder / "large.mp4"
    with path.open("wb") as file:
        file.write(head + free)
        file.seek(length, 1)
        file.write(index)
    assert path.stat().st_size == size
    return path


def upload(backend, path):
    created = backend.json("POST", "/s3/multipart", {"filename": path.name, "type": "video/mp4"})
    base, key = f"/s3/multipart/{created['uploadId']}", f"?key={quote(created['key'])}"

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
    print(f"large: {len(parts)} parts sent in {sent - start:.0f} s, completed in {time.monotonic() - sent:.0f} s", flush=True)
    return created["key"].rsplit("/", 1)[1].split(".")[0]


def main(program, gigabytes="6"):
    size = int(gigabytes) * 10**9
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        free = shutil.disk_usage(folder).free
        if free < size + HEADROOM:
            raise SystemExit(f"large: {folder} needs {size + HEADROOM:,} bytes of free disk space, but has {free:,}")
        path = sparse(folder, size)
        backend = Backend(program, folder)
        try:
            video_id = upload(backend, path)
            start = time.monotonic()
            video = backend.wait_for_outcome(video_id)
            took = time.monotonic() - start
        finally:
            memory = backend.stop()
    assert (video["status"], video["size"]) == ("PROCESSED", size) and video["thumbnailUrl"], video
    print(f"large: {size:,} bytes PROCESSED with a poster in {took:.1f} s; peak memory {memory / (1 << 20):.0f} MiB")
    assert memory < MAX_MEMORY, f"the backend used more than {MAX_MEMORY >> 20} MiB of memory"


if __name__ == "__main__":
    main(*sys.argv[1:])
