"""Shared code of the functions. Clients are created once; keep-alive is on by default."""

import json
import os
import time
from datetime import datetime, timezone

import boto3
from botocore.config import Config

table, uploads, thumbnails = (os.environ[name] for name in ("TABLE_NAME", "UPLOADS_BUCKET", "THUMBNAILS_BUCKET"))

addressing = {"addressing_style": "path" if "AWS_ENDPOINT_URL" in os.environ else "virtual"}
# A presigned PUT must not include a checksum of a body that does not exist yet; boto3 adds none.
s3 = boto3.client("s3", config=Config(signature_version="s3v4", s3=addressing))
dynamodb = boto3.client("dynamodb")


def caller(event):
    """Returns the user that the API's authorizer verified."""
    return event["requestContext"].get("authorizer", {}).get("claims", {}).get("sub")


def header(event, name):
    return next((value for key, value in event["headers"].items() if key.lower() == name), None)


def respond(status, body, **headers):
    print(json.dumps({"level": "INFO", "status": status, "message": "answered"}))
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "access-control-allow-origin": "*", **headers},
        "body": body if isinstance(body, str) else json.dumps(body),
    }


def text(value):
    return {"S": value}


def number(value):
    return {"N": str(value)}


def create(video_id, user, key, filename, content_type, size):
    """Creates the row of a video that is not uploaded yet."""
    item = {
        "videoId": text(video_id), "userId": text(user), "key": text(key), "filename": text(filename),
        "contentType": text(content_type), "status": text("PENDING"), "attempts": number(0),
        "uploadTime": text(datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")),
        "ttl": number(int(time.time()) + 86_400),
    }
    if size is not None:
        item["size"] = number(size)
    dynamodb.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(videoId)")


def sign_get(bucket, key):
    return s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=900)
