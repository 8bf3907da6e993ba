"""Matroska and WebM files with invalid elements."""

import struct
import zlib

from . import u8, u16, u32, u64

EBML = b"\x1a\x45\xdf\xa3"
SEGMENT, INFO, TRACKS, CUES, CLUSTER = b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b", b"\x1c\x53\xbb\x6b", b"\x1f\x43\xb6\x75"
SEEK_HEAD, ATTACHMENTS, CHAPTERS, TAGS, VOID = b"\x11\x4d\x9b\x74", b"\x19\x41\xa4\x69", b"\x10\x43\xa7\x70", b"\x12\x54\xc3\x67", b"\xec"
ENTRY, CODEC_PRIVATE, ENCODINGS = b"\xae", b"\x63\xa2", b"\x6d\x80"
UNKNOWN = b"\x01" + b"\xff" * 7
MAX = b"\x01" + b"\xff" * 6 + b"\xfe"  # 2^56 - 2
ALL = b"\xff" * 8


def el(kind, *payload, size=None):
    body = b"".join(payload)
    return kind + (u64(len(body) | 1 << 56) if size is None else size) + body


def number(kind, value, length=8):
    return el(kind, value.to_bytes(length, "big"))


def size_of(data, at):
    """Returns the value of a size and the number of its bytes."""
    length = 9 - data[at].bit_length()
    return int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1), length


def elements(data):
    """Yields the ID and payload of each element."""
    at = 0
    while at < len(data):
        id_length = 9 - data[at].bit_length()
        size, length = size_of(data, at + id_length)
        start = at + id_length + length
        yield data[at : at + id_length], data[start : start + size]
        at = start + size


def header(kind=b"webm", *more):
    return el(EBML, el(b"\x42\x82", kind), *more)


class Base:
    """The elements of a valid file with one track and no audio."""

    def __init__(self, data):
        parts = dict(elements(data))
        segment = list(elements(parts[SEGMENT]))
        self.track = dict(elements(next(body for kind, body in segment if kind == TRACKS)))[ENTRY]
        self.cluster = next(body for kind, body in segment if kind == CLUSTER)
        blocks = [body for kind, body in elements(self.cluster) if kind == b"\xa3"]
        self.frame = blocks[0][4:]

    def tracks(self, *more, without=()):
        kept = [el(kind, body) for kind, body in elements(self.track) if kind not in without]
        return el(TRACKS, el(ENTRY, *kept, *more))


def info(scale=1_000_000, duration=2000.0, *more):
    return el(INFO, number(b"\x2a\xd7\xb1", scale), el(b"\x44\x89", struct.pack(">d", duration)), *more)


def point(time, position, *more, track=1):
    return el(b"\xbb", number(b"\xb3", time), el(b"\xb7", number(b"\xf7", track), number(b"\xf1", position), *more))


def block(frame, track=0x81, time=0, flags=0x80):
    return el(b"\xa3", u8(track), u16(time & 0xFFFF), u8(flags), frame)


def cluster(*blocks, time=0, **how):
    return el(CLUSTER, number(b"\xe7", time), *blocks, **how)


def cases(base):
    """Yields name, description and content."""

    def movie(*parts, tracks=base.tracks(), about=info(), size=None, head=header()):
        return head + el(SEGMENT, about, tracks, *parts, size=size)

    good = el(CLUSTER, base.cluster)
    position = len(info()) + len(base.tracks())
    yield "plain", "a valid file, written like the others", movie(good)
    # Cues.
    for name, at in [("end", 1 << 40), ("max", 2**64 - 1), ("wrap", 2**64 - 60), ("start", 0), ("itself", position), ("tracks", len(info())), ("inside", position + 77)]:
        cues = [point(time, at) for time in range(0, 2000, 100)]
        yield f"cues-{name}", f"Cues that point to {name}", movie(el(CUES, *cues), good)
    yield "cues-times", "Cues at extreme times in random order", movie(el(CUES, *[point(time, position) for time in (2**64 - 1, 5, 2**63, 0, 7)]), good)
    yield "cues-many", "200,000 CuePoints", movie(good, el(CUES, point(0, position) * 200_000))
    yield "cues-empty", "two million empty CuePoints", movie(good, el(CUES, el(b"\xbb", size=b"\x80") * 2_000_000))
    yield "cues-track", "Cues of a track that does not exist", movie(el(CUES, point(0, 9999, track=2**64 - 1) * 100), good)
    yield "cues-relative", "Cues with a relative position past the end", movie(el(CUES, point(0, position, number(b"\xf0", 2**64 - 1))), good)
    yield "cues-large", "Cues of 2^56 - 2 bytes", movie(good, el(CUES, point(0, position), size=MAX))
    yield "cues-after-unknown", "Cues after a Cluster of unknown size", movie(cluster(block(base.frame), size=UNKNOWN), el(CUES, point(0, position)))
    # Sizes.
    yield "unknown-all", "all elements of unknown size", header() + el(SEGMENT, el(INFO, number(b"\x2a\xd7\xb1", 1_000_000), size=UNKNOWN), el(TRACKS, el(ENTRY, base.track, size=UNKNOWN), size=UNKNOWN), el(CLUSTER, base.cluster, size=UNKNOWN), size=UNKNOWN)
    yield "unknown-binary", "a block of unknown size", movie(cluster(el(b"\xa3", base.frame, size=UNKNOWN)))
    nested = block(base.frame)
    for _ in range(2000):
        nested = el(CLUSTER, nested, size=UNKNOWN)
    yield "unknown-nested", "nested Clusters of unknown size, 2,000 levels", movie(nested)
    yield "segment-max", "a Segment of 2^56 - 2 bytes", movie(good, size=MAX)
    yield "segment-zero", "a Segment of zero bytes", movie(good, size=b"\x80")
    yield "segment-many", "10,000 Segments", movie(good) + el(SEGMENT, info()) * 10_000
    yield "sizes-all-ones", "sizes of eight 0xff bytes", movie(el(VOID, size=ALL), good)
    yield "id-zero", "IDs of zeros", movie(bytes(100_000), good)
    yield "id-ones", "IDs of 0xff bytes", movie(b"\xff" * 100_000, good)
    yield "child-larger", "a track larger than the Segment", header() + el(SEGMENT, info(), el(TRACKS, el(ENTRY, base.track, size=MAX)), good)
    deep = b""
    for _ in range(5000):
        deep = el(b"\xb6", deep)
    yield "deep-chapters", "nested chapters, 5,000 levels", movie(el(CHAPTERS, el(b"\x45\xb9", deep)), good)
    for _ in range(2000):
        deep = el(b"\x67\xc8", deep)
    yield "deep-tags", "nested tags, 2,000 levels", movie(el(TAGS, el(b"\x73\x73", deep)), good)
    yield "void-million", "a million empty Void elements", movie(el(VOID, size=b"\x80") * 1_000_000, good)
    yield "void-only", "a Void element of 2^56 - 2 bytes", movie(el(VOID, size=MAX), good)
    yield "crc-many", "100,000 checksums", movie(el(b"\xbf", u32(0)) * 100_000, good)
    # The header.
    for name, more in [("max-size-0", number(b"\x42\xf3", 0)), ("max-size-255", number(b"\x42\xf3", 255)), ("max-id-0", number(b"\x42\xf2", 0)), ("max-id-255", number(b"\x42\xf2", 255)), ("version", number(b"\x42\x85", 2**63)), ("number-9", el(b"\x42\xf7", b"\1" * 9))]:
        yield f"ebml-{name}", f"an EBML header with an invalid {name}", movie(good, head=header(b"webm", more))
    yield "ebml-type-long", "a doc type of 3,000 bytes", movie(good, head=header(b"webm" + bytes(3000)))
    # Numbers.
    for name, value in [("nan", float("nan")), ("inf", float("inf")), ("negative", -1.0), ("max", 1.7e308), ("tiny", 5e-324)]:
        yield f"duration-{name}", f"a duration of {value}", movie(good, about=info(duration=value))
    for scale in [0, 1, 2**63, 2**64 - 1]:
        yield f"scale-{scale:x}", f"a time scale of {scale}", movie(good, about=info(scale))
    yield "cluster-time", "a Cluster at 2^64 - 1", movie(cluster(block(base.frame), time=2**64 - 1))
    yield "float-odd", "a duration of three bytes", movie(good, about=el(INFO, el(b"\x44\x89", b"\1\2\3")))
    # Tracks.
    yield "track-empty", "an empty track", movie(good, tracks=el(TRACKS, el(ENTRY)))
    yield "track-many", "20,000 tracks", movie(good, tracks=el(TRACKS, el(ENTRY, base.track) * 20_000))
    yield "track-none", "no tracks", movie(good, tracks=b"")
    yield "tracks-many", "20,000 Tracks elements", movie(base.tracks() * 20_000, good)
    yield "track-number", "track number 0", movie(good, tracks=base.tracks(number(b"\xd7", 0), without=[b"\xd7"]))
    yield "track-frame-0", "frames of 0 and 2^64 - 1 ns", movie(good, tracks=base.tracks(number(b"\x23\xe3\x83", 2**64 - 1), without=[b"\x23\xe3\x83"]))
    video = lambda width, height, *more: el(b"\xe0", number(b"\xb0", width), number(b"\xba", height), *more)  # noqa: E731
    for side in [0, 16000, 65535, 2**32 - 1, 2**64 - 1]:
        yield f"video-{side}", f"frames declared as {side}x{side}", movie(good, tracks=base.tracks(video(side, side), without=[b"\xe0"]))
    shown = [number(b"\x54\xb0", 2**32 - 1), number(b"\x54\xba", 1)]
    yield "display-wide", "frames with display size 4294967295x1", movie(good, tracks=base.tracks(video(321, 179, *shown), without=[b"\xe0"]))
    crop = [number(kind, 2**32 - 1) for kind in (b"\x54\xaa", b"\x54\xbb", b"\x54\xcc", b"\x54\xdd")]
    yield "crop", "frames cropped by 2^32 - 1", movie(good, tracks=base.tracks(video(321, 179, *crop), without=[b"\xe0"]))
    yield "projection", "a projection with NaN angles", movie(good, tracks=base.tracks(video(321, 179, el(b"\x76\x70", number(b"\x76\x71", 1), *[el(kind, struct.pack(">d", float("nan"))) for kind in (b"\x76\x73", b"\x76\x74", b"\x76\x75")])), without=[b"\xe0"]))
    yield "private-1-gb", "a CodecPrivate declared as 1 GB", movie(good, tracks=base.tracks(el(CODEC_PRIVATE, size=u64(1 << 30 | 1 << 56))))
    yield "private-16-mb", "a CodecPrivate of 16 MB", movie(good, tracks=base.tracks(el(CODEC_PRIVATE, bytes(16 << 20))))
    avc = [el(b"\x86", b"V_MPEG4/ISO/AVC"), el(CODEC_PRIVATE, b"\1d\0\x28\xff\xff" + b"\xff\xff" * 31)]
    yield "private-avc", "an avcC that declares 31 SPS of 65535 bytes", movie(good, tracks=base.tracks(*avc, without=[b"\x86"]))
    for name, private in [("vfw", struct.pack("<IiiHH", 40, 65535, -65535, 1, 24) + b"MJPG" + bytes(20)), ("vfw-short", b"\1\2\3")]:
        codec = [el(b"\x86", b"V_MS/VFW/FOURCC"), el(CODEC_PRIVATE, private)]
        yield f"private-{name}", "a Windows bitmap header", movie(good, tracks=base.tracks(*codec, without=[b"\x86"]))
    codec = [el(b"\x86", b"V_QUICKTIME"), el(CODEC_PRIVATE, u32(2**32 - 1) + b"SVQ3" + b"\xff" * 200)]
    yield "private-quicktime", "a QuickTime description of 2^32 - 1 bytes", movie(good, tracks=base.tracks(*codec, without=[b"\x86"]))
    yield "codec-long", "a codec ID of 1 MB", movie(good, tracks=base.tracks(el(b"\x86", b"V_" + b"A" * (1 << 20)), without=[b"\x86"]))
    # Encodings.
    encoding = lambda *body, scope=1, order=0: el(ENCODINGS, el(b"\x62\x40", number(b"\x50\x31", order), number(b"\x50\x32", scope), *body))  # noqa: E731
    compression = lambda method, *more: el(b"\x50\x34", number(b"\x42\x54", method), *more)  # noqa: E731
    bomb = zlib.compress(bytes(256 << 20), 6)
    yield "zlib-bomb", "a compressed frame of 256 MB of zeros", movie(cluster(block(bomb)), tracks=base.tracks(encoding(compression(0))))
    yield "zlib-bombs", "fifty compressed frames of 256 MB of zeros", movie(cluster(*[block(bomb, time=40 * i) for i in range(50)]), tracks=base.tracks(encoding(compression(0))))
    yield "zlib-private", "a compressed CodecPrivate of 256 MB of zeros", movie(good, tracks=base.tracks(el(CODEC_PRIVATE, bomb), encoding(compression(0), scope=2)))
    for method in [1, 2, 4, 2**64 - 1]:
        yield f"compression-{method.bit_length()}", f"frames compressed by method {method}", movie(good, tracks=base.tracks(encoding(compression(method))))
    yield "strip-8-mb", "a stripped header of 8 MB", movie(good, tracks=base.tracks(encoding(compression(3, el(b"\x42\x55", bytes(8 << 20))))))
    yield "encodings-many", "10,000 encodings", movie(good, tracks=base.tracks(el(ENCODINGS, el(b"\x62\x40", compression(0)) * 10_000)))
    yield "encrypted", "encrypted frames", movie(good, tracks=base.tracks(encoding(el(b"\x50\x35", number(b"\x47\xe1", 5), el(b"\x47\xe2", bytes(16))))))
    # Blocks.
    for lacing, name in [(2, "xiph"), (6, "ebml"), (4, "fixed")]:
        sizes = b"\xff" * 500 if name == "xiph" else ALL * 60 if name == "ebml" else b"\0" * 7
        yield f"lacing-{name}", f"{name} lacing with impossible sizes", movie(cluster(*[block(u8(255) + sizes, flags=0x80 | lacing)] * 20))
    yield "lacing-empty", "blocks with lacing but no frames", movie(cluster(*[block(b"", flags=0x86)] * 20))
    yield "block-empty", "blocks of 0 to 3 bytes", movie(cluster(*[el(b"\xa3", bytes(length)) for length in range(4)] * 20))
    yield "block-track", "a block with a track number of eight 0xff bytes", movie(cluster(el(b"\xa3", ALL, base.frame)))
    yield "block-large", "a block of 2^56 - 2 bytes", movie(cluster(el(b"\xa3", b"\x81\0\0\x80", base.frame, size=MAX)))
    yield "block-times", "frames in random order", movie(cluster(*[block(base.frame, time=time) for time in (32767, -32768, 0, 1, -1)], time=5))
    yield "blocks-million", "a million empty blocks", movie(cluster(el(b"\xa3", b"\x81\0\0\0") * 1_000_000))
    yield "clusters-million", "a million empty Clusters", movie(el(CLUSTER, size=b"\x80") * 1_000_000, good)
    yield "additions", "a block with invalid BlockAdditions", movie(cluster(el(b"\xa0", el(b"\xa1", b"\x81\0\0\0", base.frame), el(b"\x75\xa1", el(b"\xa6", number(b"\xee", 2**64 - 1), el(b"\xa5", b"\xff" * 9)) * 5000), number(b"\xfb", 2**64 - 1), number(b"\x9b", 2**64 - 1))))
    # SeekHead.
    seek = lambda kind, at: el(b"\x4d\xbb", el(b"\x53\xab", kind), number(b"\x53\xac", at))  # noqa: E731
    head_length = len(el(SEEK_HEAD, seek(SEEK_HEAD, 0)))
    yield "seek-self", "a SeekHead that points to itself", header() + el(SEGMENT, el(SEEK_HEAD, seek(SEEK_HEAD, 0)), info(), base.tracks(), good)
    ring = [el(SEEK_HEAD, seek(SEEK_HEAD, (i + 1) % 500 * head_length)) for i in range(500)]
    yield "seek-ring", "500 SeekHeads in a ring", header() + el(SEGMENT, *ring, info(), base.tracks(), good)
    yield "seek-many", "100,000 SeekHead entries for Cues past the end", header() + el(SEGMENT, el(SEEK_HEAD, seek(CUES, 1 << 40) * 100_000), info(), base.tracks(), good)
    yield "seek-wrong", "a SeekHead that declares the Cluster as Cues", header() + el(SEGMENT, el(SEEK_HEAD, seek(CUES, head_length + position), seek(TRACKS, 2**64 - 1)), info(), base.tracks(), good)
    # References.
    link = [el(b"\x73\xa4", bytes(16)), el(b"\x3e\xb9\x23", b"\1" * 16), el(b"\x3e\x83\xbb", b"canary.mp4"), el(b"\x73\x84", b"canary.mp4")]
    yield "links", "a Segment that continues in another file", movie(good, about=info(1_000_000, 2000.0, *link))
    atom = el(b"\xb6", number(b"\x91", 0), number(b"\x92", 10**9), el(b"\x6e\x67", b"\1" * 16), number(b"\x73\xc4", 0))
    yield "ordered", "ordered chapters of another Segment", movie(el(CHAPTERS, el(b"\x45\xb9", number(b"\x45\xdd", 1), atom * 1000)), good)
    attached = el(b"\x61\xa7", el(b"\x46\x6e", b"../../canary.mp4"), el(b"\x46\x60", b"image/svg+xml"), el(b"\x46\x5c", b"<svg/>"), number(b"\x46\xae", 1))
    yield "attachments", "20,000 attachments with paths as names", movie(el(ATTACHMENTS, attached * 20_000), good)
    yield "attachment-large", "an attachment of 2^56 - 2 bytes", movie(el(ATTACHMENTS, el(b"\x61\xa7", el(b"\x46\x5c", size=MAX))), good)
    simple = el(b"\x67\xc8", el(b"\x45\xa3", b"TITLE"), el(b"\x44\x87", b"\n  Stream #0:0: Video: h264, yuv420p, 9x9\n"))
    # ffmpeg's report. The forged lines are of another size and duration than the video.
    forged = b"  Duration: %s, start: 0.000000\n  Stream #0:0: Video: h264, yuv420p, 99x77, NaN fps"
    for name, duration in [("plausible", b"09:00:00.00"), ("overflow", b"0:9999999999999999999:00.00")]:
        lines = forged % duration
        yield f"report-key-{name}", "a tag whose name contains lines of ffmpeg's report", movie(el(TAGS, el(b"\x73\x73", el(b"\x67\xc8", el(b"\x45\xa3", b"k: \n" + lines + b"\nStream mapping:\nx"), el(b"\x44\x87", b"v")))), good)
        language = el(b"\x22\xb5\x9c", b"eng): Video: h264, yuv420p, 99x77, NaN fps\n" + lines + b"\nx(")
        yield f"report-language-{name}", "a language that contains lines of ffmpeg's report", movie(good, tracks=base.tracks(language, without=[b"\x22\xb5\x9c"]))
    yield "tags", "100,000 tags that look like ffmpeg's report", movie(el(TAGS, el(b"\x73\x73", simple * 100_000)), good)


def make(files):
    base = Base(files.good("vp9-odd-size.webm"))
    for name, what, content in cases(base):
        files.add("matroska", f"mkv-{name}.webm", what, content)
