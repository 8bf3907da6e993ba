"""Fragmented MP4 files with invalid fragments and fragment indexes."""

from . import FTYP, MAX32, MAX64, box, boxes, edit, full, nest, patched, u8, u16, u32, u64


def trun(*rows, count=None, flags=0x201, offset=0, **how):
    """Builds a trun box. Rows have no bytes if the flags select no fields."""
    data = u32(offset) if flags & 1 else b""
    return full("trun", u32(len(rows) if count is None else count), data, *rows, flags=flags, **how)


def moof(*traf, sequence=1):
    return box("moof", full("mfhd", u32(sequence)), box("traf", *traf))


def tfhd(track=1, more=b"", flags=0x20000):
    return full("tfhd", u32(track), more, flags=flags)


def sidx(*references, **how):
    return full("sidx", u32(1, 12800, 0, 0), u16(0, how.get("count", len(references))), *references)


def cases(base, indexed):
    """Yields name, description and content."""
    head = b"".join(box(kind.decode(), payload) for kind, payload in boxes(base) if kind in (b"ftyp", b"moov"))
    rest = base[len(head) :]
    mdat = box("mdat", bytes(100))
    tiny = moof(tfhd(), trun(u32(0), offset=0))
    yield "moof-many", "100,000 tiny fragments", head + tiny * 100_000
    yield "moof-empty", "a million empty fragments", head + box("moof") * 1_000_000
    yield "moof-only", "fragments without a movie", moof(tfhd(), trun(u32(9))) + mdat
    yield "moof-sequence", "fragments with the highest sequence number", head + moof(tfhd(), trun(u32(9)), sequence=MAX32) * 100 + rest
    yield "moof-in-moof", "nested fragments, 1,000 levels", head + nest(tiny, *["traf", "moof"] * 500)
    yield "moof-tail", "a fragment of size 0, which extends to the end of the file", head + u32(0) + tiny[4:] + rest
    yield "moof-large", "a fragment of 2^63 bytes", head + u32(1) + b"moof" + u64(1 << 63) + rest
    yield "trun-count", "declares 2^32 - 1 samples, contains few", head + moof(tfhd(), trun(count=MAX32)) + mdat
    yield "trun-nothing", "2^32 - 1 samples with rows of zero bytes", head + moof(tfhd(), trun(count=MAX32, flags=0)) + mdat
    yield "trun-nothing-500", "500 times 100 million samples with rows of zero bytes", head + moof(tfhd(), trun(count=100_000_000, flags=0) * 500) + mdat
    small = trun(count=4_000_000, flags=0)
    yield "trun-small", "four million one-byte samples with rows of zero bytes", head + moof(tfhd(more=u32(1, 1), flags=0x20018), small) + mdat
    yield "trun-many", "100,000 runs of one sample", head + moof(tfhd(), trun(u32(0)) * 100_000) + mdat
    yield "trun-offset", "a run that starts before the file", head + moof(tfhd(), trun(u32(9), offset=1 << 31)) + mdat
    yield "trun-sizes", "samples of 2^32 - 1 bytes", head + moof(tfhd(), trun(*[u32(MAX32)] * 50)) + mdat
    yield "trun-times", "samples with duration 2^32 - 1 and composition offset -2^31", head + moof(tfhd(), trun(*[u32(MAX32, 9, 1 << 31)] * 50, flags=0xB01, version=1)) + mdat
    yield "tfhd-base", "a base offset of 2^64 - 1", head + moof(tfhd(more=u64(MAX64), flags=1), trun(u32(9))) + mdat
    yield "tfhd-track", "a fragment of an unknown track", head + moof(tfhd(track=77), trun(u32(9))) + mdat
    yield "tfhd-missing", "a run without a tfhd", head + moof(trun(u32(9))) + mdat
    yield "tfdt-max", "a fragment with decode time 2^64 - 1", head + moof(tfhd(), full("tfdt", u64(MAX64), version=1), trun(u32(9))) + mdat
    yield "tfdt-back", "fragments that go back in time", head + b"".join(moof(tfhd(), full("tfdt", u64(1 << 62 >> i), version=1), trun(u32(9))) for i in range(60)) + mdat
    for kind, payload in [("senc", u32(MAX32)), ("saiz", u8(0) + u32(MAX32)), ("saio", u32(MAX32)), ("sbgp", b"roll" + u32(MAX32)), ("subs", u32(MAX32))]:
        yield f"moof-{kind}-count", f"a {kind} that declares 2^32 - 1 rows in a fragment", head + moof(tfhd(), full(kind, payload), trun(u32(9))) + mdat
    trex = lambda payload: box("mvex", payload * 100_000)  # noqa: E731
    yield "trex-many", "100,000 trex boxes", edit(base, mvex=trex)
    yield "mehd-max", "a fragmented movie of duration 2^64 - 1", edit(base, mvex=lambda payload: box("mvex", full("mehd", u64(MAX64), version=1), payload))
    # Indexes.
    start = head + b""
    yield "sidx-nowhere", "65535 segments past the end", start + sidx(*[u32(0x7FFFFFFF, MAX32, 0x90000000)] * 65535) + rest
    yield "sidx-self", "65535 references to indexes of size 0", start + sidx(*[u32(1 << 31, 1, 0)] * 65535) + rest
    yield "sidx-declared", "declares 65535 segments, contains none", start + sidx(count=65535) + rest
    yield "sidx-chain", "2,000 indexes, each referring to the next one", start + sidx(u32(1 << 31 | 44, 1, 0)) * 2000 + rest
    yield "sidx-empty", "100,000 empty indexes", start + sidx() * 100_000 + rest
    yield "sidx-offset", "an index whose first offset wraps", start + full("sidx", u32(1, 0), u64(MAX64, MAX64), u16(0, 1), u32(9, 9, 0), version=1) + rest
    yield "sidx-scale", "an index with time scale 0", edit(indexed, sidx=lambda payload: box("sidx", patched(payload, 8, u32(0))))
    tfra = lambda count, *rows: full("tfra", u32(1, 0x3F, count), *rows, version=1)  # noqa: E731
    mfra = lambda size, *content: box("mfra", *content, full("mfro", u32(size)))  # noqa: E731
    yield "tfra-count", "an mfra that declares 2^32 - 1 fragments", edit(base, mfra=mfra(60, tfra(MAX32, bytes(12))))
    rows = u64(0, MAX64) + u32(1, 1, 1)
    yield "tfra-nowhere", "an mfra with fragments past the end", edit(base, mfra=mfra(16 + 24 + 28 * 100, tfra(100, *[rows] * 100)))
    yield "tfra-self", "an mfra whose fragments are the mfra itself", edit(base, mfra=mfra(16 + 24 + 28 * 100, tfra(100, *[u64(0, len(base)) + u32(1, 1, 1)] * 100)))
    yield "mfro-max", "an mfro that declares 2^32 - 1 bytes", edit(base, mfra=mfra(MAX32))
    yield "mfro-zero", "an mfro that declares 0 bytes", edit(base, mfra=mfra(0))
    yield "mfro-whole", "an mfro that covers the whole file", FTYP + box("mfra", box("free"), full("mfro", u32(len(FTYP) + 32)))


def make(files):
    base, indexed = files.good("h264-fragmented.mp4"), files.good("h264-fragmented-sidx.mp4")
    for name, what, content in cases(base, indexed):
        files.add("fragment", f"{name}.mp4", what, content)
