"""A smoke test of a running backend: uploads two videos, waits for their posters, lists them, and deletes them.

usage: smoke.py URL   (a backend without sign-in, such as `make run`)

`make smoke ENV=` runs it against a deployed stack, as a user that exists only for the test.
"""

import base64
import json
import os
import secrets
import sys
import time
from pathlib import Path
from urllib.parse import urljoin

import urllib3

ROOT = Path(__file__).parent.parent
# Processing takes seconds; a cold start with retries takes longer.
PATIENCE = 180
FORM = "multipart/form-data; boundary=smoke"


class Broken(Exception):
    """What is broken, in words for an operator."""


class Backend:
    """A backend under test. `origin` is one that it allows; `token` is None if it has no sign-in."""

    def __init__(self, url, token=None, origin=None, http=None):
        self.url, self.token, self.origin = url.rstrip("/"), token, origin
        self.http = http or urllib3.PoolManager(retries=False, timeout=60)

    def call(self, method, path, body=None, headers=(), signed_in=True):
        headers = dict(headers)
        if self.origin:
            headers["Origin"] = self.origin
        if self.token and signed_in:
            headers["Authorization"] = self.token
        return self.request(method, self.url + path, body, headers)

    def request(self, method, url, body=None, headers=()):
        try:
            return self.http.request(method, url, body=body, headers=dict(headers))
        except urllib3.exceptions.HTTPError as error:
            raise Broken(f"{method} {url.split('?')[0]}: {error}") from error

    def json(self, method, path, body=None, headers=(), status=200):
        response = self.call(method, path, body, headers)
        expect(f"{method} {path.split('?')[0]}", response, status)
        return response.json()


def expect(what, response, *statuses):
    if response.status not in statuses:
        raise Broken(f"{what}: status {response.status}, expected {' or '.join(map(str, statuses))}: {response.data[:300]!r}")


def expect_cors(what, backend, response):
    allowed = response.headers.get("Access-Control-Allow-Origin")
    if backend.origin and allowed not in ("*", backend.origin):
        raise Broken(f"{what}: a page of {backend.origin} cannot read the response: Access-Control-Allow-Origin is {allowed}")


def test_video():
    """Returns the video of events/upload.json."""
    form = base64.b64decode(json.loads((ROOT / "events" / "upload.json").read_text())["body"])
    return form[form.index(b"\r\n\r\n") + 4 : form.rindex(b"\r\n--")]


def preflight(backend, _):
    headers = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    response = backend.call("OPTIONS", "/videos", headers=headers, signed_in=False)
    expect("the preflight of /videos", response, 200, 204)
    expect_cors("the preflight of /videos", backend, response)


def sign_in_is_required(backend, _):
    response = backend.call("GET", "/videos", signed_in=False)
    expect("GET /videos without a token", response, 401)
    expect_cors("GET /videos without a token", backend, response)


def upload(backend, videos):
    head = b'--smoke\r\nContent-Disposition: form-data; name="file"; filename="smoke.mp4"\r\n\r\n'
    body = head + test_video() + b"\r\n--smoke--\r\n"
    response = backend.call("POST", "/upload", body, {"Content-Type": FORM})
    expect("POST /upload", response, 200)
    videos.append(response.json()["videoId"])
    expect_cors("POST /upload", backend, response)


def presigned_put(backend, videos):
    video = test_video()
    signed = backend.json("GET", f"/presign?name=smoke.mp4&type=video/mp4&size={len(video)}")
    videos.append(signed["videoId"])
    put = backend.request(signed["method"], signed["uploadUrl"], video, signed["headers"])
    expect("the PUT to the presigned URL", put, 200)


def processed(backend, videos):
    deadline = time.monotonic() + PATIENCE
    for video in videos:
        while (found := backend.json("GET", f"/videos/{video}"))["status"] != "PROCESSED":
            if found["status"] == "FAILED":
                raise Broken(f"{video} is FAILED: {found.get('error')}. See `make dlq` and `make status`")
            if time.monotonic() > deadline:
                raise Broken(f"{video} is still {found['status']} after {PATIENCE} s: its event does not arrive, or is not processed")
            time.sleep(0.2)


def poster(backend, videos):
    for video in videos:
        found = backend.json("GET", f"/videos/{video}")
        image = backend.request("GET", found["thumbnailUrl"])
        expect("GET of the poster", image, 200)
        if not image.data.startswith(b"\xff\xd8\xff"):
            raise Broken(f"the poster of {video} is not a JPEG: {image.data[:20]!r}")


def play(backend, url):
    """Fetches a URL as a player does: playlists of the API with the token, and a segment of S3 after a redirect."""
    if url.startswith(f"{backend.url}/videos/"):
        response = backend.call("GET", url.removeprefix(backend.url))
    else:
        response = backend.request("GET", url, headers={"Origin": backend.origin} if backend.origin else {})
    if response.status == 302:
        # A browser sends this origin after a redirect to another host.
        response = backend.request("GET", response.headers["Location"], headers={"Origin": "null"})
        if response.headers.get("Access-Control-Allow-Origin") not in ("*", "null"):
            raise Broken("pages cannot read a segment after the redirect: check the CORS of the processed bucket")
    expect(f"GET {url.split('?')[0]}", response, 200)
    return response.data


def playback(backend, videos):
    """Plays the first segment by HLS: through the CDN if there is one, else through the API."""
    found = backend.json("GET", f"/videos/{videos[0]}")
    if "hlsUrl" not in found:
        raise Broken(f"{videos[0]} cannot be played by HLS: {found.get('playback')}")
    url = found["hlsUrl"]
    for _ in ("the media playlist", "its first segment"):
        url = urljoin(url, next(line for line in play(backend, url).decode().splitlines() if line and not line.startswith("#")))
    segment = play(backend, url)
    if segment[4:8] not in (b"styp", b"moof"):
        raise Broken(f"{url.split('?')[0]} is no segment: {segment[:20]!r}")


def listed(backend, videos):
    found = {video["videoId"] for video in backend.json("GET", "/videos?limit=100")["videos"]}
    if missing := set(videos) - found:
        raise Broken(f"GET /videos does not list {' '.join(missing)}")


def delete(backend, videos):
    while videos:
        expect("DELETE of a video", backend.call("DELETE", f"/videos/{videos[0]}"), 204)
        expect("GET of a deleted video", backend.call("GET", f"/videos/{videos.pop(0)}"), 404)


STEPS = (preflight, sign_in_is_required, upload, presigned_put, processed, poster, playback, listed, delete)


def smoke(backend, skipped=()):
    """Runs the steps and returns what is broken, or None. Deletes its videos even then."""
    videos, step = [], None
    try:
        for step in STEPS:
            if step in skipped:
                print(f"smoke: {step.__name__.replace('_', ' ')}: skipped")
                continue
            started = time.monotonic()
            step(backend, videos)
            print(f"smoke: {step.__name__.replace('_', ' ')}: ok ({time.monotonic() - started:.1f} s)", flush=True)
        return None
    except Broken as error:
        for video in videos:
            try:
                backend.call("DELETE", f"/videos/{video}")
            except Broken:
                print(f"smoke: {video} could not be deleted", file=sys.stderr)
        return f"{step.__name__.replace('_', ' ')}: {error}"


class User:
    """A user of the stack's user pool that exists only while it is used. The value is an ID token."""

    def __init__(self, stack, outputs):
        self.cognito, self.pool, self.client = stack.client("cognito-idp"), outputs["UserPoolId"], outputs["UserPoolClientId"]
        self.name, self.password = f"smoke-{secrets.token_hex(8)}@example.com", f"Aa1-{secrets.token_urlsafe(24)}"

    def __enter__(self):
        self.cognito.admin_create_user(UserPoolId=self.pool, Username=self.name, MessageAction="SUPPRESS")
        self.cognito.admin_set_user_password(UserPoolId=self.pool, Username=self.name, Password=self.password, Permanent=True)
        response = self.cognito.admin_initiate_auth(
            UserPoolId=self.pool, ClientId=self.client, AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": self.name, "PASSWORD": self.password})  # fmt: skip
        return response["AuthenticationResult"]["IdToken"]

    def __exit__(self, *_):
        self.cognito.admin_delete_user(UserPoolId=self.pool, Username=self.name)


class GivenToken:
    """The ID token in TOKEN, for a user pool that does not belong to the stack."""

    def __enter__(self):
        return os.environ.get("TOKEN") or sys.exit(
            "The stack has no user pool of its own, so no user can be created for the test. Set TOKEN to an ID token of a user."
        )

    def __exit__(self, *_):
        pass


def deployed(stack):
    """Returns the URL of a deployed stack, one of its allowed origins or None, and its user."""
    description = stack.description() or sys.exit(f"There is no stack {stack.name} in {stack.session.region_name}.")
    given = {p["ParameterKey"]: p["ParameterValue"] for p in description.get("Parameters", [])}
    if given.get("Callers") == "IAM":
        sys.exit("This stack accepts users of an identity pool (Callers=IAM), whom this test cannot play.")
    outputs = stack.outputs()
    first = given.get("AllowedOrigins", "").split(",")[0]
    origin = "https://app.example.com" if first == "*" else first.replace(":*", ":8080") or None
    return outputs["ApiUrl"], origin, User(stack, outputs) if "UserPoolClientId" in outputs else GivenToken()


def run(stack):
    url, origin, user = deployed(stack)
    with user as token:
        broken = smoke(Backend(url, token, origin))
    if broken:
        sys.exit(f"smoke: BROKEN: {broken}")
    print(f"smoke: {stack.name} works")


if __name__ == "__main__":
    if found := smoke(Backend(sys.argv[1], origin="http://localhost:3000"), skipped=(sign_in_is_required,)):
        sys.exit(f"smoke: BROKEN: {found}")
