"""MP4 files of 25 valid samples with one invalid table of samples, times or edits each."""

from . import MAX32, MAX64, box, edit, full, u16, u32, u64

FEW = bytes(12)


def table(kind, count, *rows, **how):
    """Builds a table box that declares count rows."""
    return full(kind, u32(count), *rows, **how)


def cases():
    """Yields name, description and changed boxes."""
    for kind in ["stts", "stss", "stsc", "stco", "co64", "ctts", "sbgp", "sdtp", "cslg", "stps"]:
        here = "stco" if kind == "co64" else kind if kind in ("stts", "stss", "stsc", "stco", "ctts") else "stss"
        yield f"{kind}-count", f"{kind} declares 2^32 - 1 rows, contains few", {here: table(kind, MAX32, FEW)}
    yield "stsz-count", "stsz declares 2^32 - 1 samples, contains few", {"stsz": full("stsz", u32(0, MAX32), FEW)}
    yield "stsz-overflow", "stsz whose count times four overflows to 4 in 32 bits", {"stsz": full("stsz", u32(0, 0x40000001), FEW)}
    yield "stsz-constant", "2^32 - 1 samples of 2^32 - 1 bytes", {"stsz": full("stsz", u32(MAX32, MAX32))}
    yield "stsz-one", "2^32 - 1 samples of one byte", {"stsz": full("stsz", u32(1, MAX32))}
    yield "stsz-sizes", "25 samples of 2^32 - 1 bytes", {"stsz": full("stsz", u32(0, 25), u32(*[MAX32] * 25))}
    yield "stsz-negative", "25 samples of 2^31 bytes", {"stsz": full("stsz", u32(0, 25), u32(*[1 << 31] * 25))}
    yield "stsz-zeros", "25 samples of zero bytes", {"stsz": full("stsz", u32(0, 25), bytes(100))}
    yield "stsz-none", "no samples", {"stsz": full("stsz", u32(0, 0))}
    yield "stsz-missing", "no stsz", {"stsz": b""}
    yield "stsz-ten-million", "a stsz of ten million zeros", {"stsz": full("stsz", u32(0, 10_000_000), bytes(40_000_000))}
    for bits in [0, 3, 4, 255]:
        what = f"stz2 with {bits} bits per sample"
        yield f"stz2-{bits}", what, {"stsz": full("stz2", u32(bits, 25), bytes(200))}
    yield "stts-sum", "stts whose durations sum to more than 64 bits", {"stts": table("stts", 4, u32(*[MAX32] * 8))}
    yield "stts-zeros", "stts of duration zero", {"stts": table("stts", 1, u32(25, 0))}
    yield "stts-none", "an empty stts", {"stts": table("stts", 0)}
    yield "stts-two-million", "stts with two million rows", {"stts": table("stts", 2_000_000, u32(1, 0) * 2_000_000)}
    yield "stts-empty-rows", "stts with a million rows for zero samples", {"stts": table("stts", 1_000_000, u32(0, MAX32) * 1_000_000)}
    yield "stss-zero", "sync sample 0", {"stss": table("stss", 1, u32(0))}
    yield "stss-max", "sync sample 2^32 - 1", {"stss": table("stss", 1, u32(MAX32))}
    yield "stss-descending", "sync samples in descending order", {"stss": table("stss", 25, u32(*range(25, 0, -1)))}
    yield "stss-same", "the same sync sample a million times", {"stss": table("stss", 1_000_000, u32(7) * 1_000_000)}
    yield "stss-wild", "sync samples beyond the end, then before the start", {"stss": table("stss", 4, u32(9, MAX32, 0, 3))}
    yield "stss-none", "no sync sample", {"stss": table("stss", 0)}
    stsc = lambda *rows: {"stsc": table("stsc", len(rows), *[u32(*row) for row in rows])}  # noqa: E731
    yield "stsc-no-samples", "chunks of zero samples", stsc((1, 0, 1))
    yield "stsc-max-samples", "chunks of 2^32 - 1 samples", stsc((1, MAX32, 1))
    yield "stsc-chunk-0", "first chunk 0", stsc((0, 25, 1))
    yield "stsc-chunk-max", "first chunk 2^32 - 1", stsc((1, 1, 1), (MAX32, 25, 1))
    yield "stsc-descending", "descending chunk numbers", stsc((9, 1, 1), (5, 2, 1), (1, 25, 1))
    yield "stsc-same", "repeated chunk numbers", stsc((1, 1, 1), (1, 2, 1), (1, MAX32, 1))
    yield "stsc-none", "an empty stsc", stsc()
    yield "stsc-description", "sample descriptions 0 and 2^32 - 1", stsc((1, 1, 0), (2, 1, MAX32))
    yield "stsc-million", "a million runs of chunks", {"stsc": table("stsc", 1_000_000, b"".join(u32(i, 1, 1) for i in range(1_000_000)))}
    stco = lambda *rows: {"stco": table("stco", len(rows), u32(*rows))}  # noqa: E731
    co64 = lambda *rows: {"stco": table("co64", len(rows), u64(*rows))}  # noqa: E731
    yield "stco-end", "an offset past the end", stco(0x7FFFFFFF)
    yield "stco-zeros", "chunks that overlap the header and each other", stco(*[0] * 25)
    yield "stco-none", "no chunks", stco()
    yield "stco-many", "more chunks than samples", stco(*[40] * 100_000)
    yield "co64-max", "an offset of 2^64 - 1", co64(MAX64)
    yield "co64-wrap", "an offset that overflows with the size of the sample", co64(MAX64 - 100)
    yield "co64-sign", "an offset of 2^63", co64(1 << 63)
    yield "co64-and-stco", "both co64 and stco, which differ", {"stco": table("co64", 1, u64(MAX64)) + table("stco", 1, u32(48))}
    yield "ctts-extremes", "the smallest and the largest composition offset", {"ctts": table("ctts", 2, u32(12, 1 << 31, 13, MAX32), version=1)}
    yield "ctts-rows", "ctts with a million rows for one sample", {"ctts": table("ctts", 1_000_000, u32(1, 0x7FFFFFFF) * 1_000_000)}
    elst = lambda count, *rows, **how: {"edts": box("edts", table("elst", count, *rows, **how))}  # noqa: E731
    yield "elst-count", "2^31 edits", elst(1 << 31, FEW)
    yield "elst-negative", "an edit at a negative time", elst(1, u32(1000, 0x80000000), u16(1, 0))
    yield "elst-max", "an edit at 2^63 - 1 of duration 2^64 - 1", elst(1, u64(MAX64, MAX64 >> 1), u16(1, 0), version=1)
    yield "elst-least", "an edit at -2^63", elst(1, u64(MAX64, 1 << 63), u16(1, 0), version=1)
    yield "elst-rate-0", "edits with rate 0 and -1", elst(2, u32(1000, 0, 0, 1000, 0), u16(0xFFFF, 0))
    yield "elst-empty", "empty edits only", elst(3, *[u32(MAX32, MAX32) + u16(1, 0)] * 3)
    yield "elst-million", "a million edits of the whole movie", elst(1_000_000, (u32(1000, 0) + u16(1, 0)) * 1_000_000)

    def timed(kind, scale, duration):
        """Returns a change to version 1, in which mvhd and mdhd are the same up to the duration."""

        def change(payload):
            return full(kind, u64(0, 0), u32(scale), u64(duration), payload[20:], version=1)

        return change

    for name, scale, duration in [("zero", 0, 1), ("max", MAX32, MAX64), ("one", 1, MAX64 >> 1), ("none", 25, 0)]:
        what = f"a time scale of {scale} and a duration of {duration}"
        yield f"time-{name}", what, {kind: timed(kind, scale, duration) for kind in ("mvhd", "mdhd")}


def make(files):
    base = files.good("h264-no-audio.mp4")
    for name, what, changes in cases():
        files.add("table", f"{name}.mp4", what, edit(base, **changes))
