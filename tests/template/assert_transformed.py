"""Asserts what linters cannot know, on the template as CloudFormation sees it: transformed, for several parameter sets.

usage: assert_transformed.py TEMPLATE
"""

import functools
import json
import math
import re
import string
import sys
from pathlib import Path

import airspeed
from failures import failure_problems
from transform import Resolved, cycles, load, parameters, transform
from updates import last_release, update_problems

WEBHOOK_PARAMETERS = {"WebhookUrl": "https://app.example.com/hooks/video?from=upreel"}
CDN_PARAMETERS = {"Transcode": "true", "Cdn": "true"}
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/00000000-0000-0000-0000-000000000001"
CDN_CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000002"
API_DOMAIN = {"ApiDomain": "api.example.com", "ApiCertificateArn": CERTIFICATE}
CDN_DOMAIN = {"CdnDomain": "media.example.com", "CdnCertificateArn": CDN_CERTIFICATE}
POOL = "arn:aws:cognito-idp:eu-central-1:123456789012:userpool/eu-central-1_Example"
CASES = {
    "defaults": {},
    "one origin": {"AllowedOrigins": "https://a.example"},
    "everything on": {
        "AllowedOrigins": "https://a.example,http://localhost:*",
        "AlarmEmail": "a@example.com",
        "Architecture": "arm64",
        "ReservedConcurrency": "5",
        "ProvisionedConcurrency": "1",
        "CustomerManagedKey": "true",
        "TransferAcceleration": "true",
        "Audio": "true",
        "ImportUrls": "true",
        "Waf": "true",
        "Scan": "true",
        "Moderation": "true",
        "Traces": "true",
        "MonthlyBudget": "50",
        "TranscodeConcurrency": "7",
        "TranscodeReservedConcurrency": "70",
        **WEBHOOK_PARAMETERS,
        **CDN_PARAMETERS,
    },
    "webhooks": WEBHOOK_PARAMETERS,
    "transcoding": {"Transcode": "true"},
    "all renditions": {"Transcode": "all"},
    "renditions when watched": {"Transcode": "watched", "Cdn": "true"},
    "no renditions": {"Transcode": "false"},
    "CDN without transcoding": {**CDN_PARAMETERS, "Transcode": "false", "AllowedOrigins": "https://a.example"},
    "IAM callers": {"Callers": "IAM", "AllowedOrigins": "*"},
    "existing user pool": {"UserPoolArn": POOL, "SetApiLogRole": "true", "LogLevel": "error"},
    "scan": {"Scan": "true"},
    "moderation": {"Moderation": "true"},
    "canary": {"Canary": "true", "AllowedOrigins": "https://a.example"},
    "domains": {**API_DOMAIN, **CDN_DOMAIN, **CDN_PARAMETERS, "HostedZoneId": "Z0123456789ABC", "AllowedOrigins": "https://a.example"},
    "domain of the API, the CDN is off": {**API_DOMAIN, **CDN_DOMAIN},
    "domain of the CDN, with another DNS": {**CDN_DOMAIN, **CDN_PARAMETERS},
    "quotas": {"QuotaBytes": "10000000000", "QuotaUploads": "5", "AllowedTypes": "mp4,mov"},
    "videos from URLs": {"ImportUrls": "true"},
    "a limit on the duration": {"MaxDurationSeconds": "600"},
    "debug": {"LogLevel": "debug", "Release": "20261127T153000Z-41f064c"},
}

# By default no page may call the API, an idle stack costs nothing, and a new account has all the quotas it needs.
DEFAULTS = {
    "AllowedOrigins": "",
    "Callers": "COGNITO",
    "UserPoolArn": "",
    "MaxUploadBytes": str(5 << 30),
    "QuotaBytes": "0",
    "QuotaVideos": "0",
    "QuotaUploads": "0",
    "MaxDurationSeconds": "0",
    "AllowedTypes": "",
    "AlarmEmail": "",
    "MonthlyBudget": "0",
    "LogLevel": "info",
    "LogRetentionDays": "30",
    "Traces": "false",
    "SetApiLogRole": "false",
    "Release": "",
    "WebhookUrl": "",
    "Transcode": "off",
    "TranscodeConcurrency": "100",
    "TranscodeReservedConcurrency": "0",
    "Cdn": "false",
    "ApiDomain": "",
    "ApiCertificateArn": "",
    "CdnDomain": "",
    "CdnCertificateArn": "",
    "HostedZoneId": "",
    "Architecture": "x86_64",
    "ReservedConcurrency": "0",
    "ProvisionedConcurrency": "0",
    "CustomerManagedKey": "false",
    "TransferAcceleration": "false",
    "Audio": "false",
    "ImportUrls": "false",
    "Waf": "false",
    "Scan": "false",
    "Moderation": "false",
    "Canary": "false",
}

ROUTES = {
    ("post", "/upload"): "UploadFunction",
    ("get", "/presign"): "PresignFunction",
    ("post", "/presign"): "PresignFunction",
    ("get", "/s3/params"): "PresignFunction",
    ("post", "/s3/multipart"): "PresignFunction",
    ("get", "/s3/multipart/{uploadId}"): "PresignFunction",
    ("delete", "/s3/multipart/{uploadId}"): "PresignFunction",
    ("get", "/s3/multipart/{uploadId}/{partNumber}"): "PresignFunction",
    ("get", "/s3/multipart/{uploadId}/batch"): "PresignFunction",
    ("post", "/s3/multipart/{uploadId}/complete"): "PresignFunction",
    ("get", "/usage"): "VideosFunction",
    ("get", "/videos"): "VideosFunction",
    ("post", "/videos"): "PresignFunction",
    ("get", "/videos/{videoId}"): "VideosFunction",
    ("patch", "/videos/{videoId}"): "VideosFunction",
    ("delete", "/videos/{videoId}"): "VideosFunction",
    ("put", "/videos/{videoId}/captions/{language}"): "VideosFunction",
    ("delete", "/videos/{videoId}/captions/{language}"): "VideosFunction",
    ("get", "/videos/{videoId}/hls/master.m3u8"): "VideosFunction",
    ("get", "/videos/{videoId}/hls/{rendition}/{playlist}"): "VideosFunction",
    ("get", "/segments/{videoId}/{version}/{rendition}/{segment}"): "PlaybackFunction",
    ("get", "/videos/{videoId}/thumbnail.jpg"): "PlaybackFunction",
    ("get", "/videos/{videoId}/thumbnail.webp"): "PlaybackFunction",
    ("get", "/videos/{videoId}/preview.webp"): "PlaybackFunction",
    ("get", "/videos/{videoId}/preview.gif"): "PlaybackFunction",
    ("put", "/videos/{videoId}/poster"): "PlaybackFunction",
}
# Parameters of which each one alone turns quotas on.
QUOTAS = ("QuotaBytes", "QuotaVideos", "QuotaUploads", "MaxDurationSeconds", "AllowedTypes")
# Routes that need no caller.
PUBLIC = {("get", "/segments/{videoId}/{version}/{rendition}/{segment}")}
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
# Request headers of pages: those that the API reads, and those of requests signed for IAM callers.
PREFLIGHT = """
    authorization content-type idempotency-key if-match if-none-match
    x-amz-content-sha256 x-amz-date x-amz-security-token x-amz-user-agent
""".split()
API_FUNCTIONS = sorted(set(ROUTES.values()))
FUNCTIONS = [*API_FUNCTIONS, "ThumbnailFunction", "ReconcileFunction"]
# Resources that exist only with webhooks.
WEBHOOK = ["WebhookFunction", "WebhookRole", "WebhookSecret", "WebhookQueue", "WebhookDLQ", "WebhookQueuePolicy", "WebhookLogs",
           "WebhookDeadLettersAlarm", "WebhookDelayAlarm", "WebhookFunctionAliaslive", "WebhookFunctionChanged", "WebhookFunctionWaiting"]  # fmt: skip
# Resources that exist only with videos from URLs.
FETCH = ["FetchFunction", "FetchRole", "FetchLogs", "FetchesFailedAlarm", "FetchFunctionAliaslive", "FetchFunctionEventInvokeConfig"]
# Resources that exist only with transcoding, and only with CloudFront.
TRANSCODE = ["TranscodeFunction", "EncodeFunction", "TranscodeMachine", "TranscodeMachineRole", "TranscodeRole", "TranscodeLogs",
             "EncodeLogs", "TranscodesFailedAlarm", "TranscodeFunctionAliaslive", "EncodeFunctionAliaslive", "TranscodeFunctionEnded", "TranscodeFunctionEndedPermission"]  # fmt: skip
CDN = ["CdnDistribution", "CdnAccess", "CdnFunction", "CdnSecret", "CdnSignaturePolicy"]

# Actions that the code of each function calls (crates/*/src/lib.rs, "IAM:"), and those that Lambda calls with its role.
VIDEOS = "arn:aws:s3:::{uploads}/videos/*"
TABLE = "${VideoMetadata.Arn}"
QUEUE = "${VideoProcessingDLQ.Arn}"
POSTERS = "${ThumbnailsBucket.Arn}/thumbnails/*"
STORYBOARDS = "${ThumbnailsBucket.Arn}/storyboards/*"
PROCESSED = "${ProcessedBucket.Arn}"
RENDITIONS = PROCESSED + "/hls/*"
PLAYLISTS = PROCESSED + "/playback/*"
SEGMENTS = PROCESSED + "/segments/*"
CAPTIONS = PROCESSED + "/captions/*"
THUMBNAILS = "${ThumbnailsBucket.Arn}"
RECONCILE = "arn:aws:lambda:eu-central-1:123456789012:function:upreel-reconcile:live"
# The API refers to this function by its name, which is fixed.
NAMED = {"VideosFunction": "arn:aws:lambda:eu-central-1:123456789012:function:upreel-videos:live"}
WORK = PROCESSED + "/work/*"
TRACES = {("xray:PutTraceSegments", "*"), ("xray:PutTelemetryRecords", "*")}
DISTRIBUTION = "arn:aws:cloudfront::123456789012:distribution/${CdnDistribution}"
GRANTS = {
    "UploadFunction": {
        ("s3:PutObject", VIDEOS),
        ("s3:GetObject", VIDEOS),
        ("dynamodb:PutItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
        ("dynamodb:GetItem", TABLE),
    },
    "PresignFunction": {
        ("s3:PutObject", VIDEOS),
        ("s3:GetObject", VIDEOS),
        ("s3:ListBucket", "arn:aws:s3:::{uploads}"),
        ("s3:AbortMultipartUpload", VIDEOS),
        ("s3:ListMultipartUploadParts", VIDEOS),
        ("dynamodb:PutItem", TABLE),
    },
    "VideosFunction": {
        ("s3:GetObject", VIDEOS),
        ("s3:DeleteObject", VIDEOS),
        ("s3:GetObject", POSTERS),
        ("s3:DeleteObject", POSTERS),
        ("s3:GetObject", STORYBOARDS),
        ("s3:DeleteObject", STORYBOARDS),
        *((f"s3:{action}", folder) for action in ("GetObject", "DeleteObject") for folder in (RENDITIONS, PLAYLISTS, SEGMENTS)),
        ("s3:DeleteObject", WORK),
        *((f"s3:{action}", CAPTIONS) for action in ("GetObject", "PutObject", "DeleteObject")),
        ("s3:ListBucket", THUMBNAILS),
        ("s3:ListBucket", PROCESSED),
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
        ("dynamodb:Query", TABLE + "/index/byUser"),
    },
    "PlaybackFunction": {
        ("s3:GetObject", VIDEOS),
        ("s3:GetObject", PLAYLISTS),
        ("s3:GetObject", SEGMENTS),
        ("s3:PutObject", SEGMENTS),
        ("s3:DeleteObject", SEGMENTS),
        ("s3:PutObject", POSTERS),
        ("s3:DeleteObject", POSTERS),
        ("s3:ListBucket", "arn:aws:s3:::{uploads}"),
        ("s3:ListBucket", PROCESSED),
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
    },
    "ThumbnailFunction": {
        ("s3:GetObject", VIDEOS),
        ("s3:DeleteObject", VIDEOS),
        ("s3:PutObject", POSTERS),
        ("s3:DeleteObject", POSTERS),
        ("s3:PutObject", STORYBOARDS),
        ("s3:DeleteObject", STORYBOARDS),
        ("s3:PutObject", PLAYLISTS),
        *(("s3:DeleteObject", folder) for folder in (RENDITIONS, PLAYLISTS, SEGMENTS, WORK)),
        ("s3:ListBucket", "arn:aws:s3:::{uploads}"),
        ("s3:ListBucket", THUMBNAILS),
        ("s3:ListBucket", PROCESSED),
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:PutItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
        ("sqs:SendMessage", QUEUE),
        ("sqs:ReceiveMessage", QUEUE),
        ("sqs:DeleteMessage", QUEUE),
        ("sqs:GetQueueAttributes", QUEUE),
        ("lambda:InvokeFunction", RECONCILE),
    },
    "ReconcileFunction": {
        ("s3:GetObject", VIDEOS),
        ("s3:DeleteObject", VIDEOS),
        ("s3:DeleteObject", POSTERS),
        ("s3:DeleteObject", STORYBOARDS),
        *(("s3:DeleteObject", folder) for folder in (RENDITIONS, PLAYLISTS, SEGMENTS, WORK, CAPTIONS)),
        ("s3:ListBucket", "arn:aws:s3:::{uploads}"),
        ("s3:ListBucket", THUMBNAILS),
        ("s3:ListBucket", PROCESSED),
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:PutItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
        ("dynamodb:Query", TABLE + "/index/byDue"),
        ("dynamodb:Query", TABLE + "/index/byExpiry"),
        ("lambda:InvokeFunction", "${ThumbnailFunctionAliaslive}"),
        ("sqs:ReceiveMessage", QUEUE),
        ("sqs:DeleteMessage", QUEUE),
    },
}
FETCH_GRANTS = {
    ("s3:PutObject", VIDEOS),
    ("s3:GetObject", VIDEOS),
    ("s3:AbortMultipartUpload", VIDEOS),
    ("s3:ListMultipartUploadParts", VIDEOS),
    ("s3:ListBucket", "arn:aws:s3:::{uploads}"),
    ("dynamodb:GetItem", TABLE),
    ("dynamodb:UpdateItem", TABLE),
    ("lambda:InvokeFunction", RECONCILE),
}
STREAM = "${VideoMetadata.Arn}/stream/*"
WEBHOOKS = "${WebhookQueue.Arn}"
WEBHOOK_GRANTS = {
    ("dynamodb:DescribeStream", STREAM),
    ("dynamodb:GetRecords", STREAM),
    ("dynamodb:GetShardIterator", STREAM),
    ("dynamodb:ListStreams", STREAM),
    ("sqs:SendMessage", WEBHOOKS),
    ("sqs:ReceiveMessage", WEBHOOKS),
    ("sqs:DeleteMessage", WEBHOOKS),
    ("sqs:ChangeMessageVisibility", WEBHOOKS),
    ("sqs:GetQueueAttributes", WEBHOOKS),
    ("sqs:SendMessage", "${WebhookDLQ.Arn}"),
    ("secretsmanager:GetSecretValue", "${WebhookSecret.Id}"),
}
TRANSCODE_GRANTS = {
    ("s3:GetObject", VIDEOS),
    ("s3:GetObject", WORK),
    ("s3:PutObject", WORK),
    ("s3:DeleteObject", WORK),
    ("s3:PutObject", RENDITIONS),
    ("s3:DeleteObject", RENDITIONS),
    ("s3:DeleteObject", PLAYLISTS),
    ("s3:DeleteObject", SEGMENTS),
    ("s3:ListBucket", "arn:aws:s3:::{uploads}"),
    ("s3:ListBucket", PROCESSED),
    ("dynamodb:GetItem", TABLE),
    ("dynamodb:UpdateItem", TABLE),
    ("logs:CreateLogStream", "${EncodeLogs.Arn}"),
    ("logs:PutLogEvents", "${EncodeLogs.Arn}"),
}
# The state machine invokes its functions and runs each chunk as a separate execution.
MACHINE = "arn:aws:states:eu-central-1:123456789012:{}:upreel-transcode"
MACHINE_GRANTS = {
    ("lambda:InvokeFunction", "${TranscodeFunctionAliaslive}"),
    ("lambda:InvokeFunction", "${EncodeFunctionAliaslive}"),
    ("states:StartExecution", MACHINE.format("stateMachine")),
    ("states:DescribeExecution", MACHINE.format("execution") + "/*"),
    ("states:StopExecution", MACHINE.format("execution") + "/*"),
    *((f"xray:{action}", "*") for action in ("PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets")),
}
# The reconciler starts executions again, and looks up those that have no result.
RESTART_GRANTS = {
    ("states:StartExecution", "${TranscodeMachine}"),
    ("states:DescribeExecution", MACHINE.format("execution") + ":*"),
}
# What GuardDuty demands of the role of its plan: its documentation, "Create or update IAM role policy".
SCAN_RULE = "arn:aws:events:eu-central-1:123456789012:rule/DO-NOT-DELETE-AmazonGuardDutyMalwareProtectionS3*"
SCAN_GRANTS = {
    *((f"s3:{action}", "${UploadsBucket.Arn}/videos/*") for action in ("GetObject", "GetObjectVersion")),
    *((f"s3:{verb}Object{kind}Tagging", "${UploadsBucket.Arn}/videos/*") for verb in ("Get", "Put") for kind in ("", "Version")),
    *((f"s3:{action}", "${UploadsBucket.Arn}") for action in ("ListBucket", "GetBucketNotification", "PutBucketNotification")),
    ("s3:PutObject", "${UploadsBucket.Arn}/malware-protection-resource-validation-object"),
    *((f"events:{action}", SCAN_RULE) for action in ("PutRule", "DeleteRule", "PutTargets", "RemoveTargets", "DescribeRule", "ListTargetsByRule")),
}
OTHER_ROLES = {"ApiLogRole": ["arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"]}

# Resource types that cost nothing in an idle stack, as this template configures them; the sweeps of the schedule cost
# less than a cent a month.
FREE_WHEN_IDLE = """
    AWS::ApiGateway::Account AWS::ApiGateway::Deployment AWS::ApiGateway::RestApi AWS::ApiGateway::Stage
    AWS::CloudWatch::Alarm AWS::CloudWatch::Dashboard AWS::Cognito::UserPool AWS::Cognito::UserPoolClient
    AWS::DynamoDB::Table AWS::IAM::Role AWS::Lambda::Alias AWS::Lambda::EventInvokeConfig
    AWS::Lambda::EventSourceMapping AWS::Lambda::Function AWS::Lambda::LayerVersion AWS::Lambda::Permission
    AWS::Lambda::Version AWS::Logs::LogGroup AWS::S3::Bucket AWS::S3::BucketPolicy AWS::SNS::Topic
    AWS::Scheduler::Schedule AWS::SQS::Queue AWS::SQS::QueuePolicy
""".split()

INTEGRATION = "x-amazon-apigateway-integration"
ALLOW_ORIGIN = "header.Access-Control-Allow-Origin"


def as_list(value):
    return value if isinstance(value, list) else [value]


class Checks:
    """Checks one resolved template and collects the problems."""

    def __init__(self, case, given, transformed):
        self.case, self.problems = case, []
        self.template = Resolved(transformed, given)
        self.given = parameters(transformed, given)
        self.origins = self.given["AllowedOrigins"]
        self.imports = self.given["ImportUrls"] == "true"
        self.notifies = bool(self.given["WebhookUrl"])
        self.transcodes = self.given["Transcode"] in ("true", "all", "watched")
        self.watched, self.cdn = self.given["Transcode"] == "watched", self.given["Cdn"] == "true"
        self.expected_functions = [
            *FUNCTIONS,
            *(["FetchFunction"] if self.imports else []),
            *(["WebhookFunction"] if self.notifies else []),
            *(["TranscodeFunction", "EncodeFunction"] if self.transcodes else []),
        ]
        for check in (self.routes, self.preflights, self.callers, self.gateway_responses, self.stage, self.functions,
                      self.versions, self.canary, self.roles, self.checks, self.queue, self.reconciler, self.schedules, self.fetches, self.webhooks, self.transcoding, self.distribution, self.secrets, self.domains, self.buckets, self.table, self.alarms, self.dashboard,
                      self.logs, self.keeping, self.options, self.outputs):  # fmt: skip
            try:
                check()
            except (KeyError, IndexError, TypeError, ValueError, AttributeError, airspeed.TemplateError) as error:
                self.problems.append(f"{check.__name__}: {type(error).__name__} {error}")

    def equal(self, name, actual, expected):
        if actual != expected:
            self.problems.append(f"{name}: {actual!r}, expected {expected!r}")

    def require(self, problem, condition):
        """Reports the problem unless the condition holds."""
        if not condition:
            self.problems.append(problem)

    def of_type(self, kind):
        return {name: r.get("Properties", {}) for name, r in self.template.resources.items() if r["Type"] == kind}

    def properties(self, name):
        return self.template.resources[name]["Properties"]

    @property
    def body(self):
        return self.properties("Api")["Body"]

    def routes(self):
        methods = {"get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"}
        paths = self.body["paths"]
        found = {(method, path) for path, item in paths.items() for method in item if method in methods}
        preflights = {("options", path) for _, path in ROUTES}
        self.equal("routes", sorted(found), sorted({*ROUTES, *preflights}))
        permissions = self.of_type("AWS::Lambda::Permission").values()
        allowed = {
            (p["FunctionName"], p["SourceArn"].rsplit("${Api}/*/", 1)[-1])
            for p in permissions
            if p["Principal"] == "apigateway.amazonaws.com" and "${Api}/*/" in p["SourceArn"]
        }
        expected = set()
        for (method, path), function in ROUTES.items():
            operation = paths.get(path, {}).get(method)
            if operation is None:
                continue
            name = f"{method} {path}"
            # Without a list, the default of the document would count.
            self.equal(f"{name}: security", operation.get("security"), [] if (method, path) in PUBLIC else [{"Caller": []}])
            integration = operation[INTEGRATION]
            self.equal(f"{name}: type", integration["type"], "aws_proxy")
            self.equal(f"{name}: httpMethod", integration["httpMethod"], "POST")
            invoked = NAMED.get(function, f"${{{function}Aliaslive}}")
            self.require(f"{name} does not invoke {function}", f"/functions/{invoked}/invocations" in integration["uri"])
            pattern = re.sub(r"\{[^}]*\}", "*", path)
            expected.add((f"${{{function}Aliaslive}}", f"{method.upper()}{pattern}"))
        self.equal("invoke permissions of the API", sorted(allowed), sorted(expected))
        self.equal("binary types", self.body["x-amazon-apigateway-binary-media-types"], ["*/*"])
        self.equal("title of the API", self.body["info"]["title"], self.properties("Api")["Name"])

    def preflights(self):
        for path, item in self.body["paths"].items():
            operation = item.get("options", {})
            name = f"preflight of {path}"
            self.require(f"{name} requires a caller", not operation.get("security"))
            integration = operation[INTEGRATION]
            response = integration["responses"]["default"]
            status = response["statusCode"]
            self.equal(f"{name}: type", integration["type"], "mock")
            self.equal(f"{name}: contentHandling", integration.get("contentHandling"), "CONVERT_TO_TEXT")
            self.equal(f"{name}: response contentHandling", response.get("contentHandling"), "CONVERT_TO_TEXT")
            request = json.loads(integration["requestTemplates"]["application/json"])
            self.equal(f"{name}: status", str(request["statusCode"]), status)
            headers = response["responseParameters"]
            declared = operation["responses"][status]["headers"]
            self.equal(f"{name}: declared headers", {f"method.response.header.{h}" for h in declared}, set(headers))
            self.equal(f"{name}: declared headers that are not strings", [h for h in declared.values() if h != {"schema": {"type": "string"}}], [])
            methods = headers["method.response.header.Access-Control-Allow-Methods"].strip("'").split(",")
            needed = {method.upper() for method, p in ROUTES if p == path}
            self.require(f"{name} does not allow its methods", needed <= set(methods))
            allowed = headers["method.response.header.Access-Control-Allow-Headers"].strip("'").lower().split(",")
            for header in PREFLIGHT:
                self.require(f"{name} does not allow {header}", header in allowed)
            self.equal(f"{name}: Vary", headers["method.response.header.Vary"], "'Origin'")
            fallback = headers["method.response." + ALLOW_ORIGIN].strip("'")
            text = response["responseTemplates"]["application/json"]
            for origin, expected in self.sample_origins().items():
                for header in ("Origin", "origin"):
                    value = allow_origin(text, header, origin) or fallback
                    self.equal(f"{name}: {header} {origin} allowed", value in {"*", origin}, expected)

    def sample_origins(self):
        """Returns origins and whether the parameters allow them."""
        allowed = self.origins.split(",")
        every = "*" in allowed
        return {
            "https://a.example": every or "https://a.example" in allowed,
            "https://b.example": every,
            "http://a.example": every,
            "https://a.example.evil.org": every,
            "https://a.example:8443": every,
            "http://localhost:5173": every or "http://localhost:*" in allowed,
            "http://localhost:80.evil.org": every,
            "null": every,
        }

    def callers(self):
        scheme = self.body["components"]["securitySchemes"]["Caller"]
        self.equal("location of the token", (scheme["name"], scheme["in"]), ("Authorization", "header"))
        if self.given["Callers"] == "IAM":
            self.equal("authorizer", scheme["x-amazon-apigateway-authtype"], "awsSigv4")
            self.equal("user pools", self.of_type("AWS::Cognito::UserPool"), {})
            return
        self.equal("authorizer", scheme["x-amazon-apigateway-authtype"], "cognito_user_pools")
        pool = self.given["UserPoolArn"] or "${UserPool.Arn}"
        expected = {"type": "cognito_user_pools", "providerARNs": [pool]}
        self.equal("authorizer's user pool", scheme["x-amazon-apigateway-authorizer"], expected)
        self.equal("number of user pools", len(self.of_type("AWS::Cognito::UserPool")), int(not self.given["UserPoolArn"]))
        if not self.given["UserPoolArn"]:
            admin = self.properties("UserPool")["AdminCreateUserConfig"]
            self.equal("sign-up", admin, {"AllowAdminCreateUserOnly": True})
            self.equal("client with a secret", self.properties("UserPoolClient")["GenerateSecret"], False)

    def gateway_responses(self):
        responses = self.body["x-amazon-apigateway-gateway-responses"]
        needed = {"DEFAULT_4XX", "DEFAULT_5XX", "UNAUTHORIZED", "EXPIRED_TOKEN", "REQUEST_TOO_LARGE", "THROTTLED"}
        self.require(f"gateway responses are missing: {needed - set(responses)}", needed <= set(responses))
        one = not self.origins or re.fullmatch(r"[^,]*", self.origins) and not self.origins.endswith(":*")
        # Not a mapping of the request's header: its name is case-sensitive, and HTTP/2 sends it in lower case.
        origin = f"'{self.origins or 'https://none.invalid'}'" if one else "'*'"
        for name, response in responses.items():
            headers = response["responseParameters"]
            self.equal(f"{name}: origin", headers.get("gatewayresponse." + ALLOW_ORIGIN), origin)
            self.equal(f"{name}: Vary", headers.get("gatewayresponse.header.Vary"), "'Origin'")
            exposed = headers.get("gatewayresponse.header.Access-Control-Expose-Headers")
            self.equal(f"{name}: exposed headers", exposed, "'ETag,Location,Retry-After'")
            kind = headers.get("gatewayresponse.header.Content-Type")
            self.equal(f"{name}: content type", kind, "'application/problem+json'")
            text = response["responseTemplates"]["application/json"]
            problem = json.loads(text.replace("$context.error.messageString", '"x"'))
            fields = {"type", "title", "detail", "code", "error", "message"}
            self.require(f"{name} is not a problem document: {problem}", fields <= set(problem))
            if "statusCode" in response:
                self.equal(f"{name}: status", problem["status"], response["statusCode"])
        self.require("DEFAULT_5XX shows internals", "$" not in json.dumps(responses["DEFAULT_5XX"]["responseTemplates"]))
        after = responses["THROTTLED"]["responseParameters"].get("gatewayresponse.header.Retry-After")
        self.equal("THROTTLED: Retry-After", after, "'1'")
        large = responses["REQUEST_TOO_LARGE"]
        self.equal("REQUEST_TOO_LARGE: status", large["statusCode"], 413)
        self.require("REQUEST_TOO_LARGE does not name /presign", "/presign" in large["responseTemplates"]["application/json"])

    def stage(self):
        (stage,) = self.of_type("AWS::ApiGateway::Stage").values()
        self.equal("X-Ray of the API", stage.get("TracingEnabled"), True)
        self.equal("cache, which is billed by the hour", stage.get("CacheClusterEnabled", False), False)
        # Those of a method are not merged with those of all methods.
        (segments,) = PUBLIC
        scopes = [("/*", "*"), ("/" + segments[1].replace("/", "~1"), segments[0].upper())]
        self.equal("scopes of the method settings", [(s["ResourcePath"], s["HttpMethod"]) for s in stage["MethodSettings"]], scopes)
        for settings in stage["MethodSettings"]:
            for name in ("ThrottlingRateLimit", "ThrottlingBurstLimit"):
                self.require(f"{name} is off", 0 < settings.get(name, 0) <= 1000)
            self.equal("data trace", settings.get("DataTraceEnabled", False), False)
            self.equal("execution log", settings.get("LoggingLevel", "OFF"), "OFF")
            self.equal("detailed metrics, which are billed", settings.get("MetricsEnabled", False), False)
        log = stage["AccessLogSetting"]
        self.equal("access log destination", log["DestinationArn"], "${ApiLogs.Arn}")
        fields = set(json.loads(log["Format"]).values())
        self.require("the access log lacks requestId or status", {"$context.requestId", "$context.status"} <= fields)
        secret = re.compile(r"header|querystring|authorizer(?!\.claims\.sub)|apiKey|accessKey|\$context\.path|body", re.I)
        self.equal("secrets in the access log", [f for f in fields if secret.search(f)], [])
        if self.given["SetApiLogRole"] == "true":
            tags = {tag["Key"]: tag["Value"] for tag in stage["Tags"]}
            self.require("the stage is created before the account's log role is set", "${ApiAccount}" in tags.values())

    def functions(self):
        functions = self.of_type("AWS::Lambda::Function")
        self.equal("functions", sorted(functions), sorted(self.expected_functions))
        names = ("UploadsBucket", "ThumbnailsBucket", "ProcessedBucket")
        uploads, thumbnails, processed = (self.properties(name)["BucketName"] for name in names)
        environment = {
            "TABLE_NAME": "${VideoMetadata}",
            "UPLOADS_BUCKET": uploads,
            "THUMBNAILS_BUCKET": thumbnails,
            "PROCESSED_BUCKET": processed,
            "MAX_UPLOAD_BYTES": self.given["MaxUploadBytes"],
            "QUOTA_BYTES": self.given["QuotaBytes"],
            "QUOTA_VIDEOS": self.given["QuotaVideos"],
            "QUOTA_UPLOADS": self.given["QuotaUploads"],
            "MAX_DURATION_SECONDS": self.given["MaxDurationSeconds"],
            "ALLOWED_TYPES": self.given["AllowedTypes"],
            "LOG_LEVEL": self.given["LogLevel"],
            "TRANSFER_ACCELERATION": self.given["TransferAcceleration"],
            "STACK_NAME": "upreel",
            "RELEASE": self.given["Release"],
            **({"TRACES": "true"} if self.given["Traces"] == "true" else {}),
            **({"SCAN": "true"} if self.given["Scan"] == "true" else {}),
            **({"MODERATION": "true"} if self.given["Moderation"] == "true" else {}),
            "MALLOC_TRIM_THRESHOLD_": "67108864",
            "MALLOC_MMAP_THRESHOLD_": "33554432",
        }
        machine = {"STATE_MACHINE_ARN": "${TranscodeMachine}"} if self.transcodes else {}
        # As it is, so that each change of it changes the functions whose versions it is a part of.
        transcode = {"TRANSCODE": self.given["Transcode"]}
        for name, f in functions.items():
            self.equal(f"{name}: runtime", (f["Runtime"], f["Handler"]), ("provided.al2023", "bootstrap"))
            self.equal(f"{name}: architecture", f["Architectures"], [self.given["Architecture"]])
            origins = {"ALLOWED_ORIGINS": self.origins}
            audio = {"AUDIO": self.given["Audio"]}
            secret = {"CDN_SECRET_ARN": "${CdnSecret.Id}"} if self.cdn else {}
            domain = {"CDN_DOMAIN": self.given["CdnDomain"] or "${CdnDistribution.DomainName}"} if self.cdn else {}
            distribution = {"CDN_DISTRIBUTION_ID": "${CdnDistribution}"} if self.cdn else {}
            own = {
                "UploadFunction": {**origins, **audio},
                "PresignFunction": {**origins, **audio, **({"FETCH_FUNCTION": "${FetchFunctionAliaslive}"} if self.imports else {})},
                "WebhookFunction": {
                    "WEBHOOK_URL": self.given["WebhookUrl"],
                    "WEBHOOK_SECRET_ARN": "${WebhookSecret.Id}",
                    "WEBHOOK_QUEUE_URL": "${WebhookQueue}",
                },
                "ThumbnailFunction": {**machine, **transcode, **audio},
                "ReconcileFunction": {
                    "THUMBNAIL_FUNCTION": "${ThumbnailFunctionAliaslive}",
                    "DEAD_LETTER_QUEUE_URL": "${VideoProcessingDLQ}",
                    **distribution,
                    **machine,
                    **transcode,
                },
                "VideosFunction": {**origins, **domain, **secret, **distribution, **transcode, **(machine if self.watched else {})},
                # Not the domain, which would form a cycle with the distribution and the API.
                "PlaybackFunction": {**origins, **secret},
            }
            self.equal(f"{name}: environment", f["Environment"]["Variables"], {**environment, **own.get(name, {})})
            self.equal(f"{name}: X-Ray", f["TracingConfig"], {"Mode": "Active"})
            self.require(f"{name} is in a VPC", "VpcConfig" not in f)
            metadata = self.template.resources[name]["Metadata"]
            binary = "transcode" if name == "EncodeFunction" else name.removesuffix("Function").lower()
            self.equal(f"{name}: build method", metadata["BuildMethod"], "rust-cargolambda")
            self.equal(f"{name}: binary", metadata["BuildProperties"], {"Binary": binary})
        for name, arn in NAMED.items():
            self.equal(f"{name}: ARN", arn.split(":")[6:], [functions[name].get("FunctionName"), "live"])
        # crates/media/src/child.rs limits ffmpeg to 1536 MB.
        for name in ("ThumbnailFunction", "PlaybackFunction"):
            self.equal(f"memory of {name}", functions[name]["MemorySize"], 2048)
        for name in API_FUNCTIONS:
            # Above the SDK's limit for an S3 operation, so that a call that hangs is tried again.
            self.require(f"{name} has a timeout beyond that of API Gateway, or one too short for retries", 12 < functions[name]["Timeout"] < 29)
        layers = list(self.of_type("AWS::Lambda::LayerVersion"))
        for name in (*API_FUNCTIONS, "ThumbnailFunction"):
            runs_ffmpeg = name in ("ThumbnailFunction", "PlaybackFunction")
            self.equal(f"layers of {name}", functions[name].get("Layers", []), [f"${{{layer}}}" for layer in layers if runs_ffmpeg])
        self.require("the FFmpeg layer is missing", layers and layers[0].startswith("FfmpegLayer"))
        layer = self.of_type("AWS::Lambda::LayerVersion")[layers[0]]
        self.equal("architecture of the layer", layer["CompatibleArchitectures"], [self.given["Architecture"]])
        metadata = self.template.resources[layers[0]]["Metadata"]
        built = (metadata["BuildMethod"], metadata["BuildArchitecture"])
        self.equal("build of the layer", built, ("makefile", self.given["Architecture"]))

    def versions(self):
        """Everything invokes an alias; versions and layers are kept, so that the aliases can go back to them."""
        aliases = self.of_type("AWS::Lambda::Alias")
        self.equal("aliases", sorted(aliases), sorted(f"{name}Aliaslive" for name in self.expected_functions))
        self.equal("names of the aliases", {alias["Name"] for alias in aliases.values()}, {"live"})
        for name, resource in self.template.resources.items():
            policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            if resource["Type"] == "AWS::Lambda::Version":
                self.equal(f"{name}: deletion policies", policies, ("Retain", "Retain"))
                description = resource["Properties"].get("Description", "")
                self.equal(f"{name}: release", description.split(" ")[0], self.given["Release"])
            if resource["Type"] == "AWS::Lambda::LayerVersion":
                self.equal(f"{name}: deletion policy", policies[0], "Retain")
        # Only the alias itself, its versions and its configuration name the function without the alias.
        unqualified = {f"${{{name}{suffix}}}" for name in self.expected_functions for suffix in ("", ".Arn")}
        named = ("AWS::Lambda::Alias", "AWS::IAM::Role", "AWS::Lambda::Version", "AWS::Lambda::EventInvokeConfig", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard")
        for name, resource in self.template.resources.items():
            if resource["Type"] not in named:
                for used in strings(resource["Properties"]) & unqualified:
                    self.problems.append(f"{name} invokes {used} without the alias")
        provisioned = int(self.given["ProvisionedConcurrency"])
        for name, alias in aliases.items():
            config = alias.get("ProvisionedConcurrencyConfig")
            has = provisioned and name.removesuffix("Aliaslive") in API_FUNCTIONS
            self.equal(f"{name}: provisioned", config, {"ProvisionedConcurrentExecutions": str(provisioned)} if has else None)

    def canary(self):
        """With Canary, CodeDeploy shifts the traffic of the API's functions, and goes back if an alarm is raised."""
        groups = self.of_type("AWS::CodeDeploy::DeploymentGroup")
        on = self.given["Canary"] == "true"
        self.equal("deployment groups", sorted(groups), sorted(f"{name}DeploymentGroup" for name in API_FUNCTIONS) if on else [])
        for name in API_FUNCTIONS if on else ():
            group, kind = groups[f"{name}DeploymentGroup"], name.removesuffix("Function")
            alarms = {"Enabled": True, "Alarms": [{"Name": f"${{{kind}CanaryAlarm}}"}, {"Name": "${ApiCanaryAlarm}"}]}
            self.equal(f"{name}: alarms of the canary", group.get("AlarmConfiguration"), alarms)
            self.equal(f"{name}: canary", group["DeploymentConfigName"], "CodeDeployDefault.LambdaCanary10Percent5Minutes")
            self.require(f"{name}: no rollback on an alarm", "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"])
            self.equal(f"{name}: role of the canary", group["ServiceRoleArn"], "${CanaryRole.Arn}")
            self.require(f"{name}: the alias is moved at once", "CodeDeployLambdaAliasUpdate" in self.template.resources[f"{name}Aliaslive"].get("UpdatePolicy", {}))
            alarm = self.properties(f"{kind}CanaryAlarm")
            # The errors of the new version only: those of the present one must not end the deployment that mends them.
            self.equal(f"{name}: dimensions of the canary", [d["Name"] for d in alarm["Dimensions"]], ["FunctionName", "Resource", "ExecutedVersion"])
            self.equal(f"{name}: resource of the canary", alarm["Dimensions"][1]["Value"], f"${{{name}}}:live")
            self.require(f"{name}: version of the canary", alarm["Dimensions"][2]["Value"].startswith(f"${{{name}Version"))
        if on:
            granted = {action for s in self.properties("CanaryRole")["Policies"][0]["PolicyDocument"]["Statement"] for action in s["Action"]}
            self.equal("actions of CodeDeploy", granted, {"lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig", "cloudwatch:DescribeAlarms"})

    def roles(self):
        roles = self.of_type("AWS::IAM::Role")
        uploads = self.properties("UploadsBucket")["BucketName"]
        granted = dict(GRANTS)
        if any(self.given[name] != DEFAULTS[name] for name in QUOTAS):
            granted["PresignFunction"] = granted["PresignFunction"] | {("dynamodb:GetItem", TABLE), ("dynamodb:UpdateItem", TABLE)}
        if self.cdn:
            for function in ("VideosFunction", "PlaybackFunction"):
                granted[function] = granted[function] | {("secretsmanager:GetSecretValue", "${CdnSecret.Id}")}
            for function in ("VideosFunction", "ReconcileFunction"):
                granted[function] = granted[function] | {("cloudfront:CreateInvalidation", DISTRIBUTION)}
        if self.imports:
            granted["PresignFunction"] = granted["PresignFunction"] | {("dynamodb:GetItem", TABLE), ("lambda:InvokeFunction", "${FetchFunctionAliaslive}")}
            granted["FetchFunction"] = FETCH_GRANTS
        if self.notifies:
            granted["WebhookFunction"] = WEBHOOK_GRANTS
        if self.given["Scan"] == "true":
            granted["UploadFunction"] = granted["UploadFunction"] | {("s3:ListBucket", "arn:aws:s3:::{uploads}")}
            granted["ThumbnailFunction"] = granted["ThumbnailFunction"] | {("s3:GetObjectTagging", VIDEOS)}
            roles.pop("ScanRole")
        if self.transcodes:
            granted["ThumbnailFunction"] = granted["ThumbnailFunction"] | {("states:StartExecution", "${TranscodeMachine}")}
            granted["ReconcileFunction"] = granted["ReconcileFunction"] | RESTART_GRANTS
            granted["TranscodeFunction"] = TRANSCODE_GRANTS
            if self.watched:
                granted["VideosFunction"] = granted["VideosFunction"] | {("states:StartExecution", "${TranscodeMachine}")}
                granted["TranscodeFunction"] = TRANSCODE_GRANTS | {("s3:GetObject", PLAYLISTS), ("s3:PutObject", PLAYLISTS)}
            self.equal("role of EncodeFunction", self.properties("EncodeFunction")["Role"], "${TranscodeRole.Arn}")
            machine = roles.pop("TranscodeMachineRole")
            self.equal("state machine: assumed by", principals(machine), ["states.amazonaws.com"])
            pairs = [(s["Effect"], s["Action"], s["Resource"]) for p in machine["Policies"] for s in p["PolicyDocument"]["Statement"]]
            permissions = {
                (action, resource) for _, actions, resources in pairs for action in actions for resource in as_list(resources)
            }
            self.equal("state machine: permissions", sorted(permissions), sorted(MACHINE_GRANTS))
            self.equal("state machine: effects", {effect for effect, _, _ in pairs}, {"Allow"})
        for function, grants in granted.items():
            self.require(f"{function} shares a role",
                      self.properties(function)["Role"] == f"${{{function.removesuffix('Function')}Role.Arn}}")  # fmt: skip
            name = function.removesuffix("Function")
            role = roles.pop(f"{name}Role")
            self.equal(f"{name}: managed policies", role.get("ManagedPolicyArns", []), [])
            self.equal(f"{name}: assumed by", principals(role), ["lambda.amazonaws.com"])
            log = f"${{{name}Logs.Arn}}"
            expected = {(action, arn.format(uploads=uploads) if "{uploads}" in arn else arn) for action, arn in grants}
            expected |= TRACES | {("logs:CreateLogStream", log), ("logs:PutLogEvents", log)}
            given = set()
            for policy in role["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    self.equal(f"{name}: statement", set(statement), {"Effect", "Action", "Resource"})
                    self.equal(f"{name}: effect", statement["Effect"], "Allow")
                    for action in as_list(statement["Action"]):
                        for arn in as_list(statement["Resource"]):
                            given.add((action, arn.replace("${UploadsBucket.Arn}", f"arn:aws:s3:::{uploads}")))
                            self.require(f"{name}: {action} has a wildcard", "*" not in action)
                            self.require(f"{name}: {action} is granted on every resource", arn != "*" or (action, arn) in TRACES)
            for grant in sorted(expected - given):
                self.problems.append(f"{name} lacks {' on '.join(grant)}")
            for grant in sorted(given - expected):
                self.problems.append(f"{name} is granted {' on '.join(grant)}, which it does not need")
        if self.given["Canary"] == "true":
            self.equal("canary: assumed by", principals(roles.pop("CanaryRole")), ["codedeploy.amazonaws.com"])
        schedules = roles.pop("ReconcileScheduleRole")
        self.equal("schedules: assumed by", principals(schedules), ["scheduler.amazonaws.com"])
        (trust,) = schedules["AssumeRolePolicyDocument"]["Statement"]
        self.equal("schedules: condition", trust.get("Condition"), {"StringEquals": {"aws:SourceAccount": "123456789012"}})
        invoke = {"Effect": "Allow", "Action": ["lambda:InvokeFunction"], "Resource": "${ReconcileFunctionAliaslive}"}
        self.equal("schedules: permissions", [s for p in schedules["Policies"] for s in p["PolicyDocument"]["Statement"]], [invoke])
        for name, role in roles.items():
            self.equal(f"{name}: managed policies", role.get("ManagedPolicyArns"), OTHER_ROLES.get(name))
            self.require(f"{name} has inline policies", "Policies" not in role)
            self.equal(f"{name}: assumed by", principals(role), ["apigateway.amazonaws.com"])
        stray = [n for n, r in self.template.resources.items() if r["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")]
        self.equal("policies outside of roles", stray, [])

    def checks(self):
        """With Scan or Moderation, uploads are held, and verdicts are events of the thumbnail function."""
        scan, moderation = (self.given[name] == "true" for name in ("Scan", "Moderation"))
        bucket = self.properties("UploadsBucket")
        expected = {"EventBridgeEnabled": True} if scan or moderation else None
        self.equal("events of the uploads bucket", bucket["NotificationConfiguration"].get("EventBridgeConfiguration"), expected)
        sources = ["aws.guardduty"] * scan + ["upreel.moderation"] * moderation
        rules = [
            (rule["EventPattern"]["source"], rule["EventPattern"]["detail-type"], rule["EventPattern"]["detail"], rule["Targets"])
            for name, rule in self.of_type("AWS::Events::Rule").items()
            if name == "CheckRule"
        ]
        kinds = ["GuardDuty Malware Protection Object Scan Result", "Verdict"]
        targets = [{"Id": "thumbnail", "Arn": "${ThumbnailFunctionAliaslive}"}]
        rule = (sources, kinds, {"s3ObjectDetails": {"bucketName": ["${UploadsBucket}"]}}, targets)
        self.equal("rule of the verdicts", rules, [rule] if sources else [])
        invokers = self.of_type("AWS::Lambda::Permission").items()
        invokers = [(p["FunctionName"], p["Principal"], p.get("SourceArn")) for name, p in invokers if name == "CheckPermission"]
        invoker = ("${ThumbnailFunctionAliaslive}", "events.amazonaws.com", "${CheckRule.Arn}")
        self.equal("permission of the verdicts", invokers, [invoker] if sources else [])
        plans = list(self.of_type("AWS::GuardDuty::MalwareProtectionPlan").values())
        plan = {
            "Role": "${ScanRole.Arn}",
            "ProtectedResource": {"S3Bucket": {"BucketName": "${UploadsBucket}", "ObjectPrefixes": ["videos/"]}},
            "Actions": {"Tagging": {"Status": "ENABLED"}},
        }
        self.equal("plan of the scans", plans, [plan] if scan else [])
        policy = self.properties("UploadsBucketPolicy")["PolicyDocument"]["Statement"]
        policy = {s["Sid"]: (s["Effect"], s["Principal"], sorted(s["Action"]), s["Resource"], s["Condition"]) for s in policy}
        scanner, videos = {"aws:PrincipalArn": "${ScanRole.Arn}"}, "${UploadsBucket.Arn}/videos/*"
        clean = {"s3:ExistingObjectTag/GuardDutyMalwareScanStatus": "NO_THREATS_FOUND", **scanner}
        reads = ("Deny", "*", ["s3:GetObject", "s3:GetObjectVersion"], videos, {"StringNotEquals": clean})
        tags = sorted(f"s3:{verb}Object{kind}Tagging" for verb in ("Put", "Delete") for kind in ("", "Version"))
        tags = ("Deny", "*", tags, videos, {"StringNotEquals": scanner})
        self.equal("reads of what was not scanned", policy.get("OnlyScannedIsRead"), reads if scan else None)
        self.equal("tags of others", policy.get("OnlyTheScannerTags"), tags if scan else None)
        if scan:
            role = self.properties("ScanRole")
            self.equal("scanner: assumed by", principals(role), ["malware-protection-plan.guardduty.amazonaws.com"])
            (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
            self.equal("scanner: condition", trust.get("Condition"), {"StringEquals": {"aws:SourceAccount": "123456789012"}})
            statements = [s for p in role["Policies"] for s in p["PolicyDocument"]["Statement"]]
            granted = {(action, s["Resource"]) for s in statements for action in s["Action"]}
            self.equal("scanner: permissions", sorted(granted), sorted(SCAN_GRANTS))
            managed = {"StringLike": {"events:ManagedBy": "malware-protection-plan.guardduty.amazonaws.com"}}
            writes = [s.get("Condition") for s in statements if "events:PutRule" in s["Action"]]
            self.equal("scanner: its own rules", writes, [managed])

    def queue(self):
        queue = self.properties("VideoProcessingDLQ")
        thumbnail = self.properties("ThumbnailFunction")
        self.equal("dead-letter queue", thumbnail.get("DeadLetterConfig"), {"TargetArn": QUEUE})
        self.require("the name of the dead-letter queue", queue["QueueName"].endswith("VideoProcessingDLQ"))
        self.equal("retention of the dead-letter queue", queue["MessageRetentionPeriod"], 1209600)
        self.require("the visibility timeout is below 6 timeouts of the function", queue["VisibilityTimeout"] >= 6 * thumbnail["Timeout"])
        self.require("the dead-letter queue is not encrypted", queue.get("SqsManagedSseEnabled") or queue.get("KmsMasterKeyId"))
        (invoke,) = [config for name, config in self.of_type("AWS::Lambda::EventInvokeConfig").items() if name not in FETCH]
        self.equal("retries", invoke["MaximumRetryAttempts"], 2)
        # Lambda sends an event that it gives up on to the queue and to the destination.
        self.equal("failure destination", invoke["DestinationConfig"], {"OnFailure": {"Destination": "${ReconcileFunctionAliaslive}"}})
        self.equal("retries: function", (invoke["FunctionName"], invoke["Qualifier"]), ("${ThumbnailFunction}", "live"))
        self.equal("maximum event age", invoke["MaximumEventAgeInSeconds"], 21600)
        mappings = self.of_type("AWS::Lambda::EventSourceMapping").items()
        ((name, replay),) = [(name, mapping) for name, mapping in mappings if name not in WEBHOOK]
        self.equal("replay: source and function", (replay["EventSourceArn"], replay["FunctionName"]), (QUEUE, "${ThumbnailFunctionAliaslive}"))
        self.equal("replay: enabled", replay["Enabled"], False)
        self.equal("replay: batch size", replay["BatchSize"], 1)
        self.equal("output ReplayMapping", self.template.outputs["ReplayMapping"], f"${{{name}}}")
        policy = self.properties("VideoProcessingDLQPolicy")["PolicyDocument"]["Statement"]
        self.require("the dead-letter queue accepts plain HTTP", any(denies_plain_http(s, "sqs:*") for s in policy))

    def reconciler(self):
        """The reconciler has the name that the thumbnail function's role refers to, and no queue of its own."""
        function = self.properties("ReconcileFunction")
        self.equal("reconciler: ARN", RECONCILE.split(":")[6:], [function.get("FunctionName"), "live"])
        self.equal("reconciler: timeout and memory", (function["Timeout"], function["MemorySize"]), (300, 256))
        self.require("ReconcileFunction has a layer", "Layers" not in function)
        # A replay would pass its messages to the thumbnail function.
        self.require("ReconcileFunction has a dead-letter queue", "DeadLetterConfig" not in function)

    def schedules(self):
        """A sweep every 15 minutes and a list every week; a sweep is not retried for longer than until the next one."""
        schedules = self.of_type("AWS::Scheduler::Schedule")
        self.equal("schedules", sorted(schedules), ["ListSchedule", "SweepSchedule"])
        expressions = {"SweepSchedule": "rate(15 minutes)", "ListSchedule": "cron(0 3 ? * SUN *)"}
        for name, task in (("SweepSchedule", "sweep"), ("ListSchedule", "list")):
            schedule, target = schedules[name], schedules[name]["Target"]
            self.equal(f"{name}: expression", schedule["ScheduleExpression"], expressions[name])
            self.equal(f"{name}: flexible window", schedule["FlexibleTimeWindow"], {"Mode": "OFF"})
            self.equal(f"{name}: state", schedule.get("State", "ENABLED"), "ENABLED")
            self.equal(f"{name}: target", target["Arn"], "${ReconcileFunctionAliaslive}")
            self.equal(f"{name}: role", target["RoleArn"], "${ReconcileScheduleRole.Arn}")
            self.equal(f"{name}: input", json.loads(target["Input"]), {"task": task})
            age = target["RetryPolicy"]["MaximumEventAgeInSeconds"]
            self.require(f"{name}: retries for {age} s", age <= {"sweep": 900, "list": 86400}[task])
            self.require(f"{name}: no retries", target["RetryPolicy"]["MaximumRetryAttempts"] > 0)

    def fetches(self):
        """A fetch is retried, has all the time that Lambda gives, and its URL is kept nowhere."""
        created = sorted(name for name in self.template.resources if name.startswith("Fetch") and "Version" not in name)
        self.equal("resources for videos from URLs", created, sorted(FETCH) if self.imports else [])
        if not self.imports:
            return
        function, invoke = self.properties("FetchFunction"), self.properties("FetchFunctionEventInvokeConfig")
        # Two parts of 16 MiB are in memory (crates/fetch/src/client.rs).
        self.equal("FetchFunction: timeout and memory", (function["Timeout"], function["MemorySize"]), (900, 512))
        self.require("FetchFunction has a layer", "Layers" not in function)
        self.require("the URLs of failed events are kept in a queue", "DeadLetterConfig" not in function)
        self.equal("FetchFunction: retries", (invoke["FunctionName"], invoke["Qualifier"], invoke["MaximumRetryAttempts"]), ("${FetchFunction}", "live", 2))
        self.equal("FetchFunction: failure destination", invoke["DestinationConfig"], {"OnFailure": {"Destination": "${ReconcileFunctionAliaslive}"}})
        # A fetch ends 45 minutes after its request (crates/presign/src/fetch.rs).
        self.require("FetchFunction: events are given up too early", invoke["MaximumEventAgeInSeconds"] >= 45 * 60)

    def webhooks(self):
        """The stream feeds the queue, each message is delivered separately, and failures reach the dead-letter queue."""
        table = self.properties("VideoMetadata")
        if not self.notifies:
            created = [name for name in self.template.resources if name.startswith("Webhook")]
            self.equal("resources for webhooks, without webhooks", created, [])
            self.require("the table has a stream without webhooks", "StreamSpecification" not in table)
            self.require("output WebhookDlqUrl without webhooks", "WebhookDlqUrl" not in self.template.outputs)
            return
        created = sorted(name for name in self.template.resources if name.startswith("Webhook") and "Version" not in name)
        self.equal("resources for webhooks", created, sorted(WEBHOOK))
        self.equal("stream of the table", table.get("StreamSpecification"), {"StreamViewType": "NEW_AND_OLD_IMAGES"})
        function, queue, dead = (self.properties(name) for name in ("WebhookFunction", "WebhookQueue", "WebhookDLQ"))
        changed, waiting = (self.properties(f"WebhookFunction{name}") for name in ("Changed", "Waiting"))
        self.require("WebhookFunction has a layer", "Layers" not in function)
        for mapping in (changed, waiting):
            self.equal("mapping: function", mapping["FunctionName"], "${WebhookFunctionAliaslive}")
            self.require("a mapping is disabled", mapping.get("Enabled", True) is True)
            self.equal("mapping: response types", mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
        self.equal("stream: source", changed["EventSourceArn"], "${VideoMetadata.StreamArn}")
        self.equal("stream: starting position", changed["StartingPosition"], "TRIM_HORIZON")
        self.equal("stream: bisect on errors", changed["BisectBatchOnFunctionError"], True)
        lost = changed["DestinationConfig"]
        self.equal("stream: failure destination", lost, {"OnFailure": {"Destination": "${WebhookDLQ.Arn}"}})
        # A stream retains records for 24 hours; operators need some of them to read failed records again.
        age = changed["MaximumRecordAgeInSeconds"]
        self.require(f"stream: maximum age {age} s, or too few retries", 3600 <= age <= 43200 and changed["MaximumRetryAttempts"] >= 1000)
        (pattern,) = [json.loads(f["Pattern"]) for f in changed["FilterCriteria"]["Filters"]]
        self.equal("stream: filter", pattern, {"dynamodb": {"NewImage": {"status": {"S": [{"exists": True}]}}}})
        self.equal("queue: source", waiting["EventSourceArn"], WEBHOOKS)
        self.equal("queue: concurrency", waiting["ScalingConfig"], {"MaximumConcurrency": 2})
        self.require("queue: the batch is larger than one SQS response", waiting["BatchSize"] <= 10)
        # A delivery times out after 10 s.
        self.require("WebhookFunction ends before a delivery times out", function["Timeout"] >= 20)
        self.require("the visibility timeout of webhooks is below 6 timeouts of the function", queue["VisibilityTimeout"] >= 6 * function["Timeout"])
        redrive = {"deadLetterTargetArn": "${WebhookDLQ.Arn}", "maxReceiveCount": 12}
        self.equal("redrive policy of webhooks", queue.get("RedrivePolicy"), redrive)
        # The waits between twelve attempts; the last one may start late.
        attempts = sum(30 * 2**n for n in range(11))
        self.require("the queue drops webhooks before their last attempt", queue["MessageRetentionPeriod"] > 2 * attempts)
        self.equal("retention of the webhooks' dead-letter queue", dead["MessageRetentionPeriod"], 1209600)
        for name in (queue, dead):
            self.require("a queue of webhooks is not encrypted", name.get("SqsManagedSseEnabled") or name.get("KmsMasterKeyId"))
        policy = self.properties("WebhookQueuePolicy")
        self.equal("queues of the policy", policy["Queues"], ["${WebhookQueue}", "${WebhookDLQ}"])
        statements = policy["PolicyDocument"]["Statement"]
        self.require("the queues of webhooks accept plain HTTP", any(denies_plain_http(s, "sqs:*") for s in statements))
        self.equal("output WebhookDlqUrl", self.template.outputs["WebhookDlqUrl"], "${WebhookDLQ}")

    def transcoding(self):
        """The state machine, its functions, and the rule for executions that end without a result."""
        created = sorted(name for name in self.template.resources if name.startswith(("Transcode", "Encode")) and "Version" not in name)
        self.equal("resources for transcoding", created, sorted(TRANSCODE) if self.transcodes else [])
        self.equal("has an output StateMachineArn", "StateMachineArn" in self.template.outputs, self.transcodes)
        if not self.transcodes:
            return
        encode, plan, machine = (self.properties(name) for name in ("EncodeFunction", "TranscodeFunction", "TranscodeMachine"))
        layers = list(self.of_type("AWS::Lambda::LayerVersion"))
        self.equal("layer of EncodeFunction", encode.get("Layers"), [f"${{{layer}}}" for layer in layers])
        self.require("TranscodeFunction has a layer", "Layers" not in plan)
        self.equal("timeout of EncodeFunction", encode["Timeout"], 900)
        self.require("EncodeFunction has too little memory, or more than a new account allows", 2048 <= encode["MemorySize"] <= 3008)
        reserved = encode.get("ReservedConcurrentExecutions")
        self.equal("reserved concurrency of EncodeFunction", reserved or "0", self.given["TranscodeReservedConcurrency"])
        # Express executions end after five minutes and may start twice.
        self.equal("state machine: type", machine["StateMachineType"], "STANDARD")
        self.equal("state machine: name", machine["StateMachineName"], "upreel-transcode")
        self.equal("state machine: X-Ray", machine.get("TracingConfiguration"), {"Enabled": True})
        given = machine["DefinitionSubstitutions"]
        expected = {
            "Partition": "aws",
            "TranscodeFunction": "${TranscodeFunctionAliaslive}",
            "EncodeFunction": "${EncodeFunctionAliaslive}",
            "Concurrency": self.given["TranscodeConcurrency"],
        }
        self.equal("state machine: substitutions", given, expected)
        self.machine(Path("statemachines/transcode.asl.json").read_text(), given)
        rule = self.properties("TranscodeFunctionEnded")
        ended = {"status": ["FAILED", "TIMED_OUT", "ABORTED"], "stateMachineArn": ["${TranscodeMachine}"]}
        pattern = {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"], "detail": ended}
        self.equal("rule: pattern", rule["EventPattern"], pattern)
        self.equal("rule: targets", [t["Arn"] for t in rule["Targets"]], ["${TranscodeFunctionAliaslive}"])
        permission = self.properties("TranscodeFunctionEndedPermission")
        self.equal("rule: permission", (permission["Principal"], permission["SourceArn"]), ("events.amazonaws.com", "${TranscodeFunctionEnded.Arn}"))

    def machine(self, text, given):
        """The definition of the state machine retries every task, and records the failure of those that still fail."""
        self.equal("state machine: placeholders", set(re.findall(r"\$\{(\w+)\}", text)), set(given))
        machine = json.loads(re.sub(r"\$\{(\w+)\}", lambda m: given.get(m[1], ""), text))
        self.require("state machine: timeout", 3600 <= machine["TimeoutSeconds"] <= 86400)
        states, chunk = machine["States"], machine["States"]["Encode"]["ItemProcessor"]["States"]["Chunk"]
        self.equal("state machine: concurrency of chunks", states["Encode"]["MaxConcurrency"], int(self.given["TranscodeConcurrency"]))
        self.equal("state machine: processor of chunks", states["Encode"]["ItemProcessor"]["ProcessorConfig"], {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"})
        for name in ("Plan", "Encode", "Package"):
            self.equal(f"{name}: catch", [(c["ErrorEquals"], c["Next"]) for c in states[name].get("Catch", [])], [(["States.ALL"], "Fail")])
        for name, state in {**states, "Chunk": chunk}.items():
            if state["Type"] == "Task":
                retries = state.get("Retry", [])
                self.require(f"{name} does not retry every error", retries and retries[-1]["ErrorEquals"] == ["States.ALL"])
                self.require(f"{name}: retries without backoff and jitter", all(r["JitterStrategy"] == "FULL" and r["BackoffRate"] > 1 for r in retries))
        self.equal("Chunk: first retry", chunk["Retry"][0]["ErrorEquals"], ["Lambda.TooManyRequestsException"])
        self.equal("Fail: next state", (states["Fail"]["Next"], states["Failed"]["Type"]), ("Failed", "Fail"))

    def distribution(self):
        """CloudFront serves playlists and segments by signed URLs only, and nothing else reads them."""
        created = sorted(name for name in self.template.resources if name.startswith("Cdn") and name != "CdnRecords")
        self.equal("resources for CloudFront", created, sorted(CDN) if self.cdn else [])
        self.equal("has an output CdnDomain", "CdnDomain" in self.template.outputs, self.cdn)
        policy = self.properties("ProcessedBucketPolicy")["PolicyDocument"]["Statement"]
        allowed = [s for s in policy if s["Effect"] == "Allow"]
        if not self.cdn:
            self.equal("other readers of renditions", allowed, [])
            return
        (allow,) = allowed
        grant = (allow["Principal"], allow["Action"], allow["Resource"])
        self.equal("CloudFront: grant", grant, ({"Service": "cloudfront.amazonaws.com"}, "s3:GetObject", [RENDITIONS, PLAYLISTS, SEGMENTS]))
        source = {"StringEquals": {"aws:SourceArn": DISTRIBUTION}}
        self.equal("CloudFront: condition", allow["Condition"], source)
        config = self.properties("CdnDistribution")["DistributionConfig"]
        behaviours = {None: config["DefaultCacheBehavior"], **{b["PathPattern"]: b for b in config["CacheBehaviors"]}}
        # The path as viewers request it. Only what the API can make fails over to it.
        targets = {None: "processed", "*/playback/*.m4s": "segments"}
        self.equal("CloudFront: targets", {pattern: b["TargetOriginId"] for pattern, b in behaviours.items()}, targets)
        function = [{"EventType": "viewer-request", "FunctionARN": "${CdnFunction.FunctionARN}"}]
        for pattern, behaviour in behaviours.items():
            self.equal(f"CloudFront: functions of {pattern}", behaviour.get("FunctionAssociations"), function)
            self.require("CloudFront accepts plain HTTP", behaviour["ViewerProtocolPolicy"] in ("redirect-to-https", "https-only"))
            self.equal("CloudFront: methods", behaviour["AllowedMethods"], ["GET", "HEAD"])
            # Keyed by the path only, so that all viewers share what is cached.
            self.equal("CloudFront: cache policy", behaviour.get("CachePolicyId"), "658327ea-f89d-4fab-a63d-7e88639e58f6")
            self.equal("CloudFront: CORS", behaviour.get("ResponseHeadersPolicyId"), "e61eb60c-9c35-4d20-a928-2b84e02af89c")
        origin, api = config["Origins"]
        self.equal("CloudFront: origins", (origin["Id"], api["Id"]), ("processed", "api"))
        self.equal("CloudFront: origin", origin["DomainName"], "${ProcessedBucket.RegionalDomainName}")
        self.equal("CloudFront: access control", origin.get("OriginAccessControlId"), "${CdnAccess.Id}")
        # With ApiDomain, the default endpoint is off, and the stage is not part of the path.
        domain = self.given["ApiDomain"]
        address = (domain, None) if domain else ("${Api}.execute-api.eu-central-1.amazonaws.com", "/${Apiv1Stage}")
        self.equal("CloudFront: address of the API", (api["DomainName"], api.get("OriginPath")), address)
        self.equal("CloudFront: TLS to the API", api["CustomOriginConfig"], {"OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"]})
        (group,) = config["OriginGroups"]["Items"]
        self.equal("CloudFront: origin group", (group["Id"], config["OriginGroups"]["Quantity"]), ("segments", 1))
        # S3 answers 403 for a missing object to whoever may not list the bucket.
        self.equal("CloudFront: fail-over", group["FailoverCriteria"]["StatusCodes"], {"Quantity": 2, "Items": [403, 404]})
        members = {"Quantity": 2, "Items": [{"OriginId": "processed"}, {"OriginId": "api"}]}
        self.equal("CloudFront: order of the origins", group["Members"], members)
        self.equal("CloudFront: headers to the API", behaviours["*/playback/*.m4s"].get("OriginRequestPolicyId"), "${CdnSignaturePolicy}")
        forwarded = self.properties("CdnSignaturePolicy")["OriginRequestPolicyConfig"]
        # Forwarding the viewer's Host would make API Gateway refuse the request.
        self.equal("CloudFront: forwarded headers", forwarded["HeadersConfig"], {"HeaderBehavior": "whitelist", "Headers": ["x-upreel-signature"]})
        self.equal("CloudFront: forwarded queries", forwarded["QueryStringsConfig"], {"QueryStringBehavior": "none"})
        access = self.properties("CdnAccess")["OriginAccessControlConfig"]
        self.equal("CloudFront: signing", (access["SigningBehavior"], access["SigningProtocol"]), ("always", "sigv4"))
        verify = self.properties("CdnFunction")
        sets_header = "request.headers['x-upreel-signature'] = {value:" in verify["FunctionCode"]
        self.require("a viewer can choose the header that the API verifies, or it is missing", sets_header)
        self.require("the CloudFront function lacks the secrets", "'{{resolve:secretsmanager:${CdnSecret.Id}:SecretString}}'.split(',')" in verify["FunctionCode"])
        # CloudFormation reads a secret again only if something else in the resource changes.
        self.require("a release does not update the secrets of the CloudFront function", verify["FunctionConfig"]["Comment"].endswith(" " + self.given["Release"]))
        self.equal("CloudFront function: publish", verify.get("AutoPublish"), True)

    def secrets(self):
        """Secrets are generated, and no function, version or output shows them."""
        secrets = self.of_type("AWS::SecretsManager::Secret")
        self.equal("secrets", sorted(secrets), [*(["CdnSecret"] if self.cdn else []), *(["WebhookSecret"] if self.notifies else [])])
        for name, secret in secrets.items():
            generated = secret["GenerateSecretString"]
            # A comma would separate two secrets, and a quote would end the text in the function of the CDN.
            left = set(string.punctuation + string.ascii_letters + string.digits) - set(generated["ExcludeCharacters"])
            self.equal(f"{name}: characters", left, set(string.ascii_letters + string.digits))
            self.require(f"{name} has less than 256 bits", generated["PasswordLength"] * math.log2(len(left)) >= 256)
            self.equal(f"{name}: value in the template", secret.get("SecretString"), None)
            self.require(f"{name}: {secret['Name']} is outside of the names that a pipeline may use", secret["Name"].startswith("upreel-"))
            self.equal(f"{name}: key", secret.get("KmsKeyId"), "${Key.Arn}" if self.given["CustomerManagedKey"] == "true" else None)
        shown = [name for name, resource in self.template.resources.items() if "{{resolve:" in json.dumps(resource, default=str)]
        self.equal("resources that contain a secret", shown, ["CdnFunction"] if self.cdn else [])
        if self.given["CustomerManagedKey"] == "true":
            services = [s["Condition"]["StringEquals"]["kms:ViaService"] for s in self.properties("Key")["KeyPolicy"]["Statement"] if s["Sid"] == "ThroughTheServices"][0]
            self.require("the key cannot be used through Secrets Manager", "secretsmanager.eu-central-1.amazonaws.com" in services)

    def domains(self):
        """The domains of the API and the CDN: TLS 1.2, one address, and DNS records if there is a hosted zone."""
        api, zone = self.given["ApiDomain"], self.given["HostedZoneId"]
        cdn = self.given["CdnDomain"] if self.cdn else ""
        names, mappings = (list(self.of_type(f"AWS::ApiGateway::{kind}").values()) for kind in ("DomainName", "BasePathMapping"))
        expected = {"DomainName": api, "EndpointConfiguration": {"Types": ["REGIONAL"]}, "RegionalCertificateArn": self.given["ApiCertificateArn"], "SecurityPolicy": "TLS_1_2"}
        self.equal("domain of the API", names, [expected] if api else [])
        # There is no base path, which would be part of the URL.
        self.equal("mapping of the API", mappings, [{"DomainName": "${ApiDomainName}", "RestApiId": "${Api}", "Stage": "${Apiv1Stage}"}] if api else [])
        # API Gateway ignores the setting at the top of an OpenAPI 3 document.
        disabled = [server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"] for server in self.body["servers"]]
        self.equal("the default endpoint is disabled", disabled, [bool(api)])
        url = f"https://{api}" if api else "https://${Api}.execute-api.eu-central-1.amazonaws.com/${Apiv1Stage}"
        self.equal("output ApiUrl", self.template.outputs["ApiUrl"], url)
        self.equal("output ApiDomainTarget", self.template.outputs.get("ApiDomainTarget"), "${ApiDomainName.RegionalDomainName}" if api else None)
        config = self.properties("CdnDistribution")["DistributionConfig"] if self.cdn else {}
        self.equal("aliases of the CDN", config.get("Aliases"), [cdn] if cdn else None)
        viewer = {"AcmCertificateArn": self.given["CdnCertificateArn"], "SslSupportMethod": "sni-only", "MinimumProtocolVersion": "TLSv1.2_2021"}
        self.equal("certificate of the CDN", config.get("ViewerCertificate"), viewer if cdn else None)
        self.equal("output CdnDomain", self.template.outputs.get("CdnDomain"), cdn or ("${CdnDistribution.DomainName}" if self.cdn else None))
        self.equal("output CdnDomainTarget", self.template.outputs.get("CdnDomainTarget"), "${CdnDistribution.DomainName}" if cdn else None)
        records = [*self.of_type("AWS::Route53::RecordSet").values(),
                   *({**record, "HostedZoneId": group["HostedZoneId"]} for group in self.of_type("AWS::Route53::RecordSetGroup").values() for record in group["RecordSets"])]  # fmt: skip
        found = sorted((r["HostedZoneId"], r["Name"], r["Type"], r["AliasTarget"]["DNSName"], r["AliasTarget"]["HostedZoneId"]) for r in records)
        wanted = [(zone, api, "A", "${ApiDomainName.RegionalDomainName}", "${ApiDomainName.RegionalHostedZoneId}")] if api and zone else []
        # All distributions are in the hosted zone Z2FDTNDATAQYW2.
        wanted += [(zone, cdn, kind, "${CdnDistribution.DomainName}", "Z2FDTNDATAQYW2") for kind in ("A", "AAAA")] if cdn and zone else []
        self.equal("DNS records", found, sorted(wanted))

    def buckets(self):
        buckets = self.of_type("AWS::S3::Bucket")
        self.equal("buckets", sorted(buckets), ["ProcessedBucket", "ThumbnailsBucket", "UploadsBucket"])
        policies = {p["Bucket"]: p["PolicyDocument"]["Statement"] for p in self.of_type("AWS::S3::BucketPolicy").values()}
        methods = {"UploadsBucket": ["PUT", "POST", "GET", "HEAD", "DELETE"]}
        exposed = {"UploadsBucket": ["ETag", "Location"]}
        for name, bucket in buckets.items():
            public = bucket["PublicAccessBlockConfiguration"]
            blocks = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
            self.equal(f"{name}: public access block", public, dict.fromkeys(blocks, True))
            owner = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
            self.equal(f"{name}: owner", bucket["OwnershipControls"], owner)
            (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            accelerated = name == "UploadsBucket" and self.given["TransferAcceleration"] == "true"
            expected = {"AccelerationStatus": "Enabled"} if accelerated else None
            self.equal(f"{name}: acceleration", bucket.get("AccelerateConfiguration"), expected)
            algorithm = "aws:kms" if self.given["CustomerManagedKey"] == "true" else "AES256"
            self.equal(f"{name}: encryption", rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"], algorithm)
            self.require(f"{name} keeps versions, so DELETE does not remove the data", "VersioningConfiguration" not in bucket)
            aborts = [rule.get("AbortIncompleteMultipartUpload") for rule in bucket["LifecycleConfiguration"]["Rules"]]
            self.require(f"{name} keeps incomplete multipart uploads", {"DaysAfterInitiation": 1} in aborts)
            cors = bucket.get("CorsConfiguration", {}).get("CorsRules", [])
            # After a redirect from another host, the origin is "null".
            allowed = ["*"] if name == "ProcessedBucket" else self.origins.split(",")
            if self.origins or name == "ProcessedBucket":
                (cors,) = cors
                self.equal(f"{name}: origins", cors["AllowedOrigins"], allowed)
                self.equal(f"{name}: methods", cors["AllowedMethods"], methods.get(name, ["GET", "HEAD"]))
                self.equal(f"{name}: exposed headers", cors["ExposedHeaders"], exposed.get(name, ["ETag"]))
                if name == "UploadsBucket":
                    self.require(f"{name} does not allow the header content-type", "content-type" in cors["AllowedHeaders"])
            else:
                self.equal(f"{name}: CORS", cors, [])
            statements = policies[f"${{{name}}}"]
            both = {f"${{{name}.Arn}}", f"${{{name}.Arn}}/*"}
            plain = [s for s in statements if denies_plain_http(s, "s3:*")]
            self.require(f"{name} accepts plain HTTP", any(set(s["Resource"]) == both for s in plain))
            # The policy of renditions also allows the distribution, see `distribution`.
            self.require(f"{name}: the policy allows something", name == "ProcessedBucket" or all(s["Effect"] == "Deny" for s in statements))
            age = "21600000" if name == "ProcessedBucket" else "900000"
            old = [s for s in statements if s["Condition"] == {"NumericGreaterThan": {"s3:signatureAge": age}}]
            self.equal(f"{name}: age limit of presigned URLs", [sorted(s["Action"]) for s in old], [["s3:GetObject", "s3:PutObject"]])
        expired = [r for r in buckets["ProcessedBucket"]["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in r]
        self.equal("expired objects", [(r["Prefix"], r["Status"]) for r in expired], [("work/", "Enabled"), ("segments/", "Enabled")])
        self.require("intermediate chunks expire before a replay can use them", expired[0]["ExpirationInDays"] >= 14)
        # Longer than the signature of a playlist, and not so long that what nobody watches is stored twice.
        self.equal("segments expire after", expired[1]["ExpirationInDays"], 30)
        (notification,) = buckets["UploadsBucket"]["NotificationConfiguration"]["LambdaConfigurations"]
        self.equal("S3 events: function", notification["Function"], "${ThumbnailFunctionAliaslive}")
        self.equal("S3 events: type", notification["Event"], "s3:ObjectCreated:*")
        prefix = {"S3Key": {"Rules": [{"Name": "prefix", "Value": "videos/"}]}}
        self.equal("S3 events: filter", notification["Filter"], prefix)
        invokers = [p for p in self.of_type("AWS::Lambda::Permission").values() if p["Principal"] == "s3.amazonaws.com"]
        scopes = [(p["FunctionName"], p.get("SourceAccount")) for p in invokers]
        self.equal("S3 events: permissions", scopes, [("${ThumbnailFunctionAliaslive}", "123456789012")])

    def table(self):
        table = self.properties("VideoMetadata")
        self.equal("key schema of the table", table["KeySchema"], [{"AttributeName": "videoId", "KeyType": "HASH"}])
        self.equal("billing", table["BillingMode"], "PAY_PER_REQUEST")
        self.equal("TTL", table.get("TimeToLiveSpecification"), {"AttributeName": "ttl", "Enabled": True})
        recovery = table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
        self.equal("point-in-time recovery", recovery, True)
        types = {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]}
        self.equal("key attributes", types, {"videoId": "S", "userId": "S", "uploadTime": "S", "shard": "S", "due": "N", "expiryShard": "S", "expiresAt": "S"})
        indexes = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
        expected = {"byUser": (["userId", "uploadTime"], "ALL"), "byDue": (["shard", "due"], "KEYS_ONLY"), "byExpiry": (["expiryShard", "expiresAt"], "KEYS_ONLY")}
        self.equal("indexes", sorted(indexes), sorted(expected))
        for name, (keys, projection) in expected.items():
            found = [(k["AttributeName"], k["KeyType"]) for k in indexes[name]["KeySchema"]]
            self.equal(f"{name}: key", found, list(zip(keys, ("HASH", "RANGE"))))
            self.equal(f"{name}: projection", indexes[name]["Projection"], {"ProjectionType": projection})

    def alarms(self):
        alarms = self.of_type("AWS::CloudWatch::Alarm")
        watched = {name: alarm_metrics(alarm) for name, alarm in alarms.items()}
        count = sum(len(metrics) for metrics in watched.values())
        free = 10 + (1 if self.imports else 0) + (2 if self.notifies else 0) + (3 if self.transcodes else 0) + (5 if self.given["Canary"] == "true" else 0)
        self.require(f"alarms on {count} metrics, ten are free", count <= free)
        triples = [(m["Namespace"], m["MetricName"], [d["Value"] for d in m["Dimensions"]]) for name, metrics in watched.items() if "Canary" not in name for m in metrics]
        self.problems.extend(failure_problems(self.template.resources, triples))
        dimensions = {
            "AWS/SQS": {"QueueName": "${VideoProcessingDLQ.QueueName}"},
            "AWS/Lambda": {"FunctionName": "${ThumbnailFunction}"},
            "Upreel": {"Stack": "upreel", "Function": "reconcile"},
            "AWS/States": {"StateMachineArn": "${TranscodeMachine}"},
            "AWS/ApiGateway": {"ApiName": self.body["info"]["title"], "Stage": "${Apiv1Stage}"},
        }
        others = {
            "WebhookDeadLettersAlarm": {"QueueName": "${WebhookDLQ.QueueName}"},
            "FetchesFailedAlarm": {"FunctionName": "${FetchFunction}"},
            "WebhookDelayAlarm": {"FunctionName": "${WebhookFunction}"},
        }
        for name, alarm in alarms.items():
            # Those of a canary are checked with it.
            for metric in watched[name] if not name.endswith("CanaryAlarm") else ():
                expected = others.get(name, dimensions[metric["Namespace"]])
                self.equal(f"{name}: dimensions", {d["Name"]: d["Value"] for d in metric["Dimensions"]}, expected)
            self.equal(f"{name}: actions", alarm.get("AlarmActions"), ["${AlarmTopic}"])
            # Only the sweeps send data all the time.
            self.equal(f"{name}: missing data", alarm["TreatMissingData"], "breaching" if name == "SweepsAlarm" else "notBreaching")
            text = alarm["AlarmDescription"]
            self.require(f"{name}: the description does not start with the stack", text.startswith("upreel: "))
            self.require(f"{name}: the description has no command", "`make " in text)
            for command in re.findall(r"`make [^`]*`", text):
                self.require(f"{name}: {command} is not the exact command", re.fullmatch(r"`make [a-z]+ ENV=upreel`", command))
        sweeps, stuck = alarms["SweepsAlarm"], alarms["StuckAlarm"]
        self.equal("SweepsAlarm: condition", (sweeps["Statistic"], sweeps["ComparisonOperator"], sweeps["Threshold"]), ("Sum", "LessThanThreshold", 1))
        hours = sweeps["Period"] * sweeps["EvaluationPeriods"] / 3600
        self.require(f"SweepsAlarm: {hours} hours without sweeps", sweeps["Period"] >= 900 and 0.5 <= hours <= 2)
        # A sweep counts a row that it cannot heal once.
        self.equal("StuckAlarm: condition", (stuck["Statistic"], stuck["EvaluationPeriods"], stuck["Threshold"]), ("Sum", 1, 0))
        subscriptions = [s["Endpoint"] for s in self.of_type("AWS::SNS::Subscription").values()]
        self.equal("subscriptions", subscriptions, [self.given["AlarmEmail"]] if self.given["AlarmEmail"] else [])

    def dashboard(self):
        (dashboard,) = self.of_type("AWS::CloudWatch::Dashboard").values()
        widgets = json.loads(dashboard["DashboardBody"])["widgets"]
        shown, count = set(), 0
        for widget in widgets:
            last = []
            for metric in widget["properties"].get("metrics", []):
                if isinstance(metric[0], dict):  # an expression
                    continue
                names = [part for part in metric if isinstance(part, str)]
                # "..." repeats the previous metric up to the given fields, "." repeats one field.
                if names[0] == "...":
                    names = last[: len(last) - len(names) + 1] + names[1:]
                names = [last[i] if part == "." else part for i, part in enumerate(names)]
                last, count = names, count + 1
                shown.add((names[0], names[1]))
                if names[1] == "Cost":
                    # One metric for all functions, because each metric is billed.
                    self.equal("dimensions of Cost", names[2:], ["Stack", "upreel"])
                elif names[0] == "Upreel":
                    self.equal(f"dimensions of {names[1]}", names[2::2] + names[3:4], ["Stack", "Function", "upreel"])
        self.require(f"{count} metrics, 50 are free", count <= 50)
        for name in ("BytesRead", "RangeRequests", "PosterTime", "PosterFailed", "StoryboardBytesRead", "StoryboardTime",
                     "Sweeps", "Stuck", "Unprocessed", "Healed", "Orphans", "Cost"):  # fmt: skip
            self.require(f"the dashboard lacks {name}", ("Upreel", name) in shown)
        expressions = [m[0]["expression"] for w in widgets for m in w["properties"].get("metrics", []) if isinstance(m[0], dict)]
        self.equal("cost per video", expressions, ["cost / videos"])
        for metrics in (w["properties"]["metrics"] for w in widgets if w["type"] == "metric"):
            used = {name for (first, *_) in metrics if isinstance(first, dict) for name in re.findall(r"[a-z]\w*", first["expression"])}
            self.equal("metrics of an expression", used, {m[-1]["id"] for m in metrics if isinstance(m[-1], dict) and "id" in m[-1]})
        listed = {alarm for w in widgets if w["type"] == "alarm" for alarm in w["properties"]["alarms"]}
        alarms = {f"${{{name}.Arn}}" for name in self.of_type("AWS::CloudWatch::Alarm")}
        self.equal("alarms on the dashboard", sorted(listed), sorted(alarms))
        (query,) = [w["properties"]["query"] for w in widgets if w["type"] == "log"]
        for name in self.expected_functions:
            group = f"${{{name.removesuffix('Function')}Logs}}"
            self.require(f"the dashboard's query lacks {group}", f"SOURCE '{group}'" in query)

    def logs(self):
        groups = self.of_type("AWS::Logs::LogGroup")
        for name in self.expected_functions:
            config = self.properties(name).get("LoggingConfig", {})
            group = f"{name.removesuffix('Function')}Logs"
            # Lambda drops what is below the level. Lines with metrics have none, and count as INFO.
            level = "DEBUG" if self.given["LogLevel"] == "debug" else "INFO"
            self.equal(f"{name}: logging", config, {"LogFormat": "JSON", "LogGroup": f"${{{group}}}", "ApplicationLogLevel": level})
            self.require(f"{group} is missing", group in groups)
        for name, group in groups.items():
            self.equal(f"{name}: retention", str(group.get("RetentionInDays")), self.given["LogRetentionDays"])

    def keeping(self):
        kinds = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Cognito::UserPool", "AWS::KMS::Key")
        if "ApiLogRole" in self.template.resources:
            # Without it, the account's setting would refer to a role that a failed creation has deleted.
            self.equal("ApiLogRole: deletion policy", self.template.resources["ApiLogRole"].get("DeletionPolicy"), "Retain")
        for name, resource in self.template.resources.items():
            if resource["Type"] in kinds:
                policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
                self.equal(f"{name}: deletion policies", policies, ("RetainExceptOnCreate", "Retain"))

    def options(self):
        kinds = {resource["Type"] for resource in self.template.resources.values()}
        reserved = self.properties("ThumbnailFunction").get("ReservedConcurrentExecutions")
        self.equal("reserved concurrency", reserved or "0", self.given["ReservedConcurrency"])
        for name in API_FUNCTIONS:
            self.require(f"{name} reserves concurrency", "ReservedConcurrentExecutions" not in self.properties(name))
        if self.case == "defaults":
            self.equal("resources that are billed while idle", sorted(kinds - set(FREE_WHEN_IDLE)), [])
        budgets = [(b["Budget"]["BudgetLimit"]["Amount"], [[s["Address"] for s in n["Subscribers"]] for n in b["NotificationsWithSubscribers"]])
                   for b in self.of_type("AWS::Budgets::Budget").values()]  # fmt: skip
        self.equal("budget", budgets, [(self.given["MonthlyBudget"], [[self.given["AlarmEmail"]]] * 2)] if self.given["MonthlyBudget"] != "0" else [])
        self.equal("has a KMS key", "AWS::KMS::Key" in kinds, self.given["CustomerManagedKey"] == "true")
        self.equal("has a web ACL", "AWS::WAFv2::WebACLAssociation" in kinds, self.given["Waf"] == "true")
        text = json.dumps(self.template.resources)
        self.require("the web ACL blocks bodies over 8 KB", "AWSManagedRulesCommonRuleSet" not in text)
        if self.given["CustomerManagedKey"] == "true":
            self.equal("VideoProcessingDLQ: key", self.properties("VideoProcessingDLQ").get("KmsMasterKeyId"), "${Key.Arn}")
            for name in ("WebhookQueue", "WebhookDLQ"):
                self.equal(f"{name}: key", self.properties(name).get("KmsMasterKeyId"), "${Key.Arn}")
            self.equal("VideoMetadata: key", self.properties("VideoMetadata")["SSESpecification"]["KMSMasterKeyId"], "${Key.Arn}")
            for name, group in self.of_type("AWS::Logs::LogGroup").items():
                self.equal(f"{name}: key", group.get("KmsKeyId"), "${Key.Arn}")

    def outputs(self):
        needed = {"ApiUrl", "UploadsBucketName", "ThumbnailsBucketName", "ProcessedBucketName", "TableName", "DlqUrl", "DashboardUrl", "ReplayMapping"}
        if self.given["Callers"] != "IAM":
            needed.add("UserPoolId")
            pool = self.given["UserPoolArn"].rsplit("/")[-1] or "${UserPool}"
            self.equal("output UserPoolId", self.template.outputs.get("UserPoolId"), pool)
            if not self.given["UserPoolArn"]:
                needed.add("UserPoolClientId")
        self.require(f"outputs are missing: {needed - set(self.template.outputs)}", needed <= set(self.template.outputs))


def alarm_metrics(alarm):
    """Returns the metrics that an alarm watches, alone or in an expression."""
    return [q["MetricStat"]["Metric"] for q in alarm.get("Metrics", []) if "MetricStat" in q] or [alarm]


def strings(node):
    """Returns all texts in a resolved part of the template."""
    if isinstance(node, str):
        return {node}
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return set().union(*map(strings, children), set())


def principals(role):
    return [s["Principal"]["Service"] for s in role["AssumeRolePolicyDocument"]["Statement"]]


def denies_plain_http(statement, action):
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    matches = (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", action)
    return matches and statement["Condition"] == condition


# Cached: parsing a mapping template takes milliseconds, and all routes share theirs.
@functools.cache
def allow_origin(text, header, origin):
    """Returns the Access-Control-Allow-Origin that the mapping template of a preflight sets; None if it sets none."""
    # Unlike API Gateway, airspeed does not support hyphens in names.
    text = text.replace("Access-Control-Allow-Origin", "AllowOrigin")

    class Input:
        @staticmethod
        def params(name):
            return origin if name == header else ""

    override = {"header": {}}
    output = airspeed.Template(text).merge({"input": Input, "context": {"responseOverride": override}})
    if output.strip():
        raise ValueError(f"the preflight has a body: {output.strip()}")
    return override["header"].get("AllowOrigin")


# Values of the parameters of domains, and whether they are accepted.
DOMAINS = {"": True, "api.example.com": True, "a.b-c.example.com": True, "example": False, "API.example.com": False, "-a.example.com": False,
           "a..example.com": False, "https://api.example.com": False, "api.example.com/v1": False, "*.example.com": False}  # fmt: skip
DOMAIN_VALUES = {
    "ApiDomain": DOMAINS,
    "CdnDomain": DOMAINS,
    "ApiCertificateArn": {"": True, CERTIFICATE: True, CDN_CERTIFICATE: True, "certificate/1": False},
    # CloudFront reads certificates from us-east-1 only.
    "CdnCertificateArn": {"": True, CDN_CERTIFICATE: True, CERTIFICATE: False},
    "HostedZoneId": {"": True, "Z0123456789ABC": True, "/hostedzone/Z0123456789ABC": False, "example.com": False},
}
WEBHOOK_URLS = {
    "": True,
    "https://app.example.com": True,
    "https://app.example.com:8443/hooks/video?a=b": True,
    "http://app.example.com": False,
    "https://user:password@app.example.com": False,
    "https://app.example.com/a b": False,
    "app.example.com": False,
}


def is_set(name):
    return {"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]}


def requires(rules, condition, name):
    """Returns whether a rule of CloudFormation requires the parameter under the condition."""
    return any(
        rule.get("RuleCondition") == condition and [a["Assert"] for a in rule["Assertions"]] == [is_set(name)]
        for rule in rules.values()
    )


def source_problems(template):
    """Yields the problems that can be seen only before the transform."""
    parameters = template["Parameters"]
    if secret := [name for name in parameters if "Secret" in name]:
        yield f"a secret is a parameter: {secret}"
    for url, valid in WEBHOOK_URLS.items():
        if bool(re.search(parameters["WebhookUrl"].get("AllowedPattern", ""), url)) != valid:
            yield f"WebhookUrl {'rejects' if valid else 'accepts'} {url}"
    rules = template.get("Rules", {})
    if not requires(rules, {"Fn::Not": [{"Fn::Equals": [{"Ref": "MonthlyBudget"}, "0"]}]}, "AlarmEmail"):
        yield "a budget does not require a recipient"
    for name in ("Api", "Cdn"):
        if not requires(rules, is_set(f"{name}Domain"), f"{name}CertificateArn"):
            yield f"{name}Domain does not require a certificate"
    for name, values in DOMAIN_VALUES.items():
        for value, valid in values.items():
            if bool(re.search(parameters[name].get("AllowedPattern", ""), value)) != valid:
                yield f"{name} {'rejects' if valid else 'accepts'} {value}"
    defaults = {name: str(parameter.get("Default")) for name, parameter in template["Parameters"].items()}
    for name in sorted(defaults.keys() | DEFAULTS.keys()):
        if defaults.get(name) != DEFAULTS.get(name):
            yield f"the default of {name} is {defaults.get(name)!r}, expected {DEFAULTS.get(name)!r}"
    if template["Resources"]["Api"]["Properties"].get("AlwaysDeploy") is not True:
        yield "a changed parameter in the API's body creates no new deployment"
    for name, resource in template["Resources"].items():
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            if len(skip.get("comment", "")) < 20:
                yield f"{name}: {skip.get('id')} is suppressed without a reason"


def findings(template, baseline=None):
    """Yields every problem of the template as (case, problem). The baseline is the template that it updates."""
    yield from (("source", problem) for problem in source_problems(template))
    transformed = transform(template)
    yield from (("transform", "dependency cycle: " + " -> ".join(cycle)) for cycle in cycles(transformed))
    for case, given in CASES.items():
        # SAM reads this parameter itself.
        own = transform(template, given) if "Canary" in given else transformed
        yield from ((case, problem) for problem in Checks(case, given, own).problems)
    before = transform(baseline) if baseline else None
    yield from (("update", problem) for problem in update_problems(template, transformed, before))


def unexplained_suppressions(path):
    """Yields the suppressions of cfn-lint whose line has no comment with a reason."""
    with open(path) as lines:
        for number, line in enumerate(lines, 1):
            if "ignore_checks" in line and len(line.partition("#")[2].strip()) < 20:
                yield f"line {number}: suppressed without a reason"


def document_problems(path="openapi.yaml"):
    """Yields the routes that only ROUTES or only the OpenAPI document has."""
    described = {(method, route) for route, item in load(path)["paths"].items() for method in item if method in METHODS}
    for method, route in sorted(described ^ ROUTES.keys()):
        yield f"{method} {route} is missing in ROUTES or in openapi.yaml"


if __name__ == "__main__":
    path = sys.argv[1]
    found = [("source", problem) for problem in unexplained_suppressions(path)]
    found += [("openapi.yaml", problem) for problem in document_problems()]
    found += findings(load(path), last_release())
    for case, problem in found:
        print(f"{case}: {problem}")
    print(f"{len(CASES)} combinations of parameters, {len(found)} findings")
    sys.exit(bool(found))
