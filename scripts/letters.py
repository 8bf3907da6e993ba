"""The dead letters: messages of a queue, and the videos that they are about."""

import json
from urllib.parse import unquote_plus


def videos(event):
    """Yields the keys of the videos of an event."""
    for record in event.get("Records", []):
        if record.get("eventSource") == "aws:s3":
            yield unquote_plus(record["s3"]["object"]["key"])


def messages(sqs, queue):
    """Returns the messages of a dead-letter queue, oldest first. Hides them for a minute, so that none is listed twice."""
    found = {}
    while True:
        response = sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=60,
            WaitTimeSeconds=2,
            MessageAttributeNames=["All"],
            AttributeNames=["SentTimestamp"],
        )
        new = {m["MessageId"]: m for m in response.get("Messages", []) if m["MessageId"] not in found}
        if not new:
            return sorted(found.values(), key=lambda m: int(m["Attributes"]["SentTimestamp"]))
        found |= new


def show(sqs, queue, message):
    """Makes a message visible again."""
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)


def parsed(message):
    try:
        return json.loads(message["Body"])
    except ValueError:
        return {}


def message_videos(message):
    """Returns the keys of the videos of a dead letter; empty if its format is unknown."""
    try:
        event = parsed(message)
        # Lambda wraps the event in `requestPayload` if the queue is a failure destination.
        return list(videos(event.get("requestPayload", event)))
    except (KeyError, AttributeError):
        return []
