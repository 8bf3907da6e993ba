"""Downloads HLS renditions as a player does, and compares them with the source. Standard library only."""

import json
import re
from array import array
from urllib.parse import urljoin

from truth import FFMPEG, FRAME, SIDE, probe, run
from truth import sound as choose_sound

RATE = 1000  # values of loudness per second, for the comparison of audio
SEARCH = 150  # the largest shift between two audio streams that is searched for, in values of loudness
WINDOW = 6  # seconds of audio that are compared at once


def attributes(line):
    return {key: value.strip('"') for key, value in re.findall(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)', line.partition(":")[2])}


def media(fetch, url):
    """The segments of a media playlist, joined, and their lengths and sizes."""
    target, lengths, addresses, init = None, [], [], None
    for line in fetch(url).decode().split("\n"):
        if line.startswith("#EXT-X-TARGETDURATION:"):
            target = int(line.partition(":")[2])
        elif line.startswith("#EXT-X-MAP:"):
            init = urljoin(url, attributes(line)["URI"])
        elif line.startswith("#EXTINF:"):
            lengths.append(float(line.partition(":")[2].split(",")[0]))
        elif line and not line.startswith("#"):
            addresses.append(urljoin(url, line))
    segments = [fetch(address) for address in addresses]
    joined = (fetch(init) if init else b"") + b"".join(segments)
    return joined, {"target": target, "lengths": lengths, "sizes": [len(segment) for segment in segments]}


def download(fetch, master, folder):
    """Writes one MP4 file per rendition, and hls.json with what the playlists say."""
    renditions, stream = [], None
    for line in fetch(master).decode().split("\n"):
        if line.startswith("#EXT-X-MEDIA:") and attributes(line).get("URI"):
            said = attributes(line)
            renditions.append(("audio", said, urljoin(master, said["URI"])))
        elif line.startswith("#EXT-X-STREAM-INF:"):
            stream = attributes(line)
        elif line and not line.startswith("#"):
            renditions.append(("video", stream, urljoin(master, line)))
    found = []
    for at, (kind, said, url) in enumerate(renditions):
        joined, playlist = media(fetch, url)
        (folder / f"{at}.mp4").write_bytes(joined)
        found.append({"kind": kind, "file": f"{at}.mp4", "said": said, **playlist})
    (folder / "hls.json").write_text(json.dumps(found, indent=1))


def boxes(content, begin=0, end=None):
    """Yields type, begin and end of the payload of each box (ISO/IEC 14496-12, section 4.2)."""
    end = len(content) if end is None else end
    while begin + 8 <= end:
        size, kind, header = int.from_bytes(content[begin : begin + 4]), content[begin + 4 : begin + 8].decode("latin1"), 8
        if size == 1:
            size, header = int.from_bytes(content[begin + 8 : begin + 16]), 16
        yield kind, begin + header, begin + size
        begin += max(8, size)


def inside(content, *path, begin=0, end=None):
    """The payloads of the boxes at a path."""
    for kind, start, stop in boxes(content, begin, end):
        if kind == path[0]:
            if len(path) == 1:
                yield start, stop
            else:
                yield from inside(content, *path[1:], begin=start, end=stop)


def packets(path):
    """Presentation time, decode time and length of each sample of a fragmented MP4 file, in seconds.

    Not from ffprobe, which does not show the last length.
    """
    content = path.read_bytes()
    integer = lambda at, size=4, signed=False: int.from_bytes(content[at : at + size], signed=signed)
    header, _ = next(inside(content, "moov", "trak", "mdia", "mdhd"))
    scale = integer(header + (20 if content[header] else 12))
    shift = 0
    for at, _ in inside(content, "moov", "trak", "edts", "elst"):
        wide = content[at]
        shift = max(shift, integer(at + (16 if wide else 12), 8 if wide else 4, signed=True))
    extends, _ = next(inside(content, "moov", "mvex", "trex"))
    found = []
    for begin, end in inside(content, "moof", "traf"):
        (head, _), (decode, _) = (next(inside(content, kind, begin=begin, end=end)) for kind in ("tfhd", "tfdt"))
        flags = integer(head + 1, 3)
        at = head + 8 + 8 * (flags & 1) + 4 * (flags >> 1 & 1)
        usual = integer(at) if flags & 8 else integer(extends + 12)
        time = integer(decode + 4, 8 if content[decode] else 4)
        for run_at, _ in inside(content, "trun", begin=begin, end=end):
            flags, count = integer(run_at + 1, 3), integer(run_at + 4)
            at = run_at + 8 + 4 * (flags & 1) + 4 * (flags >> 2 & 1)
            fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
            for _ in range(count):
                values = {bit: integer(at + 4 * place, 4, bit == 0x800) for place, bit in enumerate(fields)}
                at += 4 * len(fields)
                length = values.get(0x100, usual)
                found.append(((time + values.get(0x800, 0) - shift) / scale, time / scale, length / scale))
                time += length
    return found


def peak(rendition):
    """The bit rate of the largest run of segments that lasts 0.5 to 1.5 target durations (RFC 8216, section 4.3.4.2)."""
    lengths, sizes, target = rendition["lengths"], rendition["sizes"], rendition["target"] or 1
    rates = []
    for begin in range(len(lengths)):
        length = size = 0
        for at in range(begin, len(lengths)):
            length, size = length + lengths[at], size + sizes[at]
            if length > 1.5 * target:
                break
            if length >= 0.5 * target:
                rates.append(size * 8 / length)
    return max(rates, default=sum(sizes) * 8 / max(0.001, sum(lengths)))


def pictures_of(path, folder):
    """All frames of a rendition at SIDE x SIDE, and the times at which a player shows them."""
    pixels = folder / "frames.rgb"
    result = run(
        FFMPEG, "-y", "-hide_banner", "-nostdin", "-v", "info", "-copyts", "-i", path, "-an",
        "-vf", f"showinfo=checksum=0,scale={SIDE}:{SIDE}:flags=area,format=rgb24", "-fps_mode", "passthrough",
        "-f", "rawvideo", pixels)
    content = pixels.read_bytes() if pixels.exists() else b""
    pixels.unlink(missing_ok=True)
    log = result.stderr.decode(errors="replace")
    # Seconds are printed with six digits only.
    base = re.search(r"Parsed_showinfo.*config in time_base: (\d+)/(\d+)", log)
    ticks = re.findall(r"Parsed_showinfo.* n: *\d+ pts: *(\d+)", log)
    return content, [int(tick) * int(base[1]) / int(base[2]) for tick in ticks]


class Sound:
    """The loudness of an audio stream from the time `start` of its file on, RATE values per second."""

    def __init__(self, path, stream="0:a:0"):
        # Silence fills gaps, so that the number of a sample tells its time.
        chain = "ashowinfo,aformat=channel_layouts=mono,aresample=8000:async=1:min_hard_comp=0.01"
        result = run(FFMPEG, "-hide_banner", "-nostdin", "-v", "info", "-copyts", "-i", path, "-map", stream, "-vn",
                     "-af", chain, "-f", "s16le", "-")
        # Seconds are printed with six digits only; the time base is that of the samples.
        first = re.search(r"Parsed_ashowinfo.* pts:(-?\d+) .* rate:(\d+)", result.stderr.decode(errors="replace"))
        self.start = int(first[1]) / int(first[2]) if first else 0.0
        samples = array("h", result.stdout[: len(result.stdout) // 2 * 2])
        step = 8000 // RATE
        self.loudness = [sum(map(abs, samples[at : at + step])) for at in range(0, len(samples) - step + 1, step)]

    def later(self, other, window, expected):
        """Returns by how many seconds the window (two times of this file) is later in the other file. Returns None if it
        is silent, or not found. The search is centred on the shift `expected`."""
        # Leaves out the ends, which the other audio may lack when it is shifted.
        begin, end = (min(max(round((time - self.start) * RATE), SEARCH), len(self.loudness) - SEARCH) for time in window)
        mine = self.loudness[begin:end]
        if len(mine) < RATE // 2 or max(mine) - min(mine) < 400:
            return None
        at = begin + round((self.start + expected - other.start) * RATE)
        found = [(likeness, shift) for shift in range(-SEARCH, SEARCH + 1)
                 if (likeness := alike(mine, other.loudness[at + shift : at + shift + len(mine)], at + shift)) is not None]
        likeness, shift = max(found, default=(0, 0))
        # A best match at the edge of the search, or one that is hardly better than others, is not reliable.
        rest = max((value for value, other_shift in found if abs(other_shift - shift) > 60), default=0)
        if likeness < 0.8 or abs(shift) == SEARCH or rest > likeness - 0.05:
            return None
        return expected + shift / RATE


def alike(one, other, at):
    """The correlation of two curves of the same length."""
    if at < 0 or len(other) < len(one):
        return None
    count = len(one)
    means = sum(one) / count, sum(other) / count
    products = sum(map(int.__mul__, one, other)) - count * means[0] * means[1]
    powers = [sum(map(int.__mul__, curve, curve)) - count * mean * mean for curve, mean in zip((one, other), means)]
    return products / (powers[0] * powers[1]) ** 0.5 if min(powers) > 0 else None


def timing(rendition, found):
    """What is wrong with the times of a rendition, as a list of texts."""
    wrong, lengths = [], rendition["lengths"]
    decode = [dts for _, dts, _ in found]
    if any(after is None or before is None or after <= before for before, after in zip(decode, decode[1:])):
        wrong.append("DTS does not ascend")
    begin, end = min(pts for pts, _, _ in found), max(pts + length for pts, _, length in found)
    if abs(sum(lengths) - (end - begin)) > 0.005 and abs(sum(lengths) - end) > 0.005:
        wrong.append(f"EXTINF add up to {sum(lengths):.3f}, the rendition is from {begin:.3f} to {end:.3f}")
    if any(round(length) > (rendition["target"] or 0) for length in lengths):
        wrong.append(f"TARGETDURATION {rendition['target']}, longest segment {max(lengths):.3f}")
    if max(lengths) > 8:
        wrong.append(f"segment of {max(lengths):.3f} s")
    if rendition["kind"] == "video" and len(lengths) > 1 and len(found) > 2 and lengths[0] < 1.5 * found[0][2]:
        wrong.append(f"first segment of {lengths[0]:.3f} s is one frame")
    return wrong


def compare(check, right, frames, source, folder):
    """Calls check(name, passed, right, actual) for each property of the renditions."""
    renditions = json.loads((folder / "hls.json").read_text())
    videos = [rendition for rendition in renditions if rendition["kind"] == "video"]
    sounds = [rendition for rendition in renditions if rendition["kind"] == "audio"]
    found = {rendition["file"]: packets(folder / rendition["file"]) for rendition in renditions}
    counts = [len(found[video["file"]]) for video in videos]
    check("hls frames", bool(counts) and all(count == right["frames"] for count in counts), right["frames"], counts)
    wrong = [f"{rendition['file']} {text}" for rendition in renditions if found[rendition["file"]]
             for text in timing(rendition, found[rendition["file"]])]
    check("hls timing", not wrong, "ascending DTS, exact EXTINF", "; ".join(wrong))
    peaks, said = [], []
    for video in videos:
        # RFC 8216 adds up the renditions that are played together.
        peaks.append(peak(video) + max(map(peak, sounds), default=0))
        said.append(int(video["said"]["BANDWIDTH"]))
    check("hls BANDWIDTH", all(peak <= stated * 1.0001 <= max(2 * peak, peak + 20_000) for stated, peak in zip(said, peaks)),
          "at least the peak, at most twice: " + ", ".join(f"{peak:.0f}" for peak in peaks), said)
    complaints = []
    for rendition in renditions:
        # The output's time base is the rendition's: the frame rate, the default, is too coarse for a variable one.
        result = run(FFMPEG, "-v", "warning", "-nostdin", "-i", folder / rendition["file"], "-fps_mode", "passthrough",
                     "-enc_time_base", "-1", "-f", "null", "-")
        if result.stderr.strip():
            complaints.append(f"{rendition['file']}: {result.stderr.decode(errors='replace').strip()[:200]}")
    check("hls decoder", not complaints, "no warning", "; ".join(complaints))
    heard = right["audioCodec"] if right.get("audio", {}).get("packets") else None
    check("hls sound", bool(sounds) == bool(heard), heard or "none", f"{len(sounds)} renditions")
    if videos and found[videos[-1]["file"]]:
        made, shown = pictures_of(folder / videos[-1]["file"], folder)
        pictures(check, right, frames, made)
        shifts = ends(check, right, folder, videos[-1], sounds, found, shown) if shown else []
        if shifts and sounds and right["audioCodec"]:
            sync(check, right, source, folder, sounds[0], shifts)


def pictures(check, right, frames, made):
    """Each frame of the smallest rendition is the source's."""
    unlike = []
    for at in range(min(len(made) // FRAME, right["frames"])):
        one, other = frames[at * FRAME : (at + 1) * FRAME], made[at * FRAME : (at + 1) * FRAME]
        if sum(map(abs, map(int.__sub__, one, other))) / FRAME > 12:
            unlike.append(at)
    known = right["transfer"] not in ("smpte2084", "arib-std-b67")
    check("hls pictures", (not unlike) if known else None, "the frames of the source", f"{len(unlike)} differ: {unlike[:5]}")


def ends(check, right, folder, video, sounds, found, shown):
    """Checks that video and audio begin and end together as in the source. Returns by how much each frame is later."""
    # Times by the source's own clock, like those of the audio.
    times = sorted(time + right["start"] for time in right["times"])
    shifts = [mine - theirs for mine, theirs in zip(sorted(shown), times)]
    # If the audio begins earlier, the first frame is shown from there on.
    first = 1 if 1 < len(shown) == len(times) else 0
    shifts, times = (shifts[first:], times[first:]) if len(shown) == len(times) else (shifts[:1], times[:1])
    drift = max(shifts) - min(shifts)
    check("hls picture times", drift <= 0.020, "those of the source", f"shift {shifts[0]:.3f}, differ by {drift:.3f}")
    spans = []
    for rendition in [video, *sounds]:
        packets = found[rendition["file"]]
        spans.append((min(pts for pts, _, _ in packets), max(pts + length for pts, _, length in packets)))
    begin, end = min(span[0] for span in spans), max(span[1] for span in spans)
    duration = right["duration"] or 0
    text = ", ".join(f"{first:.3f} to {last:.3f}" for first, last in spans)
    check("hls duration", abs(end - begin - duration) <= max(0.15, duration / 100), f"{duration:.3f}", text)
    return list(zip(times, shifts))


def sync(check, right, source, folder, sound, shifts):
    """Checks in windows of WINDOW seconds that each frame is presented with the same audio as in the source."""
    stream = choose_sound(probe(source, "-show_streams")[0].get("streams", []))
    before, made = Sound(source, f"0:{stream['index']}"), Sound(folder / sound["file"])
    length = len(before.loudness) / RATE
    starts = [before.start + max(0, length - WINDOW) * part / 2 for part in range(3)]
    late = []
    for start in sorted(set(starts)):
        window = (start, min(start + WINDOW, before.start + length))
        _, shift = min(shifts, key=lambda pair: abs(pair[0] - sum(window) / 2))
        later = before.later(made, window, shift)
        if later is not None:
            late.append((window[0], round((later - shift) * 1000)))
    check("hls sync", all(abs(ms) <= 20 for _, ms in late) if late else None, "within 20 ms",
          ", ".join(f"sound {ms} ms later at {start:.1f}" for start, ms in late) or "silent, or alike at other times")
