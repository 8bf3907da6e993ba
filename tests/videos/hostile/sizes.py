"""Frames that are too large or differ from the size in the container, and decompression bombs."""

import zlib

from . import FTYP, box, boxes, edit, full, patched, u8, u16, u32

ENTRY = 86


class Bits:
    """Copies the bits of a parameter set with a few numbers changed."""

    def __init__(self, payload):
        raw = payload.replace(b"\0\0\3", b"\0\0")
        self.bits = "".join(f"{byte:08b}" for byte in raw)
        self.at, self.out = 0, ""

    def copy(self, count):
        self.out += self.bits[self.at : self.at + count]
        self.at += count

    def golomb(self, replacement=None):
        zeros = self.bits.index("1", self.at) - self.at
        number = int(self.bits[self.at + zeros : self.at + 2 * zeros + 1], 2) - 1
        self.at += 2 * zeros + 1
        code = f"{(number if replacement is None else replacement) + 1:b}"
        self.out += "0" * (len(code) - 1) + code
        return number

    def rest(self):
        body = self.bits[self.at :].rstrip("0")
        bits = self.out + body
        bits += "0" * (-len(bits) % 8)
        raw = int(bits, 2).to_bytes(len(bits) // 8, "big")
        escaped = bytearray()
        for byte in raw:
            if byte <= 3 and escaped[-2:] == b"\0\0":
                escaped.append(3)
            escaped.append(byte)
        return bytes(escaped)


def h264_sps(sps, width, height):
    bits = Bits(sps)
    bits.copy(32)  # header, profile, constraints, level
    bits.golomb()
    if sps[1] in (100, 110, 122, 244):
        chroma = bits.golomb()
        bits.copy(1 if chroma == 3 else 0)
        bits.golomb(), bits.golomb()
        bits.copy(2)  # no scaling matrix: x264 writes none
    bits.golomb()
    if bits.golomb() == 0:
        bits.golomb()
    bits.golomb()
    bits.copy(1)
    bits.golomb(width // 16 - 1), bits.golomb(height // 16 - 1)
    return bits.rest()


def hevc_sps(sps, width, height):
    bits = Bits(sps)
    bits.copy(16 + 8 + 96)  # header, no sub-layers, profile and level
    bits.golomb()
    bits.golomb()
    bits.golomb(width), bits.golomb(height)
    return bits.rest()


def avcc_with(avcc, change):
    length = int.from_bytes(avcc[6:8], "big")
    sps = change(avcc[8 : 8 + length])
    return avcc[:6] + u16(len(sps)) + sps + avcc[8 + length :]


def hvcc_with(hvcc, change):
    out, at = hvcc[:23], 23
    for _ in range(hvcc[22]):
        kind, count = hvcc[at] & 63, int.from_bytes(hvcc[at + 1 : at + 3], "big")
        out, at = out + hvcc[at : at + 3], at + 3
        for _ in range(count):
            length = int.from_bytes(hvcc[at : at + 2], "big")
            unit = hvcc[at + 2 : at + 2 + length]
            unit = change(unit) if kind == 33 else unit
            out, at = out + u16(len(unit)) + unit, at + 2 + length
    return out


def described(data, kind, change, width=None, height=None):
    """Returns the movie with a changed decoder configuration, and a size in the sample entry if given."""

    def stsd(payload):
        entry = payload[8:]
        head = entry[8:ENTRY]
        if width is not None:
            head = patched(head, 24, u16(width, height))
        inner = [box(k.decode(), change(p) if k == kind else p) for k, p in boxes(entry[ENTRY:])]
        return full("stsd", u32(1), box(entry[4:8].decode(), head, *inner))

    return edit(data, stsd=stsd)


def resized(data, width, height, track=True):
    """Returns the movie with a different size in the sample entry and, if track, in the track header."""
    data = described(data, b"", None, width, height)
    if not track:
        return data
    return edit(data, tkhd=lambda payload: box("tkhd", patched(payload, -8, u32(width << 16, height << 16))))


def patch_all(data, mark, offset, change):
    """Applies the change at offset bytes after each occurrence of mark."""
    at = data.find(mark)
    while at >= 0:
        data = change(data, at + offset)
        at = data.find(mark, at + len(mark))
    return data


def vp9_size(width, height):
    def change(data, at):
        # Width - 1 and height - 1 follow 4 bits after the sync code, 16 bits each.
        value = int.from_bytes(data[at : at + 5], "big")
        value &= ~(0xFFFFFFFF << 4)
        value |= ((width - 1) << 16 | (height - 1)) << 4
        return patched(data, at, value.to_bytes(5, "big"))

    return change


def image_movie(codec, width, height, sample, *inner, samples=1):
    """Returns a MOV whose samples are all the same bytes, in one chunk each."""
    entry = box(codec, bytes(6), u16(1), bytes(16), u16(min(width, 65535), min(height, 65535)), u32(0x480000, 0x480000, 0), u16(1), bytes(32), u16(24, 0xFFFF), *inner)
    stbl = [
        full("stsd", u32(1), entry), full("stts", u32(1, samples, 512)), full("stsc", u32(1, 1, 1, 1)),
        full("stsz", u32(len(sample), samples)), full("stco", u32(samples, *[len(FTYP) + 8] * samples)),
    ]
    dinf = box("dinf", full("dref", u32(1), full("url ", flags=1)))
    minf = box("minf", full("vmhd", bytes(8), flags=1), dinf, box("stbl", *stbl))
    matrix = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    mdia = box("mdia", full("mdhd", u32(0, 0, 12800, 512 * samples, 0)), full("hdlr", u32(0), b"vide", bytes(13)), minf)
    tkhd = full("tkhd", u32(0, 0, 1, 0, 40 * samples), bytes(16), matrix, u32(min(width, 65535) << 16, min(height, 65535) << 16), flags=3)
    mvhd = full("mvhd", u32(0, 0, 1000, 40 * samples, 0x10000), u16(0x100), bytes(10), matrix, bytes(24), u32(2))
    return FTYP + box("mdat", sample) + box("moov", mvhd, box("trak", tkhd, mdia))


def png(width, height, depth, colour, channels):
    row = bytes(1 + width * channels * depth // 8)
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    chunk = lambda kind, body: u32(len(body)) + kind + body + u32(zlib.crc32(kind + body))  # noqa: E731
    head = u32(width, height) + u8(depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def cases(files):
    """Yields extension, name, description and content."""
    h264, hevc = files.good("h264-no-audio.mp4"), files.good("hevc-hev1.mp4")
    for side in [16000, 65535]:
        what = f"{side}x{side}"
        yield "mp4", f"entry-{side}", f"small frames, declared as {what} in the sample entry", resized(h264, side, side, track=False)
        yield "mp4", f"header-{side}", f"small frames, declared as {what} in sample entry and track header", resized(h264, side, side)
    yield "mp4", "entry-0", "small frames, declared as 0x0", resized(h264, 0, 0)
    yield "mp4", "entry-1", "small frames, declared as 1x1", resized(h264, 1, 1)
    yield "mp4", "entry-other", "frames of 640x40, declared as 320x180", resized(files.good("h264-very-wide.mp4"), 320, 180)
    for width, height in [(16000, 16000), (65520, 65520), (1048560, 16), (8192, 4320), (5936, 5936)]:
        name = f"sps-{width}x{height}"
        change = lambda avcc: avcc_with(avcc, lambda sps: h264_sps(sps, width, height))  # noqa: B023, E731
        yield "mp4", f"h264-{name}", f"H.264 whose SPS declares {width}x{height}", described(h264, b"avcC", change)
        change = lambda hvcc: hvcc_with(hvcc, lambda sps: hevc_sps(sps, width, height))  # noqa: B023, E731
        # hev1 repeats the SPS in the samples, which would take precedence, so those are disabled.
        yield "mp4", f"hevc-{name}", f"HEVC whose SPS declares {width}x{height}", described(hevc.replace(b"\x42\x01\x01", b"\x7e\x01\x01"), b"hvcC", change)
    for name, extension in [("vp9.mp4", "mp4"), ("vp9-odd-size.webm", "webm")]:
        for width, height in [(16000, 16000), (65536, 65536), (8192, 4320)]:
            content = patch_all(files.good(name), b"\x49\x83\x42", 3, vp9_size(width, height))
            yield extension, f"vp9-{width}", f"VP9 keyframes of {width}x{height}, declared as 320x180", content
    vp8 = patch_all(files.good("vp8.webm"), b"\x9d\x01\x2a", 3, lambda data, at: patched(data, at, b"\xff\x3f\xff\x3f"))
    yield "webm", "vp8-16383", "VP8 keyframes of 16383x16383", vp8
    for width, height in [(65500, 65500), (8192, 4320), (1, 65500), (65500, 1)]:
        content = patch_all(files.good("mjpeg.mov"), b"\xff\xc0\0\x11\x08", 5, lambda data, at: patched(data, at, u16(height, width)))  # noqa: B023
        yield "mov", f"mjpeg-{width}x{height}", f"MJPEG of {width}x{height}", content
    prores = patch_all(files.good("prores.mov"), b"icpf", 12, lambda data, at: patched(data, at, u16(65535, 65535)))
    yield "mov", "prores-65535", "ProRes of 65535x65535", prores
    theora = patch_all(files.good("theora.ogv"), b"\x80theora", 10, lambda data, at: patched(data, at, u16(65535, 65535)))
    yield "ogv", "theora-65535", "Theora of 65535x65535 blocks", theora
    for name, width, height, depth, colour, channels in [
        ("limit", 5900, 5900, 16, 6, 4), ("over", 20000, 20000, 1, 0, 1), ("line", 1 << 24, 2, 8, 0, 1),
    ]:
        bomb = png(width, height, depth, colour, channels)
        yield "mov", f"png-{name}", f"a PNG bomb of {width}x{height}", image_movie("png ", width, height, bomb)
    bomb = png(5900, 5900, 8, 2, 3)
    yield "mov", "png-many", "twenty PNG bombs, declared as 320x180", image_movie("png ", 320, 180, bomb, samples=20)
    yield "mov", "raw-100-mb", "a raw frame of 100 MB", image_movie("raw ", 5900, 5900, bytes(5900 * 5900 * 3))
    yield "mov", "raw-many", "ten raw frames of 100 MB", image_movie("raw ", 5900, 5900, bytes(5900 * 5900 * 3), samples=10)
    size = ["-f", "lavfi", "-i", "testsrc=s=8192x4320:r=10:d=0.3", "-pix_fmt", "yuv420p"]
    yield "mp4", "h264-8k", "H.264 keyframes of 8192x4320", files.encode(*size, "-c:v", "libx264", "-preset", "ultrafast", "-g", "1", "-threads", "1", "-f", "mp4")
    size = ["-f", "lavfi", "-i", "color=c=red:s=8192x8192:r=1:d=1", "-pix_fmt", "yuvj420p"]
    yield "mov", "mjpeg-8192", "a valid MJPEG of 8192x8192", files.encode(*size, "-frames:v", "1", "-c:v", "mjpeg", "-threads", "1", "-f", "mov")


def make(files):
    for extension, name, what, content in cases(files):
        files.add("size", f"{name}.{extension}", what, content)
