"""Changes a file, mostly MP4 or MOV, in ways that ffmpeg's muxer cannot: patch.py FILE KIND [ARG...]

    edits DURATION:START[:RATE]...
                             replaces the edit list of every track, in milliseconds of the movie and of the media. An
                             empty START makes an empty edit. After `audio`, only that of audio tracks
    later SECONDS            adds to the decode time of every fragment, as if the start of a live stream was missing
    untimed                  removes the decode times of all fragments
    mirror                   mirrors the video
    chapters                 makes the first track the chapters of the second
    unknown-sound            gives the first sound track a codec that does not exist
    compact-sizes            converts stsz to stz2, with 16 bits for each sample
    repeat COUNT             joins the file with itself
    tag                      puts an ID3 tag before the file, as programs for audio files do

The moov box is at the end, or keeps its size, so no offset changes.
"""

import pathlib
import sys

from hostile import NESTED, box, boxes, edit, full, u32, u64


def tracks(data, change):
    """Returns the file with the payload of each trak box changed by `change(payload, number)`."""
    numbers = iter(range(99))
    return edit(data, trak=lambda payload: box("trak", change(payload, next(numbers))))


def find(data, *path):
    """Returns the payload of a box."""
    for name in path:
        data = next(payload for kind, payload in boxes(data) if kind == name.encode())
    return data


def edits(data, *parts):
    kinds = ["soun"] if parts[0] == "audio" else ["soun", "vide"]
    parts = [part for part in parts if part != "audio"]
    scale = int.from_bytes(find(data, "moov", "mvhd")[12:16], "big")
    pairs = [(part + ":1").split(":")[:3] for part in parts]

    def change(trak, _):
        if find(trak, "mdia", "hdlr")[8:12].decode() not in kinds:
            return trak
        media = int.from_bytes(find(trak, "mdia", "mdhd")[12:16], "big")
        # The time of the first frame, which is not 0 if frames are reordered.
        first = int.from_bytes(find(trak, "edts", "elst")[12:16], "big")
        numbers = []
        for duration, start, rate in pairs:
            at = 0xFFFFFFFF if start == "" else first + int(start) * media // 1000
            numbers += [int(duration) * scale // 1000, at, int(float(rate) * 0x10000)]
        elst = full("elst", u32(len(pairs), *numbers))
        return edit(trak, elst=elst)

    data = tracks(data, change)
    if "vide" not in kinds:
        return data
    total = sum(int(duration) for duration, *_ in pairs) * scale // 1000
    mvhd = lambda payload: box("mvhd", payload[:16] + u32(total) + payload[20:])
    return edit(data, mvhd=mvhd)


def later(data, seconds):
    scales = {}
    for kind, trak in boxes(find(data, "moov")):
        if kind == b"trak":
            number = int.from_bytes(find(trak, "tkhd")[12:16], "big")
            scales[number] = int.from_bytes(find(trak, "mdia", "mdhd")[12:16], "big")

    def change(traf):
        scale = scales[int.from_bytes(find(traf, "tfhd")[4:8], "big")]
        move = lambda tfdt: full("tfdt", u64(int.from_bytes(tfdt[4:], "big") + int(seconds) * scale), version=1)
        return box("traf", edit(traf, tfdt=move))

    return edit(data, traf=change)


def untimed(data):
    return edit(data, tfdt=lambda payload: box("free", payload))


def mirror(data):
    one = 0x10000
    matrix = u32(2**32 - one, 0, 0, 0, one, 0, 320 * one, 0, 0x40000000)
    change = lambda tkhd: box("tkhd", tkhd[:40] + matrix + tkhd[76:])
    return tracks(data, lambda trak, number: edit(trak, tkhd=change) if number == 0 else trak)


def chapters(data):
    reference = box("tref", box("chap", u32(1)))
    return tracks(data, lambda trak, number: trak + reference if number == 1 else trak)


def unknown_sound(data):
    at = data.index(b"mp4a")
    esds = data.index(b"esds", at)
    return data[:at] + b"xyzw" + data[at + 4 : esds] + b"dsds" + data[esds + 4 :]


def tag(data):
    return b"ID3\4\0\0\0\0\x08\0TIT2\0\0\0\6\0\0\0title".ljust(10 + 1024, b"\0") + data


def repeat(data, count):
    return data * int(count)


def compact_sizes(data):
    def change(stsz):
        sizes = [int.from_bytes(stsz[at : at + 4], "big") for at in range(12, len(stsz), 4)]
        return full("stz2", u32(16, len(sizes)) + b"".join(size.to_bytes(2, "big") for size in sizes))

    return edit(data, stsz=change)


file = pathlib.Path(sys.argv[1])
kind, *arguments = sys.argv[2].split()
file.write_bytes(globals()[kind.replace("-", "_")](file.read_bytes(), *arguments))
