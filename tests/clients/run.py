"""Tests every upload method with common clients: curl, urllib3, boto3 and the AWS CLI.

usage: run.py UPREEL   (the path of the program)

To change the pinned versions, edit requirements.in and see tests/template/gate.sh.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import boto3
import urllib3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import smoke  # noqa: E402
from backend import ACCESS_KEY, SECRET, Backend, make_video, padded  # noqa: E402

HTTP = urllib3.PoolManager(retries=False)
PART = 5 << 20
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
UPLOADS = []


def upload(function):
    """Registers an upload method. It returns the ID of the video and the path of the file."""
    UPLOADS.append(function)
    return function

def run(*command):
    completed = subprocess.run([str(part) for part in command], check=True, capture_output=True, env=os.environ | CREDENTIALS)
    return completed.stdout

def curl(*arguments):
    return run("curl", "-sS", "--fail-with-body", *arguments)

def video_id(key):
    return key.rsplit("/", 1)[1].split(".")[0]

class Clients:
    """Clients of one backend, with a video of a few kilobytes and one that needs two parts."""

    def __init__(self, backend, folder):
        self.backend = backend
        self.small = folder / "small.mp4"
        make_video(self.small)
        head, free, length, index = padded(self.small.read_bytes(), PART + 1_000_000)
        self.large = folder / "large.mp4"
        self.large.write_bytes(head + free + bytes(length) + index)
        self.s3 = boto3.client(
            "s3", endpoint_url=backend.s3, region_name="us-east-1", aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET, config=Config(s3={"addressing_style": "path"}))

    def aws(self, *arguments):
        return run(Path(sys.executable).parent / "aws", "--endpoint-url", self.backend.s3, "s3", *arguments)

    def presigned(self, path):
        """Returns the response of GET /presign for this file."""
        query = f"/presign?name={path.name}&type=video/mp4&size={path.stat().st_size}"
        return self.backend.json("GET", query)

    @upload
    def upload_with_curl(self):
        response = json.loads(curl("-F", f"file=@{self.small}", f"{self.backend.api}/upload"))
        return response["videoId"], self.small

    @upload
    def presigned_put_with_curl(self):
        signed = self.presigned(self.large)
        curl("-T", self.large, "-H", "Content-Type: video/mp4", signed["uploadUrl"])
        return signed["videoId"], self.large

    @upload
    def presigned_put_with_urllib3(self):
        signed = self.presigned(self.small)
        put = HTTP.request(signed["method"], signed["uploadUrl"], body=self.small.read_bytes(), headers=signed["headers"])
        assert put.status == 200, put.data
        return signed["videoId"], self.small

    @upload
    def post_form_with_curl(self):
        form = self.backend.json("GET", "/s3/params?filename=small.mp4&type=video/mp4")
        fields = [part for name, value in form["fields"].items() for part in ("--form-string", f"{name}={value}")]
        response = curl("-i", *fields, "-F", f"file=@{self.small}", form["url"]).decode()
        assert " 201 " in response and "location:" in response.lower(), response
        return video_id(form["fields"]["key"]), self.small

    @upload
    def post_form_with_urllib3(self):
        form = self.backend.json("GET", "/s3/params?filename=small.mp4&type=video/mp4")
        fields = {**form["fields"], "file": ("small.mp4", self.small.read_bytes())}
        posted = HTTP.request(form["method"], form["url"], fields=fields)
        assert posted.status == 201 and posted.headers["Location"], posted.data
        return video_id(form["fields"]["key"]), self.small

    @upload
    def multipart_with_urllib3(self):
        created = self.backend.json("POST", "/s3/multipart", {"filename": "large.mp4", "type": "video/mp4"})
        base, key = f"/s3/multipart/{created['uploadId']}", f"?key={quote(created['key'])}"
        content = self.large.read_bytes()

        def put(number):
            url = self.backend.json("GET", f"{base}/{number}{key}")["url"]
            part = HTTP.request("PUT", url, body=content[(number - 1) * PART : number * PART])
            assert part.status == 200, part.data
            return {"PartNumber": number, "ETag": part.headers["ETag"]}

        with ThreadPoolExecutor() as pool:
            parts = list(pool.map(put, range(1, len(content) // PART + 2)))
        listed = self.backend.json("GET", base + key)
        assert [part["ETag"] for part in listed] == [part["ETag"] for part in parts], listed
        self.backend.json("POST", f"{base}/complete{key}", {"parts": parts})
        return video_id(created["key"]), self.large

    @upload
    def put_object_with_boto3(self):
        signed = self.presigned(self.small)
        self.s3.put_object(Bucket="uploads", Key=signed["key"], Body=self.small.read_bytes(), ContentType="video/mp4")
        return signed["videoId"], self.small

    @upload
    def multipart_with_boto3(self):
        signed = self.presigned(self.large)
        config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
        self.s3.upload_file(str(self.large), "uploads", signed["key"], Config=config)
        return signed["videoId"], self.large

    @upload
    def copy_with_the_aws_cli(self):
        signed = self.presigned(self.large)
        self.aws("cp", "--only-show-errors", self.large, f"s3://uploads/{signed['key']}")
        return signed["videoId"], self.large

    def check(self, video, sent):
        """Asserts that the video is PROCESSED and that S3 returns the uploaded content to every client."""
        record = self.backend.wait_for_outcome(video)
        assert (record["status"], record["size"]) == ("PROCESSED", sent.stat().st_size), record
        poster = HTTP.request("GET", record["thumbnailUrl"]).data
        assert poster.startswith(b"\xff\xd8"), "the poster is not a JPEG"
        prefix = "videos/local/"
        (key,) = (o["Key"] for o in self.s3.list_objects_v2(Bucket="uploads", Prefix=prefix)["Contents"] if video in o["Key"])
        content = sent.read_bytes()
        assert self.s3.get_object(Bucket="uploads", Key=key)["Body"].read() == content, "boto3 returns different content"
        copy = sent.with_suffix(".copy")
        self.aws("cp", "--only-show-errors", f"s3://uploads/{key}", copy)
        assert copy.read_bytes() == content, "the AWS CLI returns different content"
        listed = self.aws("ls", f"s3://uploads/{prefix}").decode()
        assert f" {len(content)} {key.removeprefix(prefix)}\n" in listed, listed

def check_printed_credentials(backend):
    """The lines that the program prints for the AWS CLI can be pasted into a shell."""
    lines = "\n".join(line for line in backend.greeting.splitlines() if line.startswith("export "))
    aws = Path(sys.executable).parent / "aws"
    environment = {"PATH": os.environ["PATH"], "HOME": str(backend.folder), "AWS_EC2_METADATA_DISABLED": "true"}

    def shell(command):
        return subprocess.run(["sh", "-c", f"{lines}\n{command}"], check=True, capture_output=True, env=environment).stdout.decode()

    assert "videos/" in shell(f"{aws} s3 ls s3://uploads")
    count = shell(f"{aws} dynamodb scan --table-name VideoMetadata --select COUNT --query Count")
    assert int(count) > 0, count
    wrong = subprocess.run([aws, "dynamodb", "list-tables", "--endpoint-url", backend.dynamodb], capture_output=True, check=False,
                           env=environment | CREDENTIALS | {"AWS_SECRET_ACCESS_KEY": "wrong"})  # fmt: skip
    assert wrong.returncode and b"credentials that Upreel printed" in wrong.stderr, wrong

def check_log(clients):
    """Refused requests and aborted uploads are not logged as errors, and an object whose key is not a video's is logged."""
    log = clients.backend.folder / "upreel.log"
    signed = urlsplit(clients.presigned(clients.large)["uploadUrl"])
    with socket.create_connection((signed.hostname, signed.port)) as connection:
        head = f"PUT {signed.path}?{signed.query} HTTP/1.1\r\nHost: {signed.netloc}\r\nContent-Type: video/mp4\r\n"
        connection.sendall(f"{head}Content-Length: {clients.large.stat().st_size}\r\n\r\nstart".encode())
    assert HTTP.request("GET", f"{clients.backend.s3}/uploads").status == 403
    clients.aws("cp", "--only-show-errors", clients.small, "s3://uploads/holiday.mp4")
    deadline = time.monotonic() + 60
    for expected in ("did not send the whole body", "uploads/holiday.mp4, but will not process it"):
        while expected not in log.read_text():
            assert time.monotonic() < deadline, f"not in the log: {expected}\n{log.read_text()}"
            time.sleep(0.02)
    assert "ERROR" not in log.read_text(), log.read_text()

class Faulty:
    """An HTTP client that changes the response of one kind of request."""

    def __init__(self, method, part, **changes):
        self.method, self.part, self.changes = method, part, changes

    def request(self, method, url, **more):
        response = HTTP.request(method, url, **more)
        if method == self.method and self.part in url:
            for name, value in self.changes.items():
                setattr(response, name, value) if name != "data" else setattr(response, "_body", value)
        return response


def check_smoke_finds_faults(backend):
    """Each step of the smoke test notices its fault, and leaves no video behind."""
    for step, fault in (
        ("preflight", Faulty("OPTIONS", "/videos", headers={})),
        ("upload", Faulty("POST", "/upload", headers={})),
        ("presigned put", Faulty("PUT", "/uploads/", status=403)),
        ("poster", Faulty("GET", "/thumbnails/", data=b"<html>")),
        ("playback", Faulty("GET", "/segments/", status=404)),
        ("playback", Faulty("GET", "/processed/segments/", headers={})),
        ("playback", Faulty("GET", "/processed/segments/", data=b"<html>")),
        ("listed", Faulty("GET", "limit=100", data=b'{"videos": []}')),
        ("delete", Faulty("DELETE", "/videos/", status=500)),
    ):
        api = smoke.Backend(backend.api, origin="http://localhost:3000", http=fault)
        broken = smoke.smoke(api, skipped=(smoke.sign_in_is_required,))
        assert broken and broken.startswith(f"{step}: "), (step, broken)
    left = [v for v in backend.json("GET", "/videos?limit=100")["videos"] if v["filename"] == "smoke.mp4"]
    assert not left, left


def main(program):
    with tempfile.TemporaryDirectory() as folder, Backend(program, folder, "--allow-origin", "http://localhost:3000") as backend:
        clients = Clients(backend, Path(folder))
        for method in UPLOADS:
            clients.check(*method(clients))
            print(f"clients: {method.__name__.replace('_', ' ')}: PROCESSED and read back", flush=True)
        # What `make smoke` runs against a deployed stack; locally there is no sign-in.
        broken = smoke.smoke(smoke.Backend(backend.api, origin="http://localhost:3000"), skipped=(smoke.sign_in_is_required,))
        assert not broken, broken
        check_smoke_finds_faults(backend)
        check_printed_credentials(backend)
        check_log(clients)
        assert not backend.json("GET", "/_local/dlq")["messages"]

if __name__ == "__main__":
    main(sys.argv[1])
