"""ministack, with what the tests of healing need and it lacks. Has the options and variables of ministack.

- Lambda sends an event that it gives up on to the failure destination and to the dead-letter queue. ministack sends it
  to the former only.
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
answer = ministack.app


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
ministack.app = answer_or_hold
ministack.main()
