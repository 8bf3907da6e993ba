"""Checks what happens when a stack is updated, and names that depend on the stack's name."""

import functools
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from transform import PSEUDO, REGION, Resolved, parameters, transform
from samtranslator.yaml_helper import yaml_parse

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
from stack import MAX_NAME, invalid_name  # noqa: E402

# Two values of each parameter that a function may depend on. Each combination of two changes is tried from each start.
VALUES = {
    "AllowedOrigins": ("", "https://a.example"),
    "MaxUploadBytes": ("5368709120", "1"),
    "QuotaBytes": ("0", "1"),
    "QuotaVideos": ("0", "1"),
    "QuotaUploads": ("0", "1"),
    "MaxDurationSeconds": ("0", "1"),
    "AllowedTypes": ("", "mp4"),
    "LogLevel": ("info", "debug"),
    "Traces": ("false", "true"),
    "LogRetentionDays": ("30", "7"),
    "Release": ("", "20261127T153000Z-41f064c"),
    "WebhookUrl": ("", "https://b.example"),
    "Transcode": ("off", "watched"),
    "TranscodeConcurrency": ("100", "7"),
    "TranscodeReservedConcurrency": ("0", "7"),
    "Cdn": ("false", "true"),
    "ApiDomain": ("", "api.example.com"),
    "CdnDomain": ("", "media.example.com"),
    "HostedZoneId": ("", "Z0123456789ABC"),
    "ReservedConcurrency": ("0", "5"),
    "ProvisionedConcurrency": ("0", "1"),
    "CustomerManagedKey": ("false", "true"),
    "TransferAcceleration": ("false", "true"),
    "Audio": ("false", "true"),
    "Scan": ("false", "true"),
    "Moderation": ("false", "true"),
    "ImportUrls": ("false", "true"),
    "Architecture": ("x86_64", "arm64"),
}
# A parameter whose changes reach the alias with the next release only, and why that is right.
DELAYED = {
    **dict.fromkeys(
        ("QuotaBytes", "QuotaVideos", "QuotaUploads", "MaxDurationSeconds", "AllowedTypes"),
        "the description of a version has no room for it, and `make deploy` names a new release",
    ),
    "CdnDomain": "the description of a version has no room for it, the CDN keeps its old domain too, and `make deploy` names a new release",
}
# Properties that Lambda does not keep with a version.
UNVERSIONED = ("ReservedConcurrentExecutions", "Tags")
# Resource types whose data a replacement would leave behind, or whose name others know.
STATEFUL = """
    AWS::S3::Bucket AWS::DynamoDB::Table AWS::Cognito::UserPool AWS::Cognito::UserPoolClient AWS::KMS::Key AWS::SQS::Queue
    AWS::ApiGateway::RestApi AWS::SNS::Topic AWS::StepFunctions::StateMachine AWS::CloudFront::Distribution
""".split()
# The longest names that AWS accepts, by type and property.
MAX_NAMES = {
    ("AWS::S3::Bucket", "BucketName"): 63,
    ("AWS::Lambda::Function", "FunctionName"): 64,
    ("AWS::Lambda::LayerVersion", "LayerName"): 140,
    ("AWS::SQS::Queue", "QueueName"): 80,
    ("AWS::StepFunctions::StateMachine", "StateMachineName"): 80,
    ("AWS::CloudFront::Function", "Name"): 64,
    ("AWS::CloudFront::OriginAccessControl", "Name"): 64,
    ("AWS::CloudFront::OriginRequestPolicy", "Name"): 128,
    ("AWS::Cognito::UserPool", "UserPoolName"): 128,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
    ("AWS::ApiGateway::RestApi", "Name"): 1024,
    ("AWS::SecretsManager::Secret", "Name"): 512,
}


class Functions:
    """The functions and their versions of a transformed template, for any parameters."""

    def __init__(self, transformed):
        chosen = {name: r for name, r in transformed["Resources"].items() if r["Type"] in ("AWS::Lambda::Function", "AWS::Lambda::Version")}
        self.template = {**transformed, "Resources": chosen, "Outputs": {}}

    @functools.cache
    def at(self, given):
        """Returns the configuration and the version of each function that exists with these parameters."""
        resources = Resolved(self.template, dict(given)).resources
        found = {}
        for resource in resources.values():
            if resource["Type"] == "AWS::Lambda::Version":
                name = resource["Properties"]["FunctionName"].strip("${}")
                function = {k: v for k, v in resources[name]["Properties"].items() if k not in UNVERSIONED}
                found[name] = (function, resource["Properties"])
        return found


@functools.cache
def coupling_problems(text):
    """Yields the changes of parameters with which a version is published without a change of the function, or the reverse."""
    functions, problems = Functions(json.loads(text)), {}
    starts = ({}, {"Cdn": "true", "Transcode": "true", "WebhookUrl": "https://c.example"})
    changes = [(name, value) for name, values in VALUES.items() for value in values]
    for start in starts:
        before = functions.at(tuple(sorted(start.items())))
        for chosen in itertools.chain(((change,) for change in changes), itertools.combinations(changes, 2)):
            after = functions.at(tuple(sorted({**start, **dict(chosen)}.items())))
            for name in before.keys() & after.keys():
                changed, published = (before[name][i] != after[name][i] for i in (0, 1))
                what = " and ".join(sorted({parameter for parameter, _ in chosen}))
                if published and not changed:
                    problems.setdefault(name, f"{name}: a change of {what} publishes a version of an unchanged function, which Lambda rejects")
                elif changed and not published and not {parameter for parameter, _ in chosen} & DELAYED.keys():
                    problems.setdefault(name, f"{name}: a change of {what} publishes no version")
    return list(problems.values())


def package_problems(template):
    """Yields the functions that get a new version although only the S3 location of their package changes."""
    moved = [Functions(transform(template, key=f"{release}/artifact")).at((("Release", release),)) for release in ("r1", "r2")]
    for name in moved[0]:
        # Lambda compares the code itself, not its location.
        before, after = ({k: v for k, v in at[name][0].items() if k != "Code"} for at in moved)
        if before == after:
            yield f"{name}: a package at another location publishes a version of an unchanged function, which Lambda rejects"


def description_problems(template):
    """Yields the version descriptions that are too long with the longest values."""
    longest = {"Architecture": "x86_64", "LogLevel": "error", "Traces": "false", "TransferAcceleration": "false", "Transcode": "watched", "Cdn": "true", "Audio": "false", "ImportUrls": "false", "Scan": "true", "Moderation": "true",
               "MaxUploadBytes": str(template["Parameters"]["MaxUploadBytes"]["MaxValue"])}  # fmt: skip
    for name in ("Release", "AllowedOrigins", "WebhookUrl"):
        longest[name] = "x" * template["Parameters"][name].get("MaxLength", 4096)
    for name, (_, version) in Functions(transform(template)).at(tuple(sorted(longest.items()))).items():
        if len(version.get("Description", "")) > 256:
            yield f"{name}: the description of a version may have {len(version['Description'])} characters, Lambda accepts 256"


def replacements(before, after):
    """Yields the stateful resources that an update from one resolved template to another replaces or removes."""
    for name, old in before.items():
        if old["Type"] not in STATEFUL:
            continue
        new = after.get(name)
        if new is None or new["Type"] != old["Type"]:
            yield f"{name} ({old['Type']}) is removed: its data stays behind, and the stack no longer uses it"
            continue
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, old["Type"]).schema
        for pointer in schema.get("createOnlyProperties", []):
            path = pointer.removeprefix("/properties/").split("/")
            values = [functools.reduce(lambda node, part: node.get(part) if isinstance(node, dict) else None, path, r["Properties"]) for r in (old, new)]
            if values[0] != values[1]:
                yield f"{name} ({old['Type']}) is replaced: {'.'.join(path)} changes from {values[0]} to {values[1]}"


def last_release():
    """Returns the template of the last tag, or None if there is no tag."""
    tag = subprocess.run(["git", "describe", "--tags", "--abbrev=0", "--match", "v*"], capture_output=True, text=True)
    if tag.returncode:
        return None
    shown = subprocess.run(["git", "show", f"{tag.stdout.strip()}:template.yaml"], capture_output=True, text=True, check=True)
    return json.loads(json.dumps(yaml_parse(shown.stdout)))


def replacement_problems(transformed, baseline):
    for given in ({}, {"Transcode": "true", "Cdn": "true", "WebhookUrl": "https://a.example"}):
        before, after = (Resolved(t, {k: v for k, v in given.items() if k in t["Parameters"]}).resources for t in (baseline, transformed))
        yield from replacements(before, after)


def names(transformed, stack, stack_id=PSEUDO["AWS::StackId"]):
    """Yields (logical name, type, property, value) of each name that is made of the stack's, in the region with the longest name."""
    given = {name: "true" if value in ("false", "off") else value for name, value in parameters(transformed).items()}
    given |= {"WebhookUrl": "https://a.example"}
    values = {"AWS::StackName": stack, "AWS::StackId": stack_id, "AWS::Region": "ap-northeast-1"}
    for logical, resource in Resolved(transformed, {**given, **values}).resources.items():
        properties = resource.get("Properties", {})
        for holder in (properties, properties.get("OriginAccessControlConfig", {}), properties.get("OriginRequestPolicyConfig", {})):
            for key, value in holder.items():
                if key.endswith("Name") and isinstance(value, str) and value.startswith((stack + "-", "/aws/")) or value == stack:
                    yield logical, resource["Type"], key, value


def name_problems(transformed):
    """Yields the names that AWS would reject although the stack's name is accepted."""
    for stack in ("a", "a" * 39, "a" * 40, "a" * MAX_NAME, "a" * (MAX_NAME + 1), "a" * 128, "Upreel", "upreel_dev", "1a", "xn--a"):
        if invalid_name(stack):
            continue
        found = list(names(transformed, stack))
        for logical, kind, key, value in found:
            limit = MAX_NAMES.get((kind, key))
            if limit is None and kind not in ("AWS::Lambda::Permission", "AWS::ApiGateway::Stage"):
                yield f"{logical}: the limit of {kind} {key} is unknown"
            elif limit and len(value) > limit:
                yield f"{logical}: with the stack name {stack!r}, {key} has {len(value)} characters; {limit} are allowed"
            elif kind == "AWS::S3::Bucket" and not re.fullmatch(r"[a-z0-9][a-z0-9-]+[a-z0-9]", value):
                yield f"{logical}: {value} is no name for a bucket"
    for refused in ("a" * (MAX_NAME + 1), "a" * 128, "Upreel", "upreel_dev", "xn--a"):
        if not invalid_name(refused):
            yield f"the stack name {refused!r} is accepted"
    # The last group of a stack's ID is that of the host that created it.
    other = PSEUDO["AWS::StackId"].replace("51af3dc0", "62bf3dc0")
    buckets = [[value for *_, key, value in names(transformed, "upreel", of) if key == "BucketName"] for of in (PSEUDO["AWS::StackId"], other)]
    if not buckets[0] or set(buckets[0]) & set(buckets[1]):
        yield "two stacks of the same name have the same bucket names"


def update_problems(template, transformed, baseline):
    parts = {name: transformed.get(name, {}) for name in ("Parameters", "Conditions", "Mappings")}
    kinds = ("AWS::Lambda::Function", "AWS::Lambda::Version")
    functions = {name: r for name, r in transformed["Resources"].items() if r["Type"] in kinds}
    # A text, so that the result is cached for mutations that change no function.
    yield from coupling_problems(json.dumps({**parts, "Resources": functions}, default=str))
    yield from package_problems(template)
    yield from description_problems(template)
    yield from name_problems(transformed)
    if baseline:
        yield from replacement_problems(transformed, baseline)
