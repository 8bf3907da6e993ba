"""Runs the local backend as a child process, for tests that are not written in Rust. Standard library only."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from urllib.request import Request, urlopen

TIMEOUT = 600  # seconds; only ends a hang
# Accepted as an MP4 because of its first bytes, then FAILED in processing.
BROKEN = b"\0\0\0\x18ftypisom\0\0\0\0isomavc1"


# The credentials of S3 and DynamoDB.
ACCESS_KEY, SECRET = "upreel", "secret-of-the-tests"


class Backend:
    """A running `upreel --ephemeral` on free ports, with further `options`."""

    def __init__(self, program, folder, *options):
        self.folder = Path(folder)
        log = self.folder / "upreel.log"
        self.process = subprocess.Popen(
            [program, "--ephemeral", "--port", "0", "--s3-port", "0", "--dynamodb-port", "0", "--s3-secret", SECRET, *options],
            stdout=subprocess.PIPE, stderr=log.open("w"), text=True, env=os.environ | {"TMPDIR": str(self.folder)})
        greeting = ""
        while "Ctrl-C" not in greeting:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit("upreel did not start: " + log.read_text())
            greeting += line
        self.greeting = greeting
        self.api, self.s3, self.dynamodb = (re.search(rf"{name} +(\S+)", greeting)[1] for name in ("Page and API", "S3", "DynamoDB"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Stops the process and returns its peak memory in bytes, or None if it was stopped before."""
        if self.process.returncode is not None:
            return None
        self.process.terminate()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_maxrss * (1 if os.uname().sysname == "Darwin" else 1024)

    def json(self, method, path, body=None, user="local"):
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.api + path, data=data, method=method, headers={"x-user": user})
        with urlopen(request, timeout=TIMEOUT) as response:
            return json.load(response)

    def wait_for_outcome(self, video_id, user="local"):
        """Waits until a video is PROCESSED or FAILED and returns it."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            video = self.json("GET", f"/videos/{video_id}", user=user)
            if video["status"] in ("PROCESSED", "FAILED"):
                return video
            time.sleep(0.02)
        raise SystemExit(f"not processed within {TIMEOUT} s: {video}")


def make_video(path):
    """Writes a video of one second with audio, whose moov box is at the end, and returns its content."""
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=duration=1:size=160x90:rate=10", "-f", "lavfi", "-i",
         "sine=duration=1", "-pix_fmt", "yuv420p", str(path)], check=True)
    return path.read_bytes()


def padded(video, size):
    """Enlarges a video to `size` bytes with a free box before its moov box; it stays playable.

    Returns the bytes before the free box, its header, the length of its payload, and the rest.
    """
    at = video.rindex(b"moov") - 4
    free = size - len(video)
    head = free.to_bytes(4) + b"free" if free < 1 << 32 else b"\0\0\0\1free" + free.to_bytes(8)
    return video[:at], head, free - len(head), video[at:]
