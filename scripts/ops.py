"""What operators do with a deployed stack: ops.py ENV logs | dlq | replay | destroy (see the Makefile).

ENV is a section of samconfig.toml. Runs in the environment of tests/template/sam.txt, which has boto3 and sam.
"""

import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from urllib.parse import unquote_plus

import boto3
from botocore.exceptions import ClientError

ROOT = Path(__file__).parent.parent
SAM = str(Path(sys.executable).with_name("sam"))
LOGS = ("UploadLogs", "PresignLogs", "VideosLogs", "ThumbnailLogs", "WebhookLogs", "TranscodeLogs", "EncodeLogs", "ApiLogs")
# What outlives the stack, with what removes it (`make destroy DATA=delete`).
KEPT = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Cognito::UserPool", "AWS::KMS::Key", "AWS::IAM::Role")
# Of an execution's name, what says which upload it is: a video's id and a sequencer.
UPLOAD = 77
# How long a replay may go on without the queue getting any shorter: longer than one letter takes.
PATIENCE = 300


class Stack:
    def __init__(self, env):
        config = tomllib.loads((ROOT / "samconfig.toml").read_text())
        self.name = config[env]["deploy"]["parameters"]["stack_name"]
        # The AWS CLI reads AWS_REGION, boto3 does not.
        self.session = boto3.session.Session(region_name=os.environ.get("AWS_REGION") or None)
        if not self.session.region_name:
            sys.exit("Which region? Set AWS_REGION, or AWS_PROFILE to a profile that names one.")

    def client(self, service):
        return self.session.client(service)

    def resources(self):
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        return [resource for page in pages for resource in page["StackResourceSummaries"]]

    def physical(self):
        return {r["LogicalResourceId"]: r.get("PhysicalResourceId") for r in self.resources()}


def logs(stack):
    """Follows the logs of all functions and of the API."""
    names = stack.physical()
    groups = [part for name in LOGS if name in names for part in ("--cw-log-group", names[name])]
    os.execv(SAM, [SAM, "logs", "--tail", *groups])


def videos(event):
    """The keys that a dead letter is about."""
    for record in event.get("Records", []):
        if record.get("eventSource") == "aws:s3":
            yield unquote_plus(record["s3"]["object"]["key"])


def letters(sqs, queue):
    """The messages of a dead-letter queue, oldest first, hidden while they are listed so that each comes once."""
    found = {}
    while True:
        answer = sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=60,
            WaitTimeSeconds=2,
            MessageAttributeNames=["All"],
            AttributeNames=["SentTimestamp"],
        )
        new = {m["MessageId"]: m for m in answer.get("Messages", []) if m["MessageId"] not in found}
        if not new:
            return sorted(found.values(), key=lambda m: int(m["Attributes"]["SentTimestamp"]))
        found |= new


def show(sqs, queue, letter):
    """Makes a message visible again."""
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=letter["ReceiptHandle"], VisibilityTimeout=0)


def parsed(letter):
    try:
        return json.loads(letter["Body"])
    except ValueError:
        return {}


def sent(letter):
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(int(letter["Attributes"]["SentTimestamp"]) / 1000))


def dlq(stack):
    """Lists the dead letters: when, which video, what Lambda says of the last attempt."""
    names = stack.physical()
    sqs, queue = stack.client("sqs"), names["VideoProcessingDLQ"]
    function = {"FunctionName": names["ThumbnailFunction"], "Qualifier": "$LATEST"}
    attempts = 1 + stack.client("lambda").get_function_event_invoke_config(**function)["MaximumRetryAttempts"]
    found = letters(sqs, queue)
    for letter in found:
        show(sqs, queue, letter)
        said = {name: value.get("StringValue", "") for name, value in letter.get("MessageAttributes", {}).items()}
        try:
            keys = list(videos(parsed(letter)))
        except (KeyError, AttributeError):
            keys = []
        for key in keys or ["(an event of another shape)"]:
            print(f"{sent(letter)}  {key}")
            print(f"    error     {said.get('ErrorCode', '?')}: {said.get('ErrorMessage', '?')}")
            print(f"    attempts  {attempts} (request {said.get('RequestID', '?')})")
    count = len(found)
    if "WebhookDLQ" in names:
        found = letters(sqs, names["WebhookDLQ"])
        for letter in found:
            show(sqs, names["WebhookDLQ"], letter)
            print(f"{sent(letter)}  {told(parsed(letter))}")
        count += len(found)
    for execution in given_up(stack, names):
        print(f"{execution['stopDate']:%Y-%m-%d %H:%M:%SZ}  transcoding {execution['status']}: {execution['name']}")
        count += 1
    print(f"{count} dead letters" + (": `make replay` tries them again." if count else "."))


def told(body):
    """What a webhook that was given up on is about."""
    if lost := body.get("DDBStreamBatchInfo"):
        return f"{lost['batchSize']} changes of the table that could not be queued, since {lost['approximateArrivalOfFirstRecord']}"
    row = body.get("dynamodb", {}).get("NewImage", {})
    return " ".join(["webhook:", *(row.get(name, {}).get("S", "?") for name in ("status", "key"))])


def changes(stack, lost):
    """The records that Lambda gave up on, read again in batches; a stream keeps them for a day."""
    streams = stack.client("dynamodbstreams")
    place = streams.get_shard_iterator(
        StreamArn=lost["streamArn"],
        ShardId=lost["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=lost["startSequenceNumber"],
    )["ShardIterator"]
    while place:
        answer = streams.get_records(ShardIterator=place, Limit=100)
        batch = [r for r in answer["Records"] if int(r["dynamodb"]["SequenceNumber"]) <= int(lost["endSequenceNumber"])]
        for record in batch:
            # As Lambda has it.
            record["dynamodb"]["ApproximateCreationDateTime"] = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
        if batch:
            yield batch
        if len(batch) < len(answer["Records"]) or not answer["Records"]:
            return
        place = answer.get("NextShardIterator")


def again(stack, names, letter):
    """Hands one dead letter on as it was handed on before."""
    lost = parsed(letter).get("DDBStreamBatchInfo")
    if not lost:
        stack.client("sqs").send_message(QueueUrl=names["WebhookQueue"], MessageBody=letter["Body"])
        return
    for batch in changes(stack, lost):
        answer = stack.client("lambda").invoke(FunctionName=names["WebhookFunction"], Payload=json.dumps({"Records": batch}))
        said = json.load(answer["Payload"])
        if said != {"batchItemFailures": []}:
            raise RuntimeError(f"the function says {said}")


def replay_webhooks(stack, names):
    """Puts the webhooks that were given up on back to where they wait."""
    sqs, dead = stack.client("sqs"), names["WebhookDLQ"]
    found, kept = letters(sqs, dead), 0
    for letter in found:
        try:
            again(stack, names, letter)
            sqs.delete_message(QueueUrl=dead, ReceiptHandle=letter["ReceiptHandle"])
        except (ClientError, RuntimeError) as error:
            kept += 1
            show(sqs, dead, letter)
            print(f"{told(parsed(letter))}: {error}", file=sys.stderr)
    if found:
        print(f"{len(found) - kept} of {len(found)} webhooks are tried again.")


def given_up(stack, names):
    """The executions that came to a bad end in the last 14 days, for whose upload none was started later."""
    if "TranscodeMachine" not in names:
        return []
    pages = stack.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=names["TranscodeMachine"])
    seen, found, oldest = set(), [], time.time() - 14 * 86400
    # Newest first.
    for execution in (execution for page in pages for execution in page["executions"]):
        if execution["startDate"].timestamp() < oldest:
            break
        upload = execution["name"][:UPLOAD]
        if upload not in seen and execution["status"] in ("FAILED", "TIMED_OUT", "ABORTED"):
            found.append(execution)
        seen.add(upload)
    return found


def replay_transcodes(stack, names):
    """Starts them again, under the next name; chunks that were encoded are not encoded again."""
    machine = stack.client("stepfunctions")
    found = given_up(stack, names)
    for execution in found:
        text = machine.describe_execution(executionArn=execution["executionArn"])["input"]
        name, again = execution["name"][:UPLOAD], execution["name"][UPLOAD + 1:]
        name = f"{name}-{int(again or 1) + 1}"
        machine.start_execution(stateMachineArn=names["TranscodeMachine"], name=name, input=text)
        print(f"transcoding again: {name}")


def replay(stack):
    """Webhooks go back into their queue, transcodings are started again. For videos the mapping from the dead-letter queue to the function is turned
    on until the queue is empty, and off again."""
    names = stack.physical()
    if "WebhookDLQ" in names:
        replay_webhooks(stack, names)
    replay_transcodes(stack, names)
    sqs, functions = stack.client("sqs"), stack.client("lambda")
    mapping, queue = names["ThumbnailFunctionReplay"], names["VideoProcessingDLQ"]

    def left():
        counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        answer = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=list(counts))["Attributes"]
        return sum(int(answer[name]) for name in counts)

    def switch(on):
        # It is busy for some seconds after each change, and refuses the next one.
        for _ in range(60):
            state = functions.get_event_source_mapping(UUID=mapping)["State"]
            if state in ("Enabled", "Disabled"):
                break
            time.sleep(2)
        functions.update_event_source_mapping(UUID=mapping, Enabled=on)

    count = least = left()
    if not count:
        print("The queue of videos is empty.")
        return
    print(f"{count} dead letters. Ctrl-C stops the replay.")
    since, empty = time.monotonic(), 0
    try:
        switch(True)
        # The counts are approximate, so empty means twice empty.
        while empty < 2 and time.monotonic() - since < PATIENCE:
            time.sleep(5)
            count = left()
            empty = empty + 1 if count == 0 else 0
            if count < least:
                least, since = count, time.monotonic()
                print(f"{count} left")
    finally:
        switch(False)
    if count:
        sys.exit(f"{count} are left that fail again: see `make dlq` and `make logs`. The replay is off.")
    print("Done. The replay is off.")


def destroy(stack):
    """Deletes the stack; the data only if DATA=delete."""
    data = os.environ.get("DATA") == "delete"
    kept = [r for r in stack.resources() if r["ResourceType"] in KEPT and is_kept(r)]
    print(f"This deletes the stack {stack.name} in {stack.session.region_name}" + (" AND ALL ITS VIDEOS." if data else "."))
    if os.environ.get("CONFIRM") != stack.name and input("Type its name to go on: ") != stack.name:
        sys.exit("Nothing was deleted.")
    region = ["--region", stack.session.region_name]
    subprocess.run([SAM, "delete", "--no-prompts", "--stack-name", stack.name, *region], check=True)
    for resource in kept:
        kind, name = resource["ResourceType"], resource["PhysicalResourceId"]
        removed = data and remove(stack, kind, name)
        print(f"{'deleted' if removed else 'kept   '}  {kind}  {name}")


def is_kept(resource):
    return resource["ResourceType"] != "AWS::IAM::Role" or resource["LogicalResourceId"] == "ApiLogRole"


def remove(stack, kind, name):
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
            # The role may serve other APIs; a key that is gone cannot be had again.
            return False
    return True


if __name__ == "__main__":
    commands = {command.__name__: command for command in (logs, dlq, replay, destroy)}
    if len(sys.argv) != 3 or sys.argv[2] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[2]](Stack(sys.argv[1]))
