"""Tests transcoding with the real state machine, playback like a player, and failures in between."""

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
from emulator import HTTP, Api, configure, make_video, ops, sign_in, wait_until

# Duration and frame rate of the test video, which is split into three chunks.
SECONDS, RATE = 140, 5


def parent(process):
    """Returns the parent's process ID."""
    return re.search(r"PPid:\s+(\d+)", (process / "status").read_text())[1]


class FaultyFfmpeg:
    """A wrapper of ffmpeg for a function that runs a shell command before each encoding, until it is stopped.

    Of the runs of ffmpeg, only those whose arguments match the shell pattern are concerned.
    """

    def __init__(self, emulator, stack, folder, ffmpeg, function="EncodeFunction", pattern="*libx264*"):
        self.functions, self.name = emulator.client("lambda"), stack.ids[function]
        self.flag, self.program = folder / f"faulty-{function}", folder / f"ffmpeg-{function}"
        self.real, self.pattern = ffmpeg, pattern
        self.environment = self.functions.get_function_configuration(FunctionName=self.name)["Environment"]["Variables"]

    def inject(self, command):
        self.flag.write_text("")
        self.program.write_text(
            f"#!/bin/sh\ncase \"$*\" in {self.pattern}) if [ -e '{self.flag}' ]; then {command}; fi;; esac\nexec '{self.real}' \"$@\"\n")
        self.program.chmod(0o755)
        configure(self.functions, self.name, {**self.environment, "FFMPEG_PATH": str(self.program)})

    def block_before(self):
        """Makes encodings block until `stop`."""
        self.inject(f"while [ -e '{self.flag}' ]; do :; done")

    def block_after(self):
        """Makes encodings block after ffmpeg has read its input and written its output, until `stop`."""
        self.inject(f"'{self.real}' \"$@\"; code=$?; while [ -e '{self.flag}' ]; do :; done; exit $code")

    def stop(self):
        """Ends the fault; later encodings run normally."""
        self.flag.unlink()

    def blocked(self):
        """Returns the running processes of the wrapper."""
        return self.processes(lambda _, words: str(self.program).encode() in words)

    def encoding(self):
        """Returns the ffmpeg processes that the wrapper started."""
        parents = {process.name for process in self.blocked()}
        return self.processes(lambda process, words: words[0] == str(self.real).encode() and parent(process) in parents)

    @staticmethod
    def processes(matches):
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if matches(process, (process / "cmdline").read_bytes().split(b"\0")):
                    found.append(process)
            except OSError:
                continue  # it has exited
        return found


class Executions:
    """The executions of the state machine."""

    def __init__(self, emulator, stack):
        self.client, self.machine = emulator.client("stepfunctions"), stack.ids["TranscodeMachine"]

    def of(self, video):
        found = self.client.list_executions(stateMachineArn=self.machine, maxResults=1000)["executions"]
        return [execution for execution in found if execution["name"].startswith(video)]

    def wait_for_status(self, video, status, count=1):
        def check():
            found = self.of(video)
            return found if [e["status"] for e in found].count(status) == count else None
        return wait_until(f"{count} executions of {video} are {status}", check)


def wait_for_transcode(api, video, status):
    def check():
        record = api.video(video)
        return record if record.get("transcode", {}).get("status") == status else None
    return wait_until(f"the transcoding of {video} is {status}", check)


def uris(playlist):
    """Returns the URIs in a playlist, those in attributes first."""
    return re.findall(r'URI="([^"]+)"', playlist) + [line for line in playlist.splitlines() if line and not line.startswith("#")]


def count_frames(*segments):
    """Decodes the segments and returns the number of frames; fails on any warning."""
    probe = subprocess.run(
        ["ffprobe", "-v", "warning", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", "-"],
        input=b"".join(segments), capture_output=True, check=True)  # fmt: skip
    assert not probe.stderr, probe.stderr
    return int(probe.stdout.split()[0].strip(b","))


def play_all(get, master):
    """Fetches and decodes all renditions and returns the number of frames of each video playlist."""
    counts = {}
    for url in uris(get(master).decode()):
        if not url.endswith("index.m3u8"):
            continue
        media = urljoin(master, url)
        segments = [get(urljoin(media, uri)) for uri in uris(get(media).decode())]
        if "audio" not in url:
            counts[url] = count_frames(*segments)
    return counts


def test_playback(emulator, stack, api, eve, video):
    """Renditions can be played through the API with signed segments, and through CloudFront."""
    record = wait_for_transcode(api, video, "DONE")
    assert record["transcode"] == {"status": "DONE", "chunksDone": 3, "chunksTotal": 3}, record["transcode"]
    route = f"/videos/{video}/hls/master.m3u8"

    def get_through_api(url):
        if url.startswith(api.base):
            response = api.call("GET", url.removeprefix(api.base))
            assert response.headers["Content-Type"] == "application/vnd.apple.mpegurl", response.headers
        else:
            response = HTTP.request("GET", url)
        assert response.status == 200, (url, response.status, response.data)
        return response.data
    expected = {"v270/index.m3u8": SECONDS * RATE}
    assert (counts := play_all(get_through_api, api.base + route)) == expected, counts
    for other, status in ((eve, 404), (Api(emulator, stack, None), 401)):
        for path in (route, route.replace("master", "v270/index")):
            assert other.call("GET", path).status == status, (path, status)

    def get_through_cdn(url):
        response = get_cdn(emulator, url)
        assert response.status == 200, (url, response.status, response.data)
        assert response.headers["Access-Control-Allow-Origin"] == "*", response.headers
        return response.data
    master = record["hlsUrl"]
    assert (counts := play_all(get_through_cdn, master)) == expected, counts
    test_invalid_cdn_urls(emulator, master, stack.secret(emulator, "CdnSecret"))


def get_cdn(emulator, url):
    """Fetches a URL of the distribution, which the emulator selects by the Host header."""
    parts = urlsplit(url)
    return HTTP.request("GET", emulator.url + parts.path, headers={"Host": parts.netloc, "Origin": "https://app.example.com"})


def invalidations(emulator, stack, video):
    """Returns the invalidations of a video in the cache of the CDN: the reference and the number of folders."""
    cloudfront, distribution = emulator.client("cloudfront"), stack.ids["CdnDistribution"]
    listed = cloudfront.list_invalidations(DistributionId=distribution)["InvalidationList"].get("Items", [])
    batches = [cloudfront.get_invalidation(DistributionId=distribution, Id=item["Id"])["Invalidation"]["InvalidationBatch"] for item in listed]
    own = {batch["CallerReference"]: sorted(batch["Paths"]["Items"]) for batch in batches if batch["CallerReference"].startswith(video)}
    for paths in own.values():
        assert paths in ([f"/{folder}/{video}/*" for folder in ("hls", "playback", "segments")], [f"/segments/{video}/*"]), paths
    return {reference: len(paths) for reference, paths in own.items()}


def test_invalid_cdn_urls(emulator, master, valid):
    """URLs that are unsigned, signed for another video, or expired return 403."""
    _, _, host, signed, rest = master.split("/", 4)
    expires, signature = signed.split(".")
    folder = rest.rsplit("/", 1)[0] + "/"

    def sign(expires, secret=valid):
        mac = hmac.new(secret.encode(), f"{expires}/{folder}".encode(), hashlib.sha256)
        return f"{expires}.{urlsafe_b64encode(mac.digest()).decode().rstrip('=')}"
    assert sign(expires) == signed
    past, other = int(time.time()) - 1, rest.replace("/", "/0", 1)
    for path in (rest, f"{signed}x/{rest}", f"{int(expires) + 1}.{signature}/{rest}", f"{expires}./{rest}", f"{signed}/{other}",
                 f"{signed}/work/plan.json", f"{sign(past)}/{rest}", f"{sign(expires, 'another')}/{rest}", ""):  # fmt: skip
        response = get_cdn(emulator, f"https://{host}/{path}")
        assert response.status == 403, (path, response.status, response.data)
    # The signature covers the folder, so S3 responds to missing objects in it.
    assert get_cdn(emulator, f"https://{host}/{signed}/{rest}x").status in (403, 404)


def test_duplicates(emulator, stack, executions, video):
    """A duplicate event starts no execution, and a duplicate task writes nothing."""
    (execution,) = executions.wait_for_status(video, "SUCCEEDED")
    s3, functions = emulator.s3(), emulator.client("lambda")
    run = json.loads(executions.client.describe_execution(executionArn=execution["executionArn"])["input"])
    head = s3.head_object(Bucket=stack.ids["UploadsBucket"], Key=run["key"])
    event = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {
        "bucket": {"name": stack.ids["UploadsBucket"]},
        "object": {"key": run["key"], "size": head["ContentLength"], "eTag": head["ETag"].strip('"'), "sequencer": run["sequencer"]}}}]}
    before = written_objects(emulator, stack, video)
    for function, payload in (("ThumbnailFunction", event), ("EncodeFunction", {"task": "encode", "index": 1, **run}),
                              ("TranscodeFunction", {"task": "package", **run}), ("EncodeFunction", {"task": "plan", **run}),
                              ("TranscodeFunction", {"task": "fail", **run})):  # fmt: skip
        response = functions.invoke(FunctionName=stack.ids[function], Payload=json.dumps(payload))
        assert "FunctionError" not in response, (function, response["Payload"].read())
    assert len(executions.of(video)) == 1
    assert written_objects(emulator, stack, video) == before
    try:
        # What the function does if the row does not show the execution yet.
        executions.client.start_execution(stateMachineArn=executions.machine, name=execution["name"], input="{}")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ExecutionAlreadyExists", error
    else:
        raise AssertionError("an execution was started twice")


def written_objects(emulator, stack, video):
    """Returns the modification time and ETag of each object of a transcoding."""
    pages = emulator.s3().get_paginator("list_objects_v2").paginate(Bucket=stack.ids["ProcessedBucket"])
    found = [o for page in pages for o in page.get("Contents", []) if video in o["Key"]]
    return {o["Key"]: (o["LastModified"], o["ETag"]) for o in found}


def test_killed_function(api, ffmpeg, executions, body):
    """A function process that is killed is retried."""
    ffmpeg.block_before()
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    blocked = wait_until("a chunk is being encoded", ffmpeg.blocked)
    os.kill(int(parent(blocked[0])), signal.SIGKILL)
    ffmpeg.stop()
    wait_for_transcode(api, video, "DONE")
    executions.wait_for_status(video, "SUCCEEDED")


def test_bad_chunk(api, ffmpeg, executions, body):
    """A chunk that cannot be encoded fails the transcoding without retries; the execution succeeds."""
    ffmpeg.inject("echo 'Invalid data' >&2; exit 1")
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    record = wait_for_transcode(api, video, "FAILED")
    assert (record["status"], record["transcode"]["error"]["code"]) == ("PROCESSED", "UNREADABLE"), record
    executions.wait_for_status(video, "SUCCEEDED")
    ffmpeg.stop()


def test_replay(emulator, api, ffmpeg, executions, body):
    """A permanent fault fails the execution; the operators' replay completes the transcoding."""
    ffmpeg.inject("true")
    configure(ffmpeg.functions, ffmpeg.name, {**ffmpeg.environment, "FFMPEG_PATH": "/nowhere/ffmpeg"})
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    record = wait_for_transcode(api, video, "FAILED")
    assert record["transcode"]["error"]["code"] == "INTERNAL", record
    executions.wait_for_status(video, "FAILED")
    ffmpeg.stop()
    ffmpeg.inject("true")
    operators = emulator.operators()
    assert [e["name"] for e in ops.given_up(operators, operators.physical())] == [executions.of(video)[0]["name"]]
    ops.replay_transcodes(operators, operators.physical())
    wait_for_transcode(api, video, "DONE")
    executions.wait_for_status(video, "SUCCEEDED")
    assert ops.given_up(operators, operators.physical()) == []


def test_stopped_execution(api, ffmpeg, executions, body):
    """An execution that is stopped is recorded as failed, although the state machine cannot record it itself."""
    ffmpeg.block_before()
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    wait_until("a chunk is being encoded", ffmpeg.blocked)
    (execution,) = executions.of(video)
    executions.client.stop_execution(executionArn=execution["executionArn"])
    record = wait_for_transcode(api, video, "FAILED")
    assert record["transcode"]["error"]["code"] == "INTERNAL", record
    ffmpeg.stop()
    wait_until("its processes have exited", lambda: not ffmpeg.blocked())


def test_deletion(emulator, stack, api, ffmpeg, executions, body):
    """A video that is deleted during its transcoding leaves no objects, even those written afterwards."""
    ffmpeg.block_after()
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    wait_until("chunks are encoded", lambda: len(ffmpeg.blocked()) == 2 and not ffmpeg.encoding())
    assert written_objects(emulator, stack, video)
    assert api.call("DELETE", f"/videos/{video}").status == 204
    ffmpeg.stop()
    executions.wait_for_status(video, "SUCCEEDED")
    assert written_objects(emulator, stack, video) == {}


def test_transcoding(emulator, stack, folder, program):
    api, eve = (Api(emulator, stack, sign_in(emulator, stack, f"{name}@example.com")) for name in ("tom", "una"))
    executions, ffmpeg = Executions(emulator, stack), FaultyFfmpeg(emulator, stack, folder, program)
    # Few small frames are fast to encode.
    body = make_video(folder / "film.mp4", "480x270", SECONDS, RATE, keyframes=5)
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    test_playback(emulator, stack, api, eve, video)
    test_duplicates(emulator, stack, executions, video)
    assert api.call("DELETE", f"/videos/{video}").status == 204
    assert written_objects(emulator, stack, video) == {}
    test_killed_function(api, ffmpeg, executions, body)
    test_bad_chunk(api, ffmpeg, executions, body)
    test_replay(emulator, api, ffmpeg, executions, body)
    test_stopped_execution(api, ffmpeg, executions, body)
    test_deletion(emulator, stack, api, ffmpeg, executions, body)
