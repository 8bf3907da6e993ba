"""The families of malicious files, and helpers that build boxes and numbers."""

import struct


def u8(*numbers):
    return bytes(numbers)


def u16(*numbers):
    return struct.pack(f">{len(numbers)}H", *numbers)


def u32(*numbers):
    return struct.pack(f">{len(numbers)}I", *numbers)


def u64(*numbers):
    return struct.pack(f">{len(numbers)}Q", *numbers)


MAX32, MAX64 = 2**32 - 1, 2**64 - 1
FTYP = b"\0\0\0\x18ftypisom\0\0\2\0isommp41"
# Boxes that contain boxes.
NESTED = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"mvex", b"moof", b"traf", b"mfra"}


def box(kind, *payload):
    body = b"".join(payload)
    return u32(8 + len(body)) + kind.encode("latin-1") + body


def full(kind, *payload, version=0, flags=0):
    return box(kind, u8(version), u32(flags)[1:], *payload)


def nest(content, *kinds):
    """Wraps content in boxes of these kinds, the innermost first."""
    for kind in kinds:
        content = box(kind, content)
    return content


def boxes(data):
    """Yields the kind and payload of each box."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + size]
        at += size


def edit(data, **changes):
    """Returns the data with the named boxes replaced at any depth, by bytes or by a function of their payload."""
    out = []
    for kind, payload in boxes(data):
        name = kind.decode("latin-1")
        if name in changes:
            change = changes[name]
            out.append(change(payload) if callable(change) else change)
        elif kind in NESTED:
            out.append(box(name, edit(payload, **changes)))
        else:
            out.append(box(name, payload))
    return b"".join(out)


def patched(data, at, new):
    """Returns the data with the bytes at an offset overwritten; a negative offset counts from the end."""
    at = at if at >= 0 else len(data) + at
    return data[:at] + new + data[at + len(new) :]
