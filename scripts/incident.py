"""Commands for an incident: what is wrong (status), stop one video (drop), go back to an earlier release (rollback)."""

import json
import os
import sys
import time

from botocore.exceptions import ClientError
from letters import message_videos, messages, show

ALIAS = "live"
HOUR = 3600
# States of a row that `drop` ends. PROCESSED videos work, and DELETED ones are gone.
UNFINISHED = ("PENDING", "UPLOADED", "PROCESSING", "FAILED")
# No code that the reconciler tries again, which INTERNAL is.
DROPPED = {"code": {"S": "UNREADABLE"}, "message": {"S": "This video cannot be processed."}}


def of_type(resources, kind):
    return {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources if r["ResourceType"] == kind}


class Released:
    """A function: its versions by release, and the one behind the alias. A version's description starts with its release."""

    def __init__(self, functions, logical, name):
        self.name, self.physical = logical.removesuffix("Function").lower(), name
        pages = functions.get_paginator("list_versions_by_function").paginate(FunctionName=name)
        found = [v for page in pages for v in page["Versions"] if v["Version"] != "$LATEST"]
        self.releases = {int(v["Version"]): v.get("Description", "").split(" ")[0] for v in found}
        self.live = int(functions.get_alias(FunctionName=name, Name=ALIAS)["FunctionVersion"])

    @property
    def release(self):
        return self.releases.get(self.live, "")

    def version(self, release):
        return max((v for v, of in self.releases.items() if of == release), default=None)

    def move(self, functions, version):
        # No weights: a deployment in progress may still send a share of the calls to the other version.
        functions.update_alias(FunctionName=self.physical, Name=ALIAS, FunctionVersion=str(version), RoutingConfig={"AdditionalVersionWeights": {}})


def released(stack):
    functions = stack.client("lambda")
    found = of_type(stack.resources(), "AWS::Lambda::Function")
    return functions, [Released(functions, logical, name) for logical, name in sorted(found.items())]


def choose(found, wanted):
    """Returns the release to go to: the wanted one, or the one before the release that is live. Exits if there is none."""
    live = max(found, key=lambda f: len(f.releases))
    known = list(dict.fromkeys(release for _, release in sorted(live.releases.items()) if release))
    if wanted:
        return wanted if wanted in known else sys.exit(f"There is no release {wanted}. There are: {' '.join(known)}")
    older = [release for release in known if (live.version(release) or 0) < live.live]
    return older[-1] if older else sys.exit(f"There is no release before {live.release or 'this one'}. Deploy an earlier commit instead.")


def rollback(stack):
    """Moves the alias of every function to its version of the previous release, or of RELEASE. All of them or none."""
    functions, found = released(stack)
    target = choose(found, os.environ.get("RELEASE"))
    moves = [(f, f.version(target)) for f in found]
    moved = []
    try:
        for function, version in moves:
            if version and version != function.live:
                function.move(functions, version)
                moved.append(function)
    except ClientError:
        for function in moved:
            function.move(functions, function.live)
        print("Nothing was changed: one alias could not be moved, so the others were moved back.", file=sys.stderr)
        raise
    for function, version in moves:
        if not version:
            print(f"{function.name:10}  stays at version {function.live}: it has none of {target}")
        elif version == function.live:
            print(f"{function.name:10}  is at version {version}")
        else:
            print(f"{function.name:10}  version {function.live} -> {version}")
    print(f"Every function of {stack.name} runs release {target}. The next deployment moves on from here: deploy a good commit soon.")


def count(sqs, queue):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return f"{found[names[0]]} waiting, {found[names[1]]} in progress"


def errors(stack, names):
    """Returns the errors of the last hour, newest first: (time in ms, log group, line)."""
    logs, found = stack.client("logs"), []
    for logical, group in names.items():
        if logical.endswith("Logs") and logical != "ApiLogs":
            pages = logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, startTime=int((time.time() - HOUR) * 1000), filterPattern='{ $.level = "ERROR" }', PaginationConfig={"MaxItems": 200}
            )
            found += [(event["timestamp"], group, event["message"]) for page in pages for event in page["events"]]
    return sorted(found, reverse=True)


def described(line):
    try:
        fields = json.loads(line)
    except ValueError:
        return line.strip()
    shown = [fields.get("message"), fields.get("fault"), fields.get("key") or fields.get("videoId")]
    return ": ".join(str(part) for part in shown if part)


def status(stack):
    """Shows the state of a stack on one screen: deployment, alarms, queues, transcodings, last errors."""
    description = stack.description()
    if not description:
        sys.exit(f"There is no stack {stack.name} in {stack.session.region_name}.")
    resources = stack.resources()
    names = {r["LogicalResourceId"]: r.get("PhysicalResourceId") for r in resources}
    print(f"{stack.name} in {stack.session.region_name}: {description['StackStatus']}")
    _, found = released(stack)
    print(f"\nRelease {' and '.join(sorted({f.release or '(unnamed)' for f in found}))}")
    print("  " + ", ".join(f"{f.name} {f.live}" for f in found))

    alarms = list(of_type(resources, "AWS::CloudWatch::Alarm").values())
    raised = [a for a in stack.client("cloudwatch").describe_alarms(AlarmNames=alarms, MaxRecords=100)["MetricAlarms"] if a["StateValue"] == "ALARM"]
    print(f"\nAlarms: {len(raised)} of {len(alarms)} raised")
    for alarm in raised:
        print(f"  {alarm['AlarmName']} since {alarm['StateUpdatedTimestamp']:%Y-%m-%d %H:%M}Z\n    {alarm['AlarmDescription']}")

    sqs = stack.client("sqs")
    print("\nQueues")
    for logical, meaning in (("VideoProcessingDLQ", "videos that failed"), ("WebhookQueue", "webhooks"), ("WebhookDLQ", "webhooks that failed")):
        if logical in names:
            print(f"  {meaning:20}  {count(sqs, names[logical])}")
    if "TranscodeMachine" in names:
        machine = stack.client("stepfunctions")
        running = machine.list_executions(stateMachineArn=names["TranscodeMachine"], statusFilter="RUNNING", maxResults=100)["executions"]
        print(f"  {'transcodings':20}  {len(running)} running")

    last = errors(stack, names)
    print(f"\nErrors of the last hour: {len(last)}")
    for at, group, line in last[:10]:
        print(f"  {time.strftime('%H:%M:%SZ', time.gmtime(at / 1000))} {group.rsplit('-', 1)[-1]:10} {described(line)[:150]}")


def drop(stack):
    """Ends one video for good: FAILED in its row, so that nothing tries it again, and its dead letters are deleted."""
    video = os.environ.get("VIDEO") or sys.exit(f"Which video? make drop ENV={stack.env} VIDEO=(videoId, see make dlq)")
    names = stack.physical()
    try:
        stack.client("dynamodb").update_item(
            TableName=names["VideoMetadata"],
            Key={"videoId": {"S": video}},
            UpdateExpression="SET #status = :failed, #error = :error REMOVE #due, #shard, replays",
            ConditionExpression="#status IN (" + ", ".join(f":s{i}" for i in range(len(UNFINISHED))) + ")",
            ExpressionAttributeNames={"#status": "status", "#error": "error", "#due": "due", "#shard": "shard"},
            ExpressionAttributeValues={
                ":failed": {"S": "FAILED"},
                ":error": {"M": DROPPED},
                **{f":s{i}": {"S": status} for i, status in enumerate(UNFINISHED)},
            },
        )
        print(f"{video} is FAILED with UNREADABLE; nothing tries it again.")
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        print(f"{video} is processed or deleted, or does not exist: its row was not changed.")
    sqs, queue = stack.client("sqs"), names["VideoProcessingDLQ"]
    deleted = 0
    for message in messages(sqs, queue):
        if video in " ".join(message_videos(message)):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            print(f"deleted the dead letter {message['MessageId']}")
            deleted += 1
        else:
            show(sqs, queue, message)
    print(f"{deleted} dead letters of this video were deleted. The object and the other dead letters were not touched.")
