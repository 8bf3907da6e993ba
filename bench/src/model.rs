//! The report on transcoding: the measurements, and a model of an hour of video on Lambda.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::BoxError;
use crate::link::{BYTES_PER_SECOND, LATENCY};
use crate::machine::{self, first_line};
use crate::report::{float, memory};
use crate::transcode::{Encoded, Measurements, Run, SingleRun};
use crate::worker::Cost;

/// Target for the bytes read by all chunks, relative to the size of the object.
const MAX_READ: f64 = 1.25;
/// Memory with which a function has one processor, in MB (Lambda developer guide, "Configure memory").
const PROCESSOR: f64 = 1769.0;
/// Duration of a cold start in seconds: Lambda's own start, the layer, the function's init. Assumed.
const COLD: f64 = 0.5;
/// Duration of a state transition in seconds. Assumed.
const STATE: f64 = 0.1;
/// Time until a map has started its children, in seconds. Assumed.
const MAP: f64 = 2.0;
/// Number of state transitions for each chunk, and for the rest of the execution. Assumed, for Standard workflows.
const TRANSITIONS: (f64, f64) = (3.0, 10.0);
/// Prices in US dollars, us-east-1: a GB-second, a request to Lambda, a state transition, a GET and a PUT of S3.
const GB_SECOND: f64 = 0.000_016_666_7;
const REQUEST: f64 = 0.20 / 1e6;
const TRANSITION: f64 = 0.025 / 1e3;
const GET: f64 = 0.000_4 / 1e3;
const PUT: f64 = 0.005 / 1e3;
/// Price of a minute in HD and in SD of AWS Elemental `MediaConvert`, in US dollars (AVC, single pass, up to 30 frames
/// per second, basic tier).
const MEDIA_CONVERT: (f64, f64) = (0.015, 0.007_5);

impl Encoded {
    /// Returns the duration, in ticks of the plan's time scale.
    fn ticks(&self) -> u64 {
        let first = self.manifest.tracks.first();
        first.map_or(0, |track| track.segments.iter().map(|segment| segment.duration).sum())
    }
}

impl Run {
    /// Returns the processor time of all chunks, in seconds.
    fn cpu(&self) -> f64 {
        self.chunks.iter().map(|chunk| chunk.cost.cpu / 1000.0).sum()
    }

    fn max(&self, number: impl Fn(&Cost) -> u64) -> u64 {
        self.chunks.iter().map(|chunk| number(&chunk.cost)).max().unwrap_or(0)
    }
}

pub(crate) fn write(measured: &Measurements, ffmpeg: &Path) -> Result<String, BoxError> {
    let [first, .., last] = measured.runs.as_slice() else { return Err("nothing was measured".into()) };
    let scale = f64::from(measured.planned.plan.scale);
    let duration = float(first.chunks.iter().map(Encoded::ticks).sum()) / scale;
    let here = machine::here("make bench ARGS=transcode", "bench/transcode.md")?;
    let mut out = format!(
        "# Transcoding in chunks\n\n{here}; Upreel's {}.\n\n",
        first_line(Command::new(ffmpeg).arg("-version"))
    );
    if cfg!(debug_assertions) {
        out.push_str("Upreel itself is a debug build here; ffmpeg is optimised.\n\n");
    }
    let rungs: Vec<&str> = measured.planned.plan.rungs.iter().map(|rung| rung.name.as_str()).collect();
    writeln!(
        out,
        "The source is {duration:.0} s of H.264 and AAC in 1080p with 30 frames per second, moving detail and grain; {:.1} MB, {:.1} Mb/s.
The renditions are {}, and audio.

S3 is local: each request waits {} ms for the first byte, and all responses share a link of {} MB/s. S3 counts requests and
bytes. A worker is a process that is pinned to one processor, like a function with {PROCESSOR:.0} MB, and runs
`upreel_transcode::encode` for one chunk after the other. Its output is counted and discarded. The single run is the same
ffmpeg with the same settings, from a local file to one file. There are {} processors, so four workers have half of one each.",
        float(measured.size) / 1e6,
        float(measured.size) * 8.0 / duration / 1e6,
        rungs.join(", "),
        LATENCY.as_millis(),
        BYTES_PER_SECOND / 1_000_000,
        measured.processors,
    )?;
    costs(&mut out, measured, duration)?;
    reads(&mut out, measured, duration)?;
    hour(&mut out, measured, first, duration)?;
    let ratio = measured.runs.iter().map(|run| run.traffic.bytes).max().map_or(f64::MAX, float)
        / float(measured.size);
    let speedup = first.wall / measured.runs.get(1).map_or(f64::MAX, |two| two.wall);
    let peak = memory(last.max(|cost| cost.parent) + first.max(|cost| cost.child));
    writeln!(out, "\n## Targets\n\n| | target | measured | |\n|---|---:|---:|---|")?;
    let mut target = |what: &str, target: String, measured: String, met: bool| {
        writeln!(out, "| {what} | {target} | {measured} | {} |", if met { "ok" } else { "MISSED" })
    };
    target(
        "bytes read by all chunks / object",
        format!("at most {MAX_READ}"),
        format!("{ratio:.3}"),
        ratio <= MAX_READ,
    )?;
    target("wall of one worker / of two", "1.8".to_owned(), format!("{speedup:.2}"), speedup >= 1.8)?;
    target(
        "memory of a worker",
        format!("at most {PROCESSOR:.0} MB"),
        format!("{peak:.0} MB"),
        peak <= PROCESSOR,
    )?;
    Ok(out)
}

fn costs(out: &mut String, measured: &Measurements, duration: f64) -> Result<(), BoxError> {
    out.push_str("\n## Time and memory\n\n| | wall (s) | processor (s) | processor for 1 s of video (s) | MB written | memory MB: parent + child |\n|---|---:|---:|---:|---:|---:|\n");
    for (title, SingleRun { bytes, cost }) in
        [("single run, one processor", &measured.one), ("single run, all processors", &measured.all)]
    {
        let cpu = cost.cpu / 1000.0;
        writeln!(
            out,
            "| {title} | {:.1} | {cpu:.1} | {:.3} | {:.1} | {:.0} |",
            cost.wall / 1000.0,
            cpu / duration,
            float(*bytes) / 1e6,
            memory(cost.child)
        )?;
    }
    for run in &measured.runs {
        let bytes = run.chunks.iter().map(|chunk| chunk.bytes).sum();
        writeln!(
            out,
            "| {} chunks, {} at a time | {:.1} | {:.1} | {:.3} | {:.1} | {:.0} + {:.0} |",
            run.chunks.len(),
            run.workers,
            run.wall,
            run.cpu(),
            run.cpu() / duration,
            float(bytes) / 1e6,
            memory(run.max(|cost| cost.parent)),
            memory(run.max(|cost| cost.child)),
        )?;
    }
    let cost = &measured.planned.cost;
    writeln!(
        out,
        "\nThe plan took {:.0} ms ({:.0} ms of processor time), the playlists {:.1} ms.",
        cost.wall, cost.cpu, measured.package
    )?;
    Ok(())
}

fn reads(out: &mut String, measured: &Measurements, duration: f64) -> Result<(), BoxError> {
    out.push_str("\n## Reads\n\n| | requests | MB | MB / object |\n|---|---:|---:|---:|\n");
    let size = float(measured.size);
    let plan = ("plan".to_owned(), measured.plan_traffic);
    let runs =
        measured.runs.iter().map(|run| (format!("all chunks, {} at a time", run.workers), run.traffic));
    for (title, traffic) in std::iter::once(plan).chain(runs) {
        let bytes = float(traffic.bytes);
        writeln!(out, "| {title} | {} | {:.2} | {:.3} |", traffic.requests, bytes / 1e6, bytes / size)?;
    }
    // Each chunk reads the whole index. Both the index and the number of chunks grow with the video.
    let chunks = measured.planned.plan.chunks.len();
    let index = float(measured.plan_traffic.bytes);
    let samples = measured.runs.iter().map(|run| run.traffic.bytes).max().map_or(0.0, float)
        - index * float(chunks as u64);
    let ratio = |seconds: f64| {
        let times = seconds / duration;
        (samples * times + index * times * float(chunks as u64) * times) / (size * times)
    };
    writeln!(
        out,
        "\nEach chunk reads the whole index, which has {:.0} kB here and grows with the video. The ratio would be {:.3} for an \
         hour of the same video, and {:.3} for four hours.",
        index / 1e3,
        ratio(3600.0),
        ratio(4.0 * 3600.0)
    )?;
    Ok(())
}

/// The model of an hour of video, extrapolated from the measurements.
struct Hour<'a> {
    measured: &'a Measurements,
    /// Processor time for a second of video, in seconds.
    cpu: f64,
    /// Time of the slowest chunk, relative to the mean time for its length.
    tail: f64,
    /// Number of GET requests for a second of video.
    gets: f64,
    /// Number of objects written for a second of video.
    puts: f64,
    /// Utilization of several processors, measured with the single run.
    utilization: f64,
}

impl Hour<'_> {
    /// Returns time in seconds and price in dollars, for a number of functions, their memory in MB, and chunks of
    /// `length` seconds.
    fn estimate(&self, functions: f64, megabytes: f64, length: f64) -> (f64, f64) {
        let chunks = (3600.0 / length).ceil();
        let processors = megabytes / PROCESSOR;
        let utilization = if processors > 1.0 { self.utilization } else { 1.0 };
        let encode = length * self.cpu / (processors * utilization);
        let rounds = (chunks / functions).ceil();
        let plan = self.measured.planned.cost.wall / 1000.0;
        let package = self.measured.package / 1000.0;
        let seconds = 3.0 * COLD + 4.0 * STATE + MAP + plan + package + encode * (rounds + self.tail - 1.0);
        let billed = chunks * encode + (chunks.min(functions) + 2.0) * COLD + plan + package;
        let dollars = billed * megabytes / 1024.0 * GB_SECOND
            + (chunks + 2.0) * REQUEST
            + (chunks * TRANSITIONS.0 + TRANSITIONS.1) * TRANSITION
            + self.gets * 3600.0 * GET
            + (self.puts * 3600.0 + chunks) * PUT;
        (seconds, dollars)
    }
}

fn hour(out: &mut String, measured: &Measurements, run: &Run, duration: f64) -> Result<(), BoxError> {
    let scale = f64::from(measured.planned.plan.scale);
    let cpu = run.cpu() / duration;
    let relative_time = |chunk: &Encoded| chunk.cost.cpu / 1000.0 / (float(chunk.ticks()) / scale) / cpu;
    let hour = Hour {
        measured,
        cpu,
        tail: run.chunks.iter().map(relative_time).fold(1.0, f64::max),
        gets: float(run.traffic.requests) / duration,
        puts: float(run.chunks.iter().map(|chunk| chunk.objects).sum()) / duration,
        utilization: (measured.one.cost.wall / measured.all.cost.wall / float(measured.processors as u64))
            .min(1.0),
    };
    writeln!(
        out,
        "\n## Model: an hour of the same video on Lambda

These figures are calculated, not measured. Measured inputs: {cpu:.3} s of processor time for each second of video, with one
worker; a utilization of {:.0} % of several processors, with the single run (more processors will have less); a slowest chunk
that takes {:.2} times the mean time for its length; {:.0} GET requests and {:.0} objects in total.
Assumptions: a processor of Lambda is as fast as one here; {PROCESSOR:.0} MB of memory are one processor (Lambda developer
guide), 10,240 MB are 5.8; {COLD} s for a cold start, {STATE} s for a state transition, {MAP:.0} s until the map has started its
children; {:.0} state transitions for each chunk and {:.0} more; no throttling.

Prices are in US dollars for us-east-1, without free tier, storage and delivery: a GB-second ${GB_SECOND} (x86), a million
requests to Lambda $0.20, 1,000 GET requests to S3 $0.0004, 1,000 PUT requests $0.005 (sources in
[OPERATIONS.md](../docs/OPERATIONS.md)), and 1,000 state transitions $0.025 (AWS's price page, a stored copy without date).

| functions | memory MB | chunks | seconds for an hour | US dollars |
|---:|---:|---|---:|---:|",
        hour.utilization * 100.0,
        hour.tail,
        hour.gets * 3600.0,
        hour.puts * 3600.0,
        TRANSITIONS.0,
        TRANSITIONS.1,
    )?;
    for functions in [100.0, 1000.0] {
        for megabytes in [PROCESSOR, 2.0 * PROCESSOR, 10_240.0] {
            for length in [30.0, 10.0] {
                let (seconds, dollars) = hour.estimate(functions, megabytes, length);
                let chunks = (3600.0 / length).ceil();
                writeln!(
                    out,
                    "| {functions:.0} | {megabytes:.0} | {chunks:.0} of {length:.0} s | {seconds:.0} | {dollars:.3} |"
                )?;
            }
        }
    }
    let hd = measured.planned.plan.rungs.iter().filter(|rung| rung.width.min(rung.height) >= 720).count();
    let sd = measured.planned.plan.rungs.len() - hd;
    let minute = float(hd as u64) * MEDIA_CONVERT.0 + float(sd as u64) * MEDIA_CONVERT.1;
    writeln!(
        out,
        "
The deployed function uses chunks of 30 s for this video, so an hour occupies at most 120 functions. Chunks of 10 s, the
minimum of a plan, are shown for comparison.

AWS Elemental MediaConvert would cost ${:.2} for the same sizes: {hd} in HD at ${} per minute and {sd} in SD at ${} (AVC, single
pass, up to 30 frames per second, basic tier, on demand). This price is **from memory and needs a check**; a public note of
January 2021 states twice this price for 30 to 60 frames per second.",
        minute * 60.0,
        MEDIA_CONVERT.0,
        MEDIA_CONVERT.1,
    )?;
    Ok(())
}
