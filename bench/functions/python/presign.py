"""GET /presign and GET /s3/multipart/{uploadId}/{partNumber}"""

from uuid import uuid4

from common import caller, create, respond, s3, uploads


def presign(user, query):
    name, content_type = query.get("name"), query.get("type", "application/octet-stream")
    if not name:
        return respond(400, {"message": "The parameter name is required."})
    size = int(query["size"]) if "size" in query else None
    video_id = str(uuid4())
    key = f"videos/{user}/{video_id}.mp4"
    put = {"Bucket": uploads, "Key": key, "ContentType": content_type}
    if size is not None:
        put["ContentLength"] = size
    url = s3.generate_presigned_url("put_object", put, ExpiresIn=300)
    create(video_id, user, key, name, content_type, size)
    return respond(200, {"uploadUrl": url, "videoId": video_id, "method": "PUT",
                        "headers": {"Content-Type": content_type}, "key": key, "expiresIn": 300})


def part(user, path, query):
    key = query.get("key", "")
    if not key.startswith(f"videos/{user}/"):
        return respond(404, {"message": "There is no such upload."})
    part = {"Bucket": uploads, "Key": key, "UploadId": path["uploadId"], "PartNumber": int(path["partNumber"])}
    return respond(200, {"url": s3.generate_presigned_url("upload_part", part, ExpiresIn=900), "expires": 900})


def handler(event, context):
    user = caller(event)
    if not user:
        return respond(401, {"message": "Sign in first."})
    query = event["queryStringParameters"] or {}
    if event["resource"] == "/presign":
        return presign(user, query)
    return part(user, event["pathParameters"], query)
