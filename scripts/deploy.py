"""Deploys the build, after checking what CloudFormation would notice only half way."""

import os
import shlex
import subprocess
import sys
import time

from botocore.exceptions import ClientError
from stack import ROOT, SAM, configuration, invalid_name

# Lambda keeps this many executions unreserved; accounts with a smaller quota cannot reserve any.
UNRESERVED = 100
# The functions with ProvisionedConcurrency.
PROVISIONED = 3
# Where `make build` puts the programs, and the machines of ELF files by the names of Lambda.
BUILD = ROOT / ".aws-sam" / "build"
MACHINES = {62: "x86_64", 183: "arm64"}
# CloudFront reads certificates from this region only, wherever the stack is.
CDN_REGION = "us-east-1"


def release():
    """Returns the name of this deployment: its time, so that names are unique and sorted, and the commit."""
    commit = subprocess.run(["git", "rev-parse", "--short=7", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return os.environ.get("RELEASE") or "-".join(filter(None, (time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), commit)))


def overrides(section):
    """Merges samconfig.toml with PARAMETERS="Name=value ...", which the command line of sam would replace instead."""
    given = shlex.split(os.environ.get("PARAMETERS", ""))
    configured = configuration()[section].get("parameter_overrides", [])
    if wrong := [text for text in given if "=" not in text]:
        sys.exit(f"{' '.join(wrong)}: expected PARAMETERS=\"Name=value ...\"")
    return dict(text.split("=", 1) for text in [*configured, *given])


def effective(stack, chosen):
    """Returns the parameters of the deployed stack, with those that are chosen now. Defaults are left out."""
    deployed = (stack.description() or {}).get("Parameters", [])
    return {p["ParameterKey"]: p["ParameterValue"] for p in deployed} | chosen


def log_role_problem(stack, wanted):
    """API Gateway has one log role per account and region. A stage with logs is rejected without one."""
    present = stack.client("apigateway").get_account().get("cloudwatchRoleArn")
    ours = stack.physical().get("ApiLogRole") if stack.description() else None
    if wanted != "true" and not present:
        return (
            f"API Gateway has no role in this account and region ({stack.session.region_name}) that writes logs, and "
            "rejects the API without one. Deploy with PARAMETERS=SetApiLogRole=true to create it."
        )
    if wanted == "true" and present and not (ours and present.endswith(f"/{ours}")):
        return (
            f"SetApiLogRole=true would replace the role that all APIs of this account and region write their logs with "
            f"({present}). Deploy with PARAMETERS=SetApiLogRole=false to keep it."
        )
    return None


def concurrency_problem(stack, parameters):
    """Lambda rejects reserved and provisioned concurrency that leaves too little of the account's quota."""
    number = {name: int(parameters.get(name) or 0) for name in
              ("ReservedConcurrency", "TranscodeReservedConcurrency", "ProvisionedConcurrency")}  # fmt: skip
    if not any(number.values()):
        return None
    quota = stack.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    wanted = number["ReservedConcurrency"] + number["TranscodeReservedConcurrency"] + PROVISIONED * number["ProvisionedConcurrency"]
    if wanted > quota - UNRESERVED:
        return (
            f"ReservedConcurrency + TranscodeReservedConcurrency + {PROVISIONED} x ProvisionedConcurrency = {wanted}, but of this "
            f"account's quota of {quota} concurrent executions Lambda keeps {UNRESERVED} unreserved. Request a higher quota "
            "(Service Quotas, Lambda, Concurrent executions), or deploy with smaller values."
        )
    return None


def architecture_problem(wanted):
    """Returns what is wrong with the built programs. Lambda accepts those of another architecture, but cannot start them."""
    for program in sorted([*BUILD.glob("*/bootstrap"), *BUILD.glob("FfmpegLayer/bin/ffmpeg")]):
        with program.open("rb") as file:
            built = MACHINES.get(int.from_bytes(file.read(20)[18:], "little"), "another machine")
        if built != wanted:
            return (
                f"{program.relative_to(BUILD)} is built for {built}, and Architecture is {wanted}. Set Architecture in both places of the "
                "section in samconfig.toml, build and deploy."
            )
    return None


def covers(name, domain):
    """Returns whether a name in a certificate covers a domain. A wildcard stands for one label."""
    return name == domain or (name.startswith("*.") and name[1:] == domain[domain.find(".") :])


def certificate_problem(stack, domain, arn, region, reason):
    """Returns what is wrong with a certificate: it has to be issued, for this domain, and in this region."""
    if not arn:
        return f"{domain} needs a certificate: its ARN is missing. Request one in {region}, and deploy with its ARN."
    if (found := arn.split(":")[3:4]) != [region]:
        return f"The certificate of {domain} is in {''.join(found) or 'no region'}. {reason}: request one in {region}, and deploy with its ARN."
    try:
        certificate = stack.client("acm", region).describe_certificate(CertificateArn=arn)["Certificate"]
    except ClientError as error:
        return f"The certificate of {domain} cannot be read: {error}"
    names = certificate.get("SubjectAlternativeNames") or [certificate["DomainName"]]
    if not any(covers(name, domain) for name in names):
        return f"The certificate of {domain} is for {', '.join(names)}. Request one for {domain}, and deploy with its ARN."
    if certificate["Status"] != "ISSUED":
        return f"The certificate of {domain} is {certificate['Status']}. Validate it first: Certificate Manager shows the record that it waits for."
    return None


def domain_problems(stack, parameters):
    """Yields what is wrong with the domains. CloudFormation would notice it only after minutes."""
    api, cdn = parameters.get("ApiDomain"), parameters.get("CdnDomain")
    region = stack.session.region_name
    for domain, arn, used_in, reason in (
        (api, parameters.get("ApiCertificateArn"), region, "API Gateway reads it from the region of the stack"),
        (cdn, parameters.get("CdnCertificateArn"), CDN_REGION, "CloudFront reads certificates from us-east-1 only"),
    ):
        if domain and (problem := certificate_problem(stack, domain, arn, used_in, reason)):
            yield problem
    if zone := parameters.get("HostedZoneId"):
        try:
            name = stack.client("route53").get_hosted_zone(Id=zone)["HostedZone"]["Name"].rstrip(".")
        except ClientError as error:
            yield f"The hosted zone {zone} cannot be read: {error}"
            return
        for domain in filter(None, (api, cdn)):
            if not f".{domain}".endswith(f".{name}"):
                yield f"The hosted zone {zone} is that of {name}, which {domain} does not belong to. Deploy with another HostedZoneId, or with none."


def warnings(stack, parameters):
    """Yields what CloudFormation accepts, but may surprise."""
    if parameters.get("Transcode") not in ("all", "watched", "true") or int(parameters.get("TranscodeReservedConcurrency") or 0):
        return
    chunks = int(parameters.get("TranscodeConcurrency") or 100)
    quota = stack.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    if chunks >= quota:
        yield (
            f"The chunks of one video may use {chunks} concurrent executions, and the account has {quota} for everything: "
            "uploads may be throttled while a video is transcoded. Lower TranscodeConcurrency, or request a higher quota."
        )


def problems(stack, parameters):
    """Yields why the deployment would fail."""
    if reason := invalid_name(stack.name):
        yield reason[0].upper() + reason[1:] + "."
        return
    status = (stack.description() or {}).get("StackStatus", "")
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED"):
        yield f"The first deployment of {stack.name} failed ({status}), and such a stack can only be deleted: make destroy ENV={stack.name}"
    for reason in (
        architecture_problem(parameters.get("Architecture") or "x86_64"),
        log_role_problem(stack, parameters.get("SetApiLogRole")),
        concurrency_problem(stack, parameters),
    ):
        if reason:
            yield reason
    yield from domain_problems(stack, parameters)


def pipeline():
    """Returns the options of a pipeline (bootstrap.yaml): its bucket, and the role that CloudFormation uses."""
    bucket, role = os.environ.get("PACKAGES_BUCKET"), os.environ.get("CLOUDFORMATION_ROLE")
    return [*(["--no-resolve-s3", "--s3-bucket", bucket] if bucket else []), *(["--role-arn", role] if role else [])]


def deploy(stack, *flags):
    """Checks the account, and runs `sam deploy` with the parameters of samconfig.toml and PARAMETERS."""
    if not stack.section:
        sys.exit(f"{stack.name} is no section of samconfig.toml, nor the stack of one. There are: {', '.join(configuration())}")
    chosen = overrides(stack.section)
    parameters = effective(stack, chosen)
    if found := list(problems(stack, parameters)):
        sys.exit("Nothing was deployed.\n" + "\n".join(found))
    for text in warnings(stack, parameters):
        print(f"Warning: {text}", file=sys.stderr)
    chosen["Release"] = release()
    print(f"Deploying release {chosen['Release']} to {stack.name} in {stack.session.region_name}.", flush=True)
    # CONFIRM is the name of the stack, for pipelines: nobody is there to answer.
    confirmed = ["--no-confirm-changeset"] if os.environ.get("CONFIRM") == stack.name else []
    command = [SAM, "deploy", "--config-env", stack.section, "--region", stack.session.region_name, *confirmed, *pipeline(), *flags]
    subprocess.run([*command, "--parameter-overrides", *(f"{name}={value}" for name, value in chosen.items())], check=True, cwd=ROOT)


def changes(stack):
    """Shows what a deployment would change, without changing anything."""
    deploy(stack, "--no-execute-changeset")
