"""Verifies webhook signatures according to https://www.mux.com/docs/core/verify-webhook-signatures.

Shares no code with Upreel. Reads JSON lines {secret, signature, body} and prints `ok` or the error for each.
"""

import hashlib
import hmac
import json
import sys
import time

TOLERANCE = 300  # seconds


def verify(secret, signature, body):
    parts = dict(part.split("=", 1) for part in signature.split(","))
    if parts.keys() != {"t", "v1"}:
        return "malformed"
    expected = hmac.new(secret.encode(), f"{parts['t']}.{body}".encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, parts["v1"]):
        return "another signature"
    return "ok" if abs(time.time() - int(parts["t"])) <= TOLERANCE else "too old"


if __name__ == "__main__":
    for line in sys.stdin:
        print(verify(**json.loads(line)))
