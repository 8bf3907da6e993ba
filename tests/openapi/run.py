"""openapi.yaml held against the whole backend: thousands of requests, good and bad, made from the document.

usage: run.py UPREEL   (the program)

To pin other versions: change requirements.in, then see tests/template/gate.sh.
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
from openapi_spec_validator import validate

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from backend import BROKEN, Backend, make_video  # noqa: E402

CASES = 5000


def finished_videos(backend, video):
    """A video that has everything, and one that has failed: each field of theirs is in the document."""
    config = schemathesis.Config.from_path(HERE / "schemathesis.toml")
    schema = schemathesis.openapi.from_url(f"{backend.api}/openapi.json", config=config)
    headers = {"x-user": "bob"}
    for name, content, status, fields in (
        ("good.mp4", video, "PROCESSED", {"thumbnailUrl", "storyboardUrl", "blurHash", "audioCodec"}),
        ("bad.mp4", BROKEN, "FAILED", {"error"}),
    ):
        answer = requests.post(f"{backend.api}/upload", files={"file": (name, content)}, headers=headers, timeout=30)
        one = backend.settled(answer.json()["videoId"], "bob")
        assert one["status"] == status and fields <= one.keys(), one
        case = schema["/videos/{videoId}"]["GET"].Case(path_parameters={"videoId": one["videoId"]}, headers=headers)
        case.call_and_validate()
    listed = schema["/videos"]["GET"].Case(query={"limit": 100}, headers=headers).call_and_validate()
    assert len(listed.json()["videos"]) == 2, listed.text


def generated(backend, video):
    """Runs schemathesis over all operations; gives how many requests it has made."""
    st = Path(sys.executable).parent / "st"
    command = [st, "--config-file", HERE / "schemathesis.toml", "run", f"{backend.api}/openapi.json"]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "UPREEL_API": backend.api, "UPREEL_VIDEO": str(video)}
    run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    cases = 0
    for line in run.stdout:
        print(line, end="")
        if found := re.search(r"(\d+) generated", line):
            cases = int(found[1])
    if run.wait():
        raise SystemExit("openapi: the backend and openapi.yaml differ")
    return cases


def main(program):
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Backend(program, folder) as backend:
        validate(backend.json("GET", "/openapi.json"))
        path = Path(folder) / "video.mp4"
        finished_videos(backend, make_video(path))
        cases = generated(backend, path)
        letters = backend.json("GET", "/_local/dlq")["messages"]
        assert not letters, letters
        assert cases >= CASES, f"only {cases} requests were made"
    print(f"openapi: {cases} requests, answered as openapi.yaml says, in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
