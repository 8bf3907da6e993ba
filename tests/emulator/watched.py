"""Tests renditions that are encoded when they are watched, in a stack with Transcode=watched."""

import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urljoin

from emulator import HTTP, Api, Emulator, Stack, package, sign_in, wait_until
from transcodes import Executions, FaultyFfmpeg, count_frames, get_cdn, play_all, uris, written_objects

SECONDS, RATE = 26, 5
CLIENTS = 30


def make_video(folder):
    """Returns a video with a keyframe every two seconds, for which the renditions v360 and v480 are offered."""
    path = folder / "watched.mp4"
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s=720x720:r={RATE}:d={SECONDS}",
         "-f", "lavfi", "-i", f"sine=f=440:d={SECONDS}", "-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-bf", "2",
         "-c:a", "aac", path], check=True)  # fmt: skip
    return path.read_bytes()


def states(api, video):
    """Returns the status of each rendition."""
    return {rendition["name"]: rendition["status"] for rendition in api.video(video)["renditions"]}


def ask(api, video, rendition, query=""):
    """Asks for a rendition that is not encoded yet."""
    response = api.call("GET", f"/videos/{video}/hls/{rendition}/index.m3u8{query}")
    assert (response.status, response.json()["code"]) == (404, "NOT_READY"), (response.status, response.data)


def reader(api):
    """Returns a function that reads a URL of the API, whose redirects it follows, or of S3."""
    def get(url):
        if "/segments/" in url:  # the emulator's API has another path than the URL
            url = api.base + url[url.index("/segments/"):]
        if not url.startswith(api.base):
            response = HTTP.request("GET", url)
        else:
            response = HTTP.request("GET", url, headers={"Authorization": api.token}, redirect=False, timeout=600)
            if response.status == 302:
                response = HTTP.request("GET", response.headers["Location"])
        assert response.status == 200, (url, response.status, response.data)
        return response.data
    return get


def test_watching(emulator, stack, api, executions, body):
    """Only what is watched is encoded, once, and then plays through the API and CloudFront."""
    video, _ = api.presign_and_put("film.mp4", "video/mp4", body)
    record = api.wait_for_status(video, "PROCESSED")
    assert record["playback"] == {"mode": "HLS"} and "transcode" not in record, record
    master, get = f"{api.base}/videos/{video}/hls/master.m3u8", reader(api)
    original = SECONDS * RATE
    assert play_all(get, master) == {"source/index.m3u8": original}
    assert states(api, video) == {"v360": "OFFERED", "v480": "OFFERED"}
    assert executions.of(video) == [], "only the original was watched"

    eve = Api(emulator, stack, sign_in(emulator, stack, "wim@example.com"))
    assert eve.call("GET", f"/videos/{video}/hls/v360/index.m3u8").json()["code"] == "NOT_FOUND"
    assert api.call("GET", f"/videos/{video}/hls/v720/index.m3u8").json()["code"] == "NOT_FOUND"
    assert executions.of(video) == []

    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in pool.map(lambda _: ask(api, video, "v360", "?gaps=true&from=12"), range(CLIENTS)):
            pass
    wait_until("the rendition is encoded", lambda: states(api, video) == {"v360": "DONE", "v480": "OFFERED"})
    (execution,) = executions.wait_for_status(video, "SUCCEEDED")
    assert execution["name"].endswith("-v360"), execution["name"]
    both = {"source/index.m3u8": original, "v360/index.m3u8": original}
    assert play_all(get, master) == both
    written = written_objects(emulator, stack, video)
    assert not [key for key in written if "v480" in key], written

    # The distribution serves the rendition from the same folder as the original.
    listed = api.video(video)["hlsUrl"]
    media = urljoin(listed, "v360/index.m3u8")
    init, *segments = [get_cdn(emulator, urljoin(media, uri)) for uri in uris(get_cdn(emulator, media).data.decode())]
    assert {response.status for response in (init, *segments)} == {200}
    assert count_frames(init.data, *(segment.data for segment in segments)) == original

    # An execution that is delivered again finds the rendition.
    run = json.loads(executions.client.describe_execution(executionArn=execution["executionArn"])["input"])
    functions = emulator.client("lambda")
    for function, task in (("EncodeFunction", "plan"), ("TranscodeFunction", "package"), ("TranscodeFunction", "fail")):
        response = functions.invoke(FunctionName=stack.ids[function], Payload=json.dumps({"task": task, **run}))
        assert "FunctionError" not in response, (function, task, response["Payload"].read())
    assert written_objects(emulator, stack, video) == written
    assert states(api, video) == {"v360": "DONE", "v480": "OFFERED"}
    return video


def test_deletion_while_encoding(emulator, stack, api, ffmpeg, executions, video):
    """A rendition that is encoded while its video is deleted leaves nothing."""
    ffmpeg.block_after()
    ask(api, video, "v480")
    wait_until("a chunk is encoded", lambda: ffmpeg.blocked() and not ffmpeg.encoding())
    assert api.call("DELETE", f"/videos/{video}").status == 204
    ffmpeg.stop()
    wait_until("no execution runs", lambda: all(e["status"] != "RUNNING" for e in executions.of(video)))
    assert written_objects(emulator, stack, video) == {}


def test_permissions(emulator, stack, template, called_by):
    """What the roles are granted only in this mode is called."""
    trail, functions = emulator.client("cloudtrail"), emulator.client("lambda")
    for role, logicals in {"VideosRole": ["VideosFunction"], "TranscodeRole": ["TranscodeFunction", "EncodeFunction"]}.items():
        called = set().union(*(called_by(trail, functions, stack, logical) for logical in logicals))
        policies = [policy["Fn::If"] for policy in template["Resources"][role]["Properties"]["Policies"] if "Fn::If" in policy]
        (granted,) = [policy for condition, policy, _ in policies if condition == "TranscodesWatched"]
        actions = {action for statement in granted["PolicyDocument"]["Statement"] for action in statement["Action"]}
        assert actions <= called, f"{role} is granted {sorted(actions - called)}, which it did not call"


def test_watched(build, program, receiver, called_by):
    """Deploys another stack, and tests it."""
    with tempfile.TemporaryDirectory(prefix="upreel-emulator-") as folder:
        emulator = Emulator(Path(folder), program, receiver.authority)
        try:
            template = package(emulator, build, program)
            stack = Stack(emulator, template, receiver, transcode="watched")
            api = Api(emulator, stack, sign_in(emulator, stack, "wes@example.com"))
            executions, ffmpeg = Executions(emulator, stack), FaultyFfmpeg(emulator, stack, Path(folder), program)
            video = test_watching(emulator, stack, api, executions, make_video(Path(folder)))
            test_deletion_while_encoding(emulator, stack, api, ffmpeg, executions, video)
            test_permissions(emulator, stack, template, called_by)
        except BaseException:
            print(emulator.tail())
            raise
        finally:
            emulator.process.terminate()
            emulator.process.wait(60)
