"""Walks the state machine for videos of 0, 1 and 10,000 chunks, and with a failure of each task.

usage: machine.py ROOT

Interprets the parts of the Amazon States Language that the machine uses. Not modelled: time, concurrency, and the
executions of chunks, which run one after the other here.
"""

import json
import re
import sys
from pathlib import Path

# The size limit of the input or output of a state, in bytes of UTF-8.
MAX_PAYLOAD = 256 * 1024
# Errors that States.ALL does not catch.
UNCATCHABLE = ("States.DataLimitExceeded", "States.Runtime")
EVENT = {"videoId": "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e", "key": "videos/user/019ad2f4.mp4", "sequencer": "00" * 20, "rung": "v720"}
# What Lambda's integration returns in addition to the payload of the function.
METADATA = {"ExecutedVersion": "$LATEST", "StatusCode": 200, "SdkHttpMetadata": {"HttpHeaders": {"X-Amzn-Trace-Id": "x" * 90, "Date": "x" * 29}}}


class Failed(Exception):
    """The failure of a state or an execution: the name of the error, and its cause."""

    def __init__(self, error, cause):
        super().__init__(error, cause)
        self.error, self.cause = error, cause


def path(text, data):
    """Returns (whether it exists, the value) of a reference path such as `$.plan.chunks[0]`."""
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", text):
        try:
            data = data[name] if name else data[int(index)]
        except (KeyError, IndexError, TypeError):
            return False, None
    return True, data


def value(text, data, context):
    root = context if text.startswith("$$") else data
    found, result = path(text.lstrip("$"), root)
    if not found:
        raise Failed("States.Runtime", f"the path {text} does not exist")
    return result


def template(node, data, context):
    """Evaluates a payload template: the value of each field whose name ends in `.$` is a path."""
    if not isinstance(node, dict):
        return node
    return {k.removesuffix(".$"): value(v, data, context) if k.endswith(".$") else template(v, data, context) for k, v in node.items()}


def place(result, where, data):
    """Puts the result of a state into its input, as `ResultPath` says."""
    if where is None:
        return data
    return result if where == "$" else {**data, where.removeprefix("$."): result}


class Walk:
    """One execution. `task` plays the functions: it gets the payload, and returns a result or raises Failed."""

    def __init__(self, machine, task):
        self.machine, self.task, self.visited = machine, task, []

    def run(self, data):
        return self.states(self.machine, data, {"Execution": {"Input": data}})

    def states(self, scope, data, context):
        name = scope["StartAt"]
        while True:
            state = scope["States"][name]
            self.visited.append(name)
            self.limit(name, data)
            if state["Type"] == "Fail":
                raise Failed(value(state["ErrorPath"], data, context), value(state["CausePath"], data, context))
            if state["Type"] == "Choice":
                name = next((c["Next"] for c in state["Choices"] if path(c["Variable"], data)[0] == c["IsPresent"]), state["Default"])
                continue
            try:
                result = self.map(state, data, context) if state["Type"] == "Map" else self.invoke(state, data, context)
                self.limit(f"the result of {name}", result)
                data = place(template(state["ResultSelector"], result, context) if "ResultSelector" in state else result,
                             state.get("ResultPath", "$"), data)  # fmt: skip
                self.limit(name, data)
            except Failed as failure:
                if failure.error in UNCATCHABLE or "Catch" not in state:
                    raise
                (catch,) = state["Catch"]
                data = place({"Error": failure.error, "Cause": failure.cause}, catch.get("ResultPath", "$"), data)
                name = catch["Next"]
                continue
            if state.get("End"):
                return data
            name = state["Next"]

    def invoke(self, state, data, context):
        payload = template(state["Parameters"], data, context)["Payload"]
        return {**METADATA, "Payload": self.task(payload)}

    def map(self, state, data, context):
        items = value(state["ItemsPath"], data, {})
        if not items:
            raise Failed("States.Runtime", "a distributed map without items")
        results = []
        for item in items:
            child = template(state["ItemSelector"], data, {**context, "Map": {"Item": {"Value": item}}})
            try:
                results.append(self.states(state["ItemProcessor"], child, {}))
            except Failed as failure:
                raise Failed("States.ExceedToleratedFailureThreshold", failure.cause) from failure
        return results

    def limit(self, name, data):
        size = len(json.dumps(data, separators=(",", ":")).encode())
        if size > MAX_PAYLOAD:
            raise Failed("States.DataLimitExceeded", f"{name} has {size} bytes")


def functions(chunks, failing=(), error="Lambda.Unknown"):
    """Returns the functions of a video with this many chunks, and the list of their calls."""
    calls = []

    def task(payload):
        calls.append(payload["task"])
        if payload.get("input") != EVENT:
            raise Failed("Input", f"{payload['task']} does not get the whole input")
        if payload["task"] in failing:
            raise Failed(error, f"cause of {payload['task']}")
        return {"chunks": list(range(chunks))} if payload["task"] == "plan" else {}
    return task, calls


def success_problems(machine):
    for chunks in (0, 1, 10_000):
        task, calls = functions(chunks)
        try:
            Walk(machine, task).run(EVENT)
        except Failed as failure:
            yield f"{chunks} chunks: the execution fails: {failure.error}: {failure.cause}"
            continue
        expected = ["plan", *["encode"] * chunks, "package"]
        if calls != expected:
            yield f"{chunks} chunks: {len(calls)} calls, the last of which is {calls[-1]}, expected {len(expected)}"


def failure_problems(machine):
    """Every task that fails for good ends the execution with its cause, whether the failure can be recorded or not."""
    for failing in ("plan", "encode", "package"):
        for recorded in (True, False):
            task, calls = functions(2, (failing,) if recorded else (failing, "fail"))
            what = f"{failing} fails" + ("" if recorded else ", and recording that fails")
            try:
                Walk(machine, task).run(EVENT)
            except Failed as failure:
                if failure.cause != f"cause of {failing}":
                    yield f"{what}: the execution's cause is {failure.error}: {failure.cause}"
            else:
                yield f"{what}: the execution succeeds"
            if "fail" not in calls:
                yield f"{what}: the failure is not recorded"


def walked(machine):
    """Returns the states that have been visited by all walks."""
    visited = set()
    for failing in ((), ("plan",), ("encode",), ("package",)):
        for chunks in (0, 2):
            walk = Walk(machine, functions(chunks, failing)[0])
            try:
                walk.run(EVENT)
            except Failed:
                pass
            visited.update(walk.visited)
    return visited


def main(root):
    text = (root / "statemachines" / "transcode.asl.json").read_text()
    machine = json.loads(re.sub(r": \$\{\w+\}", ": 7", text))
    found = [*success_problems(machine), *failure_problems(machine)]
    names = {name for scope in (machine, machine["States"]["Encode"]["ItemProcessor"]) for name in scope["States"]}
    found += [f"{name} is never reached" for name in sorted(names - walked(machine))]
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
