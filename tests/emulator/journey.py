"""Deploys the real template with the real functions into an emulator and tests user journeys over HTTP.

usage: journey.py BUILD_DIR FFMPEG   (BUILD_DIR is the output folder of `sam build`)

The emulator (ministack) checks signatures and evaluates IAM policies, so a call that a function's role does not grant
fails here. Comments mark the workarounds for features that the emulator lacks; tests/template checks those on the
transformed template.
"""

import base64
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from emulator import BATCH, FUNCTIONS, HTTP, INVALIDATION, ROOT, Api, Emulator, Stack, configure, incident, ops, package, sign_in, smoke, wait_until
from healing import test_healing
from options import CONDITIONS, test_options
from playback import test_playback
from queries import test_queries
from receiver import Receiver
from transcodes import test_transcoding

sys.path.append(str(ROOT / "tests" / "webhooks"))
from verify import verify  # noqa: E402


def multipart(body):
    form = b'--B\r\nContent-Disposition: form-data; name="file"; filename="clip.mp4"\r\n\r\n' + body + b"\r\n--B--\r\n"
    return form, {"Content-Type": "multipart/form-data; boundary=B"}


def start_multipart(api, body):
    """Creates a multipart upload and uploads its only part.

    Returns the video's ID and a function that builds the upload's routes from a suffix.
    """
    request = json.dumps({"filename": "clip.mp4", "type": "video/mp4"})
    created = api.call("POST", "/s3/multipart", request, **{"Content-Type": "application/json"}).json()
    upload, key = quote(created["uploadId"], safe=""), quote(created["key"], safe="")

    def route(suffix):
        return f"/s3/multipart/{upload}{suffix}?key={key}"
    signed = api.call("GET", route("/1")).json()
    put = HTTP.request("PUT", signed["url"], body=body)
    assert put.status == 200 and put.headers["ETag"], (put.status, put.data)
    return created["key"].split("/")[-1].split(".")[0], route


def wait_until_unchanged(api, path):
    """Waits for a 304. While videos are transcoded, a response can differ from the one before it."""
    def is_unchanged():
        tag = api.call("GET", path).headers["ETag"]
        return api.call("GET", path, **{"If-None-Match": tag}).status == 304
    wait_until(f"a 304 of {path}", is_unchanged)


def test_user_journey(emulator, stack, video):
    api = Api(emulator, stack, sign_in(emulator, stack, "ann@example.com"))
    eve = Api(emulator, stack, sign_in(emulator, stack, "eve@example.com"))
    anonymous = Api(emulator, stack, None)

    # Requests without credentials are rejected.
    for method, path in [("POST", "/upload"), ("GET", "/presign?name=a.mp4"), ("GET", "/usage"), ("GET", "/videos"), ("POST", "/videos"),
                         ("GET", "/videos/x"), ("DELETE", "/videos/x"), ("PUT", "/videos/x/poster"),
                         ("GET", "/videos/x/thumbnail.jpg"), ("GET", "/videos/x/preview.gif"),
                         ("PUT", "/videos/x/captions/en"), ("DELETE", "/videos/x/captions/en")]:
        assert anonymous.call(method, path).status == 401, (method, path)
    # The signature of S3 in the query is the permission for a segment, so its route needs none.
    assert anonymous.call("GET", f"/segments/x/{'0' * 40}-x/source/0-1.m4s?X-Amz-Signature=0").status == 404

    # Without quotas, nothing is counted.
    assert api.call("GET", "/usage").json() == {}

    # An upload through the API: base64, form, S3, event, ffmpeg, DynamoDB.
    form, headers = multipart(video)
    response = api.call("POST", "/upload", form, **headers)
    assert response.status == 200, (response.status, response.data)
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example.com", response.headers
    uploaded = response.json()["videoId"]
    record = api.wait_for_status(uploaded, "PROCESSED")
    assert (record["width"], record["videoCodec"], record["filename"]) == (64, "h264", "clip.mp4"), record
    for url in ("thumbnailUrl", "thumbnailLargeUrl", "storyboardImageUrl"):
        image = HTTP.request("GET", record[url])
        assert image.status == 200 and image.data[:3] == b"\xff\xd8\xff", (url, image.status)
    track = HTTP.request("GET", record["storyboardUrl"])
    assert track.status == 200 and track.headers["Content-Type"] == "text/vtt", (track.status, track.headers)
    image = re.search(r"/(storyboards/[^/]+/)([^/?]+)", record["storyboardImageUrl"])
    assert image[1] == f"storyboards/{uploaded}/", record
    assert track.data.startswith(b"WEBVTT") and f"\n{image[2]}#xywh=" in track.data.decode(), track.data
    assert record["blurHash"], record
    original = HTTP.request("GET", response.json()["url"])
    assert original.data == video

    # A presigned PUT directly to S3.
    put, signed = api.presign_and_put("clip.mp4", "video/mp4", video)
    api.wait_for_status(put, "PROCESSED")

    # A second PUT replaces the first: the previews are made from the latest content.
    assert HTTP.request("PUT", signed["uploadUrl"], body=video + b"\0" * 8, headers=signed["headers"]).status == 403
    unsized = api.call("GET", "/presign?name=clip.mp4&type=video/mp4").json()
    for body in (video, video + bytes(8)):
        assert HTTP.request("PUT", unsized["uploadUrl"], body=body, headers=unsized["headers"]).status == 200
        wait_until("the record is up to date", lambda: (v := api.video(unsized["videoId"])).get("size") == len(body)
              and v["status"] == "PROCESSED")

    # A lost row is recreated from the object.
    lost = api.call("GET", "/presign?name=clip.mp4&type=video/mp4").json()
    emulator.client("dynamodb").delete_item(TableName=stack.ids["VideoMetadata"],
                                            Key={"videoId": {"S": lost["videoId"]}})
    assert HTTP.request("PUT", lost["uploadUrl"], body=video, headers=lost["headers"]).status == 200
    api.wait_for_status(lost["videoId"], "PROCESSED")

    # A bad request returns a problem with CORS headers.
    problem = api.call("POST", "/upload", b"{}", **{"Content-Type": "application/json"})
    assert (problem.status, problem.json()["code"]) == (400, "MALFORMED_BODY"), problem.data
    assert problem.headers["Access-Control-Allow-Origin"] == "https://app.example.com"

    # A file that is not a video fails with its error code.
    bad, _ = api.presign_and_put("text.mp4", "video/mp4", b"no video at all")
    assert api.wait_for_status(bad, "FAILED")["error"]["code"] == "UNSUPPORTED_MEDIA"

    # Captions: as WebVTT in the response and in HLS. Only their owner can change them.
    captions = f"/videos/{uploaded}/captions/de"
    subrip = "\ufeff1\r\n00:00:00,100 --> 00:00:00,500\r\nGr\u00fc\u00dfe\r\n".encode()
    for _ in "12":
        response = api.call("PUT", captions, subrip, **{"Content-Type": "application/x-subrip"})
        assert response.status == 200, (response.status, response.data)
    (track,) = response.json()["captions"]
    assert (track["language"], track["label"], track["kind"]) == ("de", "German", "subtitles"), track
    text = HTTP.request("GET", track["url"])
    assert text.status == 200 and text.headers["Content-Type"] == "text/vtt", (text.status, text.headers)
    assert text.data.decode().endswith("\n\n00:00:00.100 --> 00:00:00.500\nGr\u00fc\u00dfe\n"), text.data
    playlist = api.call("GET", f"/videos/{uploaded}/hls/captions-de/index.m3u8").data.decode()
    (segment,) = [line for line in playlist.splitlines() if line.startswith("http")]
    assert HTTP.request("GET", segment).data == text.data
    problem = api.call("PUT", captions, "Grüße".encode("latin-1"))
    assert (problem.status, problem.json()["code"]) == (400, "INVALID_CAPTIONS"), problem.data
    assert eve.call("PUT", captions, subrip).status == eve.call("DELETE", captions).status == 404
    for _ in "12":
        assert api.call("DELETE", captions).status == 204
    assert "captions" not in api.video(uploaded) and HTTP.request("GET", segment).status == 404

    # Lists, ETags, and isolation between users.
    page = api.call("GET", "/videos?limit=10")
    listed = page.json()["videos"]
    times = [v["uploadTime"] for v in listed]
    assert times == sorted(times, reverse=True), listed
    assert {v["videoId"] for v in listed} == {bad, put, uploaded, unsized["videoId"], lost["videoId"]}, listed
    for path in (f"/videos/{put}", "/videos?limit=10"):
        wait_until_unchanged(api, path)
    assert eve.call("GET", "/videos", **{"If-None-Match": page.headers["ETag"]}).json()["videos"] == []
    for method in ("GET", "DELETE"):
        assert eve.call(method, f"/videos/{put}").status == 404

    # A multipart upload through Companion's routes, which only its owner can use.
    video_id, parts = start_multipart(api, video)
    listed = api.call("GET", parts("")).json()
    assert [(p["PartNumber"], p["Size"]) for p in listed] == [(1, len(video))], listed
    for other, status in ((eve, 404), (anonymous, 401)):
        for method, suffix in (("GET", ""), ("GET", "/1"), ("POST", "/complete"), ("DELETE", "")):
            response = other.call(method, parts(suffix), b'{"parts": []}' if method == "POST" else None)
            assert response.status == status, (method, suffix, response.status, response.data)
    body = json.dumps({"parts": [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in listed]})
    completed = api.call("POST", parts("/complete"), body, **{"Content-Type": "application/json"})
    assert completed.status == 200 and completed.json()["location"], (completed.status, completed.data)
    # Its response was lost, so the client repeats the request.
    repeated = api.call("POST", parts("/complete"), body, **{"Content-Type": "application/json"})
    assert (repeated.status, repeated.json()) == (200, completed.json()), (repeated.status, repeated.data)
    api.wait_for_status(video_id, "PROCESSED")
    _, parts = start_multipart(api, video)
    assert api.call("DELETE", parts("")).status == 200
    assert api.call("GET", parts("")).status == 404
    # Neither the upload nor the object exists.
    assert api.call("POST", parts("/complete"), body, **{"Content-Type": "application/json"}).status == 404

    # Repeating a request with the same Idempotency-Key creates one video.
    headers["Idempotency-Key"] = "k"
    repeated = [api.call("POST", "/upload", form, **headers).json()["videoId"] for _ in "12"]
    assert repeated[0] == repeated[1]
    api.wait_for_status(repeated[0], "PROCESSED")

    # A deletion is final: uploads that arrive later are removed too.
    for _ in "12":
        assert api.call("DELETE", f"/videos/{put}").status == 204
    assert api.call("GET", f"/videos/{put}").status == 404
    s3 = emulator.s3()
    bucket, thumbnails = signed["uploadUrl"].split("/")[3], stack.ids["ThumbnailsBucket"]
    for prefix in ("thumbnails", "storyboards"):
        remaining = s3.list_objects_v2(Bucket=thumbnails, Prefix=f"{prefix}/").get("Contents", [])
        assert remaining and not [o for o in remaining if put in o["Key"]], (prefix, remaining)
    HTTP.request("PUT", signed["uploadUrl"], body=video, headers=signed["headers"])
    wait_until("the late upload is removed", lambda: "Contents" not in s3.list_objects_v2(
        Bucket=bucket, Prefix=signed["key"]))


def test_smoke(emulator, stack):
    """The smoke test that `make smoke` runs against a deployed stack."""
    api = Api(emulator, stack, sign_in(emulator, stack, "sam@example.com"))
    # The emulator's preflights and its 401 have no CORS headers; the previous test checks the status of the latter. Its
    # addresses are not those of the CDN; test_playback plays through it.
    skipped = (smoke.preflight, smoke.sign_in_is_required, smoke.playback)
    broken = smoke.smoke(smoke.Backend(api.base, api.token, "https://app.example.com"), skipped)
    assert not broken, broken


def test_incidents(emulator, stack, video):
    """The incidents of docs/OPERATIONS.md, with its commands only: a broken layer, 5xx after a deployment, a poison video."""
    functions, operators = emulator.client("lambda"), emulator.operators()
    api = Api(emulator, stack, sign_in(emulator, stack, "oli@example.com"))
    before = {logical: functions.get_function_configuration(FunctionName=stack.ids[logical])["Environment"]["Variables"] for logical in FUNCTIONS}
    # A release whose layer lacks ffmpeg, and whose API cannot start.
    broken = {"ThumbnailFunction": {"FFMPEG_PATH": "/nowhere/ffmpeg"}, "VideosFunction": {"TABLE_NAME": ""}}
    for logical, variables in before.items():
        configure(functions, stack.ids[logical], {**variables, "RELEASE": "r2", **broken.get(logical, {})}, "r2 x86_64")
    videos = [api.presign_and_put("clip.mp4", "video/mp4", video)[0] for _ in "12"]
    assert api.call("GET", "/videos").status >= 500
    wait_until("both are dead letters", lambda: len(visible(emulator, stack)) == 2)
    # make status, make rollback
    incident.status(operators)
    incident.rollback(operators)
    for logical in FUNCTIONS:
        alias = functions.get_alias(FunctionName=stack.ids[logical], Name="live")
        version = functions.get_function_configuration(FunctionName=stack.ids[logical], Qualifier=alias["FunctionVersion"])
        assert version["Description"].startswith("r1"), (logical, version["Description"])
    assert api.call("GET", "/videos").status == 200
    # make drop: the second video is given up for good, and the first one is processed again by make replay.
    os.environ["VIDEO"] = videos[1]
    incident.drop(operators)
    assert api.video(videos[1])["error"]["code"] == "UNREADABLE", api.video(videos[1])
    assert [key for message in visible(emulator, stack) for key in ops.message_videos(message) if videos[0] in key], "the other message is gone"
    assert len(visible(emulator, stack)) == 1
    ops.replay(operators)
    api.wait_for_status(videos[0], "PROCESSED")
    assert api.video(videos[1])["status"] == "FAILED"
    for logical, variables in before.items():
        functions.update_function_configuration(FunctionName=stack.ids[logical], Environment={"Variables": variables})


def visible(emulator, stack):
    """Returns the messages of the dead-letter queue, and leaves them visible."""
    sqs, queue = emulator.client("sqs"), stack.ids["VideoProcessingDLQ"]
    found = ops.messages(sqs, queue)
    for message in found:
        ops.show(sqs, queue, message)
    return found


def test_dead_letters(emulator, stack, video):
    """An event that keeps failing reaches the dead-letter queue; a replay after the fix processes it."""
    functions, sqs = emulator.client("lambda"), emulator.client("sqs")
    api = Api(emulator, stack, sign_in(emulator, stack, "dan@example.com"))
    name = stack.ids["ThumbnailFunction"]
    queue = stack.ids["VideoProcessingDLQ"]
    environment = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    configure(functions, name, {**environment, "FFMPEG_PATH": "/nowhere/ffmpeg"})
    poison, _ = api.presign_and_put("clip.mp4", "video/mp4", video)
    assert api.wait_for_status(poison, "FAILED")["error"]["code"] == "INTERNAL"

    def received():
        return sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, VisibilityTimeout=1,
                                   MessageAttributeNames=["All"]).get("Messages")
    message = wait_until("the event is in the dead-letter queue", received)[0]
    event = json.loads(message["Body"])
    event = event.get("requestPayload", event)
    assert poison in event["Records"][0]["s3"]["object"]["key"], event

    configure(functions, name, environment)
    # `make dlq` and `make replay`.
    operators = emulator.operators()
    ops.dlq(operators)
    ops.replay(operators)
    assert api.video(poison)["status"] == "PROCESSED"


def test_webhooks(emulator, stack, video, receiver):
    """Every transition sends a signed webhook; failed deliveries are retried, dead-lettered and replayed."""
    api = Api(emulator, stack, sign_in(emulator, stack, "hal@example.com"))
    sqs, queue, dead = emulator.client("sqs"), stack.ids["WebhookQueue"], stack.ids["WebhookDLQ"]
    lifecycle = ["video.upload.created", "video.asset.created", "video.asset.ready", "video.asset.updated", "video.asset.deleted"]

    # The previous tests sent webhooks too.
    for event in receiver.events():
        assert receiver.event_types(event["object"]["id"])[0] == lifecycle[0], event
    assert "video.asset.errored" in {event["type"] for event in receiver.events()}

    # A rejected event is delivered again after half a minute, and does not delay the others.
    rejected = []

    def reject_once(event):
        if event["type"] == lifecycle[1] and not rejected:
            rejected.append(event)
            return 500
        return 200
    receiver.respond = reject_once
    delivered, _ = api.presign_and_put("clip.mp4", "video/mp4", video)
    wait_until("the video is ready", lambda: lifecycle[2] in receiver.event_types(delivered))
    assert receiver.events(delivered).count(rejected[0]) == 1, "the rejected event was retried too early"
    wait_until("the rejected event is retried", lambda: receiver.events(delivered).count(rejected[0]) == 2)
    ready = next(event for event in receiver.events(delivered) if event["type"] == lifecycle[2])
    # The renditions are finished later and have their own event.
    assert ready["data"].pop("transcode") == {"status": "RUNNING", "chunksDone": 0, "chunksTotal": 0}, ready
    wait_until("the renditions are reported", lambda: lifecycle[3] in receiver.event_types(delivered))
    shown = {name: value for name, value in api.video(delivered).items() if not name.lower().endswith("url")}
    assert shown.pop("transcode")["status"] == "DONE"
    assert ready["data"] == shown, (ready, shown)
    assert api.call("DELETE", f"/videos/{delivered}").status == 204
    wait_until("the deletion is reported", lambda: receiver.event_types(delivered) == lifecycle)

    # A receiver that is down. One attempt instead of twelve, which would take 17 hours.
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})})
    receiver.respond = lambda event: 503
    lost, _ = api.presign_and_put("clip.mp4", "video/mp4", video)
    count = "ApproximateNumberOfMessages"
    wait_until("all events are dead letters", lambda: int(sqs.get_queue_attributes(
        QueueUrl=dead, AttributeNames=[count])["Attributes"][count]) == 4)
    before = receiver.events(lost)
    assert len(before) == 4 and receiver.event_types(lost) == lifecycle[:4], before

    # Replay with the operators' commands, `make dlq` and `make replay`.
    receiver.respond = lambda event: 200
    operators = emulator.operators()
    ops.dlq(operators)
    ops.replay_webhooks(operators, operators.physical())
    wait_until("all events are delivered again", lambda: len(receiver.events(lost)) == 8)
    assert sorted(e["id"] for e in receiver.events(lost)[4:]) == sorted(e["id"] for e in before)

    # A batch that Lambda could not process is read from the stream again; its events keep their IDs.
    stream = emulator.client("dynamodb").describe_table(TableName=stack.ids["VideoMetadata"])["Table"]["LatestStreamArn"]
    streams = emulator.client("dynamodbstreams")
    shard = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    of_lost = [r["dynamodb"] for r in streams.get_records(ShardIterator=iterator)["Records"]
               if r["dynamodb"]["Keys"]["videoId"]["S"] == lost]
    sqs.send_message(QueueUrl=dead, MessageBody=json.dumps({"version": "1.0", "DDBStreamBatchInfo": {
        "shardId": shard, "startSequenceNumber": of_lost[0]["SequenceNumber"],
        "endSequenceNumber": of_lost[-1]["SequenceNumber"], "batchSize": len(of_lost), "streamArn": stream,
        "approximateArrivalOfFirstRecord": "2026-11-23T07:41:52Z", "approximateArrivalOfLastRecord": "2026-11-23T07:41:52Z"}}))
    ops.replay_webhooks(operators, operators.physical())
    wait_until("all events are delivered a third time", lambda: len(receiver.events(lost)) == 12)
    assert {e["id"] for e in receiver.events(lost)} == {e["id"] for e in before}

    # While one secret replaces another, each webhook is signed with both.
    secret = stack.secret(emulator, "WebhookSecret")
    emulator.client("secretsmanager").put_secret_value(SecretId=stack.ids["WebhookSecret"], SecretString=f"next,{secret}")
    functions, name = emulator.client("lambda"), stack.ids["WebhookFunction"]
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    configure(functions, name, {**variables, "RELEASE": "rotated"})  # a new process, which has not read the secret yet
    rotated, _ = api.presign_and_put("clip.mp4", "video/mp4", video)
    wait_until("a webhook is signed with both", lambda: receiver.events(rotated))
    for headers, body in receiver.requests:
        if rotated in str(body):
            signature = headers.get("mux-signature") or headers.get("Mux-Signature")
            assert [verify(valid, signature, body) for valid in ("next", secret)] == ["ok", "ok"], signature

    for headers, body in receiver.requests:
        signature = headers.get("mux-signature") or headers.get("Mux-Signature")
        # Some were received minutes ago, so their age does not matter here.
        assert verify(secret, signature, body) in ("ok", "too old"), signature
        assert verify("another", signature, body) == "another signature"


# Actions that are granted although the functions' own code does not call them.
NOT_CALLED = {
    "s3:ListBucket",  # makes S3 return 404 instead of 403 for a missing object
    "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords",  # Lambda
    "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",  # Lambda, for the DLQ
    BATCH, INVALIDATION,  # see package()
    "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams",  # Lambda
    "kms:Decrypt", "kms:GenerateDataKey",  # S3, DynamoDB and SQS, with a customer managed key
}
# The thumbnail function's role lets Lambda invoke the failure destination.
NOT_CALLED_BY = {"ThumbnailRole": {"lambda:InvokeFunction"}}
IAM_ACTION = {"Invoke": "InvokeFunction",
              "HeadObject": "GetObject", "SendMessageBatch": "SendMessage", "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject",
              "CompleteMultipartUpload": "PutObject", "ListParts": "ListMultipartUploadParts", "ListObjects": "ListBucket",
              "CreateInvalidation2020_05_31": "CreateInvalidation", "POST.cloudfront": "CreateInvalidation",
              "POST.s3": "DeleteObject"}  # the emulator's name for DeleteObjects

# The emulator's trail names S3 calls by their HTTP method, so calls on a multipart upload look like calls on an object.
# PresignFunction does not read or delete objects, so these are calls on multipart uploads. It calls HeadObject, too.
OF_UPLOADS = {"PresignFunction": {"s3:GetObject": "s3:ListMultipartUploadParts",
                                  "s3:DeleteObject": "s3:AbortMultipartUpload"}}


def calls(trail, access_key):
    """Returns the operations that were called with this access key, such as `s3:HeadObject`."""
    called, end = set(), time.time() + 60
    while True:
        events = trail.lookup_events(EndTime=end, LookupAttributes=[
            {"AttributeKey": "AccessKeyId", "AttributeValue": access_key}])["Events"]
        for event in events:
            called.add(f"{event['EventSource'].split('.')[0]}:{event['EventName']}")
        oldest = min((event["EventTime"].timestamp() for event in events), default=end)
        if oldest >= end:
            return called
        end = oldest


def called_by(trail, functions, stack, logical):
    """Returns the IAM actions that a function called."""
    configuration = functions.get_function_configuration(FunctionName=stack.ids[logical])
    # The emulator gives each function (or the version behind its alias) a session of its role. This is how it derives
    # the access key. The test publishes a version for each change of the configuration.
    arn = configuration["FunctionArn"]
    versions = [f"{arn}:{v['Version']}" for v in functions.list_versions_by_function(FunctionName=stack.ids[logical])["Versions"] if v["Version"] != "$LATEST"]
    digests = [hashlib.sha256(f"{name}:{configuration['Role']}".encode()).hexdigest() for name in (arn, *versions)]
    called = set().union(*(calls(trail, f"ASIA{digest[:16].upper()}") for digest in digests))

    def action(operation):
        service, name = operation.split(":")
        return OF_UPLOADS.get(logical, {}).get(operation) or f"{service}:{IAM_ACTION.get(name, name)}"
    return {action(operation) for operation in called}


def deployed(items):
    """The items of a list in the template that this stack has. The conditions of options.py do not hold."""
    for item in items:
        condition, holds, _ = item.get("Fn::If", [None, item, None])
        if condition not in CONDITIONS:
            yield holds


def test_permissions(emulator, stack, template):
    """Each role grants exactly the actions that its functions called."""
    trail, functions = emulator.client("cloudtrail"), emulator.client("lambda")
    roles = {}
    for logical in FUNCTIONS:
        role = template["Resources"][logical]["Properties"]["Role"]["Fn::GetAtt"][0]
        roles.setdefault(role, []).append(logical)
    for role, logicals in roles.items():
        called = set().union(*(called_by(trail, functions, stack, logical) for logical in logicals))
        granted = set()
        for policy in deployed(template["Resources"][role]["Properties"]["Policies"]):
            for statement in deployed(policy["PolicyDocument"]["Statement"]):
                actions = statement["Action"]
                granted.update([actions] if isinstance(actions, str) else actions)
        granted -= (NOT_CALLED | NOT_CALLED_BY.get(role, set())) - called
        assert called == granted, f"{role} uses {sorted(called)}, but is granted {sorted(granted)}"
        print(f"{role}: uses exactly the granted actions: {', '.join(sorted(called))}")


def main():
    build, ffmpeg = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    form = base64.b64decode(json.loads((ROOT / "events" / "upload.json").read_text())["body"])
    video = form[form.index(b"\r\n\r\n") + 4:form.rindex(b"\r\n--")]
    with tempfile.TemporaryDirectory(prefix="upreel-emulator-") as folder:
        receiver = Receiver(Path(folder))
        emulator = Emulator(Path(folder), ffmpeg, receiver.authority)
        try:
            template = package(emulator, build, ffmpeg)
            stack = Stack(emulator, template, receiver)
            print(f"deployed {len(stack.ids)} resources")
            test_user_journey(emulator, stack, video)
            print("passed: upload, presign, multipart, poster, storyboard, list, delete, isolation of users")
            test_smoke(emulator, stack)
            print("passed: the smoke test")
            test_incidents(emulator, stack, video)
            print("passed: a broken layer, 5xx after a deployment, a poison video: status, rollback, drop, replay")
            test_dead_letters(emulator, stack, video)
            print("passed: dead-letter queue and replay")
            test_webhooks(emulator, stack, video, receiver)
            print(f"passed: {len(receiver.requests)} webhooks: signatures, retries, dead letters, replay")
            test_healing(emulator, stack, Path(folder), ffmpeg, video)
            print("passed: healing of lost events, killed functions, a half deletion, a failed transcoding")
            test_transcoding(emulator, stack, Path(folder), ffmpeg)
            print("passed: transcoding, playback, duplicates, killed process, bad chunk, replay, stop, deletion")
            test_playback(emulator, stack, Path(folder))
            print("passed: playback of an original through the API and CloudFront, deletion meanwhile")
            test_permissions(emulator, stack, template)
            test_queries(emulator, stack, template)
            print("passed: the fields of queries, the metrics of alarms and the dashboard")
        except BaseException:
            print(emulator.tail(), file=sys.stderr)
            raise
        finally:
            emulator.process.terminate()
            emulator.process.wait(60)
        test_options(build, ffmpeg, receiver, called_by)


main()
