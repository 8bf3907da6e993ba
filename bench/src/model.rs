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
const MAX_READ: f64 = 1.05;
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

impl Encoded {
    /// Returns the duration, in ticks of the renditions ([`Plan::output_scale`](upreel_transcode::Plan::output_scale)).
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
    let scale = f64::from(measured.planned.plan.output_scale());
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
        "Video: {duration:.0} s of H.264 and AAC in 1080p at 30 frames per second, with moving detail and grain; {:.1} MB, {:.1} Mb/s.
Renditions: {}, and the audio.

S3 is a local server that counts requests and bytes: each request waits {} ms for the first byte, and all responses share a
link of {} MB/s. A worker is a process pinned to one processor, like a function with {PROCESSOR:.0} MB, that runs
`upreel_transcode::encode` for one chunk after the other. Its output is counted and discarded. The single run uses the same
ffmpeg with the same settings, from a local file to one file. There are {} processors, so each of four workers has half of one.",
        float(measured.size) / 1e6,
        float(measured.size) * 8.0 / duration / 1e6,
        rungs.join(", "),
        LATENCY.as_millis(),
        BYTES_PER_SECOND / 1_000_000,
        measured.processors,
    )?;
    costs(&mut out, measured, duration)?;
    reads(&mut out, measured)?;
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
    target("wall time of one worker / of two", "1.8".to_owned(), format!("{speedup:.2}"), speedup >= 1.8)?;
    target(
        "memory of a worker",
        format!("at most {PROCESSOR:.0} MB"),
        format!("{peak:.0} MB"),
        peak <= PROCESSOR,
    )?;
    Ok(out)
}

fn costs(out: &mut String, measured: &Measurements, duration: f64) -> Result<(), BoxError> {
    out.push_str("\n## Results\n\n| | wall time (s) | CPU time (s) | CPU time per second of video (s) | MB written | memory MB: parent + child |\n|---|---:|---:|---:|---:|---:|\n");
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
        "\nThe plan took {:.0} ms ({:.0} ms of CPU time), the playlists {:.1} ms.",
        cost.wall, cost.cpu, measured.package
    )?;
    Ok(())
}

fn reads(out: &mut String, measured: &Measurements) -> Result<(), BoxError> {
    out.push_str("\n## Data read\n\n| | requests | MB | fraction of the object |\n|---|---:|---:|---:|\n");
    let size = float(measured.size);
    let plan = ("plan".to_owned(), measured.plan_traffic);
    let runs =
        measured.runs.iter().map(|run| (format!("all chunks, {} at a time", run.workers), run.traffic));
    for (title, traffic) in std::iter::once(plan).chain(runs) {
        let bytes = float(traffic.bytes);
        writeln!(out, "| {title} | {} | {:.2} | {:.3} |", traffic.requests, bytes / 1e6, bytes / size)?;
    }
    let slices = &measured.planned.slices;
    let bytes: usize = slices.iter().map(Vec::len).sum();
    writeln!(
        out,
        "\nEach chunk also reads its slice of the index, {:.1} kB on average, which the plan has written. Its\nsize depends on \
         the length of the chunk, not on that of the video.",
        float(bytes as u64) / 1e3 / float(slices.len().max(1) as u64)
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
    let scale = f64::from(measured.planned.plan.output_scale());
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

This is calculated, not measured. CPU time is {cpu:.3} s per second of video, as measured with one worker, on the assumption that
a vCPU of Lambda is as fast as a processor here. {PROCESSOR:.0} MB of memory provide one vCPU (Lambda's developer guide), 10,240 MB
provide 5.8. Several vCPUs are used to {:.0} %, as in the single run here; more vCPUs are used less. The slowest chunk takes
{:.2} times as long as the average, as measured. Further assumptions: {COLD} s for a cold start, {STATE} s per state transition,
{MAP:.0} s until the map has started its chunks, {:.0} transitions per chunk plus {:.0}, and no throttling. Reads and writes are as
measured: {:.0} reads and {:.0} objects in total.

US dollars, us-east-1, without free tier, storage and delivery. A GB-second costs ${GB_SECOND} (x86), a million requests to
Lambda $0.20, 1,000 reads from S3 $0.0004, 1,000 writes $0.005: for the sources see [OPERATIONS.md](../docs/OPERATIONS.md).
1,000 transitions cost $0.025 (AWS's page, an undated stored copy).

| functions | memory MB | chunks | seconds per hour of video | US dollars |
|---:|---:|---|---:|---:|",
        hour.utilization * 100.0,
        hour.tail,
        TRANSITIONS.0,
        TRANSITIONS.1,
        hour.gets * 3600.0,
        hour.puts * 3600.0,
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
    writeln!(
        out,
        "\nDeployed, chunks have 30 s, so an hour of video occupies at most 120 functions. Chunks of 10 s are the shortest that a plan
can have; they are listed to show their effect."
    )?;
    Ok(())
}
