"""openapi.yaml held against the whole backend: thousands of requests, good and bad, made from the document.

usage: run.py UPREEL   (the program; it is started with --ephemeral on free ports)
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests
import schemathesis

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
CASES = 5000
PATIENCE = 60


def start(program, folder):
    """The backend's process and its API; the ports are in its greeting."""
    log = open(folder / "upreel.log", "w")
    process = subprocess.Popen(
        [program, "--ephemeral", "--port", "0", "--s3-port", "0", "--dynamodb-port", "0"],
        stdout=subprocess.PIPE, stderr=log, text=True)
    for line in process.stdout:
        if found := re.search(r"Page and API +(\S+)", line):
            return process, found[1]
    raise SystemExit("upreel did not start: " + (folder / "upreel.log").read_text())


def make_video(path):
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=duration=1:size=160x90:rate=10", "-f", "lavfi", "-i",
         "sine=duration=1", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)], check=True)


def generated(api, video):
    """Runs schemathesis over all operations; gives how many requests it has made."""
    st = Path(sys.executable).parent / "st"
    command = [st, "--config-file", HERE / "schemathesis.toml", "run", f"{api}/openapi.json"]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "UPREEL_API": api, "UPREEL_VIDEO": str(video)}
    run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    cases = 0
    for line in run.stdout:
        print(line, end="")
        if found := re.search(r"(\d+) generated", line):
            cases = int(found[1])
    if run.wait():
        raise SystemExit("openapi: the backend and openapi.yaml differ")
    return cases


def settled(api, user, video, name):
    """Uploads a file, and waits until it has become something."""
    headers = {"x-user": user}
    answer = requests.post(f"{api}/upload", files={"file": (name, video)}, headers=headers, timeout=30)
    answer.raise_for_status()
    url = f"{api}/videos/{answer.json()['videoId']}"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = requests.get(url, headers=headers, timeout=30).json()
        if found["status"] in ("PROCESSED", "FAILED"):
            return found
        time.sleep(0.02)
    raise SystemExit(f"not within {PATIENCE} s: {found}")


def finished_videos(api, video):
    """A video that has everything, and one that has failed: each field of theirs is in the document."""
    config = schemathesis.Config.from_path(HERE / "schemathesis.toml")
    schema = schemathesis.openapi.from_url(f"{api}/openapi.json", config=config)
    headers = {"x-user": "bob"}
    done = settled(api, "bob", video, "good.mp4")
    failed = settled(api, "bob", b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "bad.mp4")
    for one, status, fields in ((done, "PROCESSED", {"thumbnailUrl", "storyboardUrl", "audioCodec"}), (failed, "FAILED", {"error"})):
        assert one["status"] == status and fields <= one.keys(), one
        case = schema["/videos/{videoId}"]["GET"].Case(path_parameters={"videoId": one["videoId"]}, headers=headers)
        case.call_and_validate()
    listed = schema["/videos"]["GET"].Case(query={"limit": 100}, headers=headers).call_and_validate()
    assert len(listed.json()["videos"]) == 2, listed.text


def main(program):
    start_time = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        video = folder / "video.mp4"
        make_video(video)
        process, api = start(program, folder)
        try:
            finished_videos(api, video.read_bytes())
            cases = generated(api, video)
            letters = requests.get(f"{api}/_local/dlq", timeout=30).json()["messages"]
        finally:
            process.terminate()
            process.wait(timeout=30)
        assert not letters, letters
        assert cases >= CASES, f"only {cases} requests were made"
    print(f"openapi: {cases} requests, as openapi.yaml says, in {time.monotonic() - start_time:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
