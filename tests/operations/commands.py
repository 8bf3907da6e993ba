"""Tests the operators' commands against an account that exists only here.

usage: commands.py ROOT

The clients are boto3's own, so that names and parameters of calls are validated; only the responses are made up.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ROOT = Path(sys.argv[1]).resolve()
sys.path.insert(0, str(ROOT / "scripts"))
os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", AWS_REGION="eu-central-1", AWS_CONFIG_FILE=os.devnull,
                  AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true")  # fmt: skip

import deploy  # noqa: E402
import incident  # noqa: E402
import prune  # noqa: E402
import smoke  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402
from stack import MAX_NAME, Stack, invalid_name  # noqa: E402

# The tests must not depend on programs that this machine has built.
deploy.BUILD = Path("/nonexistent")
VIDEO = "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e"
OTHER = "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f70"
RESOURCES = {
    "UploadFunction": "AWS::Lambda::Function", "ThumbnailFunction": "AWS::Lambda::Function", "EncodeFunction": "AWS::Lambda::Function",
    "ThumbnailLogs": "AWS::Logs::LogGroup", "ApiLogs": "AWS::Logs::LogGroup", "StuckAlarm": "AWS::CloudWatch::Alarm",
    "DeadLettersAlarm": "AWS::CloudWatch::Alarm", "VideoProcessingDLQ": "AWS::SQS::Queue", "VideoMetadata": "AWS::DynamoDB::Table",
}  # fmt: skip


class Account(Stack):
    """A stack whose calls get the given answers: a value, or a function of the parameters. Records the calls."""

    def __init__(self, answers, env="prod"):
        super().__init__(env)
        self.calls = []
        stack = {"StackName": self.name, "StackStatus": "UPDATE_COMPLETE", "Parameters": [], "CreationTime": "2026-01-01T00:00:00Z"}
        resources = [{"LogicalResourceId": name, "PhysicalResourceId": f"{self.name}-{name}", "ResourceType": kind} for name, kind in RESOURCES.items()]
        self.answers = {"DescribeStacks": {"Stacks": [stack]}, "ListStackResources": {"StackResourceSummaries": resources}, **answers}

    def client(self, service, region=None):
        client, given = super().client(service, region), {}
        client.meta.events.register("provide-client-params", lambda params, model, **_: given.update({model.name: params}))
        self.regions = {**getattr(self, "regions", {}), service: client.meta.region_name}
        client.meta.events.register("before-call", lambda model, **_: self.answer(model.name, given[model.name]))
        return client

    def answer(self, operation, params):
        self.calls.append((operation, params))
        answer = self.answers[operation]
        return SimpleNamespace(status_code=200), answer(params) if callable(answer) else answer

    def named(self, operation):
        return [params for name, params in self.calls if name == operation]


def failure(code, message="no"):
    def fail(_):
        raise ClientError({"Error": {"Code": code, "Message": message}}, "Operation")
    return fail


def output(function, *arguments, **variables):
    """Runs a command with these environment variables and returns what it prints, and its message if it exits."""
    text = io.StringIO()
    with mock.patch.dict(os.environ, variables), contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            function(*arguments)
        except SystemExit as error:
            return f"{text.getvalue()}EXIT {error}"
    return text.getvalue()


# ------------------------------------------------------------------------------------------------ deploy


def deployment(answers=(), env="dev", **variables):
    """Runs `make deploy`; returns its output and the arguments of sam, or None if it does not get there."""
    account = Account({"GetAccount": {"cloudwatchRoleArn": "arn:aws:iam::1:role/other"},
                       "GetAccountSettings": {"AccountLimit": {"ConcurrentExecutions": 1000}}, **dict(answers)}, env)  # fmt: skip
    with mock.patch("deploy.subprocess.run", return_value=SimpleNamespace(stdout="41f064c\n")) as run:
        text = output(deploy.deploy, account, **variables)
    sam = [call.args[0] for call in run.call_args_list if "deploy" in call.args[0]]
    return text, sam[0] if sam else None


def test_deploy_names_the_region_and_a_release_and_merges_parameters():
    _, sam = deployment(PARAMETERS="LogRetentionDays=3 AlarmEmail=a@example.com 'WebhookUrl=https://a.example/?a=b&c=d'")
    assert sam[sam.index("--region") + 1] == "eu-central-1" and sam[sam.index("--config-env") + 1] == "dev", sam
    given = dict(text.split("=", 1) for text in sam[sam.index("--parameter-overrides") + 1 :])
    assert (given["LogRetentionDays"], given["AlarmEmail"], given["WebhookUrl"]) == ("3", "a@example.com", "https://a.example/?a=b&c=d"), given
    assert given["Architecture"] == "x86_64" and given["AllowedOrigins"], "the parameters of samconfig.toml are lost"
    assert given["Release"].endswith("Z-41f064c") and len(given["Release"]) <= 24, given


def test_two_deployments_have_different_releases():
    with mock.patch("deploy.time.gmtime", side_effect=[(2026, 11, 27, 15, 30, s, 0, 0, 0) for s in (0, 1)]):
        assert deploy.release() != deploy.release()


def test_deploy_needs_confirmation_by_name_only():
    assert "--no-confirm-changeset" not in deployment(CONFIRM="upreel-prod")[1]
    assert "--no-confirm-changeset" in deployment(CONFIRM="upreel-dev")[1]


def test_deploy_refuses_a_bad_name_before_it_starts():
    for name in ("Upreel", "a" * (MAX_NAME + 1), "upreel_dev", "xn--upreel"):
        account = Account({})
        account.name, account.section = name, "dev"
        with mock.patch("deploy.subprocess.run") as run:
            text = output(deploy.deploy, account)
        assert "EXIT Nothing was deployed" in text and not [c for c in run.call_args_list if "deploy" in c.args[0]], (name, text)
    assert MAX_NAME == 63 - len("-thumbnails-") - 8, "S3 accepts 63 characters"
    assert not invalid_name("a" * MAX_NAME) and not invalid_name("a")


def test_deploy_checks_the_log_role_of_the_account():
    text, sam = deployment({"GetAccount": {}})
    assert not sam and "PARAMETERS=SetApiLogRole=true" in text, text
    assert deployment({"GetAccount": {}}, PARAMETERS="SetApiLogRole=true")[1]
    text, sam = deployment(PARAMETERS="SetApiLogRole=true")
    assert not sam and "would replace" in text, text


def test_deploy_checks_the_quota():
    small = {"GetAccountSettings": {"AccountLimit": {"ConcurrentExecutions": 10}}}
    assert deployment(small)[1], "the defaults need no quota"
    for parameter in ("ReservedConcurrency=1", "TranscodeReservedConcurrency=5", "ProvisionedConcurrency=1"):
        text, sam = deployment(small, PARAMETERS=parameter)
        assert not sam and "quota of 10" in text, text
    assert deployment(PARAMETERS="ProvisionedConcurrency=300")[1]
    assert not deployment(PARAMETERS="ProvisionedConcurrency=301")[1]
    text, sam = deployment(small, PARAMETERS="Transcode=true")
    assert sam and "Warning" in text, text


def test_deploy_explains_a_stack_that_can_only_be_deleted():
    stack = {"StackName": "x", "StackStatus": "ROLLBACK_COMPLETE", "CreationTime": "2026-01-01T00:00:00Z"}
    text, sam = deployment({"DescribeStacks": {"Stacks": [stack]}})
    assert not sam and "make destroy ENV=upreel-dev" in text, text


def test_deploy_checks_the_architecture_of_the_programs():
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder)
        for program, machine in (("UploadFunction/bootstrap", 62), ("FfmpegLayer/bin/ffmpeg", 183)):
            (build / program).parent.mkdir(parents=True)
            (build / program).write_bytes(b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little") + bytes(40))
        with mock.patch("deploy.BUILD", build):
            text, sam = deployment()
            assert not sam and "FfmpegLayer/bin/ffmpeg is built for arm64, and Architecture is x86_64" in text, text
            text, sam = deployment(PARAMETERS="Architecture=arm64")
            assert not sam and "UploadFunction/bootstrap is built for x86_64, and Architecture is arm64" in text, text
            (build / "FfmpegLayer/bin/ffmpeg").unlink()
            assert deployment()[1]


API_CERTIFICATE = "arn:aws:acm:eu-central-1:1:certificate/1"
CDN_CERTIFICATE = "arn:aws:acm:us-east-1:1:certificate/2"


def domains(parameters, names=("*.example.com",), status="ISSUED", zone="example.com.", **answers):
    """Deploys with these domains, for which there is a certificate of these names and this hosted zone."""
    certificate = {"Certificate": {"DomainName": names[0], "SubjectAlternativeNames": list(names), "Status": status}}
    return deployment({"DescribeCertificate": certificate, "GetHostedZone": {"HostedZone": {"Id": "Z1", "Name": zone, "CallerReference": "1"}}, **answers},
                      PARAMETERS=parameters)  # fmt: skip


def test_deploy_checks_the_certificate_of_the_API():
    domain = f"ApiDomain=api.example.com ApiCertificateArn={API_CERTIFICATE}"
    assert domains(domain)[1]
    for (text, sam), reason in (
        (domains("ApiDomain=api.example.com"), "its ARN is missing"),
        (domains(f"ApiDomain=api.example.com ApiCertificateArn={CDN_CERTIFICATE}"), "in us-east-1. API Gateway reads it from the region of the stack"),
        (domains(domain, names=("example.com", "*.sub.example.com", "i.example.com")), "is for example.com, *.sub.example.com"),
        (domains(domain, names=("*.com",)), "is for *.com"),
        (domains(domain, status="PENDING_VALIDATION"), "is PENDING_VALIDATION"),
        (domains(domain, DescribeCertificate=failure("ResourceNotFoundException")), "cannot be read"),
    ):
        assert not sam and reason in text, (text, reason)


def test_deploy_refuses_a_certificate_that_CloudFront_cannot_read():
    text, sam = domains(f"CdnDomain=media.example.com CdnCertificateArn={API_CERTIFICATE}")
    assert not sam and "CloudFront reads certificates from us-east-1 only: request one in us-east-1" in text, text
    assert domains(f"CdnDomain=media.example.com CdnCertificateArn={CDN_CERTIFICATE}")[1]
    account = Account({"DescribeCertificate": {"Certificate": {"DomainName": "media.example.com", "Status": "ISSUED"}}})
    assert not list(deploy.domain_problems(account, {"CdnDomain": "media.example.com", "CdnCertificateArn": CDN_CERTIFICATE}))
    assert account.regions["acm"] == "us-east-1", "it is looked up in the region of the stack"


def test_deploy_checks_the_hosted_zone():
    domain = f"ApiDomain=api.example.com ApiCertificateArn={API_CERTIFICATE} HostedZoneId=Z1"
    assert domains(domain)[1] and domains(domain, zone="api.example.com.")[1]
    for zone in ("ample.com.", "example.org."):
        text, sam = domains(domain, zone=zone)
        assert not sam and "does not belong to" in text, text
    text, sam = domains(domain, GetHostedZone=failure("NoSuchHostedZone"))
    assert not sam and "cannot be read" in text, text


# ---------------------------------------------------------------------------------------------- rollback


def functions(live=3, missing=()):
    """Answers of Lambda: three versions of each function, of three releases, the given one of which is live."""
    def versions(params):
        numbers = [1, 2, 3] if params["FunctionName"].rsplit("-", 1)[1] not in missing else [3]
        return {"Versions": [{"Version": "$LATEST"}, *({"Version": str(n), "Description": f"r{n} x86_64 info"} for n in numbers)]}
    return {"ListVersionsByFunction": versions, "GetAlias": {"FunctionVersion": str(live)}, "UpdateAlias": {}}


def test_rollback_moves_every_function_to_the_previous_release():
    account = Account(functions())
    text = output(incident.rollback, account)
    moves = {params["FunctionName"].split("-")[-1]: params["FunctionVersion"] for params in account.named("UpdateAlias")}
    assert moves == dict.fromkeys(("UploadFunction", "ThumbnailFunction", "EncodeFunction"), "2"), moves
    assert "upload" in text and "3 -> 2" in text and "release r2" in text, text
    assert all(p["RoutingConfig"] == {"AdditionalVersionWeights": {}} for p in account.named("UpdateAlias"))


def test_rollback_to_a_named_release():
    account = Account(functions(live=1))
    output(incident.rollback, account, RELEASE="r3")
    assert {params["FunctionVersion"] for params in account.named("UpdateAlias")} == {"3"}
    account = Account(functions())
    assert "There is no release r9" in output(incident.rollback, account, RELEASE="r9") and not account.named("UpdateAlias")


def test_rollback_without_an_earlier_release():
    account = Account(functions(live=1))
    assert "EXIT There is no release before r1" in output(incident.rollback, account) and not account.named("UpdateAlias")


def test_rollback_says_which_function_stays():
    account = Account(functions(missing=("EncodeFunction",)))
    text = output(incident.rollback, account)
    assert "encode      stays at version 3" in text and len(account.named("UpdateAlias")) == 2, text


def test_rollback_moves_all_or_none():
    def update(params):
        if "UploadFunction" in params["FunctionName"]:
            failure("TooManyRequestsException")(params)
        return {}
    account = Account({**functions(), "UpdateAlias": update})
    try:
        output(incident.rollback, account)
    except ClientError:
        pass
    else:
        raise AssertionError("the failure is hidden")
    last = {params["FunctionName"]: params["FunctionVersion"] for params in account.named("UpdateAlias") if "Upload" not in params["FunctionName"]}
    assert set(last.values()) == {"3"}, last


# ------------------------------------------------------------------------------------------------- prune

LAYER = "arn:aws:lambda:eu-central-1:1:layer:upreel-prod-ffmpeg"


def old_versions(live="7", weights=(), versions=12):
    """Answers of Lambda: this many versions of each function, every third of which has a new layer."""
    def of(params):
        layers = [{"Arn": f"{LAYER}:{n // 3 + 1}"} for n in range(versions + 1)]
        numbered = [{"Version": str(n), "Description": f"r{n} x86_64", "CodeSize": 10**6, "Layers": [layers[n]]} for n in range(1, versions + 1)]
        return {"Versions": [{"Version": "$LATEST", "Layers": [layers[-1]]}, *numbered]}
    routing = {"RoutingConfig": {"AdditionalVersionWeights": dict.fromkeys(weights, 0.1)}} if weights else {}
    resources = [{"LogicalResourceId": "UploadFunction", "PhysicalResourceId": "upreel-prod-UploadFunction", "ResourceType": "AWS::Lambda::Function"},
                 {"LogicalResourceId": "FfmpegLayer1", "PhysicalResourceId": f"{LAYER}:5", "ResourceType": "AWS::Lambda::LayerVersion"}]  # fmt: skip
    return {"ListVersionsByFunction": of, "ListAliases": {"Aliases": [{"Name": "live", "FunctionVersion": live, **routing}]},
            "ListLayerVersions": {"LayerVersions": [{"Version": n, "LayerVersionArn": f"{LAYER}:{n}"} for n in range(5, 0, -1)]},
            "ListStackResources": {"StackResourceSummaries": resources}, "DeleteFunction": {}, "DeleteLayerVersion": {}}  # fmt: skip


def pruned(answers, **variables):
    account = Account(answers)
    with mock.patch("builtins.input", return_value=variables.pop("typed", "no")):
        text = output(prune.prune, account, **variables)
    assert all(p.get("Qualifier", "").isdigit() for p in account.named("DeleteFunction")), "the whole function is deleted"
    return text, sorted(int(p["Qualifier"]) for p in account.named("DeleteFunction")), sorted(p["VersionNumber"] for p in account.named("DeleteLayerVersion"))


def test_prune_keeps_the_newest_versions_and_what_aliases_use():
    text, versions, layers = pruned(old_versions(), KEEP="3", CONFIRM="upreel-prod")
    # 10 to 12 are the newest, and 7 is live. 7 needs layer 3; 3 to 5 are the newest layers, too.
    assert (versions, layers) == ([1, 2, 3, 4, 5, 6, 8, 9], [1, 2]), text
    assert "upreel-prod-UploadFunction:1  r1" in text and "8 MB" in text, text
    # Live 2 needs layer 1, and a canary still sends requests to 1.
    assert pruned(old_versions("2", ["1"]), KEEP="1", CONFIRM="upreel-prod")[1:] == (list(range(3, 12)), [2, 3, 4])


def test_prune_keeps_ten_versions_by_default():
    assert pruned(old_versions(), CONFIRM="upreel-prod")[1:] == ([1, 2], [])
    text, *deleted = pruned(old_versions(versions=10), CONFIRM="upreel-prod")
    assert "Nothing to delete" in text and deleted == [[], []], text


def test_prune_asks_before_it_deletes():
    for variables in ({}, {"CONFIRM": "upreel-dev"}, {"typed": ""}):
        text, *deleted = pruned(old_versions(), **variables)
        assert "EXIT Nothing was deleted" in text and "upreel-prod-UploadFunction:2  r2" in text and deleted == [[], []], text
    assert pruned(old_versions(), typed="upreel-prod")[1] == [1, 2]
    for wrong in ("0", "-1", "x"):
        text, *deleted = pruned(old_versions(), KEEP=wrong, CONFIRM="upreel-prod")
        assert "EXIT KEEP" in text and deleted == [[], []], text


# -------------------------------------------------------------------------------------------------- drop


def letter(video):
    event = {"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": f"videos/user/{video}.mp4"}}}]}
    return {"MessageId": f"m-{video}", "ReceiptHandle": f"r-{video}", "Body": json.dumps(event), "Attributes": {"SentTimestamp": "1"}}


def queue(*videos):
    batches = iter([{"Messages": [letter(video) for video in videos]}, {}])
    return {"ReceiveMessage": lambda _: next(batches), "ChangeMessageVisibility": {}, "DeleteMessage": {}}


def test_drop_ends_one_video_and_deletes_its_messages_only():
    account = Account({**queue(OTHER, VIDEO), "UpdateItem": {}})
    text = output(incident.drop, account, VIDEO=VIDEO)
    assert [p["ReceiptHandle"] for p in account.named("DeleteMessage")] == [f"r-{VIDEO}"], account.calls
    assert [p["ReceiptHandle"] for p in account.named("ChangeMessageVisibility")] == [f"r-{OTHER}"], account.calls
    (update,) = account.named("UpdateItem")
    assert update["ExpressionAttributeValues"][":failed"] == {"S": "FAILED"}, update
    # Otherwise the reconciler would process it again.
    assert "REMOVE #due" in update["UpdateExpression"] and update["ExpressionAttributeValues"][":error"]["M"]["code"] != {"S": "INTERNAL"}, update
    assert f"m-{VIDEO}" in text, text
    order = [name for name, _ in account.calls if name in ("UpdateItem", "DeleteMessage")]
    assert order == ["UpdateItem", "DeleteMessage"], "the message is deleted before the row is marked"


def test_drop_leaves_a_processed_video_alone():
    account = Account({**queue(VIDEO), "UpdateItem": failure("ConditionalCheckFailedException")})
    assert "its row was not changed" in output(incident.drop, account, VIDEO=VIDEO)
    assert "PROCESSED" not in incident.UNFINISHED and "DELETED" not in incident.UNFINISHED


def test_drop_needs_a_video():
    account = Account({})
    assert "EXIT Which video? make drop ENV=prod" in output(incident.drop, account) and not account.calls


# ------------------------------------------------------------------------------------------------ status


def test_status_shows_what_is_wrong():
    line = json.dumps({"level": "ERROR", "message": "function cannot run", "fault": "the environment variable TABLE_NAME is not set"})
    alarm = {"AlarmName": "upreel-prod-StuckAlarm", "StateValue": "ALARM", "StateUpdatedTimestamp": __import__("datetime").datetime(2026, 11, 27),
             "AlarmDescription": "upreel-prod: run `make dlq ENV=upreel-prod`"}  # fmt: skip
    account = Account({
        **functions(), "DescribeAlarms": {"MetricAlarms": [alarm, {**alarm, "StateValue": "OK", "AlarmName": "fine"}]},
        "GetQueueAttributes": {"Attributes": {"ApproximateNumberOfMessages": "7", "ApproximateNumberOfMessagesNotVisible": "1"}},
        "FilterLogEvents": {"events": [{"timestamp": 1795793400000, "message": line}]},
    })  # fmt: skip
    text = output(incident.status, account)
    for expected in ("UPDATE_COMPLETE", "Release r3", "1 of 2 raised", "upreel-prod-StuckAlarm", "make dlq ENV=upreel-prod", "7 waiting, 1 in progress",
                     "function cannot run: the environment variable TABLE_NAME is not set"):  # fmt: skip
        assert expected in text, (expected, text)
    (search,) = account.named("FilterLogEvents")
    assert search["filterPattern"] == '{ $.level = "ERROR" }' and search["logGroupName"].endswith("ThumbnailLogs"), search


def test_stacks_are_found_by_section_and_by_name():
    assert [Stack(env).name for env in ("dev", "prod", "upreel-prod", "other")] == ["upreel-dev", "upreel-prod", "upreel-prod", "other"]
    assert [Stack(env).section for env in ("upreel-prod", "other")] == ["prod", None]
    account = Account({}, "other")
    assert "EXIT other is no section" in output(deploy.deploy, account)


def test_smoke_uses_the_stack_and_deletes_its_user():
    outputs = {"ApiUrl": "https://api.example/v1", "UserPoolId": "pool", "UserPoolClientId": "client"}
    stack = {"StackName": "x", "StackStatus": "UPDATE_COMPLETE", "CreationTime": "2026-01-01T00:00:00Z",
             "Parameters": [{"ParameterKey": "AllowedOrigins", "ParameterValue": "http://localhost:*,https://b.example"}],
             "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]}  # fmt: skip
    answers = {"DescribeStacks": {"Stacks": [stack]}, "AdminCreateUser": {}, "AdminSetUserPassword": {}, "AdminDeleteUser": {},
               "AdminInitiateAuth": {"AuthenticationResult": {"IdToken": "token"}}}  # fmt: skip
    for broken in (None, "poster: broken"):
        account = Account(answers)
        with mock.patch("smoke.smoke", return_value=broken) as run:
            text = output(smoke.run, account)
        (backend,) = run.call_args.args
        assert (backend.url, backend.token, backend.origin) == ("https://api.example/v1", "token", "http://localhost:8080")
        assert account.named("AdminDeleteUser")[0]["Username"] == account.named("AdminCreateUser")[0]["Username"]
        assert ("EXIT smoke: BROKEN: poster: broken" in text) == bool(broken), text


def main():
    tests = {name: test for name, test in globals().items() if name.startswith("test_")}
    for name, test in tests.items():
        try:
            test()
        except Exception:
            print(f"{name}: {' '.join(traceback.format_exc().split())[-300:]}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
