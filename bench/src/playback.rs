//! Measures the playback of an original: what is prepared once for a video, and a segment that nobody has requested yet.
//!
//! Each preparation runs in a new process, like a function without an open connection, which then makes the segments that
//! it is told to. It runs the deployed code, and does what the functions do, but for their requests to DynamoDB.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use upreel_core::{Key, Sequencer, Version, VideoId};
use upreel_media::source::Source;
use upreel_media::{Record, Remux, remux};
use upreel_store::ObjectStore;
use upreel_store::objects::StoredObject;
use upreel_thumbnail::playback::{self, Prepared};

use crate::drive::{Process, Store};
use crate::files::Video;
use crate::link::{BYTES_PER_SECOND, LATENCY, Traffic};
use crate::report::float;
use crate::worker::{Cost, Start};
use crate::{Arguments, BoxError, machine, s3};

/// Number of segments that each process makes.
const SEGMENTS: usize = 6;
/// Number of processes for each video.
const RUNS: usize = 20;

/// MPEG-TS, and an MP4 with 486 fragments that nothing lists, where 400 are searched. They are played from the file.
const UNPLAYABLE: [&str; 2] = ["ts-1g.ts", "mp4-1g-open.mp4"];

/// What was prepared for a video.
#[derive(Debug, Serialize, Deserialize)]
struct Preparation {
    cost: Cost,
    /// Number of segments.
    segments: usize,
    /// Size of the segment index, in bytes.
    records: usize,
}

/// What was made for one time span.
#[derive(Debug, Serialize, Deserialize)]
struct Span {
    cost: Cost,
    /// Size of the segments of all tracks, in bytes.
    bytes: usize,
}

/// All measurements of a video.
struct Measured {
    video: &'static Video,
    preparations: Vec<(Preparation, Traffic)>,
    spans: Vec<(Span, Traffic)>,
}

/// Runs the benchmark, and writes bench/playback.md if all videos are measured.
pub(crate) fn bench(arguments: &Arguments) -> Result<(), BoxError> {
    let videos = crate::selected(arguments)?;
    let folder = crate::files::make(&videos)?;
    let _lock = crate::lock(&folder)?;
    let mut store = Store::start(&folder)?;
    let mut all = Vec::new();
    for video in videos.into_iter().filter(|video| !UNPLAYABLE.contains(&video.name)) {
        writeln!(io::stderr(), "{}", video.title)?;
        all.push(measure(video, &mut store)?);
    }
    let report = report(&all)?;
    write!(io::stdout(), "{report}")?;
    if !arguments.quick && arguments.only.is_empty() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("playback.md"), report)?;
    }
    Ok(())
}

fn measure(video: &'static Video, store: &mut Store) -> Result<Measured, BoxError> {
    let (mut preparations, mut spans) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let mut player = Command::new(std::env::current_exe()?);
        player.args(["player", video.name, &store.endpoint]).stderr(Stdio::piped());
        let mut player = Process::start(&mut player)?;
        player.read_line()?;
        store.traffic()?;
        player.write_line("go")?;
        let preparation: Preparation = serde_json::from_str(&player.read_line()?)?;
        let (count, traffic) = (preparation.segments, store.traffic()?);
        preparations.push((preparation, traffic));
        for position in 0..SEGMENTS {
            // Spread over the whole video, and never the same in two runs.
            let number = (position * RUNS + run) * count / (SEGMENTS * RUNS);
            player.write_line(&number.to_string())?;
            let span = serde_json::from_str(&player.read_line()?)?;
            spans.push((span, store.traffic()?));
        }
    }
    Ok(Measured { video, preparations, spans })
}

/// Prepares the playback of a video as the thumbnail function does, then makes the segments whose numbers it reads from
/// standard input as the playback function does.
pub(crate) async fn run(video: &str, endpoint: &str) -> Result<(), BoxError> {
    let video = Video::named(video).ok_or("unknown video")?;
    let objects = s3::objects(endpoint);
    let (key, id) = (video.key()?, "00000000-0000-7000-8000-000000000000".parse::<VideoId>()?);
    // An event has size and entity tag; see `worker::source`.
    let head = s3::objects(endpoint).head(&key).await?.ok_or("the object does not exist")?;
    let version = Version::new("1".parse::<Sequencer>()?, &head.etag);
    let source = Arc::new(Source::new(head.size, StoredObject::new(&objects, &key, &head.etag)));

    let start = Start::ready()?;
    let remux = match playback::prepare(id, &source, &head.etag, false).await?.0 {
        Prepared::Hls(remux) => remux,
        Prepared::Original(reason) => {
            return Err(format!("the video cannot be played by HLS: {reason}").into());
        }
        Prepared::Fault => return Err("S3 failed".into()),
    };
    let Remux { records, tracks, .. } = &*remux;
    let records = records.len();
    let film = tracks.first().ok_or("no track")?;
    let spans: Vec<_> = film.segments.iter().map(|segment| segment.record.clone()).collect();
    let stored = playback::objects(id, &version, *remux)?
        .into_iter()
        .map(async |(key, kind, bytes)| objects.store(&key, kind, bytes).await);
    join_all(stored).await.into_iter().collect::<Result<(), _>>()?;
    print_json(&Preparation { cost: start.cost()?, segments: spans.len(), records })?;

    let index = Key::Playback { id, version: version.clone(), name: remux::RECORDS.parse()? };
    let mut line = String::new();
    while io::stdin().read_line(&mut line)? > 0 {
        let number: usize = line.trim().parse()?;
        line.clear();
        let span = spans.get(number).ok_or("no such segment")?.clone();
        let name = remux::segment_name(&span);
        let start = Start::now()?;
        let bytes = make(&objects, (&key, &head.etag), (&index, span), |folder| {
            Some(Key::Segment {
                id,
                version: version.clone(),
                name: format!("{folder}/{name}").parse().ok()?,
            })
        });
        let bytes = bytes.await?;
        print_json(&Span { cost: start.cost()?, bytes })?;
    }
    Ok(())
}

/// Makes and stores the segments of all tracks for one time span, and returns their size.
async fn make(
    objects: &ObjectStore,
    (video, etag): (&Key, &str),
    (index, span): (&Key, std::ops::Range<u64>),
    key: impl Fn(String) -> Option<Key>,
) -> Result<usize, BoxError> {
    let first = key(remux::folder(0)).ok_or("not a key")?;
    if objects.exists(&first).await? {
        return Err("the segment exists".into());
    }
    let record = objects.load_range(index, span).await?.ok_or("no record")?;
    let record = Record::from_bytes(&record).ok_or("a damaged record")?;
    let source = Source::new(record.size(), StoredObject::new(objects, video, etag));
    let segments = record.segments(&source).await?.complete;
    let bytes = segments.iter().map(|(_, bytes)| bytes.len()).sum();
    let stored = segments.into_iter().map(async |(position, bytes)| -> Result<(), BoxError> {
        let key = key(remux::folder(position)).ok_or("not a key")?;
        Ok(objects.store_once(&key, "video/mp4", bytes).await?)
    });
    join_all(stored).await.into_iter().collect::<Result<(), _>>()?;
    Ok(bytes)
}

fn print_json(result: &impl Serialize) -> Result<(), BoxError> {
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string(result)?)?)
}

/// Returns a percentile of a value.
fn percentile<T>(all: &[T], percent: usize, number: impl Fn(&T) -> f64) -> f64 {
    let mut all: Vec<f64> = all.iter().map(number).collect();
    all.sort_by(f64::total_cmp);
    let last = all.len().saturating_sub(1);
    all.get((last * percent).div_ceil(100)).copied().unwrap_or(f64::NAN)
}

fn report(all: &[Measured]) -> Result<String, BoxError> {
    let here = machine::here("make bench ARGS=playback", "bench/playback.md")?;
    let mut out = format!(
        "# Playback of the original

{here}.

S3 is local: each request waits {} ms for the first byte, and all responses share a link of {} MB/s; requests with a body
are not delayed by the link. S3 counts requests and bytes. Each of {RUNS} processes for a video prepares its playback
(`upreel_thumbnail::playback`) and stores the result, without an open connection before; then it makes {SEGMENTS} segments
that are not there yet, with the audio of the same time, and stores them. DynamoDB's requests are not included: one to
publish what was prepared, two for a segment.

## Preparation: from the event to the playlists in S3

| video | p50 (ms) | p95 (ms) | processor, p50 (ms) | requests | MB read | segments | segment index (kB) |
|---|---:|---:|---:|---:|---:|---:|---:|
",
        LATENCY.as_millis(),
        BYTES_PER_SECOND / 1_000_000,
    );
    for Measured { video, preparations, .. } in all {
        let wall = |(preparation, _): &(Preparation, Traffic)| preparation.cost.wall;
        let Some((first, traffic)) = preparations.first() else { continue };
        writeln!(
            out,
            "| {} | {:.0} | {:.0} | {:.0} | {} | {:.2} | {} | {:.0} |",
            video.title,
            percentile(preparations, 50, wall),
            percentile(preparations, 95, wall),
            percentile(preparations, 50, |(preparation, _)| preparation.cost.cpu),
            traffic.requests,
            float(traffic.bytes) / 1e6,
            first.segments,
            float(first.records as u64) / 1e3,
        )?;
    }
    out.push_str(
        "
The requests include those that store the result.

## A segment that is not there yet

| video | p50 (ms) | p95 (ms) | processor, p50 (ms) | requests, p95 | segments of one time, mean (MB) | bytes read / bytes made, p95 |
|---|---:|---:|---:|---:|---:|---:|
",
    );
    for Measured { video, spans, .. } in all {
        let wall = |(span, _): &(Span, Traffic)| span.cost.wall;
        let bytes: usize = spans.iter().map(|(span, _)| span.bytes).sum();
        writeln!(
            out,
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:.3} |",
            video.title,
            percentile(spans, 50, wall),
            percentile(spans, 95, wall),
            percentile(spans, 50, |(span, _)| span.cost.cpu),
            percentile(spans, 95, |(_, traffic)| float(traffic.requests)),
            float(bytes as u64) / float(spans.len() as u64) / 1e6,
            percentile(spans, 95, |(span, traffic)| float(traffic.bytes) / float(span.bytes as u64)),
        )?;
    }
    out.push_str("\nThe bytes read include the record of the segment index.\n");
    Ok(out)
}
