"""A deployed stack: its name, its region, and its resources."""

import re
import sys
import tomllib
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from region import region

ROOT = Path(__file__).parent.parent
SAM = str(Path(sys.executable).with_name("sam"))
# A bucket has the longest name that is made of the stack's: STACK-thumbnails-12345678, of at most 63 characters.
MAX_NAME = 63 - len("-thumbnails-12345678")
# Prefixes that S3 reserves.
RESERVED = ("xn--", "sthree-", "amzn-s3-demo-")


def invalid_name(name):
    """Returns why a stack cannot have this name, or None. CloudFormation would notice half way through a deployment."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        return f"the stack name {name!r} has to start with a-z and consist of a-z, 0-9 and hyphens: S3 accepts no other bucket names"
    if len(name) > MAX_NAME:
        return f"the stack name {name!r} has {len(name)} characters; at most {MAX_NAME} leave room for the names of its buckets"
    if name.startswith(RESERVED):
        return f"the stack name {name!r} starts with a prefix that S3 reserves"
    return None


def configuration():
    """Returns the deployment parameters of each section of samconfig.toml that has a stack."""
    sections = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return {name: s["deploy"]["parameters"] for name, s in sections.items() if isinstance(s, dict) and "deploy" in s}


def section(env):
    """Returns the section of samconfig.toml of this name, or of the stack of this name; None if there is neither."""
    sections = configuration()
    return env if env in sections else next((s for s, given in sections.items() if given["stack_name"] == env), None)


class Stack:
    """The stack of a section of samconfig.toml, or the stack of this name."""

    def __init__(self, env):
        self.env, self.section = env, section(env)
        self.name = configuration()[self.section]["stack_name"] if self.section else env
        self.session = boto3.session.Session(region_name=region())

    def client(self, service, region=None):
        return self.session.client(service, region_name=region)

    def resources(self):
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        return [resource for page in pages for resource in page["StackResourceSummaries"]]

    def physical(self):
        return {r["LogicalResourceId"]: r.get("PhysicalResourceId") for r in self.resources()}

    def description(self):
        """Returns what CloudFormation knows about the stack; None if there is no such stack."""
        try:
            (found,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return found

    def outputs(self):
        return {o["OutputKey"]: o["OutputValue"] for o in (self.description() or {}).get("Outputs", [])}
