"""Plays the original of a fresh upload like a player: through the API, and through CloudFront."""

import hashlib
import hmac
import re
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin

from emulator import HTTP, Api, make_video, sign_in, wait_until
from transcodes import count_frames, get_cdn, invalidations, uris, written_objects

SECONDS, RATE = 13, 10
PLAYLISTS, SEGMENTS = "playback", "segments"


def stored(emulator, stack, video, folder):
    """Returns the objects of a video in a folder of the processed bucket, as `written_objects`."""
    return {key: what for key, what in written_objects(emulator, stack, video).items() if key.startswith(f"{folder}/{video}/")}


class Original:
    """The playlists of an original."""

    def __init__(self, emulator, stack, api, video):
        self.api, self.video = api, video
        (master,) = [key for key in stored(emulator, stack, video, PLAYLISTS) if key.endswith("/master.m3u8")]
        self.folder = master.removesuffix("master.m3u8")
        # The API's master playlist has the renditions once they are complete, so this one is read directly.
        text = emulator.s3().get_object(Bucket=stack.ids["ProcessedBucket"], Key=master)["Body"].read().decode()
        self.tracks = [uri for uri in uris(text) if uri.endswith("index.m3u8")]
        assert {uri.split("/")[0] for uri in self.tracks} == {"source", "source-audio"}, text

    def playlist(self, track):
        response = self.api.call("GET", f"/videos/{self.video}/hls/{track}")
        assert response.status == 200 and response.headers["Content-Type"] == "application/vnd.apple.mpegurl", (track, response.status, response.data)
        init, *segments = uris(response.data.decode())
        # Each URL names the API as its client addressed it; the emulator's has another path.
        return init, [url[url.index("/segments/"):] for url in segments]


def redirect(api, path):
    """Requests a segment or an image, and returns the URL that it redirects to."""
    headers = {"Origin": "https://app.example.com", **({"Authorization": api.token} if api.token else {})}
    response = HTTP.request("GET", api.base + path, headers=headers, redirect=False, timeout=600)
    assert response.status == 302 and response.headers["Access-Control-Allow-Origin"] == "https://app.example.com", (path, response.status, response.data)
    assert response.headers["Cache-Control"] == "private, max-age=300", response.headers
    return response.headers["Location"]


def follow(location):
    """Fetches a segment or an image from S3, as a browser does after a redirect from another host: without an origin."""
    response = HTTP.request("GET", location, headers={"Origin": "null"})
    assert response.status == 200 and response.headers["Access-Control-Allow-Origin"] == "*", (response.status, response.headers, response.data[:200])
    return response.data


def test_through_the_api(emulator, stack, original):
    """Segments are made when they are requested, those of all tracks at once, and only once."""
    api, video = Api(emulator, stack, None), original.video
    assert not stored(emulator, stack, video, SEGMENTS), "segments that nobody has requested"
    made = {}
    for track in original.tracks:
        init, segments = original.playlist(track)
        bodies = [follow(redirect(api, path)) for path in segments]
        made[track] = stored(emulator, stack, video, SEGMENTS)
        assert len(made[track]) == len(original.tracks) * len(segments), made
        if "audio" not in track:
            assert count_frames(follow(init), *bodies) == SECONDS * RATE
    assert len(set(map(str, made.values()))) == 1, "a segment was stored twice"
    path = original.playlist("source/index.m3u8")[1][0]
    unsigned, query = path.split("?")
    other_id = video[:-1] + ("1" if video.endswith("0") else "0")
    for other in (unsigned, f"{unsigned.replace('.m4s', '0.m4s')}?{query}", f"{unsigned.replace(video, other_id)}?{query}"):
        assert api.call("GET", other).status == 404, other
    # S3 verifies what the redirect repeats.
    tampered = redirect(api, re.sub(r"X-Amz-Signature=\w{4}", "X-Amz-Signature=0000", path))
    assert HTTP.request("GET", tampered).status == 403
    # A viewer's own header is no signature, nor is one of another video.
    for signature in ("", "4000000000.", "4000000000." + "A" * 43):
        assert api.call("GET", unsigned, **{"X-Upreel-Signature": signature}).status == 404, signature


def test_images(api, eve, video):
    """Images are made when they are requested with the credentials of the video's user."""
    for image, start in (("thumbnail.jpg?time=1.5&width=160", b"\xff\xd8"), ("thumbnail.webp?time=1&exact=true", b"RIFF"),
                         ("preview.gif?end=1&width=160", b"GIF89a"), ("preview.webp?end=1&width=160", b"RIFF")):  # fmt: skip
        path = f"/videos/{video}/{image}"
        assert eve.call("GET", path).status == 404, path
        assert follow(redirect(api, path)).startswith(start), path
    before = api.video(video)["thumbnailUrl"]
    assert eve.call("PUT", f"/videos/{video}/poster", b'{"time": 3}').status == 404
    assert api.call("PUT", f"/videos/{video}/poster", b'{"time": 3}').status == 204
    after = api.video(video)["thumbnailUrl"]
    assert [HTTP.request("GET", url).status for url in (before, after)] == [404, 200]


def sign(folder, secret):
    expires = int(time.time()) + 3600
    mac = hmac.new(secret.encode(), f"{expires}/{folder}".encode(), hashlib.sha256)
    return f"{expires}.{urlsafe_b64encode(mac.digest()).decode().rstrip('=')}"


def test_through_the_cdn(emulator, stack, original):
    """CloudFront has the first request for a segment redirected, and serves the next ones from the bucket."""
    secret, host, s3 = stack.secret(emulator, "CdnSecret"), stack.outputs["CdnDomain"], emulator.s3()
    for key in stored(emulator, stack, original.video, SEGMENTS):
        s3.delete_object(Bucket=stack.ids["ProcessedBucket"], Key=key)
    url = f"https://{host}/{sign(original.folder, secret)}/{original.folder}master.m3u8"
    assert get_cdn(emulator, url).status == 200
    for missing, track in zip((True, False), original.tracks):
        media = urljoin(url, track)
        init, *segments = uris(get_cdn(emulator, media).data.decode())
        bodies = [get_cdn(emulator, urljoin(media, init)).data]
        for segment in segments:
            first, again = (get_cdn(emulator, urljoin(media, segment)) for _ in "12")
            # The segment of the first track makes that of the other one.
            assert first.status == (302 if missing else 200) and again.status == 200, (segment, first.status, again.status, again.data)
            assert first.headers["Access-Control-Allow-Origin"] == "*", first.headers
            if missing:
                assert first.headers["Cache-Control"] == "no-store", first.headers
                assert follow(first.headers["Location"]) == again.data, segment
            bodies.append(again.data)
        if "audio" not in track:
            assert count_frames(*bodies) == SECONDS * RATE
    (segment, *_) = [key for key in stored(emulator, stack, original.video, SEGMENTS)]
    for path in (segment, f"{sign(original.folder, secret)}/{segment}", f"{sign(original.folder, 'another')}/{segment.replace(SEGMENTS, PLAYLISTS)}"):
        assert get_cdn(emulator, f"https://{host}/{path}").status == 403, path
    missing = f"{sign(original.folder, secret)}/{original.folder}source/9999-1.m4s"
    assert get_cdn(emulator, f"https://{host}/{missing}").status == 404


def test_deletion_while_a_segment_is_made(emulator, stack, api, original):
    """A segment that is stored after its video was deleted is deleted again."""
    path, public = original.playlist("source/index.m3u8")[1][0], Api(emulator, stack, None)
    for key in stored(emulator, stack, original.video, SEGMENTS):
        emulator.s3().delete_object(Bucket=stack.ids["ProcessedBucket"], Key=key)
    emulator.hold_segments.touch()
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(public.call, "GET", path)
        waiting = emulator.hold_segments.with_suffix(".waiting")
        wait_until("a segment is about to be stored", waiting.exists)
        assert api.call("DELETE", f"/videos/{original.video}").status == 204
        emulator.hold_segments.unlink()
        assert request.result().status == 404
    assert written_objects(emulator, stack, original.video) == {}
    assert invalidations(emulator, stack, original.video) == {original.video: 3}
    assert public.call("GET", path).status == 404
    assert api.call("GET", f"/videos/{original.video}/hls/source/index.m3u8").status == 404


def test_playback(emulator, stack, folder):
    api, eve = (Api(emulator, stack, sign_in(emulator, stack, f"{name}@example.com")) for name in ("pia", "quin"))
    video, _ = api.presign_and_put("original.mp4", "video/mp4", make_video(folder / "original.mp4", "320x180", SECONDS, RATE))
    record = api.wait_for_status(video, "PROCESSED")
    assert record["playback"] == {"mode": "HLS"} and record["hlsUrl"].endswith("/master.m3u8"), record
    original = Original(emulator, stack, api, video)
    for other, status in ((eve, 404), (Api(emulator, stack, None), 401)):
        assert other.call("GET", f"/videos/{video}/hls/source/index.m3u8").status == status
    unplayable, _ = api.presign_and_put("original.mp4", "video/mp4", make_video(folder / "mpeg4.mp4", "320x180", SECONDS, RATE, codec="mpeg4"))
    record = api.wait_for_status(unplayable, "PROCESSED")
    assert record["playback"] == {"mode": "ORIGINAL", "reason": "CODEC"}, record
    test_through_the_api(emulator, stack, original)
    test_images(api, eve, video)
    test_through_the_cdn(emulator, stack, original)
    test_deletion_while_a_segment_is_made(emulator, stack, api, original)
