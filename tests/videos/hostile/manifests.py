"""Playlists and manifests, alone or after the start of a container, and containers that refer to external samples.

Every reference points to a canary.
"""

import io
import zipfile

from . import FTYP, box, edit, full, nest, u8, u16, u32

HTTP = "http://www.w3.org"


def dash(*urls):
    bases = "".join(f"<BaseURL>{url}</BaseURL>" for url in urls)
    return (
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1000" width="320" '
        f'height="180">{bases}</Representation></AdaptationSet></Period></MPD>\n'
    )


def hls(*urls, before=""):
    lines = "".join(f"#EXTINF:10.0,\n{url}\n" for url in urls)
    head = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n"
    return f"{head}{before}{lines}#EXT-X-ENDLIST\n"


def concat(*urls, before=""):
    return "ffconcat version 1.0\n" + before + "".join(f"file '{url}'\n" for url in urls)


def texts(files):
    """Yields name, description and text."""
    image, fifo, movie = f"file://{files.image}", str(files.fifo), str(files.movie)
    for reader, write in [("dash", dash), ("hls", hls), ("concat", concat)]:
        yield f"{reader}-http", f"a {reader} playlist with a URL", write(files.url(f"{reader}-http"))
        yield f"{reader}-file", f"a {reader} playlist with a file URL", write(f"file://{movie}")
        yield f"{reader}-fifo", f"a {reader} playlist with a path", write(fifo)
        yield f"{reader}-all", f"a {reader} playlist with paths, URLs and nested protocols", write(*files.targets(f"{reader}-all"))
    url = files.url("hls-key")
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="{url}",IV=0x0\n#EXT-X-MAP:URI="file://{movie}"\n'
    yield "hls-key", "an HLS playlist with an external key and map", hls(movie, before=key)
    url = files.url("hls-master")
    master = f'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="{url}"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nfile://{movie}\n'
    yield "hls-master", "an HLS master playlist", master
    options = f"option protocol_whitelist file,http,tcp,concat\noption safe 0\nstream\nfile '{movie}'\noption format_whitelist ALL\nfile_packet_meta x {fifo}\n"
    yield "concat-options", "an ffconcat script that widens its own whitelists", concat(fifo, before=options)
    yield "concat-bom", "an ffconcat script after a byte order mark", "\ufeff" + concat(fifo)
    yield "image-pattern", "an image2 pattern", f"{files.folder}/canary.%03d.jpg\n{files.folder}/*.jpg\n"
    sdp = f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\na=control:{files.url('sdp')}\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    yield "sdp", "an SDP description", sdp
    yield "smil", "SMIL", f'<smil><body><seq><video src="{files.url("smil")}"/><img src="{image}"/></seq></body></smil>\n'
    yield "smil-text", "SMIL as QuickTime accepts it", f'SMILtext<smil><body><video src="{files.url("smil-text")}"/></body></smil>\n'
    yield "rtsp-text", "a QuickTime text reference", f"RTSPtext{files.url('rtsp-text')}\r\n"
    yield "asx", "ASX", f'<ASX version="3.0"><ENTRY><REF HREF="{files.url("asx")}"/><REF HREF="{image}"/></ENTRY></ASX>\n'
    yield "pls", "PLS", f"[playlist]\nFile1={files.url('pls')}\nFile2={movie}\nNumberOfEntries=2\nVersion=2\n"
    yield "xspf", "XSPF", f'<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track><location>{files.url("xspf")}</location></track></trackList></playlist>\n'
    yield "ism", "a Smooth Streaming manifest", f'<?xml version="1.0"?><SmoothStreamingMedia MajorVersion="2" MinorVersion="0" Duration="1"><StreamIndex Type="video" Url="{files.url("ism")}" Chunks="1" QualityLevels="1"><QualityLevel Index="0" Bitrate="1" FourCC="H264"/><c d="1"/></StreamIndex></SmoothStreamingMedia>\n'
    yield "svg", "an SVG image that refers to images", f'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "{image}">]><svg xmlns="{HTTP}/2000/svg" xmlns:xlink="{HTTP}/1999/xlink" width="320" height="180"><image width="320" height="180" xlink:href="{image}"/><image xlink:href="{files.url("svg")}"/><text>&x;</text></svg>\n'
    yield "ass", "ASS subtitles that refer to fonts and files", f"[Script Info]\nVideo File: {movie}\nAudio File: {files.url('ass')}\n[V4+ Styles]\n[Events]\nDialogue: 0,0:00:00.00,0:00:05.00,Default,,0,0,0,,{{\\fn{movie}}}x\n"
    yield "vobsub", "a VobSub index", "# VobSub index file, v7 (do not modify this line!)\nsize: 720x480\nid: en, index: 0\ntimestamp: 00:00:00:001, filepos: 000000000\n"
    yield "webvtt", "WebVTT with a style sheet", f"WEBVTT\n\nSTYLE\n@import url({files.url('webvtt')});\n\n00:00.000 --> 00:05.000\n<img src={image}>\n"
    yield "ffmeta", "ffmetadata", ";FFMETADATA1\ntitle=x\n[CHAPTER]\nTIMEBASE=1/0\nSTART=0\nEND=99999999999999999999\n"
    yield "lavfi", "a filter graph", f"movie={movie},drawtext=textfile={fifo}\n"
    yield "avisynth", "an AviSynth script", f'LoadPlugin("{movie}")\nImport("{fifo}")\nFFmpegSource2("{movie}")\n'
    yield "vapoursynth", "a VapourSynth script", f"import os\nopen('{fifo}').read()\n"
    yield "imf", "an IMF composition", f'<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>urn:uuid:{files.url("imf")}</Id></CompositionPlaylist>\n'


def gab2(text):
    """Returns an AVI with a subtitle stream that contains a file, whose format ffmpeg detects by its content."""

    def chunk(kind, *payload):
        body = b"".join(payload)
        return kind + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) & 1)

    def strl(kind, handler, form, scale=1, rate=25):
        head = kind + handler + bytes(12) + b"".join(n.to_bytes(4, "little") for n in (scale, rate, 0, 25, 0, 0, 0)) + bytes(8)
        return chunk(b"LIST", b"strl", chunk(b"strh", head), chunk(b"strf", form))

    def le(*numbers):
        return b"".join(number.to_bytes(4, "little") for number in numbers)

    avih = chunk(b"avih", le(40000, 0, 0, 0x110, 25, 0, 2, 0, 320, 180, 0, 0, 0, 0))
    video = strl(b"vids", b"MJPG", le(40, 320, 180) + b"\1\0\x18\0MJPG" + le(0, 0, 0, 0, 0))
    subtitle = strl(b"txts", b"\0\0\0\0", b"")
    content = b"GAB2\0" + b"\2\0" + le(4) + "x\0".encode("utf-16-le") + b"\4\0" + le(len(text)) + text
    movi = chunk(b"LIST", b"movi", chunk(b"01tx", content), chunk(b"00dc", b"\xff\xd8\xff\xd9"))
    return chunk(b"RIFF", b"AVI ", chunk(b"LIST", b"hdrl", avih, video, subtitle), movi)


def alias(path, level_from, level_to, kind):
    """Returns a Macintosh alias record in the form that ffmpeg's mov_read_dref reads."""
    volume, name = b"canary", path.split("/")[-1].encode()[:63]
    data = path.encode() + b"\0" * (len(path) & 1)
    record = u16(0, 2, 0) + u8(len(volume)) + volume.ljust(27, b"\0") + bytes(12)
    record += u8(len(name)) + name.ljust(63, b"\0") + bytes(16) + u16(level_from, level_to) + bytes(16)
    return full("alis", u32(0), record, u16(kind, len(path)), data, u16(0xFFFF, 0), bytes(160))


def references(files):
    """Yields name, description and content of QuickTime movies that refer to samples or movies in another file."""
    base = files.good("h264-no-audio.mp4")
    movie, fifo = str(files.movie), str(files.fifo)

    def dref(*entries):
        return edit(base, dinf=box("dinf", full("dref", u32(len(entries)), *entries)))

    def url(text):
        return full("url ", text.encode() + b"\0")

    for name, target in [("http", files.url("dref-url-http")), ("file", f"file://{movie}"), ("fifo", fifo)]:
        yield f"dref-url-{name}", "an MP4 whose samples are at a URL", dref(url(target))
    urn = full("urn ", b"urn:x\0" + files.url("dref-urn").encode() + b"\0")
    yield "dref-urn", "an MP4 whose samples are at a URN", dref(urn)
    for levels in [(0, 0), (1, 1), (1, 3), (40, 4)]:
        for target in [movie, fifo]:
            name = f"dref-alis-{levels[0]}-{levels[1]}-{target.split('.')[-1]}"
            entries = [alias(target, *levels, 18), alias(target.replace("/", ":"), *levels, 2)]
            yield name, "a MOV whose samples are referenced by an alias", dref(*entries)
    yield "dref-many", "a MOV with 5000 aliases", dref(*[alias(movie, 1, 1, 18)] * 5000)
    yield "dref-count", "a MOV that declares 2^32 - 1 data references", edit(base, dinf=box("dinf", full("dref", u32(2**32 - 1))))
    for kind, target in [("url ", files.url("rmra-url")), ("url ", f"file://{movie}"), ("alis", fifo)]:
        rdrf = full("rdrf", kind.encode(), u32(len(target) + 1), target.encode() + b"\0")
        name = f"rmra-{kind.strip()}-{target[:4].strip('/')}".replace(":", "")
        yield name, "a QuickTime reference movie", FTYP + nest(rdrf, "rmda", "rmra", "moov")
    svg = f'<svg xmlns="{HTTP}/2000/svg" xmlns:xlink="{HTTP}/1999/xlink" width="320" height="180"><image xlink:href="file://{files.image}"/></svg>'
    stsd = lambda payload: full("stsd", payload[4:8], payload[8:12], b"svg ", payload[16:])  # noqa: E731
    yield "svg-sample", "an MP4 whose samples are declared as SVG", edit(base, stsd=stsd) + svg.encode()
    sdp = f"m=video 0 RTP/AVP 96\na=control:{files.url('hint-sdp')}\n".encode()
    yield "hint-sdp", "an MP4 with the SDP of an RTP hint track", edit(base, udta=nest(b"rtp sdp " + sdp, "rtp ", "hnti", "udta"))


def polyglots(files):
    """Yields name, extension, description and content of files that are valid in two formats."""
    good = files.good("h264-no-audio.mp4")
    playlists = {"hls": hls, "concat": concat, "dash": dash}
    prefixes = {
        "ftyp": ("mp4", FTYP),
        "moov": ("mov", box("moov", box("free"))),
        "ebml": ("mkv", b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska"),
        "id3": ("mp4", b"ID3\4\0\0\0\0\0\0"),
        "gif": ("mp4", b"GIF89a\1\0\1\0\0\0\0;"),
        "jpeg": ("mp4", b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xd9"),
        "avi": ("avi", b"RIFF\0\0\0\0AVI "),
        "flv": ("flv", b"FLV\1\5\0\0\0\x09\0\0\0\0"),
        "ogg": ("ogg", b"OggS\0\2" + bytes(20) + b"\0"),
        "asf": ("wmv", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c" + bytes(14)),
        "ps": ("mpg", b"\0\0\1\xba\x44\0\4\0\4\1\0\0\3\xf8"),
        "mpeg": ("m2v", b"\0\0\1\xb3\x14\0\xb4\x13\xff\xff\xe0\x18"),
        "ts": ("ts", (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 5),
    }
    for prefix, (extension, head) in prefixes.items():
        for kind, write in playlists.items():
            name = f"{prefix}-{kind}"
            text = b"\n" + write(*files.targets(f"{name}.{extension}")).encode()
            yield name, extension, f"the start of {prefix}, then a {kind} playlist", head + text
    text = hls(*files.targets("mdat-hls.mp4")).encode()
    yield "mdat-hls", "mp4", "an MP4 whose media data is an HLS playlist", edit(good, mdat=lambda p: box("mdat", text.ljust(len(p))[: len(p)]))
    yield "free-hls", "mp4", "an MP4 with an HLS playlist in a leading free box", box("free", text) + good
    yield "hls-mp4", "mp4", "an HLS playlist, then an MP4", text + good
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "a")
    yield "mp4-zip", "mp4", "an MP4, then a ZIP archive", good + packed.getvalue()
    yield "zip-mp4", "mp4", "a ZIP archive, then an MP4", packed.getvalue() + good
    yield "pdf-mp4", "mp4", "a PDF, then an MP4", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n" + good
    html = b"<!DOCTYPE html><script>alert(1)</script><!--"
    yield "html-mp4", "mp4", "an HTML page, then an MP4", html + good
    yield "mp4-html", "mp4", "an MP4 with an HTML page in a free box", FTYP + box("free", b"--></title>" + html) + good
    wav = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\0\0\0"
    yield "wav-mov", "mov", "a WAV file in a MOV", box("wide") + box("mdat", wav) + good
    for kind, write in playlists.items():
        name = f"gab2-{kind}"
        what = f"an AVI with a {kind} playlist as subtitles"
        yield name, "avi", what, gab2(write(*files.targets(f"{name}.avi")).encode())


def make(files):
    for name, what, text in texts(files):
        files.add("manifest", f"{name}.mp4", what, text.encode())
    files.add("manifest", "utf-16.mp4", "an HLS playlist in UTF-16", hls(str(files.fifo)).encode("utf-16"))
    for name, what, content in references(files):
        files.add("reference", f"{name}.mov", what, content)
    for name, extension, what, content in polyglots(files):
        files.add("polyglot", f"{name}.{extension}", what, content)
