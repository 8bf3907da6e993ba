"""GET /videos and GET /videos/{videoId}"""

import base64
import hashlib
import json

from boto3.dynamodb.types import TypeDeserializer

from common import caller, dynamodb, header, respond, sign_get, table, text, thumbnails

deserialize = TypeDeserializer().deserialize
INTERNAL = {"key", "sequencer", "attempts", "ttl", "thumbnailKey", "thumbnailLargeKey", "storyboardKey"}


def plain(value):
    """Converts a Decimal, which DynamoDB uses for numbers, for json."""
    return int(value) if value == value.to_integral_value() else float(value)


def view(item):
    """Returns the row with signed URLs instead of keys."""
    row = {name: deserialize(value) for name, value in item.items()}
    video = {name: value for name, value in row.items() if name not in INTERNAL}
    for name, url in (("thumbnailKey", "thumbnailUrl"), ("thumbnailLargeKey", "thumbnailLargeUrl"),
                      ("storyboardKey", "storyboardUrl")):
        if name in row:
            video[url] = sign_get(thumbnails, row[name])
    if "storyboardKey" in row:
        video["storyboardImageUrl"] = sign_get(thumbnails, row["storyboardKey"].replace(".vtt", ".jpg"))
    return video


def listed(user, limit):
    page = dynamodb.query(
        TableName=table, IndexName="byUser", KeyConditionExpression="userId = :user",
        ExpressionAttributeValues={":user": text(user)}, ScanIndexForward=False, Limit=limit)
    body = {"videos": [view(item) for item in page["Items"]]}
    if last := page.get("LastEvaluatedKey"):
        body["cursor"] = base64.urlsafe_b64encode(json.dumps(last).encode()).decode()
    return respond(200, json.dumps(body, default=plain))


def one(event, user, video_id):
    item = dynamodb.get_item(TableName=table, Key={"videoId": text(video_id)}, ConsistentRead=True).get("Item")
    if not item or item["userId"]["S"] != user:
        return respond(404, {"message": "There is no such video."})
    body = json.dumps(view(item), default=plain)
    etag = f'"{hashlib.sha256(body.encode()).hexdigest()}"'
    if header(event, "if-none-match") == etag:
        return respond(304, "")
    return respond(200, body, etag=etag)


def handler(event, context):
    user = caller(event)
    if not user:
        return respond(401, {"message": "Sign in first."})
    video_id = (event["pathParameters"] or {}).get("videoId")
    if video_id:
        return one(event, user, video_id)
    return listed(user, int((event["queryStringParameters"] or {}).get("limit", 20)))
