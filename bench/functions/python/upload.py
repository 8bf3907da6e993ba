"""POST /upload"""

import base64
import io
from uuid import uuid4

from multipart import MultipartParser, parse_options_header

from common import caller, create, dynamodb, header, respond, s3, sign_get, table, text, uploads


def read(event):
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    _, options = parse_options_header(header(event, "content-type"))
    # Keep the parts in memory; the whole body is there already.
    parser = MultipartParser(io.BytesIO(body), options["boundary"], len(body), spool_limit=len(body))
    return parser.get("file")


def handler(event, context):
    user = caller(event)
    if not user:
        return respond(401, {"message": "Sign in first."})
    file = read(event)
    if not file:
        return respond(400, {"message": "The form has no field file."})
    content = file.raw
    if content[4:8] != b"ftyp":
        return respond(415, {"message": "This file is not an MP4."})
    video_id = str(uuid4())
    key = f"videos/{user}/{video_id}.mp4"
    create(video_id, user, key, file.filename, "video/mp4", len(content))
    s3.put_object(Bucket=uploads, Key=key, ContentType="video/mp4", IfNoneMatch="*", Body=content)
    dynamodb.update_item(
        TableName=table, Key={"videoId": text(video_id)},
        UpdateExpression="SET #status = :uploaded REMOVE #ttl", ConditionExpression="#status = :pending",
        ExpressionAttributeNames={"#status": "status", "#ttl": "ttl"},
        ExpressionAttributeValues={":uploaded": text("UPLOADED"), ":pending": text("PENDING")})
    url = sign_get(uploads, key)
    return respond(200, {"success": True, "videoId": video_id, "status": "UPLOADED", "url": url})
