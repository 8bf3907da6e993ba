"""What the template promises, asserted on what CloudFormation would see: after SAM's transform, with the
parameters filled in, in several combinations. The linters cannot know these things."""

import json
import re
import sys
from pathlib import Path

import airspeed
from transform import Resolved, cycles, load, parameters, transform

HOOK = {"WebhookUrl": "https://app.example.com/hooks/video?from=upreel", "WebhookSecret": "0123456789abcdef"}
PLAYED = {"Transcode": "true", "Cdn": "true", "CdnSecret": "2026-11:0123456789abcdef"}
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
        "Waf": "true",
        "TranscodeConcurrency": "7",
        "TranscodeReservedConcurrency": "70",
        **HOOK,
        **PLAYED,
    },
    "webhooks": HOOK,
    "transcoding": {"Transcode": "true"},
    "played later": {**PLAYED, "Transcode": "false", "AllowedOrigins": "https://a.example"},
    "IAM callers": {"Callers": "IAM", "AllowedOrigins": "*"},
    "given user pool": {"UserPoolArn": POOL, "SetApiLogRole": "false"},
}

# No page may call, nothing is billed, nothing is limited that a small account cannot have limited.
DEFAULTS = {
    "AllowedOrigins": "",
    "Callers": "COGNITO",
    "UserPoolArn": "",
    "MaxUploadBytes": str(5 << 30),
    "AlarmEmail": "",
    "LogLevel": "info",
    "LogRetentionDays": "30",
    "SetApiLogRole": "true",
    "WebhookUrl": "",
    "WebhookSecret": "",
    "Transcode": "false",
    "TranscodeConcurrency": "100",
    "TranscodeReservedConcurrency": "0",
    "Cdn": "false",
    "CdnSecret": "",
    "Architecture": "x86_64",
    "ReservedConcurrency": "0",
    "ProvisionedConcurrency": "0",
    "CustomerManagedKey": "false",
    "TransferAcceleration": "false",
    "Waf": "false",
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
    ("get", "/videos"): "VideosFunction",
    ("get", "/videos/{videoId}"): "VideosFunction",
    ("delete", "/videos/{videoId}"): "VideosFunction",
    ("get", "/videos/{videoId}/hls/master.m3u8"): "VideosFunction",
    ("get", "/videos/{videoId}/hls/{rendition}/{playlist}"): "VideosFunction",
}
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
# What pages send: of our own, and with requests that are signed for IAM callers.
PREFLIGHT = """
    authorization content-type idempotency-key if-none-match
    x-amz-content-sha256 x-amz-date x-amz-security-token x-amz-user-agent
""".split()
API_FUNCTIONS = sorted(set(ROUTES.values()))
FUNCTIONS = [*API_FUNCTIONS, "ThumbnailFunction"]
# Made only if somebody is to be told.
WEBHOOK = ["WebhookFunction", "WebhookRole", "WebhookQueue", "WebhookDLQ", "WebhookQueuePolicy", "WebhookLogs",
           "WebhookDeadLettersAlarm", "WebhookFunctionChanged", "WebhookFunctionWaiting"]  # fmt: skip
# Made only if videos are transcoded, and only if they are played through CloudFront.
TRANSCODE = ["TranscodeFunction", "EncodeFunction", "TranscodeMachine", "TranscodeMachineRole", "TranscodeRole", "TranscodeLogs",
             "EncodeLogs", "TranscodesFailedAlarm", "TranscodeFunctionEnded", "TranscodeFunctionEndedPermission"]  # fmt: skip
CDN = ["CdnDistribution", "CdnAccess", "CdnFunction"]

# What the code of each function calls (crates/*/src/lib.rs, "IAM:"), and what Lambda does in its name.
VIDEOS = "arn:aws:s3:::{uploads}/videos/*"
TABLE = "${VideoMetadata.Arn}"
QUEUE = "${VideoProcessingDLQ.Arn}"
POSTERS = "${ThumbnailsBucket.Arn}/thumbnails/*"
STORYBOARDS = "${ThumbnailsBucket.Arn}/storyboards/*"
PROCESSED = "${ProcessedBucket.Arn}"
RENDITIONS = PROCESSED + "/hls/*"
WORK = PROCESSED + "/work/*"
TRACES = {("xray:PutTraceSegments", "*"), ("xray:PutTelemetryRecords", "*")}
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
        ("s3:GetObject", RENDITIONS),
        ("s3:DeleteObject", RENDITIONS),
        ("s3:DeleteObject", WORK),
        ("s3:ListBucket", PROCESSED),
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
        ("dynamodb:Query", TABLE + "/index/byUser"),
    },
    "ThumbnailFunction": {
        ("s3:GetObject", VIDEOS),
        ("s3:DeleteObject", VIDEOS),
        ("s3:GetObject", POSTERS),
        ("s3:PutObject", POSTERS),
        ("s3:DeleteObject", POSTERS),
        ("s3:GetObject", STORYBOARDS),
        ("s3:PutObject", STORYBOARDS),
        ("s3:DeleteObject", STORYBOARDS),
        ("s3:ListBucket", "arn:aws:s3:::{uploads}"),
        ("s3:ListBucket", "${ThumbnailsBucket.Arn}"),
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:PutItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
        ("sqs:SendMessage", QUEUE),
        ("sqs:ReceiveMessage", QUEUE),
        ("sqs:DeleteMessage", QUEUE),
        ("sqs:GetQueueAttributes", QUEUE),
    },
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
}
TRANSCODE_GRANTS = {
    ("s3:GetObject", VIDEOS),
    ("s3:GetObject", WORK),
    ("s3:PutObject", WORK),
    ("s3:DeleteObject", WORK),
    ("s3:PutObject", RENDITIONS),
    ("s3:DeleteObject", RENDITIONS),
    ("s3:ListBucket", "arn:aws:s3:::{uploads}"),
    ("s3:ListBucket", PROCESSED),
    ("dynamodb:GetItem", TABLE),
    ("dynamodb:UpdateItem", TABLE),
    ("logs:CreateLogStream", "${EncodeLogs.Arn}"),
    ("logs:PutLogEvents", "${EncodeLogs.Arn}"),
}
# It invokes its functions, and runs each chunk as an execution of its own.
MACHINE = "arn:aws:states:eu-central-1:123456789012:{}:upreel-transcode"
MACHINE_GRANTS = {
    ("lambda:InvokeFunction", "${TranscodeFunction.Arn}"),
    ("lambda:InvokeFunction", "${EncodeFunction.Arn}"),
    ("states:StartExecution", MACHINE.format("stateMachine")),
    ("states:DescribeExecution", MACHINE.format("execution") + "/*"),
    ("states:StopExecution", MACHINE.format("execution") + "/*"),
    *((f"xray:{action}", "*") for action in ("PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets")),
}
OTHER_ROLES = {"ApiLogRole": ["arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"]}

# Nothing of these is billed while nobody uploads, as this template sets them (see `free`).
FREE_WHEN_IDLE = """
    AWS::ApiGateway::Account AWS::ApiGateway::Deployment AWS::ApiGateway::RestApi AWS::ApiGateway::Stage
    AWS::CloudWatch::Alarm AWS::CloudWatch::Dashboard AWS::Cognito::UserPool AWS::Cognito::UserPoolClient
    AWS::DynamoDB::Table AWS::IAM::Role AWS::Lambda::Alias AWS::Lambda::EventInvokeConfig
    AWS::Lambda::EventSourceMapping AWS::Lambda::Function AWS::Lambda::LayerVersion AWS::Lambda::Permission
    AWS::Lambda::Version AWS::Logs::LogGroup AWS::S3::Bucket AWS::S3::BucketPolicy AWS::SNS::Topic
    AWS::SQS::Queue AWS::SQS::QueuePolicy
""".split()

ALARMED = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
    ("AWS/Lambda", "DeadLetterErrors"),
    ("AWS/Lambda", "AsyncEventAge"),
    ("AWS/Lambda", "AsyncEventsDropped"),
    ("AWS/Lambda", "Errors"),
    ("AWS/Lambda", "Throttles"),
    ("AWS/ApiGateway", "5XXError"),
    ("AWS/ApiGateway", "IntegrationLatency"),
}
INTEGRATION = "x-amazon-apigateway-integration"
ALLOW_ORIGIN = "header.Access-Control-Allow-Origin"


def as_list(value):
    return value if isinstance(value, list) else [value]


class Checks:
    """Everything that is wrong with one resolved template."""

    def __init__(self, case, given, transformed):
        self.case, self.wrong = case, []
        self.template = Resolved(transformed, given)
        self.given = parameters(transformed, given)
        self.origins = self.given["AllowedOrigins"]
        self.told = bool(self.given["WebhookUrl"])
        self.transcodes, self.cdn = (self.given[name] == "true" for name in ("Transcode", "Cdn"))
        self.expected_functions = [
            *FUNCTIONS,
            *(["WebhookFunction"] if self.told else []),
            *(["TranscodeFunction", "EncodeFunction"] if self.transcodes else []),
        ]
        for check in (self.routes, self.preflights, self.callers, self.gateway_responses, self.stage, self.functions,
                      self.versions, self.roles, self.queue, self.webhooks, self.transcoding, self.distribution, self.buckets, self.table, self.alarms, self.dashboard,
                      self.logs, self.keeping, self.options, self.outputs):  # fmt: skip
            try:
                check()
            except (KeyError, IndexError, TypeError, ValueError, AttributeError, airspeed.TemplateError) as error:
                self.wrong.append(f"{check.__name__}: {type(error).__name__} {error}")

    def equal(self, what, is_, should):
        if is_ != should:
            self.wrong.append(f"{what} is {is_!r}, not {should!r}")

    def true(self, what, value):
        if not value:
            self.wrong.append(what)

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
        self.equal("the routes", sorted(found), sorted({*ROUTES, *preflights}))
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
            self.equal(f"{name}: security", operation.get("security"), [{"Caller": []}])
            integration = operation[INTEGRATION]
            self.equal(f"{name}: type", integration["type"], "aws_proxy")
            self.equal(f"{name}: httpMethod", integration["httpMethod"], "POST")
            self.true(f"{name} does not go to {function}", f"${{{function}Aliaslive}}/invocations" in integration["uri"])
            pattern = re.sub(r"\{[^}]*\}", "*", path)
            expected.add((f"${{{function}Aliaslive}}", f"{method.upper()}{pattern}"))
        self.equal("what the API may invoke", sorted(allowed), sorted(expected))
        self.equal("binary types", self.body["x-amazon-apigateway-binary-media-types"], ["*/*"])
        self.equal("the API's name is its title", self.body["info"]["title"], self.properties("Api")["Name"])

    def preflights(self):
        for path, item in self.body["paths"].items():
            operation = item.get("options", {})
            name = f"preflight of {path}"
            self.true(f"{name} needs a caller", not operation.get("security"))
            integration = operation[INTEGRATION]
            answer = integration["responses"]["default"]
            status = answer["statusCode"]
            self.equal(f"{name}: type", integration["type"], "mock")
            self.equal(f"{name}: contentHandling", integration.get("contentHandling"), "CONVERT_TO_TEXT")
            self.equal(f"{name}: response contentHandling", answer.get("contentHandling"), "CONVERT_TO_TEXT")
            request = json.loads(integration["requestTemplates"]["application/json"])
            self.equal(f"{name}: status", str(request["statusCode"]), status)
            headers = answer["responseParameters"]
            declared = operation["responses"][status]["headers"]
            self.equal(f"{name}: declared", {f"method.response.header.{h}" for h in declared}, set(headers))
            self.equal(f"{name}: schemas", [h for h in declared.values() if h != {"schema": {"type": "string"}}], [])
            methods = headers["method.response.header.Access-Control-Allow-Methods"].strip("'").split(",")
            needed = {method.upper() for method, p in ROUTES if p == path}
            self.true(f"{name} does not allow its methods", needed <= set(methods))
            allowed = headers["method.response.header.Access-Control-Allow-Headers"].strip("'").lower().split(",")
            for header in PREFLIGHT:
                self.true(f"{name} does not allow {header}", header in allowed)
            self.equal(f"{name}: Vary", headers["method.response.header.Vary"], "'Origin'")
            fallback = headers["method.response." + ALLOW_ORIGIN].strip("'")
            text = answer["responseTemplates"]["application/json"]
            for origin, expected in self.askers().items():
                for header in ("Origin", "origin"):
                    got = allow_origin(text, {header: origin}) or fallback
                    fits = got in {"*", origin}
                    self.equal(f"{name}: {header} {origin} allowed", fits, expected)

    def askers(self):
        """Who asks, and whether they may."""
        allowed = self.origins.split(",")
        everybody = "*" in allowed
        return {
            "https://a.example": everybody or "https://a.example" in allowed,
            "https://b.example": everybody,
            "http://a.example": everybody,
            "https://a.example.evil.org": everybody,
            "https://a.example:8443": everybody,
            "http://localhost:5173": everybody or "http://localhost:*" in allowed,
            "http://localhost:80.evil.org": everybody,
            "null": everybody,
        }

    def callers(self):
        scheme = self.body["components"]["securitySchemes"]["Caller"]
        self.equal("the token's place", (scheme["name"], scheme["in"]), ("Authorization", "header"))
        if self.given["Callers"] == "IAM":
            self.equal("the authorizer", scheme["x-amazon-apigateway-authtype"], "awsSigv4")
            self.equal("user pools", self.of_type("AWS::Cognito::UserPool"), {})
            return
        self.equal("the authorizer", scheme["x-amazon-apigateway-authtype"], "cognito_user_pools")
        pool = self.given["UserPoolArn"] or "${UserPool.Arn}"
        expected = {"type": "cognito_user_pools", "providerARNs": [pool]}
        self.equal("the user pool", scheme["x-amazon-apigateway-authorizer"], expected)
        self.equal("user pools made", len(self.of_type("AWS::Cognito::UserPool")), int(not self.given["UserPoolArn"]))
        if not self.given["UserPoolArn"]:
            admin = self.properties("UserPool")["AdminCreateUserConfig"]
            self.equal("sign-up by operators only", admin, {"AllowAdminCreateUserOnly": True})
            self.equal("the client has a secret", self.properties("UserPoolClient")["GenerateSecret"], False)

    def gateway_responses(self):
        responses = self.body["x-amazon-apigateway-gateway-responses"]
        needed = {"DEFAULT_4XX", "DEFAULT_5XX", "UNAUTHORIZED", "EXPIRED_TOKEN", "REQUEST_TOO_LARGE", "THROTTLED"}
        self.true(f"gateway responses are missing: {needed - set(responses)}", needed <= set(responses))
        one = not self.origins or re.fullmatch(r"[^,]*", self.origins) and not self.origins.endswith(":*")
        origin = f"'{self.origins or 'https://none.invalid'}'" if one else "method.request.header.Origin"
        for name, response in responses.items():
            headers = response["responseParameters"]
            self.equal(f"{name}: origin", headers.get("gatewayresponse." + ALLOW_ORIGIN), origin)
            self.equal(f"{name}: Vary", headers.get("gatewayresponse.header.Vary"), "'Origin'")
            exposed = headers.get("gatewayresponse.header.Access-Control-Expose-Headers")
            self.equal(f"{name}: headers that pages see", exposed, "'ETag,Location,Retry-After'")
            kind = headers.get("gatewayresponse.header.Content-Type")
            self.equal(f"{name}: type", kind, "'application/problem+json'")
            text = response["responseTemplates"]["application/json"]
            problem = json.loads(text.replace("$context.error.messageString", '"x"'))
            fields = {"type", "title", "detail", "code", "error", "message"}
            self.true(f"{name} is no problem+json: {problem}", fields <= set(problem))
            if "statusCode" in response:
                self.equal(f"{name}: status", problem["status"], response["statusCode"])
        self.true("5xx tell internals", "$" not in json.dumps(responses["DEFAULT_5XX"]["responseTemplates"]))
        after = responses["THROTTLED"]["responseParameters"].get("gatewayresponse.header.Retry-After")
        self.equal("THROTTLED: when to ask again", after, "'1'")
        large = responses["REQUEST_TOO_LARGE"]
        self.equal("REQUEST_TOO_LARGE", large["statusCode"], 413)
        self.true("413 does not name /presign", "/presign" in large["responseTemplates"]["application/json"])

    def stage(self):
        (stage,) = self.of_type("AWS::ApiGateway::Stage").values()
        self.equal("X-Ray of the API", stage.get("TracingEnabled"), True)
        self.equal("a cache, billed by the hour", stage.get("CacheClusterEnabled", False), False)
        (settings,) = stage["MethodSettings"]
        scope = (settings["ResourcePath"], settings["HttpMethod"])
        self.equal("the settings' scope", scope, ("/*", "*"))
        for name in ("ThrottlingRateLimit", "ThrottlingBurstLimit"):
            self.true(f"{name} is off", 0 < settings.get(name, 0) <= 1000)
        self.equal("requests in the log", settings.get("DataTraceEnabled", False), False)
        self.equal("execution log", settings.get("LoggingLevel", "OFF"), "OFF")
        self.equal("detailed metrics, billed", settings.get("MetricsEnabled", False), False)
        log = stage["AccessLogSetting"]
        self.equal("the access log", log["DestinationArn"], "${ApiLogs.Arn}")
        fields = set(json.loads(log["Format"]).values())
        self.true("the access log lacks requestId or status", {"$context.requestId", "$context.status"} <= fields)
        secret = re.compile(r"header|querystring|authorizer(?!\.claims\.sub)|apiKey|accessKey|\$context\.path|body", re.I)
        self.equal("secrets in the access log", [f for f in fields if secret.search(f)], [])
        if self.given["SetApiLogRole"] == "true":
            tags = {tag["Key"]: tag["Value"] for tag in stage["Tags"]}
            self.true("the stage does not wait for the account's log role", "${ApiAccount}" in tags.values())

    def functions(self):
        functions = self.of_type("AWS::Lambda::Function")
        self.equal("the functions", sorted(functions), sorted(self.expected_functions))
        names = ("UploadsBucket", "ThumbnailsBucket", "ProcessedBucket")
        uploads, thumbnails, processed = (self.properties(name)["BucketName"] for name in names)
        environment = {
            "TABLE_NAME": "${VideoMetadata}",
            "UPLOADS_BUCKET": uploads,
            "THUMBNAILS_BUCKET": thumbnails,
            "PROCESSED_BUCKET": processed,
            "ALLOWED_ORIGINS": self.origins,
            "MAX_UPLOAD_BYTES": self.given["MaxUploadBytes"],
            "LOG_LEVEL": self.given["LogLevel"],
            "TRANSFER_ACCELERATION": self.given["TransferAcceleration"],
            "MALLOC_TRIM_THRESHOLD_": "67108864",
            "MALLOC_MMAP_THRESHOLD_": "33554432",
        }
        for name, f in functions.items():
            self.equal(f"{name}: runtime", (f["Runtime"], f["Handler"]), ("provided.al2023", "bootstrap"))
            self.equal(f"{name}: architecture", f["Architectures"], [self.given["Architecture"]])
            own = {
                "WebhookFunction": {
                    "WEBHOOK_URL": self.given["WebhookUrl"],
                    "WEBHOOK_SECRET": self.given["WebhookSecret"],
                    "WEBHOOK_QUEUE_URL": "${WebhookQueue}",
                },
                "ThumbnailFunction": {"STATE_MACHINE_ARN": "${TranscodeMachine}"} if self.transcodes else {},
                "VideosFunction": {"CDN_DOMAIN": "${CdnDistribution.DomainName}", "CDN_SECRET": self.given["CdnSecret"]} if self.cdn else {},
            }
            self.equal(f"{name}: environment", f["Environment"]["Variables"], {**environment, **own.get(name, {})})
            self.equal(f"{name}: X-Ray", f["TracingConfig"], {"Mode": "Active"})
            self.true(f"{name} is in a VPC", "VpcConfig" not in f)
            metadata = self.template.resources[name]["Metadata"]
            binary = "transcode" if name == "EncodeFunction" else name.removesuffix("Function").lower()
            self.equal(f"{name}: built by", metadata["BuildMethod"], "rust-cargolambda")
            self.equal(f"{name}: binary", metadata["BuildProperties"], {"Binary": binary})
        for name in API_FUNCTIONS:
            self.true(f"{name} may take longer than API Gateway waits", functions[name]["Timeout"] < 29)
            self.true(f"{name} has a layer", "Layers" not in functions[name])
        thumbnail = functions["ThumbnailFunction"]
        layers = list(self.of_type("AWS::Lambda::LayerVersion"))
        self.equal("the layer", thumbnail.get("Layers"), [f"${{{layer}}}" for layer in layers])
        self.true("no layer", layers and layers[0].startswith("FfmpegLayer"))
        layer = self.of_type("AWS::Lambda::LayerVersion")[layers[0]]
        self.equal("the layer's architecture", layer["CompatibleArchitectures"], [self.given["Architecture"]])
        metadata = self.template.resources[layers[0]]["Metadata"]
        built = (metadata["BuildMethod"], metadata["BuildArchitecture"])
        self.equal("the layer is built", built, ("makefile", self.given["Architecture"]))
        self.equal("memory of thumbnails", thumbnail["MemorySize"], 2048)

    def versions(self):
        """A version that is published when any setting changes, behind the alias that the API calls."""
        versions = self.of_type("AWS::Lambda::Version").values()
        aliases = self.of_type("AWS::Lambda::Alias")
        self.equal("the aliases", sorted(aliases), sorted(f"{name}Aliaslive" for name in API_FUNCTIONS))
        for version in versions:
            for name in ("Architecture", "LogLevel", "MaxUploadBytes", "TransferAcceleration", "AllowedOrigins"):
                text = version.get("Description", "")
                self.true(f"a new {name} makes no new version", self.given[name] in text.split(" "))
        (videos,) = [v["Description"] for name, v in self.of_type("AWS::Lambda::Version").items() if name.startswith("Videos")]
        told = [self.given["Cdn"], self.given["CdnSecret"].split(":")[0]]
        self.equal("what a new CdnSecret shows of itself", videos.split(" ")[-2:], told)
        provisioned = int(self.given["ProvisionedConcurrency"])
        for name, alias in aliases.items():
            config = alias.get("ProvisionedConcurrencyConfig")
            expected = {"ProvisionedConcurrentExecutions": str(provisioned)} if provisioned else None
            self.equal(f"{name}: provisioned", config, expected)

    def roles(self):
        roles = self.of_type("AWS::IAM::Role")
        uploads = self.properties("UploadsBucket")["BucketName"]
        granted = dict(GRANTS)
        if self.told:
            granted["WebhookFunction"] = WEBHOOK_GRANTS
        if self.transcodes:
            granted["ThumbnailFunction"] = granted["ThumbnailFunction"] | {("states:StartExecution", "${TranscodeMachine}")}
            granted["TranscodeFunction"] = TRANSCODE_GRANTS
            self.equal("the role of chunks", self.properties("EncodeFunction")["Role"], "${TranscodeRole.Arn}")
            machine = roles.pop("TranscodeMachineRole")
            self.equal("the state machine: assumed by", principals(machine), ["states.amazonaws.com"])
            pairs = [(s["Effect"], s["Action"], s["Resource"]) for p in machine["Policies"] for s in p["PolicyDocument"]["Statement"]]
            may = {(action, place) for _, actions, places in pairs for action in actions for place in as_list(places)}
            self.equal("the state machine may", sorted(may), sorted(MACHINE_GRANTS))
            self.equal("the state machine: effects", {effect for effect, _, _ in pairs}, {"Allow"})
        for function, grants in granted.items():
            self.true(f"{function} has no role of its own",
                      self.properties(function)["Role"] == f"${{{function.removesuffix('Function')}Role.Arn}}")  # fmt: skip
            name = function.removesuffix("Function")
            role = roles.pop(f"{name}Role")
            self.equal(f"{name}: managed policies", role.get("ManagedPolicyArns", []), [])
            self.equal(f"{name}: assumed by", principals(role), ["lambda.amazonaws.com"])
            log = f"${{{name}Logs.Arn}}"
            expected = {(action, place.format(uploads=uploads) if "{uploads}" in place else place) for action, place in grants}
            expected |= TRACES | {("logs:CreateLogStream", log), ("logs:PutLogEvents", log)}
            given = set()
            for policy in role["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    self.equal(f"{name}: statement", set(statement), {"Effect", "Action", "Resource"})
                    self.equal(f"{name}: effect", statement["Effect"], "Allow")
                    for action in as_list(statement["Action"]):
                        for place in as_list(statement["Resource"]):
                            given.add((action, place.replace("${UploadsBucket.Arn}", f"arn:aws:s3:::{uploads}")))
                            self.true(f"{name}: {action} is a pattern", "*" not in action)
                            self.true(f"{name}: {action} on everything", place != "*" or (action, place) in TRACES)
            for grant in sorted(expected - given):
                self.wrong.append(f"{name} may not {' on '.join(grant)}, which it needs")
            for grant in sorted(given - expected):
                self.wrong.append(f"{name} may {' on '.join(grant)}, which it does not need")
        for name, role in roles.items():
            self.equal(f"{name}: managed policies", role.get("ManagedPolicyArns"), OTHER_ROLES.get(name))
            self.true(f"{name} has policies", "Policies" not in role)
            self.equal(f"{name}: assumed by", principals(role), ["apigateway.amazonaws.com"])
        stray = [n for n, r in self.template.resources.items() if r["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")]
        self.equal("policies besides the roles'", stray, [])

    def queue(self):
        queue = self.properties("VideoProcessingDLQ")
        thumbnail = self.properties("ThumbnailFunction")
        self.equal("dead letters go to", thumbnail.get("DeadLetterConfig"), {"TargetArn": QUEUE})
        self.true("the queue's name", queue["QueueName"].endswith("VideoProcessingDLQ"))
        self.equal("dead letters are kept", queue["MessageRetentionPeriod"], 1209600)
        self.true("the replay would overlap itself", queue["VisibilityTimeout"] >= 6 * thumbnail["Timeout"])
        self.true("the queue is not encrypted", queue.get("SqsManagedSseEnabled") or queue.get("KmsMasterKeyId"))
        (invoke,) = self.of_type("AWS::Lambda::EventInvokeConfig").values()
        self.equal("retries", invoke["MaximumRetryAttempts"], 2)
        self.equal("retries of", invoke["FunctionName"], "${ThumbnailFunction}")
        self.equal("event age", invoke["MaximumEventAgeInSeconds"], 21600)
        mappings = self.of_type("AWS::Lambda::EventSourceMapping").items()
        ((name, replay),) = [(name, mapping) for name, mapping in mappings if name not in WEBHOOK]
        self.equal("the replay", (replay["EventSourceArn"], replay["FunctionName"]), (QUEUE, "${ThumbnailFunction}"))
        self.equal("the replay is on", replay["Enabled"], False)
        self.equal("letters in one replay", replay["BatchSize"], 1)
        self.equal("the output ReplayMapping", self.template.outputs["ReplayMapping"], f"${{{name}}}")
        policy = self.properties("VideoProcessingDLQPolicy")["PolicyDocument"]["Statement"]
        self.true("the queue takes plain HTTP", any(denies_plain_http(s, "sqs:*") for s in policy))

    def webhooks(self):
        """A record of the stream becomes a message; a message is delivered, on its own, and lost by nobody."""
        table = self.properties("VideoMetadata")
        if not self.told:
            made = [name for name in self.template.resources if name.startswith("Webhook")]
            self.equal("what webhooks need, without any", made, [])
            self.true("the table has a stream for nobody", "StreamSpecification" not in table)
            self.true("an output of nothing", "WebhookDlqUrl" not in self.template.outputs)
            return
        made = sorted(name for name in self.template.resources if name.startswith("Webhook"))
        self.equal("what webhooks need", made, sorted(WEBHOOK))
        self.equal("the stream", table.get("StreamSpecification"), {"StreamViewType": "NEW_AND_OLD_IMAGES"})
        function, queue, dead = (self.properties(name) for name in ("WebhookFunction", "WebhookQueue", "WebhookDLQ"))
        changed, waiting = (self.properties(f"WebhookFunction{name}") for name in ("Changed", "Waiting"))
        self.true("the function has a layer", "Layers" not in function)
        for mapping in (changed, waiting):
            self.equal("a mapping of", mapping["FunctionName"], "${WebhookFunction}")
            self.true("a mapping is off", mapping.get("Enabled", True) is True)
            self.equal("one failure is a batch's", mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
        self.equal("changes of", changed["EventSourceArn"], "${VideoMetadata.StreamArn}")
        self.equal("changes from", changed["StartingPosition"], "TRIM_HORIZON")
        self.equal("a bad change is found", changed["BisectBatchOnFunctionError"], True)
        lost = changed["DestinationConfig"]
        self.equal("changes that could not be queued go to", lost, {"OnFailure": {"Destination": "${WebhookDLQ.Arn}"}})
        # A stream keeps a day, and some hours of it are left to those who have to read it again.
        age = changed["MaximumRecordAgeInSeconds"]
        self.true(f"changes are tried for {age} s", 3600 <= age <= 43200 and changed["MaximumRetryAttempts"] >= 1000)
        (pattern,) = [json.loads(f["Pattern"]) for f in changed["FilterCriteria"]["Filters"]]
        self.equal("changes that count", pattern, {"dynamodb": {"NewImage": {"status": {"S": [{"exists": True}]}}}})
        self.equal("what waits", waiting["EventSourceArn"], WEBHOOKS)
        self.equal("deliveries at a time", waiting["ScalingConfig"], {"MaximumConcurrency": 2})
        self.true("more than SQS gives at once", waiting["BatchSize"] <= 10)
        # One attempt is given up after 10 s.
        self.true("deliveries are cut off", function["Timeout"] >= 20)
        self.true("deliveries overlap", queue["VisibilityTimeout"] >= 6 * function["Timeout"])
        redrive = {"deadLetterTargetArn": "${WebhookDLQ.Arn}", "maxReceiveCount": 12}
        self.equal("given up after", queue.get("RedrivePolicy"), redrive)
        # The waits between twelve attempts, of which the last may begin late.
        attempts = sum(30 * 2**n for n in range(11))
        self.true("dropped before it is given up on", queue["MessageRetentionPeriod"] > 2 * attempts)
        self.equal("dead letters are kept", dead["MessageRetentionPeriod"], 1209600)
        for name in (queue, dead):
            self.true("a queue is not encrypted", name.get("SqsManagedSseEnabled") or name.get("KmsMasterKeyId"))
        policy = self.properties("WebhookQueuePolicy")
        self.equal("the policy is of", policy["Queues"], ["${WebhookQueue}", "${WebhookDLQ}"])
        statements = policy["PolicyDocument"]["Statement"]
        self.true("the queues take plain HTTP", any(denies_plain_http(s, "sqs:*") for s in statements))
        self.equal("the output WebhookDlqUrl", self.template.outputs["WebhookDlqUrl"], "${WebhookDLQ}")

    def transcoding(self):
        """What a state machine is made of, and who starts it and hears of its end."""
        made = sorted(name for name in self.template.resources if name.startswith(("Transcode", "Encode")))
        self.equal("what transcoding needs", made, sorted(TRANSCODE) if self.transcodes else [])
        self.equal("an output of it", "StateMachineArn" in self.template.outputs, self.transcodes)
        if not self.transcodes:
            return
        encode, plan, machine = (self.properties(name) for name in ("EncodeFunction", "TranscodeFunction", "TranscodeMachine"))
        layers = list(self.of_type("AWS::Lambda::LayerVersion"))
        self.equal("the encoder's layer", encode.get("Layers"), [f"${{{layer}}}" for layer in layers])
        self.true("the planner has a layer", "Layers" not in plan)
        self.equal("a chunk's time", encode["Timeout"], 900)
        self.true("a chunk's memory is more than a new account has", 2048 <= encode["MemorySize"] <= 3008)
        reserved = encode.get("ReservedConcurrentExecutions")
        self.equal("chunks at a time, of all videos", reserved or "0", self.given["TranscodeReservedConcurrency"])
        # Executions of an express one end after five minutes, and may begin twice.
        self.equal("its kind", machine["StateMachineType"], "STANDARD")
        self.equal("its name", machine["StateMachineName"], "upreel-transcode")
        self.equal("X-Ray of the state machine", machine.get("TracingConfiguration"), {"Enabled": True})
        given = machine["DefinitionSubstitutions"]
        expected = {
            "Partition": "aws",
            "TranscodeFunction": "${TranscodeFunction.Arn}",
            "EncodeFunction": "${EncodeFunction.Arn}",
            "Concurrency": self.given["TranscodeConcurrency"],
        }
        self.equal("what is put into the definition", given, expected)
        self.machine(Path("statemachines/transcode.asl.json").read_text(), given)
        rule = self.properties("TranscodeFunctionEnded")
        ended = {"status": ["FAILED", "TIMED_OUT", "ABORTED"], "stateMachineArn": ["${TranscodeMachine}"]}
        pattern = {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"], "detail": ended}
        self.equal("the ends that are heard of", rule["EventPattern"], pattern)
        self.equal("who hears of them", [t["Arn"] for t in rule["Targets"]], ["${TranscodeFunction.Arn}"])
        permission = self.properties("TranscodeFunctionEndedPermission")
        self.equal("who may tell", (permission["Principal"], permission["SourceArn"]), ("events.amazonaws.com", "${TranscodeFunctionEnded.Arn}"))

    def machine(self, text, given):
        """The state machine's file: whatever fails is tried again, and then written down."""
        self.equal("the state machine's placeholders", set(re.findall(r"\$\{(\w+)\}", text)), set(given))
        machine = json.loads(re.sub(r"\$\{(\w+)\}", lambda m: given.get(m[1], ""), text))
        self.true("an execution may take a year", 3600 <= machine["TimeoutSeconds"] <= 86400)
        states, chunk = machine["States"], machine["States"]["Encode"]["ItemProcessor"]["States"]["Chunk"]
        self.equal("chunks at a time", states["Encode"]["MaxConcurrency"], int(self.given["TranscodeConcurrency"]))
        self.equal("where chunks run", states["Encode"]["ItemProcessor"]["ProcessorConfig"], {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"})
        for name in ("Plan", "Encode", "Package"):
            self.equal(f"{name}: in the end", [(c["ErrorEquals"], c["Next"]) for c in states[name].get("Catch", [])], [(["States.ALL"], "Fail")])
        for name, state in {**states, "Chunk": chunk}.items():
            if state["Type"] == "Task":
                retries = state.get("Retry", [])
                self.true(f"{name} is not tried again", retries and retries[-1]["ErrorEquals"] == ["States.ALL"])
                self.true(f"{name}: retries all come at once", all(r["JitterStrategy"] == "FULL" and r["BackoffRate"] > 1 for r in retries))
        self.equal("a chunk waits for concurrency", chunk["Retry"][0]["ErrorEquals"], ["Lambda.TooManyRequestsException"])
        self.equal("after the failure is written down", (states["Fail"]["Next"], states["Failed"]["Type"]), ("Failed", "Fail"))

    def distribution(self):
        """Only what is signed is played, and only through the distribution."""
        made = sorted(name for name in self.template.resources if name.startswith("Cdn"))
        self.equal("what CloudFront needs", made, sorted(CDN) if self.cdn else [])
        self.equal("an output of it", "CdnDomain" in self.template.outputs, self.cdn)
        policy = self.properties("ProcessedBucketPolicy")["PolicyDocument"]["Statement"]
        allowed = [s for s in policy if s["Effect"] == "Allow"]
        if not self.cdn:
            self.equal("who else reads renditions", allowed, [])
            return
        (allow,) = allowed
        place = (allow["Principal"], allow["Action"], allow["Resource"])
        self.equal("what CloudFront reads", place, ({"Service": "cloudfront.amazonaws.com"}, "s3:GetObject", RENDITIONS))
        source = {"StringEquals": {"aws:SourceArn": "arn:aws:cloudfront::123456789012:distribution/${CdnDistribution}"}}
        self.equal("for which distribution", allow["Condition"], source)
        config = self.properties("CdnDistribution")["DistributionConfig"]
        behaviour = config["DefaultCacheBehavior"]
        self.true("other behaviours have no signature", "CacheBehaviors" not in config)
        function = [{"EventType": "viewer-request", "FunctionARN": "${CdnFunction.FunctionARN}"}]
        self.equal("who verifies", behaviour.get("FunctionAssociations"), function)
        self.true("plain HTTP is answered", behaviour["ViewerProtocolPolicy"] in ("redirect-to-https", "https-only"))
        self.equal("what may be asked for", behaviour["AllowedMethods"], ["GET", "HEAD"])
        (origin,) = config["Origins"]
        self.equal("the origin", origin["DomainName"], "${ProcessedBucket.RegionalDomainName}")
        self.equal("the access control", origin.get("OriginAccessControlId"), "${CdnAccess.Id}")
        access = self.properties("CdnAccess")["OriginAccessControlConfig"]
        self.equal("signed by CloudFront", (access["SigningBehavior"], access["SigningProtocol"]), ("always", "sigv4"))
        verify = self.properties("CdnFunction")
        self.true("the secret is not in the function", f"'{self.given['CdnSecret']}'" in verify["FunctionCode"])
        self.equal("it is published", verify.get("AutoPublish"), True)

    def buckets(self):
        buckets = self.of_type("AWS::S3::Bucket")
        self.equal("the buckets", sorted(buckets), ["ProcessedBucket", "ThumbnailsBucket", "UploadsBucket"])
        policies = {p["Bucket"]: p["PolicyDocument"]["Statement"] for p in self.of_type("AWS::S3::BucketPolicy").values()}
        methods = {"UploadsBucket": ["PUT", "POST", "GET", "HEAD", "DELETE"]}
        exposed = {"UploadsBucket": ["ETag", "Location"]}
        for name, bucket in buckets.items():
            public = bucket["PublicAccessBlockConfiguration"]
            closed = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
            self.equal(f"{name}: closed", public, dict.fromkeys(closed, True))
            owner = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
            self.equal(f"{name}: owner", bucket["OwnershipControls"], owner)
            (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            accelerated = name == "UploadsBucket" and self.given["TransferAcceleration"] == "true"
            expected = {"AccelerationStatus": "Enabled"} if accelerated else None
            self.equal(f"{name}: acceleration", bucket.get("AccelerateConfiguration"), expected)
            algorithm = "aws:kms" if self.given["CustomerManagedKey"] == "true" else "AES256"
            self.equal(f"{name}: encryption", rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"], algorithm)
            self.true(f"{name} keeps versions, so DELETE leaves something", "VersioningConfiguration" not in bucket)
            aborts = [rule.get("AbortIncompleteMultipartUpload") for rule in bucket["LifecycleConfiguration"]["Rules"]]
            self.true(f"{name} keeps cut-off uploads", {"DaysAfterInitiation": 1} in aborts)
            cors = bucket.get("CorsConfiguration", {}).get("CorsRules", [])
            if self.origins:
                (cors,) = cors
                self.equal(f"{name}: origins", cors["AllowedOrigins"], self.origins.split(","))
                self.equal(f"{name}: methods", cors["AllowedMethods"], methods.get(name, ["GET", "HEAD"]))
                self.equal(f"{name}: headers that pages see", cors["ExposedHeaders"], exposed.get(name, ["ETag"]))
                if name == "UploadsBucket":
                    self.true(f"{name} refuses the content type", "content-type" in cors["AllowedHeaders"])
            else:
                self.equal(f"{name}: CORS", cors, [])
            statements = policies[f"${{{name}}}"]
            both = {f"${{{name}.Arn}}", f"${{{name}.Arn}}/*"}
            plain = [s for s in statements if denies_plain_http(s, "s3:*")]
            self.true(f"{name} takes plain HTTP", any(set(s["Resource"]) == both for s in plain))
            # The renditions' policy is the distribution's matter too.
            self.true(f"{name}: not only Deny", name == "ProcessedBucket" or all(s["Effect"] == "Deny" for s in statements))
            age = "21600000" if name == "ProcessedBucket" else "900000"
            old = [s for s in statements if s["Condition"] == {"NumericGreaterThan": {"s3:signatureAge": age}}]
            self.equal(f"{name}: signed URLs of any age", [sorted(s["Action"]) for s in old], [["s3:GetObject", "s3:PutObject"]])
        expired = [r for r in buckets["ProcessedBucket"]["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in r]
        self.equal("what expires", [(r["Prefix"], r["Status"]) for r in expired], [("work/", "Enabled")])
        self.true("it expires before it can be replayed", expired[0]["ExpirationInDays"] >= 14)
        (notification,) = buckets["UploadsBucket"]["NotificationConfiguration"]["LambdaConfigurations"]
        self.equal("events go to", notification["Function"], "${ThumbnailFunction.Arn}")
        self.equal("events", notification["Event"], "s3:ObjectCreated:*")
        prefix = {"S3Key": {"Rules": [{"Name": "prefix", "Value": "videos/"}]}}
        self.equal("events of", notification["Filter"], prefix)
        invokers = [p for p in self.of_type("AWS::Lambda::Permission").values() if p["Principal"] == "s3.amazonaws.com"]
        scopes = [(p["FunctionName"], p.get("SourceAccount")) for p in invokers]
        self.equal("S3 may invoke", scopes, [("${ThumbnailFunction}", "123456789012")])

    def table(self):
        table = self.properties("VideoMetadata")
        self.equal("the table's key", table["KeySchema"], [{"AttributeName": "videoId", "KeyType": "HASH"}])
        self.equal("billing", table["BillingMode"], "PAY_PER_REQUEST")
        self.equal("TTL", table.get("TimeToLiveSpecification"), {"AttributeName": "ttl", "Enabled": True})
        recovery = table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
        self.equal("point-in-time recovery", recovery, True)
        (index,) = table["GlobalSecondaryIndexes"]
        self.equal("the index", index["IndexName"], "byUser")
        keys = [(k["AttributeName"], k["KeyType"]) for k in index["KeySchema"]]
        self.equal("the index's key", keys, [("userId", "HASH"), ("uploadTime", "RANGE")])
        self.equal("the index holds", index["Projection"], {"ProjectionType": "ALL"})

    def alarms(self):
        alarms = self.of_type("AWS::CloudWatch::Alarm")
        options = [name for name, on in (("Webhook", self.told), ("Transcode", self.transcodes)) if on]
        self.true(f"{len(alarms)} alarms, of which ten are free", len(alarms) <= 9 + len(options))
        metrics = {(a["Namespace"], a["MetricName"]) for a in alarms.values()}
        expected = ALARMED | ({("AWS/States", "ExecutionsFailed")} if self.transcodes else set())
        self.equal("what has an alarm", sorted(metrics), sorted(expected))
        counted = {"Name": "QueueName", "Value": "${WebhookDLQ.QueueName}"}
        self.equal("alarms of webhooks", [a["Dimensions"] for a in alarms.values()].count([counted]), int(self.told))
        own = {
            "AWS/SQS": [{"Name": "QueueName", "Value": "${VideoProcessingDLQ.QueueName}"}],
            "AWS/Lambda": [{"Name": "FunctionName", "Value": "${ThumbnailFunction}"}],
            "AWS/States": [{"Name": "StateMachineArn", "Value": "${TranscodeMachine}"}],
            "AWS/ApiGateway": [{"Name": "ApiName", "Value": self.body["info"]["title"]}, {"Name": "Stage", "Value": "${Apiv1Stage}"}],
        }
        for name, alarm in alarms.items():
            webhooks = name == "WebhookDeadLettersAlarm"
            self.equal(f"{name}: of", alarm["Dimensions"], [counted] if webhooks else own[alarm["Namespace"]])
            self.equal(f"{name}: tells", alarm.get("AlarmActions"), ["${AlarmTopic}"])
            self.equal(f"{name}: without data", alarm["TreatMissingData"], "notBreaching")
            self.true(f"{name}: what to do", len(alarm["AlarmDescription"]) > 20)
        subscriptions = [s["Endpoint"] for s in self.of_type("AWS::SNS::Subscription").values()]
        self.equal("who is told", subscriptions, [self.given["AlarmEmail"]] if self.given["AlarmEmail"] else [])

    def dashboard(self):
        (dashboard,) = self.of_type("AWS::CloudWatch::Dashboard").values()
        widgets = json.loads(dashboard["DashboardBody"])["widgets"]
        shown, count = set(), 0
        for widget in widgets:
            last = []
            for metric in widget["properties"].get("metrics", []):
                names = [part for part in metric if isinstance(part, str)]
                # "..." repeats the line before but for what follows it, "." one place of it.
                if names[0] == "...":
                    names = last[: len(last) - len(names) + 1] + names[1:]
                names = [last[i] if part == "." else part for i, part in enumerate(names)]
                last, count = names, count + 1
                shown.add((names[0], names[1]))
        self.true(f"{count} metrics, of which 50 are free", count <= 50)
        for name in ("BytesRead", "RangeRequests", "PosterTime", "PosterFailed", "StoryboardBytesRead", "StoryboardTime"):
            self.true(f"the dashboard lacks {name}", ("Upreel", name) in shown)
        listed = {alarm for w in widgets if w["type"] == "alarm" for alarm in w["properties"]["alarms"]}
        alarms = {f"${{{name}.Arn}}" for name in self.of_type("AWS::CloudWatch::Alarm")}
        self.equal("the dashboard's alarms", sorted(listed), sorted(alarms))

    def logs(self):
        groups = self.of_type("AWS::Logs::LogGroup")
        for name in self.expected_functions:
            config = self.properties(name).get("LoggingConfig", {})
            group = f"{name.removesuffix('Function')}Logs"
            self.equal(f"{name}: log", config, {"LogFormat": "JSON", "LogGroup": f"${{{group}}}"})
            self.true(f"{group} is missing", group in groups)
        for name, group in groups.items():
            self.equal(f"{name}: kept", str(group.get("RetentionInDays")), self.given["LogRetentionDays"])

    def keeping(self):
        kinds = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Cognito::UserPool", "AWS::KMS::Key")
        for name, resource in self.template.resources.items():
            if resource["Type"] in kinds:
                policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
                self.equal(f"{name}: kept", policies, ("RetainExceptOnCreate", "Retain"))

    def options(self):
        kinds = {resource["Type"] for resource in self.template.resources.values()}
        reserved = self.properties("ThumbnailFunction").get("ReservedConcurrentExecutions")
        self.equal("reserved concurrency", reserved or "0", self.given["ReservedConcurrency"])
        for name in API_FUNCTIONS:
            self.true(f"{name} reserves concurrency", "ReservedConcurrentExecutions" not in self.properties(name))
        if self.case == "defaults":
            self.equal("billed while idle", sorted(kinds - set(FREE_WHEN_IDLE)), [])
        self.equal("a KMS key", "AWS::KMS::Key" in kinds, self.given["CustomerManagedKey"] == "true")
        self.equal("a web ACL", "AWS::WAFv2::WebACLAssociation" in kinds, self.given["Waf"] == "true")
        text = json.dumps(self.template.resources)
        self.true("the rules that block bodies over 8 KB", "AWSManagedRulesCommonRuleSet" not in text)
        if self.given["CustomerManagedKey"] == "true":
            self.equal("the queue's key", self.properties("VideoProcessingDLQ").get("KmsMasterKeyId"), "${Key.Arn}")
            for name in ("WebhookQueue", "WebhookDLQ"):
                self.equal(f"{name}: key", self.properties(name).get("KmsMasterKeyId"), "${Key.Arn}")
            self.equal("the table's key", self.properties("VideoMetadata")["SSESpecification"]["KMSMasterKeyId"], "${Key.Arn}")
            for name, group in self.of_type("AWS::Logs::LogGroup").items():
                self.equal(f"{name}: key", group.get("KmsKeyId"), "${Key.Arn}")

    def outputs(self):
        needed = {"ApiUrl", "UploadsBucketName", "ThumbnailsBucketName", "ProcessedBucketName", "TableName", "DlqUrl", "DashboardUrl", "ReplayMapping"}
        if self.given["Callers"] != "IAM":
            needed.add("UserPoolId")
            pool = self.given["UserPoolArn"].rsplit("/")[-1] or "${UserPool}"
            self.equal("the output UserPoolId", self.template.outputs.get("UserPoolId"), pool)
            if not self.given["UserPoolArn"]:
                needed.add("UserPoolClientId")
        self.true(f"outputs are missing: {needed - set(self.template.outputs)}", needed <= set(self.template.outputs))


def principals(role):
    return [s["Principal"]["Service"] for s in role["AssumeRolePolicyDocument"]["Statement"]]


def denies_plain_http(statement, action):
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    everybody = (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", action)
    return everybody and statement["Condition"] == condition


def allow_origin(text, headers):
    """What the preflight's mapping template puts into Access-Control-Allow-Origin; None when it leaves it."""
    # The engine here has no hyphens in names; API Gateway's has.
    text = text.replace("Access-Control-Allow-Origin", "AllowOrigin")

    class Input:
        @staticmethod
        def params(name):
            return headers.get(name, "")

    override = {"header": {}}
    left = airspeed.Template(text).merge({"input": Input, "context": {"responseOverride": override}})
    if left.strip():
        raise ValueError(f"the preflight has a body: {left.strip()}")
    return override["header"].get("AllowOrigin")


WEBHOOK_URLS = {
    "": True,
    "https://app.example.com": True,
    "https://app.example.com:8443/hooks/video?a=b": True,
    "http://app.example.com": False,
    "https://user:password@app.example.com": False,
    "https://app.example.com/a b": False,
    "app.example.com": False,
}


def given(name):
    return {"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]}


def signed(rules, condition, secret):
    """Whether CloudFormation refuses the one without the other."""
    return any(
        rule.get("RuleCondition") == condition and [a["Assert"] for a in rule["Assertions"]] == [given(secret)]
        for rule in rules.values()
    )


def of_source(template):
    """What can only be seen before the transform."""
    parameters = template["Parameters"]
    for name in ("WebhookSecret", "CdnSecret"):
        if not parameters[name].get("NoEcho"):
            yield f"{name} is shown to whoever may see the stack"
    for secret, fits in (("", True), ("a:" + "x" * 15, False), ("a:" + "x" * 16, True), ("x" * 20, False), ("a:x'" + "x" * 16, False)):
        if bool(re.search(parameters["CdnSecret"].get("AllowedPattern", ""), secret)) != fits:
            yield f"CdnSecret {'refuses' if fits else 'takes'} {secret}"
    for url, fits in WEBHOOK_URLS.items():
        if bool(re.search(parameters["WebhookUrl"].get("AllowedPattern", ""), url)) != fits:
            yield f"WebhookUrl {'refuses' if fits else 'takes'} {url}"
    for secret, fits in (("", True), ("x" * 15, False), ("x" * 16, True), ("x" * 15 + " ", False)):
        if bool(re.search(parameters["WebhookSecret"].get("AllowedPattern", ""), secret)) != fits:
            yield f"WebhookSecret {'refuses' if fits else 'takes'} {len(secret)} characters"
    rules = template.get("Rules", {})
    if not signed(rules, given("WebhookUrl"), "WebhookSecret"):
        yield "webhooks may go unsigned"
    if not signed(rules, {"Fn::Equals": [{"Ref": "Cdn"}, "true"]}, "CdnSecret"):
        yield "what is played may go unsigned"
    defaults = {name: str(parameter.get("Default")) for name, parameter in template["Parameters"].items()}
    for name in sorted(defaults.keys() | DEFAULTS.keys()):
        if defaults.get(name) != DEFAULTS.get(name):
            yield f"the default of {name} is {defaults.get(name)!r}, not {DEFAULTS.get(name)!r}"
    if template["Resources"]["Api"]["Properties"].get("AlwaysDeploy") is not True:
        yield "a parameter in the API's body makes no new deployment"
    for name, resource in template["Resources"].items():
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            if len(skip.get("comment", "")) < 20:
                yield f"{name}: {skip.get('id')} is suppressed without a reason"


def findings(template):
    """Everything that is wrong with the template, as (case, sentence)."""
    yield from (("source", wrong) for wrong in of_source(template))
    transformed = transform(template)
    yield from (("transform", "a cycle: " + " -> ".join(circle)) for circle in cycles(transformed))
    for case, given in CASES.items():
        yield from ((case, wrong) for wrong in Checks(case, given, transformed).wrong)


def bare_suppressions(path):
    """Suppressions of cfn-lint whose line does not say why."""
    with open(path) as lines:
        for number, line in enumerate(lines, 1):
            if "ignore_checks" in line and len(line.partition("#")[2].strip()) < 20:
                yield f"line {number}: suppressed without a reason"


def of_document(path="openapi.yaml"):
    """Where the routes and the document that describes them differ."""
    described = {(method, route) for route, item in load(path)["paths"].items() for method in item if method in METHODS}
    for method, route in sorted(described ^ ROUTES.keys()):
        yield f"{method} {route} is missing here or in the template"


if __name__ == "__main__":
    path = sys.argv[1]
    found = [*(("source", wrong) for wrong in bare_suppressions(path)), *(("openapi.yaml", wrong) for wrong in of_document())]
    found += findings(load(path))
    for case, wrong in found:
        print(f"{case}: {wrong}")
    print(f"{len(CASES)} combinations of parameters, {len(found)} findings")
    sys.exit(bool(found))
