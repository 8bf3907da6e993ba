"""The emulator (ministack), the stack deployed into it, and a client of its API."""

import io
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import boto3
import urllib3
from botocore.config import Config
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))
import incident  # noqa: E402
import ops  # noqa: E402
import smoke  # noqa: E402

REGION = "us-east-1"
FUNCTIONS = {"UploadFunction": "upload", "PresignFunction": "presign", "VideosFunction": "videos", "PlaybackFunction": "playback",
             "ThumbnailFunction": "thumbnail", "ReconcileFunction": "reconcile", "WebhookFunction": "webhook",
             "TranscodeFunction": "transcode", "EncodeFunction": "transcode"}
BATCH = "sqs:SendMessageBatch"
INVALIDATION = "cloudfront:CreateInvalidation2020_05_31"
TIMEOUT = 600  # seconds; only ends a hang
HTTP = urllib3.PoolManager(retries=False)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, check):
    """Waits until check() returns a true value and returns it."""
    deadline = time.time() + TIMEOUT
    while time.time() < deadline:
        if result := check():
            return result
        time.sleep(0.05)
    raise AssertionError(f"timed out after {TIMEOUT} s: {what}")


def make_video(path, size, seconds, rate, keyframes=2, codec="libx264"):
    """Makes a video with audio and a keyframe every `keyframes` seconds, and returns its bytes."""
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}",
         "-f", "lavfi", "-i", f"sine=f=440:d={seconds}", "-c:v", codec, "-preset", "ultrafast", "-g", str(keyframes * rate),
         "-bf", "2", "-c:a", "aac", path], check=True)  # fmt: skip
    return path.read_bytes()


class Emulator:
    """ministack on a free loopback port, with IAM enforced and API calls recorded."""

    def __init__(self, folder, ffmpeg, authority):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = open(folder / "emulator.log", "w+")
        self.hold = folder / "hold-deletions"
        self.hold_segments = folder / "hold-segments"
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("server.py")], cwd=folder, stdout=self.log, stderr=subprocess.STDOUT,
            env={
                "PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder),
                "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port), "AWS_ENDPOINT_URL": self.url,
                "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION,
                "AUTH": "true", "CLOUDTRAIL_RECORDING": "1", "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",
                # The emulator does not mount layers at /opt, so the functions need the path of ffmpeg.
                "FFMPEG_PATH": str(ffmpeg),
                "HOLD_DELETIONS": str(self.hold), "HOLD_SEGMENTS": str(self.hold_segments),
                # Shortens the waits between the state machine's retries.
                "SFN_WAIT_SCALE": "0.01",
                # The certificate authority of the webhook receiver, which exists only in this test.
                "SSL_CERT_FILE": str(authority),
            })
        wait_until("the emulator is healthy", self.is_healthy)

    def is_healthy(self):
        assert self.process.poll() is None, "the emulator exited: " + self.tail()
        try:
            return HTTP.request("GET", f"{self.url}/_ministack/health", timeout=1).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def tail(self):
        self.log.seek(0)
        return self.log.read()[-6000:]

    def s3(self):
        return self.client("s3", config=Config(s3={"addressing_style": "path"}))

    def operators(self):
        """Returns the stack object that the operator commands (`make dlq`, `make replay`) use."""
        os.environ.update(AWS_ENDPOINT_URL=self.url, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION=REGION)
        stack = ops.Stack("dev")
        stack.name = "upreel"
        return stack

    def client(self, service, **more):
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="test",
                            aws_secret_access_key="test", **more)


def zipped(path, name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = 0o755 << 16
        archive.writestr(info, path.read_bytes())
    return buffer.getvalue()


def package(emulator, build, ffmpeg):
    """Does what `sam package` does: uploads the code to a bucket and refers to it in the returned template."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    s3 = emulator.s3()
    s3.create_bucket(Bucket="deploy")
    # No stack of the tests has ImportUrls: what it connects to has a public address.
    for logical, name in {**FUNCTIONS, "FetchFunction": "fetch"}.items():
        s3.put_object(Bucket="deploy", Key=name, Body=zipped(build / logical / "bootstrap", "bootstrap"))
        template["Resources"][logical]["Properties"]["CodeUri"] = {"Bucket": "deploy", "Key": name}
    machine = template["Resources"]["TranscodeMachine"]["Properties"]
    s3.put_object(Bucket="deploy", Key="machine", Body=(ROOT / machine["DefinitionUri"]).read_bytes())
    machine["DefinitionUri"] = {"Bucket": "deploy", "Key": "machine"}
    s3.put_object(Bucket="deploy", Key="layer", Body=zipped(ffmpeg, "bin/ffmpeg"))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = {"Bucket": "deploy", "Key": "layer"}
        # The emulator's alarms cannot have an expression; they never fire here.
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]:
            for query in resource["Properties"].pop("Metrics"):
                if "MetricStat" in query:
                    resource["Properties"] |= {**query["MetricStat"]["Metric"], "Period": 60, "Statistic": "Sum"}
        # The emulator uses plain HTTP, which these policies deny.
        if resource["Type"] in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
            statements = resource["Properties"]["PolicyDocument"]["Statement"]
            statements[:] = [s for s in statements if "SecureTransport" not in json.dumps(s, default=str)]
    distribution = template["Resources"]["CdnDistribution"]["Properties"]["DistributionConfig"]
    for behaviour in (distribution["DefaultCacheBehavior"], *distribution["CacheBehaviors"]):
        behaviour["ViewerProtocolPolicy"] = "allow-all"
    # AWS authorises a batch as sqs:SendMessage; the emulator requires an action that IAM does not have.
    for statement in template["Resources"]["WebhookRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
        if "sqs:SendMessage" in statement["Action"]:
            statement["Action"] = [*statement["Action"], BATCH]
    # The emulator takes the name of this operation from the SDK's model, where it ends in the version of the API.
    for role in ("VideosRole", "ReconcileRole"):
        for policy in template["Resources"][role]["Properties"]["Policies"]:
            granted = policy["Fn::If"][1]["PolicyDocument"]["Statement"][0] if "Fn::If" in policy else {}
            if "cloudfront:CreateInvalidation" in granted.get("Action", []):
                granted["Action"] = ["cloudfront:CreateInvalidation", INVALIDATION]
    return template


class Stack:
    """The deployed stack: its outputs and the physical IDs of its resources."""

    def __init__(self, emulator, template, receiver, parameters=None):
        cloudformation = emulator.client("cloudformation")
        # The template is too long to be sent inline, so it goes through a bucket, as with `sam deploy`.
        emulator.s3().put_object(Bucket="deploy", Key="template", Body=json.dumps(template, default=str))
        cloudformation.create_stack(
            StackName="upreel", TemplateURL=f"{emulator.url}/deploy/template",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in {
                "AllowedOrigins": "https://app.example.com", "WebhookUrl": receiver.url, "Release": "r1",
                "Transcode": "true", "TranscodeConcurrency": "2", "Cdn": "true", **(parameters or {})}.items()])

        def created():
            stack = cloudformation.describe_stacks(StackName="upreel")["Stacks"][0]
            if "FAILED" in stack["StackStatus"] or "ROLLBACK" in stack["StackStatus"]:
                events = cloudformation.describe_stack_events(StackName="upreel")["StackEvents"]
                raise AssertionError([e for e in events if "FAILED" in e.get("ResourceStatus", "")])
            return stack if stack["StackStatus"] == "CREATE_COMPLETE" else None

        stack = wait_until("the stack is created", created)
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
        resources = cloudformation.describe_stack_resources(StackName="upreel")["StackResources"]
        self.ids = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}
        self.types = {r["LogicalResourceId"]: r["ResourceType"] for r in resources}
        self.complete(emulator)

    def complete(self, emulator):
        """Adds what the emulator's CloudFormation ignores: the dead-letter queue, and that the replay is disabled."""
        functions, queue = emulator.client("lambda"), self.ids["VideoProcessingDLQ"]
        arn = emulator.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        name = self.ids["ThumbnailFunction"]
        functions.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": arn})
        release(functions, name, "r1")
        functions.update_event_source_mapping(UUID=self.ids["ThumbnailFunctionReplay"], Enabled=False)
        destination = functions.get_function_event_invoke_config(FunctionName=name, Qualifier="live")["DestinationConfig"]["OnFailure"]
        assert destination["Destination"].endswith(":function:upreel-reconcile:live"), destination

    def secret(self, emulator, name):
        """Returns the secret that the stack has generated."""
        value = emulator.client("secretsmanager").get_secret_value(SecretId=self.ids[name])["SecretString"]
        assert len(value) == 43 and value.isalnum(), "the generated secret"
        return value

    def of_type(self, kind):
        return [self.ids[name] for name, found in self.types.items() if found == kind]


def release(functions, name, description=""):
    """Publishes what is configured, and moves the alias that everything invokes to it, as a deployment does."""
    version = functions.publish_version(FunctionName=name, Description=description)["Version"]
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)


def configure(functions, name, variables, description=""):
    """Changes the environment of a function."""
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    release(functions, name, description)


def sign_in(emulator, stack, name):
    """Creates a user in the stack's user pool and returns an ID token."""
    cognito = emulator.client("cognito-idp")
    pool, client = stack.of_type("AWS::Cognito::UserPool")[0], stack.of_type("AWS::Cognito::UserPoolClient")[0]
    cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password="Correct-horse-9!", Permanent=True)
    # The app client is meant for browsers (SRP); the test signs in as an administrator.
    cognito.update_user_pool_client(UserPoolId=pool, ClientId=client,
                                    ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])
    response = cognito.admin_initiate_auth(
        UserPoolId=pool, ClientId=client, AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": "Correct-horse-9!"})
    return response["AuthenticationResult"]["IdToken"]


class Api:
    """A client of the deployed API; sends no credentials if `token` is None."""

    def __init__(self, emulator, stack, token):
        api = stack.of_type("AWS::ApiGateway::RestApi")[0]
        stages = emulator.client("apigateway").get_stages(restApiId=api)["item"]
        self.base = f"{emulator.url}/restapis/{api}/{stages[-1]['stageName']}/_user_request_"
        self.token = token

    def call(self, method, path, body=None, **headers):
        if self.token:
            headers["Authorization"] = self.token
        headers.setdefault("Origin", "https://app.example.com")
        return HTTP.request(method, self.base + path, body=body, headers=headers, timeout=600)

    def video(self, video_id):
        return self.call("GET", f"/videos/{video_id}").json()

    def wait_for_status(self, video_id, status):
        def check():
            video = self.video(video_id)
            return video if video.get("status") == status else None
        return wait_until(f"{video_id} is {status}", check)

    def presign_and_put(self, name, media_type, body):
        signed = self.call("GET", f"/presign?name={name}&type={media_type}&size={len(body)}").json()
        put = HTTP.request(signed["method"], signed["uploadUrl"], body=body, headers=signed["headers"])
        assert put.status == 200, put.data
        return signed["videoId"], signed
