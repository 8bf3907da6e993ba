"""Compares what the backend says and shows of a video with ffprobe and ffmpeg. Standard library only."""

import json
import math
import re

from truth import FFMPEG, FRAME, SIDE, run, spread

HDR = ("smpte2084", "arib-std-b67")
WIDE = (320, 180)  # the size at which a poster is compared with its frame


def pixels(image, width, height, *filters):
    """Decodes an image and scales it to width x height in RGB."""
    scale = ",".join([*filters, f"scale={width}:{height}:flags=area,format=rgb24"])
    return run(FFMPEG, "-v", "error", "-i", "-", "-vf", scale, "-frames:v", "1", "-f", "rawvideo", "-", input=image).stdout


def distance(one, other):
    """The mean absolute difference of two pictures."""
    return sum(map(abs, map(int.__sub__, one, other))) / max(1, len(one))


def signal(one, other):
    """PSNR in dB."""
    error = sum(difference * difference for difference in map(int.__sub__, one, other)) / max(1, len(one))
    return 99.0 if error == 0 else 10 * math.log10(255 * 255 / error)


def frame(frames, at):
    return frames[at * FRAME : (at + 1) * FRAME]


def nearest(picture, frames, among):
    """The index of the frame most like the picture, and their difference."""
    return min(((at, distance(picture, frame(frames, at))) for at in among), key=lambda pair: pair[1], default=(None, 255.0))


class Comparison:
    """Compares one processed video with the truth. Each check is a state (`ok`, `wrong`, `unknown`), right and actual."""

    def __init__(self, path, right, frames, folder):
        self.path, self.right, self.frames, self.folder = path, right, frames, folder
        self.video = json.loads((folder / "video.json").read_text())
        self.checks = {}

    def check(self, name, passed, right, actual):
        self.checks[name] = ["unknown" if passed is None else "ok" if passed else "wrong", right, actual]

    def all(self):
        video, right = self.video, self.right
        failed = video["status"] != "PROCESSED"
        status = video.get("error", {}).get("code", video["status"])
        if right["encrypted"] or not right["frames"]:
            self.check("status", failed, "FAILED: " + ("encrypted" if right["encrypted"] else "no picture"), status)
            return self.checks
        self.check("status", not failed, "PROCESSED", status)
        if not failed:
            self.facts()
            self.poster()
            self.storyboard()
        return self.checks

    def facts(self):
        video, right = self.video, self.right
        if (duration := right["duration"]) is not None:
            actual = video.get("durationMs")
            declared = right["declared"]
            # Players believe a header that declares more or less than what follows, except for where it begins.
            matroska = right["format"].startswith("matroska")
            late = right["start"] if matroska and right["start"] > 1 else 0
            allowed = [duration] if declared is None else [duration, declared - late]
            # Browsers count from 0, not from where a file begins within its first second.
            allowed += [duration + right["start"]] if matroska and 0 < right["start"] <= 1 else []
            close = actual is not None and any(abs(actual / 1000 - one) <= max(0.1, one / 100) for one in allowed)
            self.check("duration", close, " or ".join(f"{one:.3f}" for one in allowed), actual)
        size = (video.get("width"), video.get("height"))
        wide, high = right["width"], right["height"]
        # The side that square pixels change may be rounded, or the other one scaled.
        same = None not in size and (
            abs(size[0] - wide) <= 2 and abs(size[1] - high) <= 2
            or abs(size[0] * high - size[1] * wide) <= 0.015 * size[1] * wide and set(size) & set(right["coded"]))
        self.check("size", bool(same), f"{wide}x{high} (coded {right['coded'][0]}x{right['coded'][1]}, SAR {right['sar']})",
                   f"{size[0]}x{size[1]}")
        self.check("rotation", video.get("rotation", 0) == right["rotation"],
                   f"{right['rotation']}{' mirrored' if right['mirrored'] else ''}", video.get("rotation"))
        for codec in ("videoCodec", "audioCodec"):
            self.check(codec, video.get(codec) == right[codec], right[codec], video.get(codec))
        actual = video.get("frameRate")
        close = actual is not None and any(abs(actual - rate) <= max(0.02, rate / 100) for rate in right["rates"])
        close = close or right["frames"] < 2
        self.check("frameRate", close, " or ".join(f"{rate:.3f}" for rate in right["rates"]), actual)
        transfer = right["transfer"] if right["transfer"] in HDR else None
        if transfer or video.get("colorTransfer") in HDR:
            self.check("colorTransfer", video.get("colorTransfer") == transfer, transfer, video.get("colorTransfer"))

    def poster(self):
        right, frames = self.right, self.frames
        if "thumbnailLargeUrl" not in self.video:
            self.check("poster", False, "a poster", "none")
            return
        self.image = (self.folder / "poster.jpg").read_bytes()
        small = pixels(self.image, SIDE, SIDE)
        at, difference = nearest(small, frames, range(right["frames"]))
        film = max(spread(frame(frames, index)) for index in range(0, right["frames"], max(1, right["frames"] // 50)))
        psnr = self.psnr(at)
        said = (f"frame {at} at {right['times'][at]:.3f} s, difference {difference:.1f}, PSNR {psnr:.1f}, "
                f"spread {spread(small):.1f} of {film:.1f}")
        hdr = right["transfer"] in HDR
        matches = None if hdr else difference <= 8 and psnr >= 22 or psnr >= 28
        self.check("poster", matches, "a frame of the film", said)
        self.check("poster is not blank", spread(small) >= 3 or film < 10, "a picture", said)

    def psnr(self, at, image=None, size=WIDE, *crop):
        width, height = size
        result = run(FFMPEG, "-v", "error", "-nostdin", "-reinit_filter", "0", "-i", self.path,
                     "-map", f"0:{self.right['index']}", "-fps_mode", "passthrough",
                     "-vf", f"select=eq(n\\,{at}),scale={width}:{height}:flags=area,format=rgb24",
                     "-frames:v", "1", "-f", "rawvideo", "-")
        reference, poster = result.stdout, pixels(image or self.image, width, height, *crop)
        return signal(reference, poster) if len(reference) == len(poster) else 0.0

    def storyboard(self):
        video, right, frames = self.video, self.right, self.frames
        if "storyboardUrl" not in video:
            self.check("storyboard", None, "a storyboard", "none")
            return
        track = (self.folder / "storyboard.vtt").read_text()
        image = (self.folder / "storyboard.jpg").read_bytes()
        clock = lambda text: sum(float(part) * 60 ** power for power, part in enumerate(reversed(text.split(":"))))
        tiles = [(clock(found[0]), clock(found[1]), *map(int, found[2:])) for found in re.findall(
            r"(\S+) --> (\S+)\n\S*#xywh=(\d+),(\d+),(\d+),(\d+)", track)]
        begins = [tile[0] for tile in tiles]
        ordered = begins == sorted(set(begins)) and all(tile[0] < tile[1] for tile in tiles)
        duration = video.get("durationMs", 0) / 1000
        ends_right = bool(tiles) and (abs(tiles[-1][1] - duration) <= 0.1 or right["frames"] < 2)
        self.check("storyboard cues", ordered and ends_right, f"ascending, end at {duration:.3f}",
                   f"{len(tiles)} tiles, {begins[:3]}.., end at {tiles[-1][1] if tiles else None}")
        wrong = []
        times = right["times"]
        width, height = max((tile[4], tile[5]) for tile in tiles)
        columns, rows = (max(tile[2 + axis] for tile in tiles) // (width, height)[axis] + 1 for axis in (0, 1))
        # All tiles at once: each becomes SIDE x SIDE.
        small = pixels(image, columns * SIDE, rows * SIDE, f"crop={columns * width}:{rows * height}:0:0:exact=1")
        tested = tiles[:: max(1, len(tiles) // 12)]
        for begin, end, x, y, wide, high in tested:
            at = (y // height * SIDE * columns + x // width) * SIDE * 3
            tile = b"".join(small[at + line * columns * SIDE * 3 :][: SIDE * 3] for line in range(SIDE))
            # The first tile is shown from 0 on, wherever its keyframe is.
            near = [at for at, time in enumerate(times) if abs(time - begin) <= 0.1 or begin == 0 and time < end]
            shown = [at for at, time in enumerate(times) if time <= begin + 0.001]
            near += [max(shown, key=times.__getitem__)] if shown else [0]
            at, difference = nearest(tile, frames, near)
            crop = f"crop={wide}:{high}:{x}:{y}:exact=1"
            # At 16 x 16 pixels, the edges between saturated colours can differ, so the larger size is compared too.
            if difference > 8 and (at is None or self.psnr(at, image, (wide, high), crop) < 22):
                at, best = nearest(tile, frames, range(right["frames"]))
                wrong.append(f"{begin:.3f}: difference {difference:.1f}; like {times[at]:.3f} by {best:.1f}")
        self.check("storyboard tiles", None if right["transfer"] in HDR else not wrong, "the frames at their times",
                   f"{len(wrong)} of {len(tested)}: " + "; ".join(wrong[:3]))
