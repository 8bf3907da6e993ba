"""Tests optional features in a stack of their own: renditions that are encoded when they are watched, quotas, audio."""

import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urljoin

from emulator import HTTP, Api, Emulator, Stack, make_video, package, sign_in, wait_until
from transcodes import Executions, FaultyFfmpeg, count_frames, get_cdn, play_all, uris, written_objects

SECONDS, RATE = 26, 5
CLIENTS = 30
VIDEOS = 3
# Roles, the condition on which they are granted more, and the functions that have them.
OPTIONAL = {
    "VideosRole": ("TranscodesWatched", ["VideosFunction"]),
    "TranscodeRole": ("TranscodesWatched", ["TranscodeFunction", "EncodeFunction"]),
    "PresignRole": ("HasQuotas", ["PresignFunction"]),
}
# The emulator has no GuardDuty, so no stack has Scan=true. The assertions on the template check what the roles are granted for it.
CONDITIONS = {condition for condition, _ in OPTIONAL.values()} | {"HasScan", "ImportsUrls"}


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


def test_quotas(emulator, stack):
    """Uploads at the same time do not exceed a quota together, and a deletion frees it."""
    api = Api(emulator, stack, sign_in(emulator, stack, "xia@example.com"))
    assert Api(emulator, stack, None).call("GET", "/usage").status == 401
    with ThreadPoolExecutor(CLIENTS) as pool:
        signed = list(pool.map(lambda _: api.call("GET", "/presign?name=a.mp4&type=video/mp4&size=10"), range(CLIENTS)))
    assert sorted(response.status for response in signed) == [200] * VIDEOS + [403] * (CLIENTS - VIDEOS), [r.status for r in signed]
    refused = next(response.json() for response in signed if response.status == 403)
    assert (refused["code"], refused["quota"], refused["left"]) == ("QUOTA_EXCEEDED", "videos", 0), refused
    used = api.call("GET", "/usage").json()
    assert used["videos"] == {"used": VIDEOS, "limit": VIDEOS, "left": 0} and used["bytes"]["used"] == 10 * VIDEOS, used

    accepted = next(response.json() for response in signed if response.status == 200)
    put = HTTP.request("PUT", accepted["uploadUrl"], body=b"0123456789", headers=accepted["headers"])
    assert put.status == 200, put.data
    assert api.wait_for_status(accepted["videoId"], "FAILED")["error"]["code"] == "UNSUPPORTED_MEDIA"
    wait_until("the upload has arrived", lambda: api.call("GET", "/usage").json()["uploads"]["used"] == VIDEOS - 1)
    assert api.call("DELETE", f"/videos/{accepted['videoId']}").status == 204
    assert api.call("GET", "/usage").json()["videos"]["left"] == 1
    assert api.call("GET", "/presign?name=a.mp4&type=video/mp4&size=10").status == 200


def test_audio(emulator, stack, api, folder):
    """A file with audio alone is played by HLS, and has a waveform."""
    path = folder / "audio.m4a"
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "sine=f=440:d=12", "-c:a", "aac", path], check=True)
    audio, _ = api.presign_and_put("audio.m4a", "audio/mp4", path.read_bytes())
    record = api.wait_for_status(audio, "PROCESSED")
    assert (record["kind"], record["contentType"], record["playback"]) == ("AUDIO", "audio/mp4", {"mode": "HLS"}), record
    assert HTTP.request("GET", record["thumbnailUrl"]).data[:3] == b"\xff\xd8\xff"
    peaks = json.loads(HTTP.request("GET", record["peaksUrl"]).data)
    assert len(peaks["data"]) == 2 * peaks["length"] and max(peaks["data"]) > 5, peaks
    get, master = reader(api), f"{api.base}/videos/{audio}/hls/master.m3u8"
    (media,) = [urljoin(master, uri) for uri in uris(get(master).decode()) if uri.endswith("index.m3u8")]
    assert sum(len(get(urljoin(media, uri))) for uri in uris(get(media).decode())) > 10_000


def test_permissions(emulator, stack, template, called_by):
    """What the roles are granted only with these options is called."""
    trail, functions = emulator.client("cloudtrail"), emulator.client("lambda")
    for role, (condition, logicals) in OPTIONAL.items():
        called = set().union(*(called_by(trail, functions, stack, logical) for logical in logicals))
        # IAM has no action for a transaction. Those of the quotas put or update a row, and update an account.
        if "dynamodb:TransactWriteItems" in called:
            called |= {"dynamodb:PutItem", "dynamodb:UpdateItem"}
        policies = [policy["Fn::If"] for policy in template["Resources"][role]["Properties"]["Policies"] if "Fn::If" in policy]
        (granted,) = [policy for name, policy, _ in policies if name == condition]
        actions = {action for statement in granted["PolicyDocument"]["Statement"] for action in statement["Action"]}
        assert actions <= called, f"{role} is granted {sorted(actions - called)}, which it did not call"


def test_options(build, program, receiver, called_by):
    """Deploys another stack, and tests it."""
    with tempfile.TemporaryDirectory(prefix="upreel-emulator-") as folder:
        emulator = Emulator(Path(folder), program, receiver.authority)
        try:
            template = package(emulator, build, program)
            parameters = {"Transcode": "watched", "QuotaVideos": str(VIDEOS), "QuotaBytes": "10000000000", "Audio": "true"}
            stack = Stack(emulator, template, receiver, parameters)
            api = Api(emulator, stack, sign_in(emulator, stack, "wes@example.com"))
            executions, ffmpeg = Executions(emulator, stack), FaultyFfmpeg(emulator, stack, Path(folder), program)
            # The renditions v360 and v480 are offered.
            body = make_video(Path(folder) / "watched.mp4", "720x720", SECONDS, RATE)
            video = test_watching(emulator, stack, api, executions, body)
            test_deletion_while_encoding(emulator, stack, api, ffmpeg, executions, video)
            print("passed: renditions that are encoded when they are watched")
            test_quotas(emulator, stack)
            print("passed: quotas")
            test_audio(emulator, stack, api, Path(folder))
            print("passed: audio")
            test_permissions(emulator, stack, template, called_by)
        except BaseException:
            print(emulator.tail())
            raise
        finally:
            emulator.process.terminate()
            emulator.process.wait(60)
