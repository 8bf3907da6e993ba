"""ministack, with what the tests of healing need and it lacks. Has the options and variables of ministack.

- Lambda sends an event that it gives up on to the failure destination and to the dead-letter queue. ministack sends it
  to the former only.
- Lambda uses the retries and the failure destination of the alias that was invoked. ministack knows those of $LATEST.
- Schedules fire within half a second, not ten.
- While the file that HOLD_DELETIONS names exists, S3 does not answer requests that delete objects, and ignores them.
"""

import asyncio
import os
from pathlib import Path

from ministack import app as ministack
from ministack.services import lambda_svc, scheduler

HOLD = Path(os.environ["HOLD_DELETIONS"])
route_failure = lambda_svc._route_async_failure
invoke_async = lambda_svc.invoke_async_with_retry
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


async def answer_or_hold(scope, receive, send):
    if not deletes_objects(scope) or not HOLD.exists():
        return await answer(scope, receive, send)
    while HOLD.exists():
        await asyncio.sleep(0.05)
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b""})


scheduler._SCHEDULE_TICK_INTERVAL = 0.5
lambda_svc._route_async_failure = route_to_both
lambda_svc.invoke_async_with_retry = invoke_by_alias
ministack.app = answer_or_hold
ministack.main()
