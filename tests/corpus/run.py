"""Uploads a corpus of real videos, and compares what the backend says and shows with ffprobe and ffmpeg.

usage: run.py UPREEL CORPUS [--out DIR] [--jobs N] [--only PATTERN] [--hls N] [--compare]

CORPUS is the folder of download.sh. DIR (default: CORPUS/results) gets results.tsv, summary.md and a folder per video
with what the backend made; a repeated run goes on where the last one stopped. explained.tsv lists the deviations that
are right after all, each with its reason. Standard library only.
"""

import argparse
import csv
import fnmatch
import json
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import hls  # noqa: E402
from backend import TIMEOUT, Backend  # noqa: E402
from compare import Comparison  # noqa: E402
from truth import timing, truth  # noqa: E402

FILES = {"thumbnailLargeUrl": "poster.jpg", "storyboardUrl": "storyboard.vtt", "storyboardImageUrl": "storyboard.jpg"}


def fetch(url, **headers):
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as response:
        return response.read()


def upload(backend, path):
    signed = backend.json("GET", f"/presign?name=video{path.suffix}&size={path.stat().st_size}")
    request = Request(signed["uploadUrl"], data=path.read_bytes(), method=signed["method"], headers=signed["headers"])
    urlopen(request, timeout=TIMEOUT).read()
    return signed["videoId"]


def outcome(backend, video_id, transcoded=False):
    """Waits until a video is PROCESSED or FAILED, or transcoded too. Polls less often the longer it takes."""
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < TIMEOUT:
        video = backend.json("GET", f"/videos/{video_id}")
        states = [video["status"]]
        if transcoded and video["status"] == "PROCESSED":
            states.append(video.get("transcode", {}).get("status"))
        if all(state in ("PROCESSED", "DONE", "FAILED") for state in states):
            return video
        time.sleep(0.1 + waited / 10)
    raise SystemExit(f"not processed within {TIMEOUT} s: {video}")


class Run:
    def __init__(self, options):
        self.corpus = Path(options.corpus)
        self.out = Path(options.out or self.corpus / "results")
        self.options = options
        (self.out / "videos").mkdir(parents=True, exist_ok=True)
        (self.corpus / "truth").mkdir(exist_ok=True)

    def truth(self, row):
        """The truth of a file, kept by its content."""
        kept = self.corpus / "truth" / f"{row['sha256']}.json"
        pictures = kept.with_suffix(".z")
        if not kept.exists():
            with tempfile.TemporaryDirectory() as folder:
                right, frames = truth(self.corpus / "files" / row["path"], folder)
            pictures.write_bytes(zlib.compress(frames, 1))
            partial = kept.with_suffix(".part")
            partial.write_text(json.dumps(right))
            partial.rename(kept)
        return timing(json.loads(kept.read_text())), zlib.decompress(pictures.read_bytes())

    def upload(self, backend, row):
        """Uploads a video and keeps what the backend made of it."""
        folder = self.out / "videos" / row["sha256"]
        partial = folder.with_suffix(".part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            video = outcome(backend, upload(backend, self.corpus / "files" / row["path"]))
        except HTTPError as error:
            video = {"status": "REFUSED", "error": {"code": f"{error.code} {error.read().decode(errors='replace')[:300]}"}}
        for name, file in FILES.items():
            if name in video:
                (partial / file).write_bytes(fetch(video[name]))
        (partial / "video.json").write_text(json.dumps(video, indent=1))
        partial.rename(folder)

    def transcode(self, backend, row):
        """Uploads a video to a backend that transcodes, and keeps its renditions."""
        folder = self.out / "videos" / row["sha256"] / "hls"
        partial = folder.with_suffix(".part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        video = outcome(backend, upload(backend, self.corpus / "files" / row["path"]), transcoded=True)
        (partial / "video.json").write_text(json.dumps(video, indent=1))
        if "hlsUrl" in video:
            hls.download(fetch, video["hlsUrl"], partial)
        partial.rename(folder)

    def chosen(self, rows):
        """The videos to transcode: as many kinds as possible, the ones with the least to encode of each kind."""
        kinds = defaultdict(list)
        for row in rows:
            kept = self.corpus / "truth" / f"{row['sha256']}.json"
            right = json.loads(kept.read_text()) if kept.exists() else {}
            if right.get("frames", 0) >= 2 and not right["encrypted"]:
                work = right["frames"] * right["width"] * right["height"]
                kinds[right["format"], right["videoCodec"], right["audioCodec"]].append((work, row["sha256"]))
        # Turn by turn, the shortest last: most of them have a single segment.
        turns = zip_longest(*(sorted(kind, reverse=True) for kind in kinds.values()))
        affordable = [sha for turn in turns for work, sha in filter(None, turn) if work < 3e8]
        return set(affordable[: self.options.hls])

    def compare(self, row):
        right, frames = self.truth(row)
        path = self.corpus / "files" / row["path"]
        comparison = Comparison(path, right, frames, self.out / "videos" / row["sha256"])
        checks = comparison.all()
        made = self.out / "videos" / row["sha256"] / "hls"
        if made.exists():
            transcode = json.loads((made / "video.json").read_text()).get("transcode", {})
            done = transcode.get("status") == "DONE" and (made / "hls.json").exists()
            comparison.check("hls", done, "DONE", transcode)
            if done:
                hls.compare(comparison.check, right, frames, path, made)
        result = {"path": row["path"], "checks": checks, "right": {key: right[key] for key in right if key != "times"}}
        (self.out / "videos" / row["sha256"] / "checks.json").write_text(json.dumps(result, indent=1))
        return result

    def one(self, backend, transcoding, row):
        folder = self.out / "videos" / row["sha256"]
        checks = folder / "checks.json"
        if not folder.exists():
            self.upload(backend, row)
        if transcoding and not (folder / "hls").exists():
            self.transcode(transcoding, row)
            checks.unlink(missing_ok=True)
        if checks.exists() and not self.options.compare:
            return json.loads(checks.read_text())
        return self.compare(row)

    def all(self):
        with (self.corpus / "manifest.tsv").open() as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        # In the order of their hashes, so that the results of a run that was stopped are of all packages.
        rows = [row for row in rows if fnmatch.fnmatch(row["path"], self.options.only)]
        rows.sort(key=lambda row: row["sha256"])
        chosen = self.chosen(rows) if self.options.hls else set()
        results = []
        with ExitStack() as stack:
            folders = [stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(2)]
            backend = stack.enter_context(Backend(self.options.upreel, folders[0]))
            transcoding = chosen and stack.enter_context(Backend(self.options.upreel, folders[1], "--transcode"))
            pool = stack.enter_context(ThreadPoolExecutor(self.options.jobs))
            running = {
                pool.submit(self.one, backend, transcoding if row["sha256"] in chosen else None, row): row for row in rows}
            for count, done in enumerate(as_completed(running), 1):
                path = running[done]["path"]
                try:
                    result = done.result()
                except Exception as error:
                    traceback.print_exc()
                    result = {"path": path, "checks": {"run": ["wrong", "a result", repr(error)]}}
                results.append(result)
                bad = [name for name, check in result["checks"].items() if check[0] == "wrong"]
                if bad or count % 20 == 0:
                    print(f"{count}/{len(rows)} {path}: {', '.join(bad) or 'ok'}", flush=True)
        self.report(sorted(results, key=lambda result: result["path"]))

    def explain(self, results):
        """Marks the deviations that explained.tsv gives a reason for."""
        with Path(__file__).with_name("explained.tsv").open() as file:
            reasons = list(csv.DictReader(file, delimiter="\t"))
        for result in results:
            for name, check in result["checks"].items():
                for reason in reasons:
                    if check[0] == "wrong" and fnmatch.fnmatch(result["path"], reason["path"]) and fnmatch.fnmatch(
                            name, reason["property"]):
                        check[0], check[2] = "explained", f"{check[2]}: {reason['reason']}"

    def report(self, results):
        self.explain(results)
        counts, lines, wrong = defaultdict(Counter), [], defaultdict(list)
        for result in results:
            for name, (state, right, actual) in result["checks"].items():
                counts[name][state] += 1
                cells = (result["path"], name, state, right, actual)
                lines.append("\t".join(str(cell).replace("\t", " ").replace("\n", " ") for cell in cells))
                if state == "wrong":
                    wrong[name].append(f"- `{result['path']}`: right {right}, actual {actual}")
        (self.out / "results.tsv").write_text("\n".join(["path\tproperty\tstate\tright\tactual", *lines]) + "\n")
        text = ["# Corpus", "", f"{len(results)} videos.", "", "| property | right | explained | wrong | not comparable | % |",
                "|---|---:|---:|---:|---:|---:|"]
        for name, count in counts.items():
            compared = count["ok"] + count["explained"] + count["wrong"]
            percent = f"{100 * count['ok'] / compared:.1f}" if compared else "-"
            cells = (name, count["ok"], count["explained"], count["wrong"], count["unknown"], percent)
            text.append("| " + " | ".join(map(str, cells)) + " |")
        for name, found in wrong.items():
            text += ["", f"## {name}", "", *found]
        (self.out / "summary.md").write_text("\n".join(text) + "\n")
        print("\n".join(text[: 6 + len(counts)]))
        print(f"{self.out / 'summary.md'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("upreel", help="path of the program")
    parser.add_argument("corpus", help="folder of download.sh")
    parser.add_argument("--out", help="folder of the results (default: CORPUS/results)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--hls", type=int, default=0, help="how many videos to transcode and compare, of many kinds")
    parser.add_argument("--compare", action="store_true", help="compare again what was uploaded before")
    parser.add_argument("--only", default="*", help="paths to run, such as 'firefox-esr/*.webm'")
    Run(parser.parse_args()).all()


if __name__ == "__main__":
    main()
