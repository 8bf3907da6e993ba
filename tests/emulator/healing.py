"""Tests that videos heal without a human: the deployed schedule sweeps, and only the time of the rows is changed."""

import itertools
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emulator import Api, configure, sign_in, wait_until
from transcodes import Executions, FaultyFfmpeg, invalidations, parent, wait_for_transcode

BUCKETS = ("UploadsBucket", "ThumbnailsBucket", "ProcessedBucket")


class Reconciler:
    """Runs the tasks of the deployed schedules, and lets rows become due."""

    def __init__(self, emulator, stack):
        self.scheduler, self.stack = emulator.client("scheduler"), stack
        self.table, self.numbers = emulator.client("dynamodb"), itertools.count()

    def row(self, video):
        key = {"videoId": {"S": video}}
        return self.table.get_item(TableName=self.stack.ids["VideoMetadata"], Key=key, ConsistentRead=True).get("Item")

    def run(self, schedule):
        """Lets the emulator's scheduler run the target of a schedule once, now."""
        target = self.scheduler.get_schedule(Name=self.stack.ids[schedule])["Target"]
        self.scheduler.create_schedule(
            Name=f"{schedule}-{next(self.numbers)}", ScheduleExpression="at(2026-01-01T00:00:00)", Target=target,
            FlexibleTimeWindow={"Mode": "OFF"}, ActionAfterCompletion="DELETE")

    def sweep(self, *videos):
        """Makes the rows due and sweeps until each has been examined. Fails if a row does not need attention."""
        for video in videos:
            self.table.update_item(
                TableName=self.stack.ids["VideoMetadata"], Key={"videoId": {"S": video}}, UpdateExpression="SET due = :past",
                ConditionExpression="attribute_exists(due)", ExpressionAttributeValues={":past": {"N": "0"}})
        self.run("SweepSchedule")
        for video in videos:
            wait_until(f"{video} is examined", lambda: self.row(video).get("due") != {"N": "0"})


class Queue:
    """The dead-letter queue of the thumbnail function."""

    def __init__(self, emulator, stack):
        self.sqs, self.url = emulator.client("sqs"), stack.ids["VideoProcessingDLQ"]

    def length(self):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return sum(map(int, self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"].values()))

    def wait_for_length(self, length):
        wait_until(f"there are {length} dead letters", lambda: self.length() == length)

    def wait_until_swept(self, reconciler):
        """Sweeps until the queue is empty. A sweep hides the messages that it has examined for half a minute."""
        def swept():
            reconciler.run("SweepSchedule")
            time.sleep(5)
            return self.length() == 0
        wait_until("the dead letters are deleted", swept)


def stored(emulator, stack, video):
    """Returns the number of objects of a video in each bucket."""
    s3 = emulator.s3()
    pages = {name: s3.get_paginator("list_objects_v2").paginate(Bucket=stack.ids[name]) for name in BUCKETS}
    return [sum(video in o["Key"] for page in found for o in page.get("Contents", [])) for found in pages.values()]


def kill(process):
    try:
        os.kill(int(process), signal.SIGKILL)
    except ProcessLookupError:
        pass


def processes_of(name):
    """Returns the process IDs of a function."""
    def runs(process):
        try:
            return f"\0AWS_LAMBDA_FUNCTION_NAME={name}\0".encode() in b"\0" + (process / "environ").read_bytes()
        except OSError:
            return False  # it has exited
    return [process.name for process in Path("/proc").glob("[0-9]*") if runs(process)]


def test_lost_events(emulator, stack, api, reconciler, body):
    """Objects whose events are not delivered are processed; a stored object that is missing is reported."""
    s3, bucket = emulator.s3(), stack.ids["UploadsBucket"]
    notifications = s3.get_bucket_notification_configuration(Bucket=bucket)
    notifications.pop("ResponseMetadata")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    form = b'--B\r\nContent-Disposition: form-data; name="file"; filename="clip.mp4"\r\n\r\n' + body + b"\r\n--B--\r\n"

    def upload():
        response = api.call("POST", "/upload", form, **{"Content-Type": "multipart/form-data; boundary=B"})
        return response.json()["videoId"]
    unused = api.call("GET", "/presign?name=clip.mp4").json()["videoId"]
    pending, _ = api.presign_and_put("clip.mp4", "video/mp4", body)
    uploaded, lost = upload(), upload()
    s3.delete_object(Bucket=bucket, Key=reconciler.row(lost)["key"]["S"])
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=notifications)
    assert [api.video(v)["status"] for v in (unused, pending, uploaded, lost)] == ["PENDING", "PENDING", "UPLOADED", "UPLOADED"]

    reconciler.sweep(unused, pending, uploaded, lost)
    for video in (pending, uploaded):
        record = api.wait_for_status(video, "PROCESSED")
        assert (record["filename"], record["width"]) == ("clip.mp4", 64), record
    assert api.wait_for_status(lost, "FAILED")["error"]["code"] == "LOST"
    # Nothing was uploaded yet, and still can be.
    row = reconciler.row(unused)
    assert row["status"]["S"] == "PENDING" and int(row["due"]["N"]) < int(row["ttl"]["N"]) * 1000, row


def kill_three_attempts(ffmpeg):
    """Kills the process of the function in each attempt of Lambda, while ffmpeg runs."""
    for _ in range(3):
        blocked = wait_until("ffmpeg is running", ffmpeg.blocked)
        kill(parent(blocked[0]))
        for child in blocked:
            kill(child.name)
        wait_until("they have exited", lambda: not any(child.exists() for child in blocked))


def test_killed_function(emulator, stack, api, reconciler, ffmpeg, queue, body):
    """A video whose function is killed in its third attempt is FAILED, and processed again when it is due."""
    ffmpeg.block_before()
    video, _ = api.presign_and_put("clip.mp4", "video/mp4", body)
    kill_three_attempts(ffmpeg)
    # Lambda gives up: its failure destination records that, and the dead-letter queue keeps the event.
    assert api.wait_for_status(video, "FAILED")["error"]["code"] == "INTERNAL"
    queue.wait_for_length(1)
    ffmpeg.stop()
    reconciler.sweep(video)
    api.wait_for_status(video, "PROCESSED")


def test_lost_failure(emulator, stack, api, reconciler, ffmpeg, queue, body):
    """The same, if the failure destination does not record the failure either: the row stays PROCESSING until it is due."""
    functions, name = emulator.client("lambda"), stack.ids["ThumbnailFunction"]
    version = {"FunctionName": name, "Qualifier": "live"}
    before = functions.get_function_event_invoke_config(**version)
    functions.put_function_event_invoke_config(**version, MaximumRetryAttempts=2)
    ffmpeg.block_before()
    video, _ = api.presign_and_put("clip.mp4", "video/mp4", body)
    kill_three_attempts(ffmpeg)
    queue.wait_for_length(2)
    assert api.video(video)["status"] == "PROCESSING"
    functions.put_function_event_invoke_config(
        **version, MaximumRetryAttempts=2, DestinationConfig={"OnFailure": before["DestinationConfig"]["OnFailure"]})
    ffmpeg.stop()
    reconciler.sweep(video)
    api.wait_for_status(video, "PROCESSED")


def test_half_deletion(emulator, stack, api, reconciler, body):
    """A deletion whose function is killed after the tombstone is written leaves no objects."""
    video, _ = api.presign_and_put("clip.mp4", "video/mp4", body)
    wait_for_transcode(api, video, "DONE")
    assert all(before := stored(emulator, stack, video)), before
    emulator.hold.touch()
    with ThreadPoolExecutor() as pool:
        deletion = pool.submit(api.call, "DELETE", f"/videos/{video}")
        wait_until("the tombstone is written", lambda: reconciler.row(video)["status"]["S"] == "DELETED")
        for process in processes_of(stack.ids["VideosFunction"]):
            kill(process)
        assert deletion.result().status >= 500, deletion.result().data
    emulator.hold.unlink()
    assert api.call("GET", f"/videos/{video}").status == 404
    assert stored(emulator, stack, video) == before
    # The client does not repeat the request. The row is done when two passes in a row have found no object.
    for objects, passes in ((True, "0"), (False, "1"), (False, "2")):
        assert any(stored(emulator, stack, video)) == objects
        reconciler.sweep(video)
        row = reconciler.row(video)
        assert row["cleanPasses"]["N"] == passes, row
    assert stored(emulator, stack, video) == [0, 0, 0] and "due" not in row, row
    # The request was killed before it could invalidate them.
    assert sorted(invalidations(emulator, stack, video).values()) == [1, 3]


def test_failed_transcoding(emulator, stack, folder, program, api, reconciler, body):
    """A transcoding that failed because of a fault is started again under the next name."""
    ffmpeg = FaultyFfmpeg(emulator, stack, folder, program)
    configure(ffmpeg.functions, ffmpeg.name, {**ffmpeg.environment, "FFMPEG_PATH": "/nowhere/ffmpeg"})
    video, _ = api.presign_and_put("clip.mp4", "video/mp4", body)
    assert wait_for_transcode(api, video, "FAILED")["transcode"]["error"]["code"] == "INTERNAL"
    executions = Executions(emulator, stack)
    executions.wait_for_status(video, "FAILED")
    configure(ffmpeg.functions, ffmpeg.name, ffmpeg.environment)

    def restarted():
        # The end of the execution is reported to the row, too, which may postpone it again.
        reconciler.sweep(video)
        return reconciler.row(video)["transcode"]["M"].get("restarts") == {"N": "1"}
    wait_until("the transcoding is started again", restarted)
    wait_for_transcode(api, video, "DONE")
    executions.wait_for_status(video, "SUCCEEDED")
    names = sorted(execution["name"] for execution in executions.of(video))
    assert len(names) == 2 and names[1] == f"{names[0]}-2", names


def test_list(reconciler, stack):
    """The weekly list of the buckets ends at their end, and starts there again."""
    reconciler.run("ListSchedule")

    def listed():
        row = reconciler.row("reconcile#listing")
        return row and json.loads(row["note"]["S"]) == {"pass": 1, "bucket": 0, "after": ""}
    wait_until("the buckets are listed", listed)


def test_healing(emulator, stack, folder, program, body):
    api = Api(emulator, stack, sign_in(emulator, stack, "kim@example.com"))
    reconciler, queue = Reconciler(emulator, stack), Queue(emulator, stack)
    ffmpeg = FaultyFfmpeg(emulator, stack, folder, program, "ThumbnailFunction", "*")
    started = time.time()
    test_lost_events(emulator, stack, api, reconciler, body)
    test_killed_function(emulator, stack, api, reconciler, ffmpeg, queue, body)
    test_lost_failure(emulator, stack, api, reconciler, ffmpeg, queue, body)
    queue.wait_until_swept(reconciler)
    test_half_deletion(emulator, stack, api, reconciler, body)
    test_failed_transcoding(emulator, stack, folder, program, api, reconciler, body)
    test_list(reconciler, stack)
    print(f"healed in {time.time() - started:.0f} s")
