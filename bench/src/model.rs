//! The report on transcoding: what was measured, and what follows from it for an hour of video on Lambda.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::Failed;
use crate::link::{BYTES_PER_SECOND, LATENCY};
use crate::machine::{self, said};
use crate::report::{float, memory};
use crate::transcode::{Encoded, Measured, Ordinary, Run};
use crate::worker::Cost;

/// No more than this is to be read of an object, all parts together.
const MOST_READ: f64 = 1.25;
/// MB of a function's memory for which it has one processor (the Lambda developer guide, "Configure memory").
const PROCESSOR: f64 = 1769.0;
/// Until a function runs that did not: Lambda's own start, the layer, the function's init. Assumed.
const COLD: f64 = 0.5;
/// From one state to the next, and until a map has started its children. Assumed.
const STATE: f64 = 0.1;
const MAP: f64 = 2.0;
/// Transitions of a state machine for each part, and beside them. Assumed: of Standard workflows.
const TRANSITIONS: (f64, f64) = (3.0, 10.0);
/// US dollars, us-east-1: a GB-second, a request to Lambda, a transition, a read and a write of S3.
const GB_SECOND: f64 = 0.000_016_666_7;
const REQUEST: f64 = 0.20 / 1e6;
const TRANSITION: f64 = 0.025 / 1e3;
const GET: f64 = 0.000_4 / 1e3;
const PUT: f64 = 0.005 / 1e3;
/// US dollars for a minute in HD and in SD of AWS Elemental `MediaConvert` (AVC, one pass, up to 30 pictures a second,
/// basic tier).
const MEDIA_CONVERT: (f64, f64) = (0.015, 0.007_5);

impl Encoded {
    fn ticks(&self) -> u64 {
        let first = self.manifest.tracks.first();
        first.map_or(0, |track| track.segments.iter().map(|segment| segment.duration).sum())
    }
}

impl Run {
    /// Of all parts, in seconds.
    fn cpu(&self) -> f64 {
        self.parts.iter().map(|part| part.cost.cpu / 1000.0).sum()
    }

    fn most(&self, number: impl Fn(&Cost) -> u64) -> u64 {
        self.parts.iter().map(|part| number(&part.cost)).max().unwrap_or(0)
    }
}

pub(crate) fn write(measured: &Measured, ffmpeg: &Path) -> Result<String, Failed> {
    let [first, .., last] = measured.runs.as_slice() else { return Err("nothing was measured".into()) };
    let scale = f64::from(measured.planned.plan.scale);
    let duration = float(first.parts.iter().map(Encoded::ticks).sum()) / scale;
    let here = machine::here("make bench ARGS=transcode", "bench/transcode.md")?;
    let mut out = format!(
        "# Transcoding in parts\n\n{here}; Upreel's {}.\n\n",
        said(Command::new(ffmpeg).arg("-version"))
    );
    if cfg!(debug_assertions) {
        out.push_str("Upreel's own part is built without optimisation here; ffmpeg is not.\n\n");
    }
    let rungs: Vec<&str> = measured.planned.plan.rungs.iter().map(|rung| rung.name.as_str()).collect();
    writeln!(
        out,
        "The video: {duration:.0} s of H.264 and AAC in 1080p with 30 pictures a second, detail that moves, and grain; {:.1} MB, {:.1} Mb/s.
Made of it: {}, and the sound.

S3 is local: each request waits {} ms for the first byte, all answers share a link of {} MB/s; requests and bytes are
counted there. A worker is a process that is kept to one processor, as a function with {PROCESSOR:.0} MB has it, and runs
`upreel_transcode::encode` for one part after the other. What it makes is counted and dropped. The ordinary run is the same ffmpeg
with the same settings, from a local file into one file. There are {} processors, so four workers have half of one each.",
        float(measured.size) / 1e6,
        float(measured.size) * 8.0 / duration / 1e6,
        rungs.join(", "),
        LATENCY.as_millis(),
        BYTES_PER_SECOND / 1_000_000,
        measured.processors,
    )?;
    took(&mut out, measured, duration)?;
    read(&mut out, measured, duration)?;
    hour(&mut out, measured, first, duration)?;
    let ratio = measured.runs.iter().map(|run| run.traffic.bytes).max().map_or(f64::MAX, float)
        / float(measured.size);
    let faster = first.wall / measured.runs.get(1).map_or(f64::MAX, |two| two.wall);
    let peak = memory(last.most(|cost| cost.parent) + first.most(|cost| cost.child));
    writeln!(out, "\n## What was demanded\n\n| | demanded | measured | |\n|---|---:|---:|---|")?;
    let mut demand = |what: &str, demanded: String, measured: String, met: bool| {
        writeln!(out, "| {what} | {demanded} | {measured} | {} |", if met { "ok" } else { "MISSED" })
    };
    demand(
        "bytes read by all parts / object",
        format!("at most {MOST_READ}"),
        format!("{ratio:.3}"),
        ratio <= MOST_READ,
    )?;
    demand("wall of one worker / of two", "1.8".to_owned(), format!("{faster:.2}"), faster >= 1.8)?;
    demand(
        "memory of a worker",
        format!("at most {PROCESSOR:.0} MB"),
        format!("{peak:.0} MB"),
        peak <= PROCESSOR,
    )?;
    Ok(out)
}

fn took(out: &mut String, measured: &Measured, duration: f64) -> Result<(), Failed> {
    out.push_str("\n## What it took\n\n| | wall (s) | processor (s) | processor for 1 s of video (s) | MB made | MB of memory: parent + child |\n|---|---:|---:|---:|---:|---:|\n");
    for (title, Ordinary { bytes, cost }) in
        [("ordinary, one processor", &measured.one), ("ordinary, all processors", &measured.all)]
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
        let bytes = run.parts.iter().map(|part| part.bytes).sum();
        writeln!(
            out,
            "| {} parts, {} at a time | {:.1} | {:.1} | {:.3} | {:.1} | {:.0} + {:.0} |",
            run.parts.len(),
            run.workers,
            run.wall,
            run.cpu(),
            run.cpu() / duration,
            float(bytes) / 1e6,
            memory(run.most(|cost| cost.parent)),
            memory(run.most(|cost| cost.child)),
        )?;
    }
    let cost = &measured.planned.cost;
    writeln!(
        out,
        "\nThe plan took {:.0} ms, {:.0} of the processor; the playlists {:.1} ms.",
        cost.wall, cost.cpu, measured.package
    )?;
    Ok(())
}

fn read(out: &mut String, measured: &Measured, duration: f64) -> Result<(), Failed> {
    out.push_str("\n## What was read\n\n| | requests | MB | of the object |\n|---|---:|---:|---:|\n");
    let size = float(measured.size);
    let plan = ("plan".to_owned(), measured.reading);
    let runs = measured.runs.iter().map(|run| (format!("all parts, {} at a time", run.workers), run.traffic));
    for (title, traffic) in std::iter::once(plan).chain(runs) {
        let bytes = float(traffic.bytes);
        writeln!(out, "| {title} | {} | {:.2} | {:.3} |", traffic.requests, bytes / 1e6, bytes / size)?;
    }
    // A part reads the whole index, which grows with the video, as the number of parts does.
    let parts = measured.planned.plan.chunks.len();
    let index = float(measured.reading.bytes);
    let once = measured.runs.iter().map(|run| run.traffic.bytes).max().map_or(0.0, float)
        - index * float(parts as u64);
    let at = |seconds: f64| {
        let times = seconds / duration;
        (once * times + index * times * float(parts as u64) * times) / (size * times)
    };
    writeln!(
        out,
        "\nEach part reads the index, of {:.0} kB here, and that of a longer video is larger. The same of an hour would be {:.3} of \
         the object, of four hours {:.3}.",
        index / 1e3,
        at(3600.0),
        at(4.0 * 3600.0)
    )?;
    Ok(())
}

/// What an hour would take, if all went as was measured.
struct Hour<'a> {
    measured: &'a Measured,
    /// Seconds of a processor for one of the video.
    cpu: f64,
    /// How much longer the slowest part takes than others of its length.
    tail: f64,
    /// Requests to read and objects written, for a second of the video.
    gets: f64,
    puts: f64,
    /// Of several processors, as one ordinary run uses them.
    use_of_many: f64,
}

impl Hour<'_> {
    /// Seconds and dollars, by so many functions of so many MB, in parts of so many seconds.
    fn on(&self, functions: f64, megabytes: f64, part: f64) -> (f64, f64) {
        let parts = (3600.0 / part).ceil();
        let processors = megabytes / PROCESSOR;
        let used = if processors > 1.0 { self.use_of_many } else { 1.0 };
        let encode = part * self.cpu / (processors * used);
        let rounds = (parts / functions).ceil();
        let plan = self.measured.planned.cost.wall / 1000.0;
        let package = self.measured.package / 1000.0;
        let seconds = 3.0 * COLD + 4.0 * STATE + MAP + plan + package + encode * (rounds + self.tail - 1.0);
        let billed = parts * encode + (parts.min(functions) + 2.0) * COLD + plan + package;
        let dollars = billed * megabytes / 1024.0 * GB_SECOND
            + (parts + 2.0) * REQUEST
            + (parts * TRANSITIONS.0 + TRANSITIONS.1) * TRANSITION
            + self.gets * 3600.0 * GET
            + (self.puts * 3600.0 + parts) * PUT;
        (seconds, dollars)
    }
}

fn hour(out: &mut String, measured: &Measured, run: &Run, duration: f64) -> Result<(), Failed> {
    let scale = f64::from(measured.planned.plan.scale);
    let cpu = run.cpu() / duration;
    let slowest = |part: &Encoded| part.cost.cpu / 1000.0 / (float(part.ticks()) / scale) / cpu;
    let hour = Hour {
        measured,
        cpu,
        tail: run.parts.iter().map(slowest).fold(1.0, f64::max),
        gets: float(run.traffic.requests) / duration,
        puts: float(run.parts.iter().map(|part| part.objects).sum()) / duration,
        use_of_many: (measured.one.cost.wall / measured.all.cost.wall / float(measured.processors as u64))
            .min(1.0),
    };
    writeln!(
        out,
        "\n## A model: an hour of the same on Lambda

Not measured. {cpu:.3} s of a processor for each second of video, as measured with one worker; a processor of Lambda as fast
as one here. {PROCESSOR:.0} MB of memory are one processor (Lambda's developer guide), 10,240 MB are 5.8, and of several
{:.0} % are used, as the ordinary run has used those here; of more it will be less. The slowest part takes {:.2} times as long as the mean of its length, as
measured. Assumed: {COLD} s for a cold start, {STATE} s for a change of state, {MAP:.0} s until the map has started its parts, {:.0}
transitions for each part and {:.0} more; no throttling. Read and written as measured: {:.0} reads and {:.0} objects in all.

US dollars, us-east-1, without free tier, storage and delivery. A GB-second ${GB_SECOND} (x86), a million requests to Lambda $0.20, 1,000 reads of S3
$0.0004, 1,000 writes $0.005: sources as in [OPERATIONS.md](../docs/OPERATIONS.md). 1,000 transitions $0.025 (AWS's page, a stored copy without date).

| functions | MB of memory | parts | seconds for an hour | US dollars |
|---:|---:|---|---:|---:|",
        hour.use_of_many * 100.0,
        hour.tail,
        TRANSITIONS.0,
        TRANSITIONS.1,
        hour.gets * 3600.0,
        hour.puts * 3600.0,
    )?;
    for functions in [100.0, 1000.0] {
        for megabytes in [PROCESSOR, 2.0 * PROCESSOR, 10_240.0] {
            for part in [30.0, 10.0] {
                let (seconds, dollars) = hour.on(functions, megabytes, part);
                let parts = (3600.0 / part).ceil();
                writeln!(
                    out,
                    "| {functions:.0} | {megabytes:.0} | {parts:.0} of {part:.0} s | {seconds:.0} | {dollars:.3} |"
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
Parts are of 30 s as it is deployed, so an hour keeps no more than 120 functions busy; parts of 10 s are the shortest that a
plan has, and are here to show what they would bring.

AWS Elemental MediaConvert would take ${:.2} for the same sizes: {hd} in HD at ${} a minute and {sd} in SD at ${} (AVC, one pass, up
to 30 pictures a second, basic tier, on demand). That price is **from memory: check**; a public note of January 2021 has just twice as
much for 30 to 60 pictures a second.",
        minute * 60.0,
        MEDIA_CONVERT.0,
        MEDIA_CONVERT.1,
    )?;
    Ok(())
}
