"""The real template with the real functions, deployed into an emulator, walked over HTTP.

usage: journey.py BUILD_DIR FFMPEG   (BUILD_DIR as `sam build` leaves it)

The emulator (ministack) checks signatures and evaluates IAM policies, so a call that a function's role
does not grant fails here. What it leaves out is put in its place, each where it is done, and is asserted
on the transformed template by tests/template.
"""

import base64
import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from emulator import BATCH, FUNCTIONS, HTTP, ROOT, SECRET, Api, Emulator, Stack, ops, package, sign_in, until
from receiver import Receiver
from transcodes import transcodes

sys.path.append(str(ROOT / "tests" / "webhooks"))
from verify import verify  # noqa: E402


def multipart(body):
    form = b'--B\r\nContent-Disposition: form-data; name="file"; filename="clip.mp4"\r\n\r\n' + body + b"\r\n--B--\r\n"
    return form, {"Content-Type": "multipart/form-data; boundary=B"}


def in_parts(api, body):
    """A multipart upload of one part that is not complete yet: the video's id, and its route with an ending."""
    wish = json.dumps({"filename": "clip.mp4", "type": "video/mp4"})
    made = api.call("POST", "/s3/multipart", wish, **{"Content-Type": "application/json"}).json()
    upload, key = quote(made["uploadId"], safe=""), quote(made["key"], safe="")

    def route(end):
        return f"/s3/multipart/{upload}{end}?key={key}"
    signed = api.call("GET", route("/1")).json()
    put = HTTP.request("PUT", signed["url"], body=body)
    assert put.status == 200 and put.headers["ETag"], (put.status, put.data)
    return made["key"].split("/")[-1].split(".")[0], route


def walk(emulator, stack, video):
    api = Api(emulator, stack, sign_in(emulator, stack, "ann@example.com"))
    eve = Api(emulator, stack, sign_in(emulator, stack, "eve@example.com"))
    nobody = Api(emulator, stack, None)

    # Nobody gets in.
    for method, path in [("POST", "/upload"), ("GET", "/presign?name=a.mp4"), ("GET", "/videos"),
                         ("GET", "/videos/x"), ("DELETE", "/videos/x")]:
        assert nobody.call(method, path).status == 401, (method, path)

    # Through the API: base64, multipart, S3, event, ffmpeg, DynamoDB.
    form, headers = multipart(video)
    answer = api.call("POST", "/upload", form, **headers)
    assert answer.status == 200, (answer.status, answer.data)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com", answer.headers
    uploaded = answer.json()["videoId"]
    record = api.until(uploaded, "PROCESSED")
    assert (record["width"], record["videoCodec"], record["filename"]) == (64, "h264", "clip.mp4"), record
    for url in ("thumbnailUrl", "thumbnailLargeUrl", "storyboardImageUrl"):
        picture = HTTP.request("GET", record[url])
        assert picture.status == 200 and picture.data[:3] == b"\xff\xd8\xff", (url, picture.status)
    track = HTTP.request("GET", record["storyboardUrl"])
    assert track.status == 200 and track.headers["Content-Type"] == "text/vtt", (track.status, track.headers)
    assert track.data.startswith(b"WEBVTT") and f"\n{uploaded}.jpg#xywh=" in track.data.decode(), track.data
    assert record["blurHash"], record
    original = HTTP.request("GET", answer.json()["url"])
    assert original.data == video

    # Past the API.
    put, signed = api.presign_and_put("clip.mp4", "video/mp4", video)
    api.until(put, "PROCESSED")

    # A second PUT is what counts: its pictures replace the first one's.
    assert HTTP.request("PUT", signed["uploadUrl"], body=video + b"\0" * 8, headers=signed["headers"]).status == 403
    unsized = api.call("GET", "/presign?name=clip.mp4&type=video/mp4").json()
    for body in (video, video + bytes(8)):
        assert HTTP.request("PUT", unsized["uploadUrl"], body=body, headers=unsized["headers"]).status == 200
        until("the record follows", lambda: (v := api.video(unsized["videoId"])).get("size") == len(body)
              and v["status"] == "PROCESSED")

    # A row that is lost is made again from the object.
    lost = api.call("GET", "/presign?name=clip.mp4&type=video/mp4").json()
    emulator.client("dynamodb").delete_item(TableName=stack.ids["VideoMetadata"],
                                            Key={"videoId": {"S": lost["videoId"]}})
    assert HTTP.request("PUT", lost["uploadUrl"], body=video, headers=lost["headers"]).status == 200
    api.until(lost["videoId"], "PROCESSED")

    # A bad request is a problem, with CORS.
    problem = api.call("POST", "/upload", b"{}", **{"Content-Type": "application/json"})
    assert (problem.status, problem.json()["code"]) == (400, "MALFORMED_BODY"), problem.data
    assert problem.headers["Access-Control-Allow-Origin"] == "https://app.example.com"

    # A bad file fails with its code.
    bad, _ = api.presign_and_put("text.mp4", "video/mp4", b"no video at all")
    assert api.until(bad, "FAILED")["error"]["code"] == "UNSUPPORTED_MEDIA"

    # The list, the ETag, other people's.
    listed = api.call("GET", "/videos?limit=10").json()["videos"]
    times = [v["uploadTime"] for v in listed]
    assert times == sorted(times, reverse=True), listed
    assert {v["videoId"] for v in listed} == {bad, put, uploaded, unsized["videoId"], lost["videoId"]}, listed
    first = api.call("GET", f"/videos/{put}")
    assert api.call("GET", f"/videos/{put}", **{"If-None-Match": first.headers["ETag"]}).status == 304
    assert eve.call("GET", "/videos").json()["videos"] == []
    for method in ("GET", "DELETE"):
        assert eve.call(method, f"/videos/{put}").status == 404

    # In parts, by Companion's routes; nobody else's.
    video_id, parts = in_parts(api, video)
    listed = api.call("GET", parts("")).json()
    assert [(p["PartNumber"], p["Size"]) for p in listed] == [(1, len(video))], listed
    for other, status in ((eve, 404), (nobody, 401)):
        for method, end in (("GET", ""), ("GET", "/1"), ("POST", "/complete"), ("DELETE", "")):
            answer = other.call(method, parts(end), b'{"parts": []}' if method == "POST" else None)
            assert answer.status == status, (method, end, answer.status, answer.data)
    body = json.dumps({"parts": [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in listed]})
    done = api.call("POST", parts("/complete"), body, **{"Content-Type": "application/json"})
    assert done.status == 200 and done.json()["location"], (done.status, done.data)
    api.until(video_id, "PROCESSED")
    _, parts = in_parts(api, video)
    assert api.call("DELETE", parts("")).status == 200
    assert api.call("GET", parts("")).status == 404

    # Twice the same request is one video.
    again = [api.call("POST", "/upload", form, **headers, **{"Idempotency-Key": "k"}).json()["videoId"] for _ in "12"]
    assert again[0] == again[1]
    api.until(again[0], "PROCESSED")

    # Gone for good, also what comes late.
    for _ in "12":
        assert api.call("DELETE", f"/videos/{put}").status == 204
    assert api.call("GET", f"/videos/{put}").status == 404
    s3 = emulator.s3()
    bucket, thumbnails = signed["uploadUrl"].split("/")[3], stack.ids["ThumbnailsBucket"]
    for prefix in ("thumbnails", "storyboards"):
        left = s3.list_objects_v2(Bucket=thumbnails, Prefix=f"{prefix}/").get("Contents", [])
        assert left and not [o for o in left if put in o["Key"]], (prefix, left)
    HTTP.request("PUT", signed["uploadUrl"], body=video, headers=signed["headers"])
    until("what was uploaded late is removed", lambda: "Contents" not in s3.list_objects_v2(
        Bucket=bucket, Prefix=signed["key"]))


def dead_letters(emulator, stack, video):
    """An event that always fails lies in the queue; replayed after the cause is gone, it is processed."""
    functions, sqs = emulator.client("lambda"), emulator.client("sqs")
    api = Api(emulator, stack, sign_in(emulator, stack, "dan@example.com"))
    name = stack.ids["ThumbnailFunction"]
    queue = stack.ids["VideoProcessingDLQ"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    before = functions.get_function_configuration(FunctionName=name)
    environment = before["Environment"]["Variables"]
    # The emulator's CloudFormation drops DeadLetterConfig; its Lambda has it.
    functions.update_function_configuration(
        FunctionName=name, DeadLetterConfig={"TargetArn": arn},
        Environment={"Variables": {**environment, "FFMPEG_PATH": "/nowhere/ffmpeg"}})
    # Nor does it know of a mapping that is made disabled.
    mapping = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"][0]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    poison, _ = api.presign_and_put("clip.mp4", "video/mp4", video)
    assert api.until(poison, "FAILED")["error"]["code"] == "INTERNAL"

    def received():
        return sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, VisibilityTimeout=1,
                                   MessageAttributeNames=["All"]).get("Messages")
    message = until("the event is in the dead-letter queue", received)[0]
    event = json.loads(message["Body"])
    event = event.get("requestPayload", event)
    assert poison in event["Records"][0]["s3"]["object"]["key"], event

    functions.update_function_configuration(FunctionName=name, Environment={"Variables": environment})
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    api.until(poison, "PROCESSED")
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def webhooks(emulator, stack, video, receiver):
    """Each step is told, signed; what is not taken comes again, and is given up on, and replayed."""
    api = Api(emulator, stack, sign_in(emulator, stack, "hal@example.com"))
    sqs, queue, dead = emulator.client("sqs"), stack.ids["WebhookQueue"], stack.ids["WebhookDLQ"]
    life = ["video.upload.created", "video.asset.created", "video.asset.ready", "video.asset.updated", "video.asset.deleted"]

    # Whoever walked before was told about, too.
    for event in receiver.events():
        assert receiver.told(event["object"]["id"])[0] == life[0], event
    assert "video.asset.errored" in {event["type"] for event in receiver.events()}

    # One is not taken the first time. It comes again half a minute later, and holds up no other.
    refused = []

    def not_at_once(event):
        if event["type"] == life[1] and not refused:
            refused.append(event)
            return 500
        return 200
    receiver.answer = not_at_once
    told, _ = api.presign_and_put("clip.mp4", "video/mp4", video)
    until("it is told", lambda: life[2] in receiver.told(told))
    assert receiver.events(told).count(refused[0]) == 1, "the wait was none"
    until("it comes again", lambda: receiver.events(told).count(refused[0]) == 2)
    ready = next(event for event in receiver.events(told) if event["type"] == life[2])
    # Its renditions come later, and are told by an event of their own.
    assert ready["data"].pop("transcode") == {"status": "RUNNING", "chunksDone": 0, "chunksTotal": 0}, ready
    until("its renditions are told", lambda: life[3] in receiver.told(told))
    shown = {name: value for name, value in api.video(told).items() if not name.lower().endswith("url")}
    assert shown.pop("transcode")["status"] == "DONE"
    assert ready["data"] == shown, (ready, shown)
    assert api.call("DELETE", f"/videos/{told}").status == 204
    until("its end is told", lambda: receiver.told(told) == life)

    # Nobody is there. Once instead of twelve times, which would take until tomorrow.
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})})
    receiver.answer = lambda event: 503
    lost, _ = api.presign_and_put("clip.mp4", "video/mp4", video)
    count = "ApproximateNumberOfMessages"
    until("all are given up on", lambda: int(sqs.get_queue_attributes(
        QueueUrl=dead, AttributeNames=[count])["Attributes"][count]) == 4)
    before = receiver.events(lost)
    assert len(before) == 4 and receiver.told(lost) == life[:4], before

    # As the operators do it: `make dlq` and `make replay`.
    receiver.answer = lambda event: 200
    operators = emulator.operators()
    ops.dlq(operators)
    ops.replay_webhooks(operators, operators.physical())
    until("all come again", lambda: len(receiver.events(lost)) == 8)
    assert sorted(e["id"] for e in receiver.events(lost)[4:]) == sorted(e["id"] for e in before)

    # What Lambda could not hand over is read from the stream again; it is told again, under its own name.
    stream = emulator.client("dynamodb").describe_table(TableName=stack.ids["VideoMetadata"])["Table"]["LatestStreamArn"]
    streams = emulator.client("dynamodbstreams")
    shard = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
    place = streams.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    of_lost = [r["dynamodb"] for r in streams.get_records(ShardIterator=place)["Records"]
               if r["dynamodb"]["Keys"]["videoId"]["S"] == lost]
    sqs.send_message(QueueUrl=dead, MessageBody=json.dumps({"version": "1.0", "DDBStreamBatchInfo": {
        "shardId": shard, "startSequenceNumber": of_lost[0]["SequenceNumber"],
        "endSequenceNumber": of_lost[-1]["SequenceNumber"], "batchSize": len(of_lost), "streamArn": stream,
        "approximateArrivalOfFirstRecord": "2026-11-23T07:41:52Z", "approximateArrivalOfLastRecord": "2026-11-23T07:41:52Z"}}))
    ops.replay_webhooks(operators, operators.physical())
    until("all come once more", lambda: len(receiver.events(lost)) == 12)
    assert {e["id"] for e in receiver.events(lost)} == {e["id"] for e in before}

    for headers, body in receiver.came:
        signature = headers.get("mux-signature") or headers.get("Mux-Signature")
        # Some came minutes ago, so the age is not asked for.
        assert verify(SECRET, signature, body) in ("ok", "too old"), signature
        assert verify("another", signature, body) == "another signature"


# Granted and not called by the functions' own code.
NOT_CALLED = {
    "s3:ListBucket",  # decides whether a missing object is a 404 or a 403
    "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords",  # Lambda
    "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",  # Lambda, for the DLQ
    BATCH,  # see package()
    "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams",  # Lambda
    "kms:Decrypt", "kms:GenerateDataKey",  # S3, DynamoDB and SQS, with a customer managed key
}
IAM_ACTION = {"HeadObject": "GetObject", "SendMessageBatch": "SendMessage", "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject",
              "CompleteMultipartUpload": "PutObject", "ListParts": "ListMultipartUploadParts", "ListObjects": "ListBucket",
              "POST.s3": "DeleteObject"}  # the last: DeleteObjects, as the emulator's trail has it

# The emulator's trail names S3's calls by their method, so what presign does with an upload looks like what is done
# with an object. It is granted nothing of that, and IAM is enforced, so they are no such calls.
OF_UPLOADS = {"PresignFunction": {"s3:GetObject": "s3:ListMultipartUploadParts",
                                  "s3:DeleteObject": "s3:AbortMultipartUpload"}}


def calls(trail, access_key):
    """Every action that was called with these credentials, as IAM names it."""
    called, end = set(), time.time() + 60
    while True:
        events = trail.lookup_events(EndTime=end, LookupAttributes=[
            {"AttributeKey": "AccessKeyId", "AttributeValue": access_key}])["Events"]
        for event in events:
            name = event["EventName"]
            called.add(f"{event['EventSource'].split('.')[0]}:{IAM_ACTION.get(name, name)}")
        oldest = min((event["EventTime"].timestamp() for event in events), default=end)
        if oldest >= end:
            return called
        end = oldest


def called_by(trail, functions, stack, logical):
    configuration = functions.get_function_configuration(FunctionName=stack.ids[logical])
    # The emulator gives each function (or its version, behind an alias) a session of its role, under a
    # key made like this.
    arn = configuration["FunctionArn"]
    digests = [hashlib.sha256(f"{name}:{configuration['Role']}".encode()).hexdigest() for name in (arn, f"{arn}:1")]
    called = set().union(*(calls(trail, f"ASIA{digest[:16].upper()}") for digest in digests))
    return {OF_UPLOADS.get(logical, {}).get(action, action) for action in called}


def compare_permissions(emulator, stack, template):
    """The actions that were called, against those that are granted: none missing, none spare."""
    trail, functions = emulator.client("cloudtrail"), emulator.client("lambda")
    roles = {}
    for logical in FUNCTIONS:
        role = template["Resources"][logical]["Properties"]["Role"]["Fn::GetAtt"][0]
        roles.setdefault(role, []).append(logical)
    for role, logicals in roles.items():
        called = set().union(*(called_by(trail, functions, stack, logical) for logical in logicals))
        granted = set()
        for policy in template["Resources"][role]["Properties"]["Policies"]:
            policy = policy.get("Fn::If", [None, policy])[1]
            for statement in policy["PolicyDocument"]["Statement"]:
                statement = statement.get("Fn::If", [None, statement])[1]
                actions = statement["Action"]
                granted.update([actions] if isinstance(actions, str) else actions)
        granted -= NOT_CALLED - called
        assert called == granted, f"{role} calls {sorted(called)}, is granted {sorted(granted)}"
        print(f"{role}: calls exactly what it is granted: {', '.join(sorted(called))}")


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
            walk(emulator, stack, video)
            print("walked: upload, presign, multipart, poster, storyboard, list, delete, other people's")
            dead_letters(emulator, stack, video)
            print("walked: dead-letter queue and replay")
            webhooks(emulator, stack, video, receiver)
            print(f"walked: {len(receiver.came)} webhooks, signed, refused, given up on and replayed")
            transcodes(emulator, stack, Path(folder), ffmpeg)
            print("walked: transcoding, playback, duplicates, a kill, poison, replay, a stop, a deletion")
            compare_permissions(emulator, stack, template)
        except BaseException:
            print(emulator.tail(), file=sys.stderr)
            raise
        finally:
            emulator.process.terminate()
            emulator.process.wait(10)


main()
