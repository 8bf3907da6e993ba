"""Schemathesis hooks that supply what generated requests cannot contain: videos, and ETags returned by S3."""

import os
import sys
from pathlib import Path

import requests
import schemathesis
from hypothesis import strategies
from schemathesis import GenerationMode
from schemathesis.transport.serialization import Binary

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend import BROKEN  # noqa: E402

API = os.environ["UPREEL_API"]
VIDEO = Path(os.environ["UPREEL_VIDEO"]).read_bytes()

# Mostly broken files, which are processed quickly.
schemathesis.openapi.format("binary", strategies.sampled_from([*[BROKEN] * 7, VIDEO]).map(Binary))


def integers(value):
    """Converts integral floats: JSON Schema accepts 1.0 as an integer, the functions only 1, as JavaScript writes it."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [integers(item) for item in value]
        case dict():
            return {name: integers(item) for name, item in value.items()}
    return value


def operation_id(operation):
    return operation.definition.raw["operationId"]


# The texts of the form of an upload.
TEXTS = ("title", "description", "tags", "metadata", "expiresAt")


@schemathesis.hook
def filter_body(context, body):
    """Leaves out forms with other values than texts: a form has only texts, so the server would get valid ones."""
    is_form = operation_id(context.operation) == "uploadVideo" and isinstance(body, dict)
    return not is_form or all(isinstance(body.get(name, ""), str) for name in TEXTS)


@schemathesis.hook
def filter_query(context, query):
    """Leaves out metadata that is no object: the server ignores it."""
    return not isinstance(query, dict) or isinstance(query.get("metadata", {}), dict)


@schemathesis.hook
def map_body(context, body):
    if operation_id(context.operation) == "uploadVideo" and isinstance(body, dict):
        # Drop other fields: the generator gives them names that cannot be encoded in a form.
        return {name: value for name, value in body.items() if name == "file"}
    return integers(body)


@schemathesis.hook
def before_call(context, case, kwargs):
    positive = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if positive and operation_id(case.operation) == "completeMultipartUpload" and (etag := stored_part(case)):
        case.body = {"parts": [{"PartNumber": 1, "ETag": etag}]}


def stored_part(case):
    """Uploads part 1 and returns its ETag, or None if the upload does not exist."""
    url = f"{API}/s3/multipart/{case.path_parameters['uploadId']}/1"
    signed = requests.get(url, params={"key": case.query.get("key")}, headers={"x-user": "alice"}, timeout=600)
    if signed.status_code != 200:
        return None
    return requests.put(signed.json()["url"], data=BROKEN, timeout=600).headers.get("ETag")
