"""ministack, with what the tests of healing and playback need and it lacks. Has the options and variables of ministack.

- Lambda sends an event that it gives up on to the failure destination and to the dead-letter queue. ministack sends it
  to the former only.
- Lambda uses the retries and the failure destination of the alias that was invoked. ministack knows those of $LATEST.
- Schedules fire within half a second, not ten.
- While the file that HOLD_DELETIONS names exists, S3 does not answer requests that delete objects, and ignores them.
- While the file that HOLD_SEGMENTS names exists, S3 does not store segments of originals; a file `.waiting` beside it says
  that a request waits.
- CloudFront fails over to the second origin of an origin group; the addresses of API Gateway are those of the emulator.
"""

import asyncio
import os
from pathlib import Path

from ministack import app as ministack
from ministack.services import cloudfront, lambda_svc, scheduler

HOLD = Path(os.environ["HOLD_DELETIONS"])
HOLD_SEGMENTS = Path(os.environ["HOLD_SEGMENTS"])
route_failure = lambda_svc._route_async_failure
invoke_async = lambda_svc.invoke_async_with_retry
parse_distribution = cloudfront.parse_distribution_dataplane_config
fetch_from_origin = cloudfront._fetch_from_origin
answer = ministack.app


def invoke_by_alias(record, event):
    function = lambda_svc._functions.get(record["config"]["FunctionName"], {})
    record["event_invoke_config"] = (function.get("event_invoke_configs") or {}).get("live")
    return invoke_async(record, event)


def route_to_both(target, name, event, result):
    route_failure(target, name, event, result)
    function = lambda_svc._functions.get(name, {}).get("config", {})
    queue = (function.get("DeadLetterConfig") or {}).get("TargetArn")
    if queue and queue != target:
        route_failure(queue, name, event, result)


def deletes_objects(scope):
    if scope["type"] != "http":
        return False
    bucket = scope["path"].split("/")[1]
    is_stored = any(f"-{kind}-" in bucket for kind in ("uploads", "thumbnails", "processed"))
    return is_stored and (scope["method"] == "DELETE" or (scope["method"] == "POST" and b"delete" in scope["query_string"]))


def stores_segment(scope):
    return scope["type"] == "http" and scope["method"] == "PUT" and "-processed-" in scope["path"] and scope["path"].split("/")[2:3] == ["segments"]


def texts(element, tag):
    """Returns the texts of the elements with this name below another one."""
    return [found.text for found in element.iter() if cloudfront._local_tag_name(found) == tag]


def parse_with_groups(distribution):
    """Adds each origin group to the origins: the first of its members, with the codes and the origin to fail over to."""
    parsed = parse_distribution(distribution)
    for group in cloudfront._dist_config_el(distribution).iter():
        if cloudfront._local_tag_name(group) == "OriginGroup":
            first, second = (parsed["origins"][name] for name in texts(group, "OriginId"))
            codes = {int(code) for code in texts(group, "StatusCode")}
            parsed["origins"][texts(group, "Id")[0]] = {**first, "failover": (codes, second)}
    return parsed


def reachable(origin):
    """Returns an origin whose address is that of the emulator, if it is API Gateway."""
    api, _, domain = origin["domain_name"].partition(".execute-api.")
    if not domain:
        return origin
    path = f"/restapis/{api}{origin['origin_path']}/_user_request_"
    return {**origin, "domain_name": "127.0.0.1", "http_port": int(os.environ["GATEWAY_PORT"]), "protocol_policy": "http-only", "origin_path": path}


async def fetch_with_failover(origin, *request):
    fetched = await fetch_from_origin(reachable(origin), *request)
    codes, second = origin.get("failover", ((), None))
    return await fetch_from_origin(reachable(second), *request) if fetched[0] in codes else fetched


async def answer_or_hold(scope, receive, send):
    if stores_segment(scope):
        while HOLD_SEGMENTS.exists():
            HOLD_SEGMENTS.with_suffix(".waiting").touch()
            await asyncio.sleep(0.05)
    if not deletes_objects(scope) or not HOLD.exists():
        return await answer(scope, receive, send)
    while HOLD.exists():
        await asyncio.sleep(0.05)
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b""})


scheduler._SCHEDULE_TICK_INTERVAL = 0.5
lambda_svc._route_async_failure = route_to_both
lambda_svc.invoke_async_with_retry = invoke_by_alias
cloudfront.parse_distribution_dataplane_config = parse_with_groups
cloudfront._fetch_from_origin = fetch_with_failover
ministack.app = answer_or_hold
ministack.main()
