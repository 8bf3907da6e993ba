"""What is right for a video: its facts and frames according to ffprobe and ffmpeg. Standard library only.

Times are seconds from the start of the presentation, where ffmpeg begins too: the earliest picture or sound that an
edit list does not remove.
"""

import json
import math
import os
import re
import subprocess
from pathlib import Path

FFMPEG = os.environ.get("REFERENCE_FFMPEG", "ffmpeg")
FFPROBE = os.environ.get("REFERENCE_FFPROBE", "ffprobe")
TIMEOUT = 900  # seconds; only ends a hang
SIDE = 16  # a frame is compared as SIDE x SIDE pixels
FRAME = SIDE * SIDE * 3
YEAR = 366 * 86_400  # seconds; no file is longer
ENCRYPTION = re.compile(rb"\x6d\x80.{0,32}\x50\x35", re.DOTALL)
STILL = ("mjpeg", "png", "bmp", "gif", "tiff", "webp")


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, check=False, timeout=TIMEOUT, **options)


def probe(path, *options):
    result = run(FFPROBE, "-v", "error", "-of", "json", *options, path)
    return json.loads(result.stdout or b"{}"), result.stderr.decode(errors="replace")


def number(text):
    """The value of `25`, `30000/1001` or `4:3`, or None."""
    try:
        top, _, bottom = str(text).replace(":", "/").partition("/")
        return float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        return None


def film(streams):
    """Chooses the video stream that is the film: no cover, no picture track, and a default track before others."""
    videos = [stream for stream in streams if stream.get("codec_type") == "video"]
    films = [stream for stream in videos if not any(
        stream["disposition"].get(kind) for kind in ("attached_pic", "timed_thumbnails", "still_image"))]
    moving = [stream for stream in films if stream.get("codec_name") not in STILL or len(films) == 1]
    return min(moving or films, key=lambda stream: (not stream["disposition"]["default"], stream["index"]), default=None)


def sound(streams):
    """Chooses the audio stream: one that can be decoded, and a default track before others."""
    audio = [stream for stream in streams if stream.get("codec_type") == "audio"]
    return min(audio, default=None, key=lambda stream: (
        stream.get("codec_name", "unknown") in ("unknown", "none"), not stream["disposition"]["default"], stream["index"]))


def rotation(stream):
    """Returns the clockwise rotation, and whether the display matrix also mirrors."""
    for data in stream.get("side_data_list", []):
        if "displaymatrix" in data:
            rows = [int(value) for line in data["displaymatrix"].split("\n") if line.strip()
                    for value in line.split(":")[1].split()]
            if len(rows) == 9 and (rows[0], rows[1]) != (0, 0):
                mirrored = rows[0] * rows[4] - rows[1] * rows[3] < 0
                # A mirrored picture is flipped left to right before it is rotated.
                flip = -1 if mirrored else 1
                return round(math.degrees(math.atan2(flip * rows[1], flip * rows[0]))) % 360, mirrored
    return 0, False


def display_size(stream, degrees):
    """The size with square pixels: the side that the sample aspect ratio widens is scaled."""
    width, height = stream.get("width", 0), stream.get("height", 0)
    ratio = number(stream.get("sample_aspect_ratio", "1:1")) or 1
    if ratio > 0:
        width = round(width * ratio)
    return (height, width) if degrees in (90, 270) else (width, height)


def decode(path, stream, folder):
    """Decodes all frames and returns their times, their pixels at SIDE x SIDE, and ffmpeg's complaints."""
    pixels = Path(folder) / "frames.rgb"
    result = run(
        FFMPEG, "-y", "-nostdin", "-hide_banner", "-v", "info", "-i", path, "-map", f"0:{stream['index']}", "-an",
        "-vf", f"showinfo=checksum=0,scale={SIDE}:{SIDE}:flags=area,format=rgb24", "-fps_mode", "passthrough",
        "-f", "rawvideo", pixels)
    log = result.stderr.decode(errors="replace")
    times, lengths = [], []
    for line in log.split("\n"):
        if "Parsed_showinfo" in line and (found := re.search(r" pts_time:(\S+)", line)):
            times.append(number(found[1]))
    complaints = [line for line in log.split("\n") if re.match(r"\[\w+ @ 0x", line) and "showinfo" not in line]
    content = pixels.read_bytes() if pixels.exists() else b""
    pixels.unlink(missing_ok=True)
    count = min(len(content) // FRAME, len(times))
    return times[:count], content[:count * FRAME], complaints[:20]


def ends(path, index, start):
    """First time, last time and end of a stream's packets that are presented, from the file's start."""
    result = run(FFPROBE, "-v", "error", "-select_streams", index, "-show_entries",
                 "packet=pts_time,dts_time,duration_time,flags", "-of", "compact=p=0:nk=0", path)
    first = last = end = None
    count = 0
    for line in result.stdout.decode(errors="replace").split("\n"):
        fields = dict(part.split("=", 1) for part in line.strip().split("|") if "=" in part)
        at = number(fields.get("pts_time"))
        at = number(fields.get("dts_time")) if at is None else at
        if at is None or "D" in fields.get("flags", ""):
            continue
        count += 1
        at -= start
        first = at if first is None else min(first, at)
        if last is None or at >= last:
            last, end = at, at + (number(fields.get("duration_time")) or 0)
    return {"first": first, "last": last, "end": end, "packets": count}


def spread(pixels):
    """How much the pixels of one frame differ: near 0 for one of a single colour."""
    middle = [sum(pixels[channel::3]) / (SIDE * SIDE) for channel in range(3)]
    return sum(abs(value - middle[at % 3]) for at, value in enumerate(pixels)) / FRAME


def truth(path, folder):
    """Returns the facts, and writes the frames to `folder`/frames.rgb."""
    found, errors = probe(path, "-show_format", "-show_streams")
    streams, container = found.get("streams", []), found.get("format", {})
    content = Path(path).read_bytes()
    video, audio = film(streams), sound(streams)
    facts = {
        "format": container.get("format_name"), "declared": number(container.get("duration")),
        "start": number(container.get("start_time")) or 0, "errors": errors[:300],
        "audioCodec": audio and audio.get("codec_name", "unknown"),
        # A protected sample entry of MP4, or ContentEncryption in ContentEncodings of Matroska's tracks.
        "encrypted": b"encv" in content and b"sinf" in content or (
            content[:4] == b"\x1a\x45\xdf\xa3" and ENCRYPTION.search(content, 0, 10_000) is not None),
        "pictures": sum(stream.get("codec_type") == "video" for stream in streams), "frames": 0}
    if audio:
        facts["audio"] = ends(path, audio["index"], facts["start"])
    if not video:
        return facts, b""
    degrees, mirrored = rotation(video)
    facts["video"] = ends(path, video["index"], facts["start"])
    facts["video"]["start"] = (number(video.get("start_time")) or facts["start"]) - facts["start"]
    facts["width"], facts["height"] = display_size(video, degrees)
    facts |= {
        "index": video["index"], "rotation": degrees, "mirrored": mirrored, "videoCodec": video.get("codec_name"),
        "coded": [video.get("width"), video.get("height")], "sar": video.get("sample_aspect_ratio"),
        "transfer": video.get("color_transfer"), "pixels": video.get("pix_fmt"),
        "average": number(video.get("avg_frame_rate")), "base": number(video.get("r_frame_rate"))}
    times, frames, complaints = decode(path, video, folder)
    facts |= {"frames": len(times), "times": times, "complaints": complaints}
    return facts, frames


def timing(facts):
    """Adds duration and measured rates, which follow from the times."""
    video, audio, times = facts.get("video") or {}, facts.get("audio") or {}, facts.get("times", [])
    known = [end for end in (video.get("end"), audio.get("end")) if end is not None]
    if times and facts["format"] in ("mpegts", "mpeg"):
        # ffmpeg counts from the start of the video if it decodes nothing else. It joins the clocks of joined clips.
        facts["times"] = times = [time + video["start"] for time in times]
        known.append(max(times) + (video.get("end") or 0) - (video.get("last") or 0))
    facts["duration"] = max(known, default=None)
    if facts["duration"] is not None and facts["duration"] > YEAR:
        facts["duration"] = None
    spans = sorted(after - before for before, after in zip(sorted(times), sorted(times)[1:]) if after > before)
    facts["rates"] = [rate for rate in (
        facts.get("average"), len(spans) / sum(spans) if spans else None, 1 / spans[len(spans) // 2] if spans else None,
        # Repeated frames of Theora are empty packets, which ffmpeg does not count.
        facts.get("base") if facts["format"] == "ogg" else None) if rate]
    return facts
