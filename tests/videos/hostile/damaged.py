"""Valid files that are truncated or have flipped bits."""

import random

GOOD = [
    "h264-faststart.mp4", "h264-moov-at-end.mp4", "h264-fragmented.mp4", "h264-fragmented-sidx.mp4", "vp9.webm", "h264.mkv",
    "prores.mov", "hevc.mov", "av1.mp4", "h264.ts", "mpeg4.avi", "h264.flv", "theora.ogv", "wmv2.wmv", "mpeg1.mpg",
    "mpeg2.m2v",
]
KEPT = [3, 50, 97]


def flipped(data, seed, where):
    """Flips one bit per 500 bytes, at least one, in a range of the file."""
    chance = random.Random(seed)
    damaged = bytearray(data)
    part = range(*where)
    for _ in range(max(1, len(part) // 500)):
        damaged[chance.choice(part)] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def make(files):
    for name in GOOD:
        data = files.good(name)
        stem, extension = name.rsplit(".", 1)
        for percent in KEPT:
            files.add("damaged", f"{stem}-{percent}.{extension}", f"the first {percent} % of a valid file", data[: len(data) * percent // 100])
        parts = [(0, min(4096, len(data))), (max(0, len(data) - 4096), len(data)), (0, len(data)), (0, len(data))]
        for seed, where in enumerate(parts):
            files.add("damaged", f"{stem}-flip-{seed}.{extension}", f"a valid file with flipped bits, seed {seed}", flipped(data, f"{name}{seed}", where))
