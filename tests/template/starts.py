"""Starts every function's program with one setting missing each, and checks that operators can see why it fails.

usage: starts.py FOLDER   (of the programs)

A failed start has to be one JSON line of level ERROR, with the fields that the dashboard and query 1 of the operations
document show. Runs the same with a line that lacks them, to check the check.
"""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from transform import Resolved, load, transform

STORES = {"TABLE_NAME", "UPLOADS_BUCKET", "THUMBNAILS_BUCKET", "PROCESSED_BUCKET"}
# The settings without which a program must not start; all others have a default.
NEEDED = {
    "UploadFunction": STORES,
    "PresignFunction": STORES,
    "VideosFunction": STORES | {"CDN_SECRET_ARN"},
    "PlaybackFunction": STORES,
    "ThumbnailFunction": STORES,
    "ReconcileFunction": STORES | {"THUMBNAIL_FUNCTION", "DEAD_LETTER_QUEUE_URL"},
    "WebhookFunction": {"WEBHOOK_URL", "WEBHOOK_SECRET_ARN", "WEBHOOK_QUEUE_URL"},
    "TranscodeFunction": STORES,
    "EncodeFunction": STORES,
}
EVERYTHING = {"Transcode": "true", "Cdn": "true", "WebhookUrl": "https://a.example"}


def shown_fields():
    """Returns the fields of the dashboard's query and of query 1, without those that CloudWatch adds."""
    operations = Path("docs/OPERATIONS.md").read_text()
    first = re.search(r"^# 1 .*\n((?:.+\n)+)", operations, re.MULTILINE)[1]
    queries = [first, Path("template.yaml").read_text().split('"query": ')[1].split("\n")[0]]
    return [{name.strip() for name in re.search(r"fields ([^|]+?)\s*\|", query)[1].split(",")} - {"@timestamp", "@log"} for query in queries]


def start(program, variables):
    """Starts a program. Lambda's API is not there, so that a program with all settings ends too."""
    environment = {**variables, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_REGION": "eu-central-1",
                   "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
                   "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}  # fmt: skip
    done = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout, done.stderr


def line_problems(name, status, output, shown):
    """Yields what is wrong with the output of a program that lacks the setting `name`."""
    lines = output.splitlines()
    if status == 0 or len(lines) != 1:
        yield f"exit status {status} and {len(lines)} lines: {output[:300]!r}"
        return
    try:
        line = json.loads(lines[0])
    except ValueError:
        yield f"not JSON: {lines[0][:300]}"
        return
    if line.get("level") != "ERROR":
        yield f"level {line.get('level')!r}"
    for fields in shown:
        # Some fields belong to other messages; these two say what has happened and why.
        if not {"message", "fault"} <= fields & line.keys():
            yield f"the line {sorted(line)} lacks a message or a fault, or the query that shows {sorted(fields)} does"
    if name not in str(line.get("fault")):
        yield f"the fault does not name the setting: {line.get('fault')}"


def check(case):
    function, program, variables, missing, shown = case
    given = {name: value for name, value in variables.items() if name != missing}
    status, output, _ = start(program, given)
    where = f"{function} without {missing}"
    if missing in NEEDED[function]:
        return [f"{where}: {problem}" for problem in line_problems(missing, status, output, shown)]
    return [f"{where}: does not start, although there is a default"] if missing and missing in output else []


def main(folder):
    shown = shown_fields()
    resources = Resolved(transform(load("template.yaml")), EVERYTHING).resources
    cases = []
    for function, needed in NEEDED.items():
        program = folder / resources[function]["Metadata"]["BuildProperties"]["Binary"]
        variables = resources[function]["Properties"]["Environment"]["Variables"]
        if lacking := needed - variables.keys():
            print(f"{function}: the template does not set {lacking}")
            return 1
        cases += [(function, program, variables, missing, shown) for missing in (*sorted(variables), None)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [problem for problems in pool.map(check, cases) for problem in problems]
    # The check of the check: lines as they were before.
    faults = ('{"level":"ERROR","message":"function cannot run","reason":"TABLE_NAME is not set"}', "Error: TABLE_NAME is not set",
              '{"level":"INFO","message":"function cannot run","fault":"TABLE_NAME is not set"}',
              '{"level":"ERROR","message":"function cannot run","fault":"a setting is not set"}', "{}\n{}", "")  # fmt: skip
    missed = [line for line in faults if not list(line_problems("TABLE_NAME", 1, line, shown))]
    for problem in [*found, *(f"not found: {line}" for line in missed)]:
        print(problem)
    print(f"{len(cases)} starts, {len(faults) - len(missed)}/{len(faults)} caught")
    return bool(found or missed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
