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
    time_part, *codes = [part.split("=", 1) for part in signature.split(",")]
    # There is one code for each secret while one replaces another.
    if time_part[0] != "t" or not codes or {name for name, _ in codes} != {"v1"}:
        return "malformed"
    expected = hmac.new(secret.encode(), f"{time_part[1]}.{body}".encode(), hashlib.sha256).hexdigest()
    if not any(hmac.compare_digest(expected, code) for _, code in codes):
        return "another signature"
    return "ok" if abs(time.time() - int(time_part[1])) <= TOLERANCE else "too old"


if __name__ == "__main__":
    for line in sys.stdin:
        print(verify(**json.loads(line)))
