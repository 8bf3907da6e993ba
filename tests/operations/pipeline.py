"""Checks the deployment workflow and the roles that it uses.

usage: pipeline.py ROOT
"""

import re
import sys
import tomllib
from pathlib import Path

import yaml
from samtranslator.yaml_helper import yaml_parse

# The calls of AWS that each command makes, as IAM actions, beyond those of `sam deploy`.
NEEDED = {
    "deploy": {"cloudformation:DescribeStacks", "cloudformation:ListStackResources", "cloudformation:ExecuteChangeSet", "apigateway:GET",
               "lambda:GetAccountSettings", "acm:DescribeCertificate", "route53:GetHostedZone", "iam:PassRole", "s3:PutObject"},
    "smoke": {"cloudformation:DescribeStacks", "cognito-idp:AdminCreateUser", "cognito-idp:AdminSetUserPassword", "cognito-idp:AdminInitiateAuth",
              "cognito-idp:AdminDeleteUser"},
    "rollback": {"cloudformation:ListStackResources", "lambda:ListVersionsByFunction", "lambda:GetAlias", "lambda:UpdateAlias"},
    "changes": {"cloudformation:CreateChangeSet", "cloudformation:DescribeStacks", "apigateway:GET", "acm:DescribeCertificate", "route53:GetHostedZone"},
}  # fmt: skip


def granted(resources, role):
    """Returns the actions of a role's own policies and of the policies of the template that it has."""
    properties = resources[role]["Properties"]
    policies = [*properties.get("Policies", []), *(resources[p["Ref"]]["Properties"] for p in properties.get("ManagedPolicyArns", []))]
    return {action for policy in policies for s in policy["PolicyDocument"]["Statement"] for action in s["Action"]}


def workflow_problems(text, root):
    jobs, makefile = yaml.safe_load(text)["jobs"], (root / "Makefile").read_text()
    config = tomllib.loads((root / "samconfig.toml").read_text())
    runs = {name: [step.get("run", "") for step in job.get("steps", [])] for name, job in jobs.items()}
    building = sorted(name for name, commands in runs.items() if any(re.match("make build", command) for command in commands))
    if building != ["build"]:
        yield f"the package is built by {building}: prod has to get the package that was tested in dev"
    for first, then in (("test", "dev"), ("build", "dev"), ("dev", "changes"), ("changes", "prod")):
        if first not in jobs[then]["needs"]:
            yield f"{then} does not wait for {first}"
    for name, job in jobs.items():
        if ("id-token" in job.get("permissions", {})) != (name in ("dev", "changes", "prod")):
            yield f"{name}: permission to take a role"
        for step in job.get("steps", []):
            if "uses" in step and not re.search(r"@[0-9a-f]{40}$", step["uses"]):
                yield f"{name}: {step['uses']} is not pinned"
        for command in runs[name]:
            if found := re.match(r"make (\w+)(.*)", command):
                target, variables = found[1], dict(part.split("=", 1) for part in found[2].split())
                if not re.search(rf"^{target}:.*##", makefile, re.MULTILINE):
                    yield f"{name}: there is no target {target}"
                if target in ("deploy", "changes") and variables.get("BUILT") != "yes":
                    yield f"{name}: `{command}` builds again"
                if target == "deploy" and variables.get("CONFIRM") != config[variables["ENV"]]["deploy"]["parameters"]["stack_name"]:
                    yield f"{name}: `{command}` would wait for an answer, or confirm another stack"
    for name in ("dev", "prod"):
        if runs[name].index(f"make smoke ENV={name}") < next(i for i, run in enumerate(runs[name]) if run.startswith("make deploy")):
            yield f"{name} is tested before it is deployed"
        if jobs[name].get("environment") != name:
            yield f"{name} does not run in the environment that its role trusts"
    back = [step for step in jobs["prod"]["steps"] if "make rollback" in step.get("run", "")]
    if not back or "smoke" not in back[0].get("if", ""):
        yield "prod does not go back if its smoke test fails, or also if the deployment failed"


def role_problems(template):
    resources = template["Resources"]
    pipeline, changes = granted(resources, "PipelineRole"), granted(resources, "ChangesRole")
    for target in ("deploy", "smoke", "rollback"):
        if missing := NEEDED[target] - pipeline:
            yield f"PipelineRole cannot run `make {target}`: {sorted(missing)}"
    if missing := NEEDED["changes"] - changes:
        yield f"ChangesRole cannot run `make changes`: {sorted(missing)}"
    if "cloudformation:ExecuteChangeSet" in changes or any(action.startswith("lambda:Update") for action in changes):
        yield "ChangesRole can change the stack without a review"
    if wide := [action for action in pipeline | changes if "*" in action]:
        yield f"the pipeline's roles have wildcards: {wide}"
    for name in ("PipelineRole", "ChangesRole"):
        (trust,) = resources[name]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        subject = str(trust["Condition"].get("StringEquals", {}).get("token.actions.githubusercontent.com:sub"))
        if ":environment:" not in subject or "${Repository}" not in subject or "*" in subject:
            yield f"{name} trusts more than one environment of one repository: {subject}"
    for statement in resources["ShowPolicy"]["Properties"]["PolicyDocument"]["Statement"]:
        if "iam:PassRole" in statement["Action"] and (statement["Resource"] == "*" or "Condition" not in statement):
            yield "the pipeline can pass any role"


def main(root):
    found = list(workflow_problems((root / ".github" / "workflows" / "deploy.yml").read_text(), root))
    found += role_problems(yaml_parse((root / "bootstrap.yaml").read_text()))
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
