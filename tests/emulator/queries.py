"""Checks that every field of the queries and every metric of the dashboard and the alarms occurs in the functions' real logs."""

import json
import re

from emulator import ROOT

# Words of the query language, and fields that CloudWatch adds.
WORDS = {"fields", "filter", "stats", "sort", "limit", "as", "by", "desc", "asc", "like", "in", "and", "or", "not", "count", "pct", "max", "min",
         "avg", "sum", "latest", "bin", "ispresent", "h", "m"}  # fmt: skip
# Queries whose lines no journey writes, and why.
NOT_EMULATED = {"6": "the report that Lambda writes after each invocation", "11": "the list leaves objects alone that are younger than a day",
                "4b": "no journey makes a storyboard fail; the same code writes the line of a poster, which query 4 reads"}  # fmt: skip


def logged(emulator, stack):
    """Returns the JSON lines of each function's log, by the lower-case name of the function."""
    logs, found = emulator.client("logs"), {}
    for logical, group in stack.ids.items():
        if stack.types[logical] == "AWS::Logs::LogGroup" and logical != "ApiLogs":
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            lines = [event["message"] for page in pages for event in page["events"]]
            found[logical.removesuffix("Logs").lower()] = [json.loads(line) for line in lines if line.startswith("{")]
    return found


def queries():
    """Yields (number, where, text) of each query of the operations document, and of the dashboard."""
    text = (ROOT / "docs" / "OPERATIONS.md").read_text()
    for number, title, query in re.findall(r"^# (\w+) +(.*)\n((?:(?!#|```).+\n)+)", text, re.MULTILINE):
        if "aws dynamodb" not in query:
            yield number, re.search(r"\(([^)]*)\)$", title)[1], query
    (query,) = re.findall(r'"query": "[^"]*(\| fields [^"]*)"', (ROOT / "template.yaml").read_text())
    yield "of the dashboard", "function log groups", query


def used(query):
    """Returns the fields that a query uses, and the messages that it selects."""
    messages = re.findall(r'"([^"]*)"', "".join(re.findall(r'message (?:=|in) ("[^"]*"|\[[^\]]*\])', query)))
    bare = re.sub(r'"[^"]*"|\'[^\']*\'|/[^/]*/|\bas \w+|@\w+|\b\d\w*', " ", query)
    aliases = set(re.findall(r"\bas (\w+)", query))
    return {name for name in re.findall(r"[A-Za-z][\w.]*", bare) if name not in WORDS} - aliases, messages


def has(line, field):
    for part in field.split("."):
        if not isinstance(line, dict) or part not in line:
            return False
        line = line[part]
    return True


def query_problems(number, where, query, logs, access):
    fields, messages = used(query)
    if number in NOT_EMULATED:
        return
    if where.startswith("API Gateway"):
        yield from (f"query {number}: the access log has no {field}" for field in fields - access)
        return
    lines = [line for name, found in logs.items() if where == "function log groups" or name == where for line in found]
    if messages:
        lines = [line for line in lines if line.get("message") in messages]
    for field in sorted(fields):
        if not any(has(line, field) for line in lines):
            yield f"query {number}: no line of {where} {messages or ''} has {field}"


def metric_problems(template, logs):
    """Yields the metrics of alarms and the dashboard that no function has written with the dimensions of the stack."""
    written = set()
    for lines in logs.values():
        for line in lines:
            for metrics in line.get("_aws", {}).get("CloudWatchMetrics", []):
                values = tuple((name, line.get(name)) for name in metrics["Dimensions"][0])
                written |= {(metric["Name"], values) for metric in metrics["Metrics"] if metric["Name"] in line}
    text = json.dumps(template["Resources"]["Dashboard"], default=str).replace("\\", "")
    shown = {name for _, name in re.findall(r'\["(Upreel)", "(\w+)"', text)}
    # "." repeats the namespace of the line before.
    for block in re.findall(r'\["Upreel".*?\]\]', text, re.DOTALL):
        shown |= set(re.findall(r'\["\.", "(\w+)", "\.", "\.", "\.", "\."', block))
    shown |= {r["Properties"]["MetricName"] for r in template["Resources"].values() if r.get("Properties", {}).get("Namespace") == "Upreel"}
    assert len(shown) >= 12, shown
    for name in sorted(shown):
        dimensions = {"Stack"} if name == "Cost" else {"Stack", "Function"}
        if not any(metric == name and dict(values).get("Stack") == "upreel" and dict(values).keys() == dimensions for metric, values in written):
            yield f"no function has written the metric {name} with the dimensions {sorted(dimensions)}"


def test_queries(emulator, stack, template):
    logs = logged(emulator, stack)
    assert all(logs.values()), {name: len(lines) for name, lines in logs.items()}
    access = set(re.findall(r'"(\w+)":"\$context', template["Resources"]["Api"]["Properties"]["AccessLogSetting"]["Format"]))
    found = list(metric_problems(template, logs))
    count = 0
    for number, where, query in queries():
        count += 1
        found += query_problems(number, where, query, logs, access)
    assert not found, "\n".join(found)
    assert count >= 13, count
    # The check finds fields and metrics that do not exist.
    assert list(query_problems("0", "thumbnail", 'filter message = "poster made" | stats avg(seconds)', logs, access))
    assert list(query_problems("0", "function log groups", "fields reason_of_the_fault", logs, access))
    assert list(query_problems("0", "API Gateway log group", "filter code like /^5/", logs, access))
    assert list(metric_problems(json.loads(json.dumps(template, default=str).replace('"Stuck"', '"Hopeless"')), logs))
    print(f"{sum(map(len, logs.values()))} lines have every field of {count} queries")
