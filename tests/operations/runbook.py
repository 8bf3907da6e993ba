"""Runs every shell block of docs/OPERATIONS.md with stubs of aws, sam, make and cargo, and checks what the blocks asked for.

usage: runbook.py ROOT

The stack exists in samconfig.toml, outputs and logical IDs in the template, AWS's operations and their arguments in
botocore, and the targets in the Makefile.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import botocore.session
from botocore import xform_name

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[0] / "template"))
from transform import Resolved, load, transform  # noqa: E402

# Everything that the template can create.
EVERYTHING = {"Transcode": "true", "Cdn": "true", "WebhookUrl": "https://a.example", "AlarmEmail": "a@example.com"}
# Prints what the block needs to continue, and records the arguments.
STUB = r'''#!/bin/sh
{ printf '%s' "$(basename "$0")"; for argument; do printf '\037%s' "$argument"; done; printf '\036'; } >> "$CALLS"
case "$*" in
  *describe-stacks*) printf '%s' "$*" | sed "s/.*OutputKey=='\([^']*\)'.*/OUTPUT-\1/" ;;
  *describe-stack-resource*) printf '%s' "$*" | sed 's/.*--logical-resource-id \([^ ]*\).*/RESOURCE-\1/' ;;
  *receive-message*) echo '{"Messages": []}' ;;
esac
'''
# Commands of the AWS CLI that are not operations: (service, command).
CUSTOM = {("logs", "tail"), ("s3", "rm"), ("configure", "export-credentials")}
# Options of the AWS CLI itself, and those that it derives from an operation's members.
OPTIONS = {"output", "query", "region", "cli-binary-format", "no-paginate"}
SAM = {"build", "deploy", "delete", "logs", "validate"}


def blocks(text):
    """Yields (line, code) of each shell block; one in a list is indented."""
    for match in re.finditer(r"^( *)```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        yield text[: match.start()].count("\n") + 2, re.sub(f"^{match[1]}", "", match[2], flags=re.MULTILINE)


class Known:
    """What exists: stacks, outputs, logical IDs, log groups, targets."""

    def __init__(self, root):
        template = transform(load(root / "template.yaml"))
        self.resources, self.outputs = set(template["Resources"]), set(template["Outputs"])
        config = tomllib.loads((root / "samconfig.toml").read_text())
        self.sections = {name for name, section in config.items() if isinstance(section, dict) and "deploy" in section}
        self.stacks = {config[name]["deploy"]["parameters"]["stack_name"] for name in self.sections}
        self.bootstraps = {f"{stack}-bootstrap" for stack in self.stacks}
        groups = Resolved(template, {**EVERYTHING, "AWS::StackName": "STACK"}).resources.values()
        groups = [r["Properties"]["LogGroupName"] for r in groups if r["Type"] == "AWS::Logs::LogGroup"]
        self.groups = {group.replace("STACK", stack) for group in groups for stack in self.stacks}
        program = (root / "crates" / "local" / "src" / "main.rs").read_text()
        self.program_options = {name.replace("_", "-") for name in re.findall(r"#\[arg\(long.*\)\]\n    (\w+):", program)}
        makefile = (root / "Makefile").read_text()
        self.targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
        self.on_account = set(re.search(r"^ENV_COMMANDS = (.*)$", makefile, re.MULTILINE)[1].split())
        self.session = botocore.session.Session()

    def problems(self, call):
        """Yields what is wrong with a recorded call."""
        name, *arguments = call.split("\x1f")
        for output in re.findall(r"OUTPUT-(\w*)", call):
            if output not in self.outputs:
                yield f"there is no output {output}"
        for resource in re.findall(r"RESOURCE-(\w*)", call):
            if resource not in self.resources:
                yield f"there is no resource {resource}"
        yield from {"make": self.make, "aws": self.aws, "sam": self.sam, "cargo": self.cargo}[name](arguments)

    def make(self, arguments):
        target, variables = arguments[0], dict(argument.split("=", 1) for argument in arguments[1:] if "=" in argument)
        if target not in self.targets:
            yield f"there is no target {target}"
        if target in self.on_account and variables.get("ENV") not in self.sections | self.stacks:
            yield f"make {target}: ENV is {variables.get('ENV')}"
        if unknown := variables.keys() - {"ENV", "PARAMETERS", "VIDEO", "RELEASE", "KEEP", "DATA", "CONFIRM"}:
            yield f"make {target}: unknown variables {unknown}"
        template = set(load(Path(sys.argv[1]) / "template.yaml")["Parameters"])
        for name in re.findall(r"(\w+)=", re.sub(r"=\S+", "=", variables.get("PARAMETERS", ""))):
            if name not in template:
                yield f"make {target}: there is no parameter {name}"

    def sam(self, arguments):
        if arguments[0] not in SAM:
            yield f"sam has no command {arguments[0]}"
        if "--config-env" in arguments and arguments[arguments.index("--config-env") + 1] not in self.sections:
            yield f"sam {arguments[0]}: there is no such section of samconfig.toml"

    def cargo(self, arguments):
        options = {argument.removeprefix("--") for argument in arguments[arguments.index("--") + 1 :] if argument.startswith("--")}
        if unknown := options - self.program_options:
            yield f"upreel has no option {' '.join(sorted(unknown))}"

    def aws(self, arguments):
        service, command, *rest = arguments
        options = {argument.removeprefix("--") for argument in rest if argument.startswith("--")} - OPTIONS
        values = dict(zip([argument.removeprefix("--") for argument in rest], rest[1:]))
        if "stack-name" in values and values["stack-name"] not in self.stacks | self.bootstraps:
            yield f"there is no stack {values['stack-name']!r}"
        if "log-group-name" in values and values["log-group-name"] not in self.groups or (service, command) == ("logs", "tail") and rest[0] not in self.groups:
            yield f"there is no log group {rest[0]}"
        if any(value == "" for value in rest):
            yield f"aws {service} {command}: an argument is empty"
        if (service, command) in CUSTOM:
            return
        try:
            model = self.session.get_service_model({"s3api": "s3"}.get(service, service))
        except botocore.exceptions.UnknownServiceError:
            yield f"aws has no service {service}"
            return
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        if command not in operations:
            yield f"aws {service} has no command {command}"
            return
        members = model.operation_model(operations[command]).input_shape.members
        # The CLI calls a boolean --name or --no-name, and `invoke` names its output file without an option.
        known = {xform_name(name, "-") for name in members} | {f"no-{xform_name(name, '-')}" for name, shape in members.items() if shape.type_name == "boolean"}
        if unknown := options - known:
            yield f"aws {service} {command} has no option {' '.join(sorted(unknown))}"


def run(code, folder):
    """Runs a block; returns its calls and, if it fails, what it printed."""
    calls = folder / "calls"
    calls.write_text("")
    environment = {"PATH": f"{folder}/bin:/usr/bin:/bin", "CALLS": str(calls), "HOME": str(folder)}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    return calls.read_text().split("\x1e")[:-1], done.stderr if done.returncode else ""


def problems(root):
    known, count = Known(root), 0
    text = (root / "docs" / "OPERATIONS.md").read_text()
    for target in sorted(set(re.findall(r"`make ([a-z-]+)", text)) - known.targets):
        yield f"there is no target {target}"
    helpers = next(code for _, code in blocks(text) if "out()" in code)
    # The commands in running text and tables that contain a helper's call or an environment.
    mentioned = re.findall(r"`((?:make|aws|out|res) [^`\n]*(?:\$|ENV=)[^`\n]*)`", text)
    commands = [(f"line {line}", code) for line, code in blocks(text)]
    commands += [(f"`{code}`", code.replace("...", "x")) for code in dict.fromkeys(mentioned)]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "bin").mkdir()
        for name in ("aws", "sam", "make", "cargo"):
            (folder / "bin" / name).write_text(STUB)
            (folder / "bin" / name).chmod(0o755)
        for where, code in commands:
            calls, error = run(code if code == helpers else helpers + code, folder)
            count += len(calls)
            yield from (f"{where}: {problem}" for call in calls for problem in known.problems(call))
            if error:
                yield f"{where}: fails: {error.strip()}"
    if count < 40:
        yield f"the document makes {count} calls only"


def main(root):
    # The first problem is enough: each block takes a process.
    found = next(problems(root), None)
    print(found or "", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
