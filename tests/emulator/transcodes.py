"""Transcoding by the real state machine, playback as a player does it, and what can come in between."""

import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from botocore.exceptions import ClientError
from emulator import CDN_SECRET, HTTP, Api, ops, sign_in, until

# Of the video below: three chunks.
SECONDS, RATE = 140, 5


def film(folder):
    """Few and small pictures, for long."""
    path = folder / "film.mp4"
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s=480x270:r={RATE}:d={SECONDS}",
         "-f", "lavfi", "-i", f"sine=f=440:d={SECONDS}", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "2",
         "-c:a", "aac", path], check=True)  # fmt: skip
    return path.read_bytes()


def parent(process):
    return re.search(r"PPid:\s+(\d+)", (process / "status").read_text())[1]


class Trouble:
    """Something that an ffmpeg of ours does before an encoding, while it is asked for."""

    def __init__(self, emulator, stack, folder, ffmpeg):
        self.functions, self.name = emulator.client("lambda"), stack.ids["EncodeFunction"]
        self.flag, self.program = folder / "trouble", folder / "ffmpeg-in-trouble"
        self.real = ffmpeg
        self.environment = self.functions.get_function_configuration(FunctionName=self.name)["Environment"]["Variables"]

    def __call__(self, what):
        self.flag.write_text("")
        self.program.write_text(
            f"#!/bin/sh\ncase \"$*\" in *libx264*) if [ -e '{self.flag}' ]; then {what}; fi;; esac\nexec '{self.real}' \"$@\"\n")
        self.program.chmod(0o755)
        self.functions.update_function_configuration(
            FunctionName=self.name, Environment={"Variables": {**self.environment, "FFMPEG_PATH": str(self.program)}})

    def wait(self):
        self(f"while [ -e '{self.flag}' ]; do :; done")

    def wait_when_done(self):
        """It has read all of the video, and what it made is on its way."""
        self(f"'{self.real}' \"$@\"; code=$?; while [ -e '{self.flag}' ]; do :; done; exit $code")

    def over(self):
        self.flag.unlink()

    def waiting(self):
        """The processes of our program."""
        return self.processes(lambda _, words: str(self.program).encode() in words)

    def encoding(self):
        """The encoders that it has started."""
        parents = {process.name for process in self.waiting()}
        return self.processes(lambda process, words: words[0] == str(self.real).encode() and parent(process) in parents)

    @staticmethod
    def processes(which):
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if which(process, (process / "cmdline").read_bytes().split(b"\0")):
                    found.append(process)
            except OSError:
                continue  # it has ended
        return found


class Executions:
    def __init__(self, emulator, stack):
        self.client, self.machine = emulator.client("stepfunctions"), stack.ids["TranscodeMachine"]

    def of(self, video):
        found = self.client.list_executions(stateMachineArn=self.machine, maxResults=1000)["executions"]
        return [execution for execution in found if execution["name"].startswith(video)]

    def until(self, video, status, count=1):
        def check():
            found = self.of(video)
            return found if [e["status"] for e in found].count(status) == count else None
        return until(f"{count} executions of {video} are {status}", check)


def transcoded(api, video, status):
    def check():
        record = api.video(video)
        return record if record.get("transcode", {}).get("status") == status else None
    return until(f"{video} is transcoded: {status}", check)


def named(playlist):
    """What a playlist names, attributes first."""
    return re.findall(r'URI="([^"]+)"', playlist) + [line for line in playlist.splitlines() if line and not line.startswith("#")]


def pictures(*pieces):
    """How many can be decoded, without a complaint."""
    probe = subprocess.run(
        ["ffprobe", "-v", "warning", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", "-"],
        input=b"".join(pieces), capture_output=True, check=True)  # fmt: skip
    assert not probe.stderr, probe.stderr
    return int(probe.stdout.split()[0].strip(b","))


def played(get, master):
    """Plays all renditions: fetches what each playlist names, and counts the pictures."""
    counts = {}
    for url in named(get(master).decode()):
        if not url.endswith("index.m3u8"):
            continue
        media = urljoin(master, url)
        pieces = [get(urljoin(media, name)) for name in named(get(media).decode())]
        if "audio" not in url:
            counts[url] = pictures(*pieces)
    return counts


def play(emulator, stack, api, eve, video):
    """By the API with signed segments, and through CloudFront."""
    record = transcoded(api, video, "DONE")
    assert record["transcode"] == {"status": "DONE", "chunksDone": 3, "chunksTotal": 3}, record["transcode"]
    route = f"/videos/{video}/hls/master.m3u8"

    def by_api(url):
        if url.startswith(api.base):
            answer = api.call("GET", url.removeprefix(api.base))
            assert answer.headers["Content-Type"] == "application/vnd.apple.mpegurl", answer.headers
        else:
            answer = HTTP.request("GET", url)
        assert answer.status == 200, (url, answer.status, answer.data)
        return answer.data
    expected = {"v270/index.m3u8": SECONDS * RATE}
    assert (counts := played(by_api, api.base + route)) == expected, counts
    for other, status in ((eve, 404), (Api(emulator, stack, None), 401)):
        for path in (route, route.replace("master", "v270/index")):
            assert other.call("GET", path).status == status, (path, status)

    def through_cdn(url):
        answer = cdn(emulator, url)
        assert answer.status == 200, (url, answer.status, answer.data)
        assert answer.headers["Access-Control-Allow-Origin"] == "*", answer.headers
        return answer.data
    master = record["hlsUrl"]
    assert (counts := played(through_cdn, master)) == expected, counts
    refused(emulator, master)


def cdn(emulator, url):
    """The emulator tells distributions by their names."""
    parts = urlsplit(url)
    return HTTP.request("GET", emulator.url + parts.path, headers={"Host": parts.netloc, "Origin": "https://app.example.com"})


def refused(emulator, master):
    """What is not signed, for another video, or too old."""
    _, _, host, signed, rest = master.split("/", 4)
    expires, signature = signed.split(".")
    folder = rest.rsplit("/", 1)[0] + "/"

    def sign(expires, secret=CDN_SECRET):
        mac = hmac.new(secret.encode(), f"{expires}/{folder}".encode(), hashlib.sha256)
        return f"{expires}.{urlsafe_b64encode(mac.digest()).decode().rstrip('=')}"
    assert sign(expires) == signed
    past, other = int(time.time()) - 1, rest.replace("/", "/0", 1)
    for path in (rest, f"{signed}x/{rest}", f"{int(expires) + 1}.{signature}/{rest}", f"{expires}./{rest}", f"{signed}/{other}",
                 f"{signed}/work/plan.json", f"{sign(past)}/{rest}", f"{sign(expires, 'another')}/{rest}", ""):  # fmt: skip
        answer = cdn(emulator, f"https://{host}/{path}")
        assert answer.status == 403, (path, answer.status, answer.data)
    # The signature is of the folder: what else is there is a matter of S3.
    assert cdn(emulator, f"https://{host}/{signed}/{rest}x").status in (403, 404)


def duplicates(emulator, stack, executions, video):
    """The event again, and the task of a chunk again: nothing starts, nothing is encoded."""
    (execution,) = executions.until(video, "SUCCEEDED")
    s3, functions = emulator.s3(), emulator.client("lambda")
    run = json.loads(executions.client.describe_execution(executionArn=execution["executionArn"])["input"])
    head = s3.head_object(Bucket=stack.ids["UploadsBucket"], Key=run["key"])
    event = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {
        "bucket": {"name": stack.ids["UploadsBucket"]},
        "object": {"key": run["key"], "size": head["ContentLength"], "eTag": head["ETag"].strip('"'), "sequencer": run["sequencer"]}}}]}
    before = written(emulator, stack, video)
    for function, payload in (("ThumbnailFunction", event), ("EncodeFunction", {"task": "encode", "index": 1, **run}),
                              ("TranscodeFunction", {"task": "package", **run}), ("TranscodeFunction", {"task": "plan", **run}),
                              ("TranscodeFunction", {"task": "fail", **run})):  # fmt: skip
        answer = functions.invoke(FunctionName=stack.ids[function], Payload=json.dumps(payload))
        assert "FunctionError" not in answer, (function, answer["Payload"].read())
    assert len(executions.of(video)) == 1
    assert written(emulator, stack, video) == before
    try:
        # As it would be if the row knew nothing of it yet.
        executions.client.start_execution(stateMachineArn=executions.machine, name=execution["name"], input="{}")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ExecutionAlreadyExists", error
    else:
        raise AssertionError("an execution was started twice")


def written(emulator, stack, video):
    """When each object of a transcoding was written."""
    pages = emulator.s3().get_paginator("list_objects_v2").paginate(Bucket=stack.ids["ProcessedBucket"])
    found = [o for page in pages for o in page.get("Contents", []) if video in o["Key"]]
    return {o["Key"]: (o["LastModified"], o["ETag"]) for o in found}


def killed(api, trouble, executions, body):
    """A worker that is killed is tried again."""
    trouble.wait()
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    waiting = until("a chunk is being encoded", trouble.waiting)
    os.kill(int(parent(waiting[0])), signal.SIGKILL)
    trouble.over()
    transcoded(api, video, "DONE")
    executions.until(video, "SUCCEEDED")


def poisoned(api, trouble, executions, body):
    """A chunk that cannot be encoded fails the video once, and nothing of ours."""
    trouble("echo 'Invalid data' >&2; exit 1")
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    record = transcoded(api, video, "FAILED")
    assert (record["status"], record["transcode"]["error"]["code"]) == ("PROCESSED", "UNREADABLE"), record
    executions.until(video, "SUCCEEDED")
    trouble.over()


def given_up(emulator, stack, api, trouble, executions, body):
    """What fails for good is our fault, and is started again by the operators; what was done is not done again."""
    trouble("true")
    trouble.functions.update_function_configuration(
        FunctionName=trouble.name, Environment={"Variables": {**trouble.environment, "FFMPEG_PATH": "/nowhere/ffmpeg"}})
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    record = transcoded(api, video, "FAILED")
    assert record["transcode"]["error"]["code"] == "INTERNAL", record
    executions.until(video, "FAILED")
    trouble.over()
    trouble("true")
    operators = emulator.operators()
    assert [e["name"] for e in ops.given_up(operators, operators.physical())] == [executions.of(video)[0]["name"]]
    ops.replay_transcodes(operators, operators.physical())
    transcoded(api, video, "DONE")
    executions.until(video, "SUCCEEDED")
    assert ops.given_up(operators, operators.physical()) == []


def stopped(api, trouble, executions, body):
    """Somebody stops it: the record knows, though the state machine could not say so."""
    trouble.wait()
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    until("a chunk is being encoded", trouble.waiting)
    (execution,) = executions.of(video)
    executions.client.stop_execution(executionArn=execution["executionArn"])
    record = transcoded(api, video, "FAILED")
    assert record["transcode"]["error"]["code"] == "INTERNAL", record
    trouble.over()
    until("its workers have ended", lambda: not trouble.waiting())


def deleted(emulator, stack, api, trouble, executions, body):
    """Nothing stays of what is deleted meanwhile, also of what is written after that."""
    trouble.wait_when_done()
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    until("chunks are encoded", lambda: len(trouble.waiting()) == 2 and not trouble.encoding())
    assert written(emulator, stack, video)
    assert api.call("DELETE", f"/videos/{video}").status == 204
    trouble.over()
    executions.until(video, "SUCCEEDED")
    assert written(emulator, stack, video) == {}


def transcodes(emulator, stack, folder, ffmpeg):
    api, eve = (Api(emulator, stack, sign_in(emulator, stack, f"{name}@example.com")) for name in ("tom", "una"))
    executions, trouble = Executions(emulator, stack), Trouble(emulator, stack, folder, ffmpeg)
    body = film(folder)
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    play(emulator, stack, api, eve, video)
    duplicates(emulator, stack, executions, video)
    assert api.call("DELETE", f"/videos/{video}").status == 204
    assert written(emulator, stack, video) == {}
    killed(api, trouble, executions, body)
    poisoned(api, trouble, executions, body)
    given_up(emulator, stack, api, trouble, executions, body)
    stopped(api, trouble, executions, body)
    deleted(emulator, stack, api, trouble, executions, body)
