"""Commands for operators of a deployed stack: ops.py ENV VERB, as the Makefile calls it.

ENV is a section of samconfig.toml, or the name of a stack. Runs in the environment of tests/template/sam.txt, which has
boto3 and sam.
"""

import json
import os
import re
import subprocess
import sys
import time

from botocore.exceptions import ClientError
from deploy import changes, deploy
from incident import drop, rollback, status
from letters import message_videos, messages, parsed, show
from prune import prune
from smoke import run as smoke
from stack import SAM, Stack, configuration

LOGS = ("UploadLogs", "PresignLogs", "VideosLogs", "PlaybackLogs", "ThumbnailLogs", "ReconcileLogs", "FetchLogs", "WebhookLogs",
        "TranscodeLogs", "EncodeLogs", "ApiLogs")  # fmt: skip
# Resource types that CloudFormation retains when it deletes the stack.
RETAINED = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Cognito::UserPool", "AWS::KMS::Key", "AWS::IAM::Role")
# The name of an execution: what identifies the run (the video's ID, the sequencer, a rung), and from the second one on a number.
EXECUTION = re.compile(r"([0-9a-f-]{36}-[0-9A-F]+(?:-v[0-9]+)?)(?:-([0-9]+))?")
# Seconds that a message may take after it was delivered again: the timeout of the thumbnail function, and the delays of
# SQS and its counts. A replay that makes no progress waits for one redelivery and this long.
MARGIN = 240


def logs(stack):
    """Follows the logs of all functions and the API."""
    names = stack.physical()
    groups = [part for name in LOGS if name in names for part in ("--cw-log-group", names[name])]
    os.execv(SAM, [SAM, "logs", "--tail", "--region", stack.session.region_name, *groups])


def sent(message):
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(int(message["Attributes"]["SentTimestamp"]) / 1000))


def dlq(stack):
    """Lists the dead letters: time, video, and Lambda's error of the last attempt."""
    names = stack.physical()
    sqs, queue = stack.client("sqs"), names["VideoProcessingDLQ"]
    found = messages(sqs, queue)
    for message in found:
        show(sqs, queue, message)
        attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
        for key in message_videos(message) or ["(unknown event)"]:
            print(f"{sent(message)}  {key}")
            print(f"    message  {message['MessageId']}")
            print(f"    error    {attributes.get('ErrorCode', '?')}: {attributes.get('ErrorMessage', '?')}")
            print(f"    request  {attributes.get('RequestID', '?')}")
    count = len(found)
    if "WebhookDLQ" in names:
        found = messages(sqs, names["WebhookDLQ"])
        for message in found:
            show(sqs, names["WebhookDLQ"], message)
            print(f"{sent(message)}  {description(parsed(message))}")
        count += len(found)
    for execution in given_up(stack, names):
        print(f"{execution['stopDate']:%Y-%m-%d %H:%M:%SZ}  transcoding {execution['status']}: {execution['name']}")
        count += 1
    print(f"{count} dead letters" + (f": `make replay ENV={stack.env}` processes them again." if count else "."))


def description(body):
    """Describes the message of a webhook that failed permanently."""
    if lost := body.get("DDBStreamBatchInfo"):
        return f"{lost['batchSize']} changes of the table that could not be queued, from {lost['approximateArrivalOfFirstRecord']}"
    row = body.get("dynamodb", {}).get("NewImage", {})
    return " ".join(["webhook:", *(row.get(name, {}).get("S", "?") for name in ("status", "key"))])


def changes(stack, lost):
    """Reads the stream records that Lambda discarded again, in batches. The stream retains records for a day."""
    streams = stack.client("dynamodbstreams")
    iterator = streams.get_shard_iterator(
        StreamArn=lost["streamArn"],
        ShardId=lost["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=lost["startSequenceNumber"],
    )["ShardIterator"]
    while iterator:
        response = streams.get_records(ShardIterator=iterator, Limit=100)
        batch = [r for r in response["Records"] if int(r["dynamodb"]["SequenceNumber"]) <= int(lost["endSequenceNumber"])]
        for record in batch:
            # Lambda's events have a number of seconds here.
            record["dynamodb"]["ApproximateCreationDateTime"] = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
        if batch:
            yield batch
        if len(batch) < len(response["Records"]) or not response["Records"]:
            return
        iterator = response.get("NextShardIterator")


def resend(stack, names, message):
    """Sends one dead letter to where it came from: the queue, or the function."""
    lost = parsed(message).get("DDBStreamBatchInfo")
    if not lost:
        stack.client("sqs").send_message(QueueUrl=names["WebhookQueue"], MessageBody=message["Body"])
        return
    for batch in changes(stack, lost):
        response = stack.client("lambda").invoke(FunctionName=names["WebhookFunction"], Payload=json.dumps({"Records": batch}))
        result = json.load(response["Payload"])
        if result != {"batchItemFailures": []}:
            raise RuntimeError(f"the function returned {result}")


def replay_webhooks(stack, names):
    """Moves the webhooks that failed permanently back to their queue."""
    sqs, dead = stack.client("sqs"), names["WebhookDLQ"]
    found, kept = messages(sqs, dead), 0
    for message in found:
        try:
            resend(stack, names, message)
            sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
        except (ClientError, RuntimeError) as error:
            kept += 1
            show(sqs, dead, message)
            print(f"{description(parsed(message))}: {error}", file=sys.stderr)
    if found:
        print(f"{len(found) - kept} of {len(found)} webhooks will be sent again.")


def given_up(stack, names):
    """Returns the unsuccessful executions of the last 14 days, except those whose run was started again."""
    if "TranscodeMachine" not in names:
        return []
    pages = stack.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=names["TranscodeMachine"])
    seen, found, oldest = set(), [], time.time() - 14 * 86400
    # The list is sorted, newest first.
    for execution in (execution for page in pages for execution in page["executions"]):
        if execution["startDate"].timestamp() < oldest:
            break
        run = EXECUTION.fullmatch(execution["name"])[1]
        if run not in seen and execution["status"] in ("FAILED", "TIMED_OUT", "ABORTED"):
            found.append(execution)
        seen.add(run)
    return found


def replay_transcodes(stack, names):
    """Starts the unsuccessful executions again, under the next name. They reuse the chunks that were encoded."""
    machine = stack.client("stepfunctions")
    found = given_up(stack, names)
    for execution in found:
        text = machine.describe_execution(executionArn=execution["executionArn"])["input"]
        name, attempt = EXECUTION.fullmatch(execution["name"]).groups()
        name = f"{name}-{int(attempt or 1) + 1}"
        machine.start_execution(stateMachineArn=names["TranscodeMachine"], name=name, input=text)
        print(f"transcoding again: {name}")


def replay(stack):
    """Processes everything that failed permanently again: webhooks, transcodings, videos.

    For videos it enables the event source mapping from the dead-letter queue to the function until the queue is empty.
    """
    names = stack.physical()
    if "WebhookDLQ" in names:
        replay_webhooks(stack, names)
    replay_transcodes(stack, names)
    sqs, functions = stack.client("sqs"), stack.client("lambda")
    mapping, queue = names["ThumbnailFunctionReplay"], names["VideoProcessingDLQ"]

    def attributes(*wanted):
        found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=list(wanted))["Attributes"]
        return [int(value) for value in found.values()]

    def count_messages():
        return sum(attributes("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"))

    def set_enabled(enabled):
        # A mapping rejects changes for some seconds after the previous one.
        for _ in range(60):
            state = functions.get_event_source_mapping(UUID=mapping)["State"]
            if state in ("Enabled", "Disabled"):
                break
            time.sleep(2)
        functions.update_event_source_mapping(UUID=mapping, Enabled=enabled)

    count = least = count_messages()
    if not count:
        print("The dead-letter queue of videos is empty.")
        return
    # SQS delivers a message that failed again when its visibility timeout ends.
    (visibility,) = attributes("VisibilityTimeout")
    print(f"{count} dead letters. Ctrl-C stops the replay.")
    since, empty = time.monotonic(), 0
    try:
        set_enabled(True)
        # The counts are approximate, so the queue has to be empty twice in a row.
        while empty < 2 and time.monotonic() - since < visibility + MARGIN:
            time.sleep(5)
            count = count_messages()
            empty = empty + 1 if count == 0 else 0
            if count < least:
                least, since = count, time.monotonic()
                print(f"{count} left")
    finally:
        set_enabled(False)
    if count:
        sys.exit(f"{count} dead letters failed again: the cause is still there. See `make dlq ENV={stack.env}` and `make logs ENV={stack.env}`. The replay is disabled.")
    print("Done. The replay is disabled.")


def destroy(stack):
    """Deletes the stack, and with DATA=delete its data."""
    data = os.environ.get("DATA") == "delete"
    retained = [r for r in stack.resources() if r["ResourceType"] in RETAINED and is_retained(r)]
    print(f"This deletes the stack {stack.name} in {stack.session.region_name}" + (" AND ALL ITS VIDEOS." if data else "."))
    if os.environ.get("CONFIRM") != stack.name and input("Type its name to continue: ") != stack.name:
        sys.exit("Nothing was deleted.")
    subprocess.run([SAM, "delete", "--no-prompts", "--stack-name", stack.name, "--region", stack.session.region_name], check=True)
    for resource in retained:
        kind, name = resource["ResourceType"], resource["PhysicalResourceId"]
        removed = data and remove(stack, kind, name)
        print(f"{'deleted ' if removed else 'retained'}  {kind}  {name}")


def is_retained(resource):
    return resource["ResourceType"] != "AWS::IAM::Role" or resource["LogicalResourceId"] == "ApiLogRole"


def remove(stack, kind, name):
    """Deletes a retained resource; returns False for those that are never deleted."""
    match kind:
        case "AWS::S3::Bucket":
            bucket = stack.session.resource("s3").Bucket(name)
            bucket.objects.all().delete()
            for upload in bucket.multipart_uploads.all():
                upload.abort()
            bucket.delete()
        case "AWS::DynamoDB::Table":
            stack.client("dynamodb").delete_table(TableName=name)
        case "AWS::Cognito::UserPool":
            stack.client("cognito-idp").delete_user_pool(UserPoolId=name)
        case _:
            # Other APIs may use the role, and a deleted key cannot be restored.
            return False
    return True


def main(arguments):
    verbs = {verb.__name__: verb for verb in (deploy, changes, status, logs, dlq, replay, drop, rollback, prune, destroy)} | {"smoke": smoke}
    if len(arguments) != 2 or arguments[1] not in verbs:
        sys.exit(__doc__)
    env, verb = arguments
    stack = Stack(env)
    try:
        verbs[verb](stack)
    except ClientError as error:
        if "does not exist" not in str(error) or "Stack" not in str(error):
            raise
        known = ", ".join(configuration())
        sys.exit(f"There is no stack {stack.name} in {stack.session.region_name}. ENV is a section of samconfig.toml ({known}) or the name of a stack.")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
