"""MP4 files with invalid boxes: sizes, depth, number, and sample descriptions."""

import struct
import zlib

from . import FTYP, MAX32, MAX64, box, boxes, edit, full, nest, patched, u8, u16, u32, u64

ENTRY = 86  # size of an avc1 entry without its boxes


def entry(base):
    """Returns the sample entry of a valid file."""
    found = {}
    edit(base, stsd=lambda payload: found.setdefault("entry", payload[8:]))
    return found["entry"]


def with_entry(base, *entries, count=None):
    return edit(base, stsd=full("stsd", u32(len(entries) if count is None else count), *entries))


def with_box(base, kind, content):
    """Returns the movie with this box in its sample entry, in place of those of that kind."""
    avc1 = entry(base)
    others = [box(k.decode("latin-1"), payload) for k, payload in boxes(avc1[ENTRY:]) if k != kind.encode()]
    return with_entry(base, box("avc1", avc1[8:ENTRY], *others, content))


def deep(kind, levels):
    """Returns nested boxes that consist of their headers only."""
    return b"".join(u32(8 * (levels - level)) + kind.encode() for level in range(levels))


def shapes(base):
    """Yields name, description and content, for the structure of the tree."""
    large = u32(1) + b"moov"
    moov = next(payload for kind, payload in boxes(base) if kind == b"moov")
    before = base[: -len(moov) - 8]
    yield "moov-1-tb", "a moov of 1 TB", before + large + u64(1 << 40) + moov
    yield "moov-max", "a moov of 2^64 - 1 bytes", before + large + u64(MAX64) + moov
    yield "moov-to-end", "a moov of size 0, which extends to the end of the file", before + u32(0) + b"moov" + moov
    for size in [0, 1, 7, 15]:
        yield f"moov-large-{size}", f"a moov with large size {size}", before + large + u64(size) + moov
    for size in range(2, 8):
        yield f"box-of-{size}", f"a box of {size} bytes", FTYP + u32(size) + b"free" + base
    yield "box-in-box", "a trak larger than its moov", before + u32(len(moov) + 8) + b"moov" + moov[:108] + u32(1 << 30) + moov[112:]
    yield "trak-of-zero", "boxes of size 0 in a moov", FTYP + box("moov", moov[:108], bytes(4000))
    yield "trak-of-one", "boxes with large size 0 in a moov", FTYP + box("moov", moov[:108], (u32(1) + b"trak" + u64(0)) * 1000)
    for kind in ["moov", "trak", "udta", "mdia", "meta", "wave", "moof", "traf", "clip"]:
        yield f"deep-{kind}", f"nested {kind} boxes, 10,000 levels", FTYP + (deep(kind, 10_000) if kind in ("moov", "moof") else box("moov", moov, deep(kind, 10_000)))
    yield "deep-mixed", "nested moov and trak boxes, 10,000 levels", FTYP + deep("moov", 10_000).replace(b"moov", b"trak", 5000)
    yield "many-empty", "a million empty boxes, then the movie", before + box("free") * 1_000_000 + box("moov", moov)
    yield "many-moov-boxes", "a million empty boxes in moov", before + box("moov", box("free") * 1_000_000, moov)
    yield "many-mdat", "a million empty mdats", FTYP + box("mdat") * 1_000_000
    yield "many-uuid", "100,000 uuid boxes", FTYP + box("uuid", bytes(range(16))) * 100_000 + base
    yield "many-traks", "100,000 empty traks", before + box("moov", moov[:108], box("trak") * 100_000)
    trak = next(payload for kind, payload in boxes(moov) if kind == b"trak")
    yield "many-whole-traks", "2,000 complete traks", before + box("moov", moov[:108], box("trak", trak) * 2000)
    heads = box("trak", trak[:92])
    yield "many-tkhd", "100,000 traks with only a header", before + box("moov", moov[:108], heads * 100_000)
    yield "many-moovs", "10,000 movies in one file", base + box("moov", moov) * 9999
    yield "moov-in-mdat", "a moov in the media data", FTYP + box("mdat", box("moov", moov))
    yield "moov-twice", "two moovs that differ", before + box("moov", moov[:108]) + box("moov", moov)
    yield "no-mdat", "a moov whose media data is missing", FTYP + box("moov", moov)
    yield "ftyp-huge", "an ftyp of 16 MB", box("ftyp", b"isom\0\0\2\0" + b"isom" * (4 << 20)) + base[32:]
    yield "only-free", "only free boxes", FTYP + box("free", bytes(1 << 20)) * 4
    yield "noise-boxes", "a box of unknown kind and 2^31 bytes", FTYP + u32(1 << 31) + b"\xff\0\xff\0" + base


def compressed(base):
    moov = box("moov", next(payload for kind, payload in boxes(base) if kind == b"moov"))
    before = base[: -len(moov)]

    def cmov(packed, size, method=b"zlib"):
        return before + box("moov", box("cmov", box("dcom", method), box("cmvd", u32(size), packed)))

    yield "cmov", "a compressed moov as in QuickTime", cmov(zlib.compress(moov), len(moov))
    bomb = zlib.compress(bytes(256 << 20), 6)
    yield "cmov-bomb", "a compressed moov of 256 MB of zeros", cmov(bomb, 256 << 20)
    yield "cmov-bomb-max", "the same, declared as 2^32 - 1 bytes", cmov(bomb, MAX32)
    yield "cmov-short", "a compressed moov that is longer than declared", cmov(zlib.compress(moov), 8)
    yield "cmov-method", "a moov compressed with an unknown method", cmov(moov, len(moov), b"xxxx")
    inner = moov
    for _ in range(200):
        packed = zlib.compress(inner)
        inner = box("moov", box("cmov", box("dcom", b"zlib"), box("cmvd", u32(len(inner)), packed)))
    yield "cmov-deep", "nested compressed moovs, 200 levels", before + inner
    boxes_bomb = box("free") * (16 << 20)
    yield "cmov-boxes", "a compressed moov of 16 million empty boxes", cmov(zlib.compress(box("moov", boxes_bomb)), len(boxes_bomb) + 8)


def descriptions(base):
    avc1 = entry(base)
    avcc = next(payload for kind, payload in boxes(avc1[ENTRY:]) if kind == b"avcC")
    yield "stsd-none", "no sample description", with_entry(base)
    yield "stsd-65535", "declares 65535 sample descriptions, contains one", with_entry(base, avc1, count=65535)
    yield "stsd-max", "declares 2^32 - 1 sample descriptions, contains one", with_entry(base, avc1, count=MAX32)
    yield "stsd-many", "100,000 sample descriptions", with_entry(base, *[box("avc1", avc1[8:ENTRY])] * 100_000)
    for size in [0, 1, 8, 15, 85, MAX32]:
        yield f"stsd-entry-{size}", f"a sample description of {size} bytes", with_entry(base, u32(size) + avc1[4:])
    yield "stsd-fourcc", "an unknown codec", with_entry(base, avc1[:4] + b"\0\xff%s" + avc1[8:])
    yield "stsd-audio", "a video track with an audio sample description", with_entry(base, box("mp4a", avc1[8:36]))
    for length in [0, 1, 4, 6, 8, 20, len(avcc) - 1]:
        yield f"avcc-{length}", f"an avcC truncated after {length} bytes", with_box(base, "avcC", box("avcC", avcc[:length]))
    sps = avcc[8 : 8 + struct.unpack(">H", avcc[6:8])[0]]
    many = avcc[:5] + u8(0xFF) + (u16(65535) + sps.ljust(65535, b"\xff")) * 31 + u8(255) + (u16(65535) + bytes(65535)) * 255
    yield "avcc-31-sps", "an avcC of 31 SPS and 255 PPS of 65535 bytes", with_box(base, "avcC", box("avcC", many))
    yield "avcc-declared", "an avcC that declares 31 SPS of 65535 bytes", with_box(base, "avcC", box("avcC", avcc[:5], u8(0xFF), u16(65535) * 31))
    yield "avcc-noise", "an avcC of 0xff bytes", with_box(base, "avcC", box("avcC", b"\1" + b"\xff" * 200))
    yield "avcc-missing", "no avcC", with_box(base, "avcC", b"")
    yield "avcc-twice", "a thousand avcC boxes", with_box(base, "xxxx", box("avcC", avcc) * 1000)
    yield "pasp-zero", "pixel aspect ratio 0:0", with_box(base, "pasp", box("pasp", u32(0, 0)))
    for name, ratio in [("wide", (MAX32, 1)), ("tall", (1, MAX32)), ("wider", (65535, 1)), ("taller", (1, 65535))]:
        yield f"pasp-{name}", f"pixel aspect ratio {ratio[0]}:{ratio[1]}", with_box(base, "pasp", box("pasp", u32(*ratio)))
    yield "clap", "a clean aperture of 0 / (2^32 - 1)", with_box(base, "clap", box("clap", u32(*[0, MAX32] * 4)))
    yield "colr", "an empty colour profile, and unknown colour codes", with_box(base, "colr", box("colr", b"prof") + box("colr", b"nclx", u16(65535, 65535, 65535), b"\xff"))
    yield "hvcc", "an H.264 entry with an hvcC of 255 arrays", with_box(base, "avcC", box("hvcC", b"\xff" * 22, b"\xff", b"\x20\xff\xff\xff\xff" * 200))
    yield "av1c", "an H.264 entry with an empty av1C", with_box(base, "avcC", box("av1C"))
    yield "esds-loop", "an esds whose length fields do not end", with_box(base, "avcC", full("esds", b"\3" + b"\xff" * 4 + b"\4\x80\x80\x80\x80" * 200))
    sinf = box("sinf", box("frma", b"avc1"), full("schm", b"cenc", u32(0x10000)), nest(full("tenc", u8(0, 0, 1, 8), bytes(16)), "schi"))
    yield "encv", "encrypted samples", with_entry(base, box("encv", avc1[8:], sinf))
    yield "encv-loop", "an encrypted entry whose format is encv", with_entry(base, box("encv", avc1[8:ENTRY], box("sinf", box("frma", b"encv"))))
    yield "mdcv", "mastering display metadata of zeros", with_box(base, "mdcv", box("mdcv", bytes(24)) + box("clli", u16(0, 65535)) + box("SmDm", b"\xff" * 24))
    yield "sv3d", "spherical video with extreme angles", with_box(base, "sv3d", box("sv3d", full("svhd", b"x"), nest(full("prhd", u32(MAX32, 1 << 31, MAX32)) + full("equi", u32(*[MAX32] * 4)), "proj")))


def headers(base):
    def matrix(*numbers):
        return edit(base, tkhd=lambda payload: box("tkhd", payload[:40] + u32(*numbers) + payload[76:]))

    yield "matrix-zeros", "a matrix of zeros", matrix(*[0] * 9)
    yield "matrix-ones", "a matrix of 2^32 - 1", matrix(*[MAX32] * 9)
    yield "matrix-least", "a matrix of the smallest numbers", matrix(*[1 << 31] * 9)
    yield "hdlr-missing", "a track without a handler", edit(base, hdlr=b"")
    yield "hdlr-many", "a track with 101 handlers", edit(base, hdlr=lambda payload: box("hdlr", payload) + full("hdlr", u32(0), b"soun", bytes(13)) * 100)
    yield "hdlr-name", "a handler name of 8 MB that looks like ffmpeg's report", edit(base, hdlr=lambda payload: box("hdlr", payload[:24] + b"Stream #0:0: Video: h264, 1x1\n" * 270_000))
    yield "tkhd-id", "track number 0", edit(base, tkhd=lambda payload: box("tkhd", patched(payload, 12, u32(0))))
    yield "tkhd-short", "a track header of 4 bytes", edit(base, tkhd=full("tkhd"))
    yield "tref-loop", "a track that is its own chapter track", edit(base, edts=nest(u32(1, 1, 0, MAX32), "chap", "tref") + nest(u32(1), "tmcd", "tref"))
    ilst = nest(full("data", u32(0), b"x" * 8, flags=1), "\xa9nam")
    meta = lambda content: edit(base, udta=box("udta", full("meta", full("hdlr", u32(0), b"mdir", bytes(13)), content)))  # noqa: E731
    yield "ilst-many", "200,000 titles", meta(box("ilst", ilst * 200_000))
    yield "ilst-large", "a title of 8 MB that looks like ffmpeg's report", meta(box("ilst", nest(full("data", u32(0), b"\n  Stream #0:0: Video: h264, yuv420p, 9x9\n" * 200_000, flags=1), "\xa9nam")))
    yield "keys-count", "declares 2^32 - 1 metadata keys", meta(full("keys", u32(MAX32), FEW) + box("ilst", u32(16) + u32(MAX32) + bytes(8)))
    yield "keys-self", "metadata keys of size 0", meta(full("keys", u32(1000), bytes(8000)))
    yield "cover-bomb", "a cover declared as 2^31 bytes", meta(box("ilst", box("covr", u32(1 << 31) + b"data" + u32(13, 0) + b"\xff\xd8")))
    yield "covers-many", "100,000 covers", meta(box("ilst", box("covr", full("data", u32(0), b"\xff\xd8\xff\xd9", flags=13) * 100_000)))
    yield "chpl", "255 chapters at 2^64 - 1", edit(base, udta=nest(full("chpl", u32(0), u8(255), (u64(MAX64) + b"\1x") * 255, version=1), "udta"))


FEW = bytes(12)


def make(files):
    base = files.good("h264-no-audio.mp4")
    for cases in [shapes, compressed, descriptions, headers]:
        for name, what, content in cases(base):
            files.add("mp4", f"{name}.mp4", what, content)
