"""Other containers, and files that are not videos."""

import gzip
import io
import struct
import zipfile

from . import FTYP, MAX32, box, patched
from .sizes import patch_all


def le(*numbers):
    return struct.pack(f"<{len(numbers)}I", *numbers)


def noise(count, seed=1):
    out = bytearray()
    for _ in range(count):
        seed = seed * 16807 % 2147483647
        out.append(seed >> 8 & 255)
    return bytes(out)


def transport(files):
    def packet(pid, payload, start=1, control=0x10):
        return b"\x47" + bytes([start << 6 | pid >> 8, pid & 255, control]) + payload[:184].ljust(184, b"\xff")

    def section(table, body, length=None):
        size = len(body) + 9 if length is None else length
        return b"\0" + bytes([table, 0xB0 | size >> 8 & 15, size & 255, 0, 1, 0xC1, 0, 0]) + body + bytes(4)

    pat = lambda pid, count=1: packet(0, section(0, b"".join(struct.pack(">HH", i + 1, 0xE000 | pid + i) for i in range(count))))  # noqa: E731
    pmt = packet(256, section(2, b"\xe1\x01\xf0\0" + b"\x1b\xe1\x01\xf0\0"))
    yield "ts", "pat-self", "a PAT that refers to itself", pat(0) * 20_000
    yield "ts", "pmt-loop", "a PMT whose streams are the PAT and itself", (pat(256) + packet(256, section(2, b"\xe0\0\xf0\0" + b"\x1b\xe0\0\xf0\0\x1b\xe1\0\xf0\0"))) * 10_000
    yield "ts", "pmt-change", "a PMT that changes 20,000 times", b"".join(packet(0, section(0, struct.pack(">HH", 1, 0xE000 | 32 + i % 8000))) for i in range(20_000))
    yield "ts", "pat-many", "many PATs of 40 programs each", b"".join(pat(32 + i * 40, 40) for i in range(200)) * 20
    yield "ts", "section-length", "sections of 4095 bytes that never end", packet(0, section(0, b"", 4095)) * 20_000
    yield "ts", "adaptation", "packets with only an adaptation field", (pat(256) + pmt) + packet(257, b"\xb7" + bytes(183), control=0x20) * 50_000
    yield "ts", "pes-endless", "an endless frame of 20 MB", (pat(256) + pmt) + packet(257, b"\0\0\1\xe0\0\0\x80\0\0") + packet(257, bytes(184), start=0) * 110_000
    yield "ts", "pes-empty", "40,000 empty frames at random times", (pat(256) + pmt) + b"".join(packet(257, b"\0\0\1\xe0\0\0\x80\x80\5" + bytes([0x21 | i * 2 & 14, i * 77 & 255, 1 | i & 254, i * 31 & 255, 1])) for i in range(40_000))
    yield "ts", "sync-only", "sync bytes and noise", b"".join(b"\x47" + noise(187, i + 1) for i in range(2000))
    system = b"\0\0\1\xba\x44\0\4\0\4\1\0\0\3\xf8"
    yield "mpg", "ps-padding", "a program stream of padding only", system + (b"\0\0\1\xbe\x07\xec" + b"\xff" * 2028) * 10_000
    yield "mpg", "ps-headers", "300,000 pack headers", system * 300_000
    yield "mpg", "ps-map", "a stream map of 65535 bytes", system + b"\0\0\1\xbc\xff\xff" + b"\xff" * 70_000
    yield "mpg", "ps-streams", "all possible stream IDs", system + b"".join(b"\0\0\1" + bytes([i]) + b"\0\x08\x80\0\0\0\0\1\xb3\xff" for i in range(0xBC, 0x100)) * 500
    yield "mpg", "ps-sequence", "MPEG-2 headers of 4095x4095", system + (b"\0\0\1\xe0\0\x17\x80\0\0" + b"\0\0\1\xb3\xff\xff\xff\x13\xff\xff\xe0\x18" + b"\0\0\1\1\x0b\0\0\0") * 5000


def windows(files):
    avi = files.good("mpeg4.avi")
    at = avi.index(b"idx1")
    yield "avi", "avi-index-self", "an index whose entries all point to the index", avi[: at + 8] + (b"00dc" + le(0x10, at, 16)) * 50_000
    yield "avi", "avi-index-max", "an index of 2^32 - 1 bytes", avi[: at + 4] + le(MAX32) + avi[at + 8 :]
    at = avi.index(b"movi")
    yield "avi", "avi-movi-0", "media data of zero bytes", patched(avi, at - 4, le(0))
    yield "avi", "avi-chunk-max", "a chunk of 2^32 - 1 bytes", patched(avi, at + 8, le(MAX32))
    yield "avi", "avi-empty-chunks", "a million empty chunks", avi[: at + 4] + (b"00dc" + le(0)) * 1_000_000
    yield "avi", "avi-lists", "nested lists, 10,000 levels", avi[:12] + (b"LIST" + le(MAX32 >> 1) + b"hdrl") * 10_000 + avi[12:]
    at = avi.index(b"strf")
    yield "avi", "avi-65535", "a bitmap header of 65535x65535", patched(avi, at + 12, le(65535, 65535))
    yield "avi", "avi-header-max", "a bitmap header of 2^32 - 1 bytes", patched(avi, at + 4, le(MAX32))
    at = avi.index(b"strh")
    yield "avi", "avi-rate-0", "a frame rate of 0/0", patched(avi, at + 28, le(0, 0))
    yield "avi", "avi-rate-max", "a frame rate of 1/(2^32 - 1)", patched(avi, at + 28, le(MAX32, 1))
    yield "avi", "avi-streams", "10,000 streams", avi[: at - 12] + avi[at - 12 : avi.index(b"LIST", at)] * 10_000 + avi[at - 12 :]
    header, at = avi[:12], avi.index(b"movi")
    chain = b"indx" + le(24 + 16 * 100) + struct.pack("<HBBI4sIII", 4, 0, 0, 100, b"00dc", 0, 0, 0) + (struct.pack("<Q", 12) + le(32, 1)) * 100
    yield "avi", "avi-indx-loop", "an index of indexes whose entries all point to itself", header + chain + avi[12:]
    yield "avi", "avi-indx-strl", "the same in the stream header", avi.replace(b"strf", chain + b"strf", 1)
    asf = files.good("wmv2.wmv")
    guid = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c"
    yield "wmv", "asf-objects", "declares 2^32 - 1 objects", patched(asf, 24, le(MAX32))
    yield "wmv", "asf-object-max", "an object of 2^64 - 1 bytes", patched(asf, 46, b"\xff" * 8)
    yield "wmv", "asf-object-0", "an object of zero bytes", patched(asf, 46, bytes(8))
    yield "wmv", "asf-deep", "nested headers, 10,000 levels", (guid + struct.pack("<QI", 1 << 40, 1) + b"\1\2") * 10_000
    script = bytes.fromhex("301afb1e620bd011a39b00a0c90348f6")
    url = files.url("asf-script").encode("utf-16-le")
    command = bytes(16) + struct.pack("<HHH", 1, 1, 3) + "URL".encode("utf-16-le") + struct.pack("<IHH", 0, 0, len(url) // 2) + url
    extra = script + struct.pack("<Q", 24 + len(command)) + command
    size, count = struct.unpack("<QI", asf[16:28])
    yield "wmv", "asf-script", "script commands that open a URL", asf[:16] + struct.pack("<QI", size + len(extra), count + 1) + asf[28:30] + extra + asf[30:]
    properties = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
    for name, value in [("0", 0), ("max", MAX32)]:
        changed = patch_all(asf, properties, 92, lambda data, at: patched(data, at, le(value, value)))  # noqa: B023
        yield "wmv", f"asf-packet-{name}", f"packets of {value} bytes", changed


def web(files):
    flv = files.good("h264.flv")

    def tag(kind, body, time=0, size=None):
        length = len(body) if size is None else size
        return bytes([kind]) + length.to_bytes(3, "big") + (time & 0xFFFFFF).to_bytes(3, "big") + bytes([time >> 24]) + bytes(3) + body + struct.pack(">I", len(body) + 11)

    head = b"FLV\1\5\0\0\0\x09\0\0\0\0"
    name = b"\2\0\x0aonMetaData"
    yield "flv", "flv-times", "tags with extreme timestamps", head + b"".join(tag(9, b"\x17\1\0\0\0" + bytes(20), time) for time in (MAX32, 0, 1 << 31, 5, MAX32 - 1)) * 2000
    yield "flv", "flv-deep", "nested objects, 20,000 levels", head + tag(18, name + b"\3\0\1x" * 20_000) + flv[13:]
    yield "flv", "flv-arrays", "nested arrays that declare 2^32 - 1 elements", head + tag(18, name + b"\x08\xff\xff\xff\xff\0\1x" * 20_000) + flv[13:]
    strict = name + b"\x08\0\0\0\1\0\x09keyframes\3\0\x05times\x0a\xff\xff\xff\xff" + bytes(1000)
    yield "flv", "flv-keyframes", "declares 2^32 - 1 keyframes", head + tag(18, strict) + flv[13:]
    for label, duration in [("plausible", b"09:00:00.00"), ("overflow", b"0:9999999999999999999:00.00")]:
        key = b"k: \n  Duration: " + duration + b", start: 0\n  Stream #0:0: Video: h264, yuv420p, 99x77, NaN fps\nStream mapping:\nx"
        yield "flv", f"flv-report-{label}", "metadata whose key contains lines of ffmpeg's report", head + tag(18, name + b"\3" + struct.pack(">H", len(key)) + key + b"\2\0\1v" + b"\0\0\t") + flv[13:]
    yield "flv", "flv-offset", "a header of 2^32 - 1 bytes", patched(flv, 5, b"\xff\xff\xff\xff")
    yield "flv", "flv-empty", "500,000 empty tags", head + tag(9, b"") * 500_000
    yield "flv", "flv-large", "tags of 16 MB", head + tag(9, b"\x17\1\0\0\0", size=0xFFFFFF) * 100
    yield "flv", "flv-config", "a decoder configuration of noise before each frame", head + tag(9, b"\x17\0\0\0\0\1\xff\xff\xff\xff" + noise(500)) * 1000
    vp6 = b"\x14\0" + b"\x08\x00\xff\xff\xff\xff" + noise(200)
    yield "flv", "flv-vp6", "VP6 of 4080x4080", head + tag(9, vp6) * 50
    ogg = files.good("theora.ogv")

    def page(lacing, body=b"", serial=1, sequence=0, flags=0, granule=0):
        raw = b"OggS\0" + struct.pack("<BqIII", flags, granule, serial, sequence, 0) + bytes([len(lacing)]) + lacing + body
        return patched(raw, 22, le(checksum(raw)))

    yield "ogv", "ogg-endless", "a packet of 16 MB that never ends", page(b"\xff" * 255, bytes(65025), flags=2) + b"".join(page(b"\xff" * 255, bytes(65025), sequence=i, flags=1) for i in range(1, 40)) + ogg
    yield "ogv", "ogg-streams", "20,000 streams", b"".join(page(b"\x2a", b"\x80theora\3\2\1" + b"\xff" * 32, serial=i, flags=2) for i in range(20_000))
    yield "ogv", "ogg-empty", "200,000 empty pages", ogg[:58] + page(b"") * 200_000
    yield "ogv", "ogg-granule", "pages with extreme granule positions", ogg + b"".join(page(b"\1", b"\0", granule=granule) for granule in (-1, 2**63 - 1, -(2**63))) * 1000
    yield "ogv", "ogg-cut", "truncated pages", ogg[:2000] + b"OggS" * 100_000


def checksum(data):
    if not TABLE:
        for index in range(256):
            value = index << 24
            for _ in range(8):
                value = (value << 1 ^ 0x04C11DB7 if value & 1 << 31 else value << 1) & MAX32
            TABLE.append(value)
    value = 0
    for byte in data:
        value = (value << 8 & MAX32) ^ TABLE[value >> 24 ^ byte]
    return value


TABLE = []


def plain(files):
    yield "mp4", "empty", "an empty file", b""
    yield "mp4", "one-byte", "one byte", b"\0"
    yield "mp4", "zeros", "1 MB of zeros", bytes(1 << 20)
    yield "mp4", "text", "text", b"This is a text, not a video.\n" * 1000
    yield "mp4", "noise", "noise", noise(100_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../a.mp4", bytes(1 << 24))
    yield "mp4", "zip", "a ZIP archive with a path traversal", packed.getvalue()
    yield "mp4", "gzip-bomb", "64 MB of zeros in gzip", gzip.compress(bytes(64 << 20), 6)
    yield "mp4", "elf", "an ELF program", b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(4000)
    yield "mp4", "shell", "a shell script", f"#!/bin/sh\ncat {files.fifo}\n".encode()
    yield "mp4", "utf-16-text", "text in UTF-16", "a video".encode("utf-16") * 1000
    yield "mp4", "sparse", "an ftyp, then 200 MB of zeros", FTYP, bytes(200 << 20)
    yield "mp4", "sparse-mdat", "media data of 200 MB of zeros without a moov", FTYP + b"\x0c\x80\0\x08mdat", bytes(200 << 20)
    yield "mp4", "jpeg-still", "a JPEG in an MP4's free box", box("free", files.image.read_bytes())
    yield "mp4", "ftyp-noise", "an ftyp, then noise", FTYP + noise(100_000)
    yield "webm", "ebml-noise", "an EBML header, then noise", b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm" + noise(100_000)


def make(files):
    for family in [transport, windows, web, plain]:
        for extension, name, what, *parts in family(files):
            files.add("other", f"{name}.{extension}", what, *parts)
