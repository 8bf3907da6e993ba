"""Checks the local backend against openapi.yaml with thousands of generated valid and invalid requests.

usage: run.py UPREEL   (the path of the program)

To change the pinned versions, edit requirements.in and see tests/template/gate.sh.
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

MIN_REQUESTS = 5000


def check_processed_videos(backend, video):
    """Validates the responses for a video with all fields and for a failed one against the document."""
    config = schemathesis.Config.from_path(HERE / "schemathesis.toml")
    schema = schemathesis.openapi.from_url(f"{backend.api}/openapi.json", config=config)
    headers = {"x-user": "bob"}
    for name, content, status, fields in (
        ("good.mp4", video, "PROCESSED", {"thumbnailUrl", "storyboardUrl", "blurHash", "audioCodec"}),
        ("bad.mp4", BROKEN, "FAILED", {"error"}),
    ):
        response = requests.post(f"{backend.api}/upload", files={"file": (name, content)}, headers=headers, timeout=600)
        record = backend.wait_for_outcome(response.json()["videoId"], "bob")
        assert record["status"] == status and fields <= record.keys(), record
        captions = schema["/videos/{videoId}/captions/{language}"]["PUT"].Case(
            path_parameters={"videoId": record["videoId"], "language": "en-GB"}, query={"kind": "captions"}, headers=headers,
            body="WEBVTT\n\n00:00.000 --> 00:01.000\nHello", media_type="text/vtt")
        assert captions.call_and_validate().json()["captions"][0]["label"] == "English (GB)"
        case = schema["/videos/{videoId}"]["GET"].Case(path_parameters={"videoId": record["videoId"]}, headers=headers)
        case.call_and_validate()
    listed = schema["/videos"]["GET"].Case(query={"limit": 100}, headers=headers).call_and_validate()
    assert len(listed.json()["videos"]) == 2, listed.text


def run_schemathesis(backend, video):
    """Runs schemathesis on all operations and returns the number of requests."""
    st = Path(sys.executable).parent / "st"
    command = [st, "--config-file", HERE / "schemathesis.toml", "run", f"{backend.api}/openapi.json"]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "UPREEL_API": backend.api, "UPREEL_VIDEO": str(video)}
    run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    requests_sent = 0
    for line in run.stdout:
        print(line, end="")
        if found := re.search(r"(\d+) generated", line):
            requests_sent = int(found[1])
    if run.wait():
        raise SystemExit("openapi: the backend does not match openapi.yaml")
    return requests_sent


def main(program):
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Backend(program, folder) as backend:
        validate(backend.json("GET", "/openapi.json"))
        path = Path(folder) / "video.mp4"
        check_processed_videos(backend, make_video(path))
        sent = run_schemathesis(backend, path)
        dead_letters = backend.json("GET", "/_local/dlq")["messages"]
        assert not dead_letters, dead_letters
        assert sent >= MIN_REQUESTS, f"only {sent} requests were sent, expected {MIN_REQUESTS}"
    print(f"openapi: {sent} requests match openapi.yaml, in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
