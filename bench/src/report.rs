//! The report on the thumbnail engine.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::BoxError;
use crate::drive::Run;
use crate::files::Video;
use crate::link::{BYTES_PER_SECOND, LATENCY};
use crate::machine::{self, first_line};
use crate::worker::{KEYFRAMES, Method};

/// The runs of one method on one video.
pub(crate) struct Row {
    pub(crate) video: &'static Video,
    pub(crate) size: u64,
    pub(crate) method: Method,
    pub(crate) runs: Result<Vec<Run>, String>,
}

impl Row {
    /// Returns the median of a value over the runs; infinite if they failed.
    fn median(&self, number: impl Fn(&Run) -> f64) -> f64 {
        let mut all: Vec<f64> = self.runs.iter().flatten().map(number).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::INFINITY)
    }

    fn min(&self, number: impl Fn(&Run) -> f64) -> f64 {
        self.runs.iter().flatten().map(number).fold(f64::INFINITY, f64::min)
    }

    /// Returns the 95th percentile of a value over the runs.
    fn p95(&self, number: impl Fn(&Run) -> f64) -> f64 {
        let mut all: Vec<f64> = self.runs.iter().flatten().map(number).collect();
        all.sort_by(f64::total_cmp);
        all.get((all.len() * 95).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::INFINITY)
    }

    fn max(&self, number: impl Fn(&Run) -> f64) -> f64 {
        self.runs.as_ref().map_or(f64::INFINITY, |runs| runs.iter().map(number).fold(0.0, f64::max))
    }

    /// Returns the size of the object divided by the number of bytes read.
    fn ratio(&self) -> f64 {
        float(self.size) / self.median(read)
    }
}

/// Converts a number. All numbers in the reports are below 2^53, so the conversion is exact.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

fn wall(run: &Run) -> f64 {
    run.measurement.cost.wall / 1000.0
}

fn cpu(run: &Run) -> f64 {
    run.measurement.cost.cpu / 1000.0
}

fn read(run: &Run) -> f64 {
    float(run.traffic.bytes)
}

/// Converts KiB to MB, the unit of the other sizes.
pub(crate) fn memory(kib: u64) -> f64 {
    float(kib * 1024) / 1e6
}

pub(crate) fn write(rows: &[Row], ffmpeg: &Path) -> Result<String, BoxError> {
    let mut out = String::from("# Upreel compared with common alternatives\n\n");
    method(&mut out, ffmpeg)?;
    out.push_str("\n## Measurements\n\n");
    table(&mut out, rows)?;
    out.push_str("\n## Targets\n\n| | target | measured | |\n|---|---:|---:|---|\n");
    for Target { what, expected, measured, met } in targets(rows) {
        writeln!(out, "| {what} | {expected} | {measured} | {} |", if met { "ok" } else { "MISSED" })?;
    }
    Ok(out)
}

/// Writes the environment and the method of the measurements.
fn method(out: &mut String, ffmpeg: &Path) -> Result<(), BoxError> {
    let here = machine::here("make bench", "bench/results.md")?;
    let (ours, theirs) = (
        first_line(Command::new(ffmpeg).arg("-version")),
        first_line(Command::new("ffmpeg").arg("-version")),
    );
    writeln!(
        out,
        "{here}; Upreel's {ours}; {theirs} for the alternatives.

S3 is local: each request waits {} ms for the first byte, and all responses share a link of {} MB/s. S3 counts requests
and bytes. Each run is a separate process. Its time is measured from the event to the JPEG and includes the connection
setup. Processor time and memory are those of the process and its children. The child's memory is counted from the fork, so
it is never below the parent's. \"Temporary\" is the peak size of `TMPDIR`. The storyboard is measured after the poster,
because both are made in the same invocation; its memory is that of both. Keyframes are made for {KEYFRAMES} times, spread
over the video.

- download: one `GET` to a file, then `ffmpeg -i in -ss 1 -frames:v 1 -vf scale=640:-2 out.jpg`
- ffmpeg over http: `ffmpeg -ss 1 -i <signed URL> -frames:v 1 -vf scale=640:-2 out.jpg`
- Upreel: `poster::make`, `storyboard::make` and `Images::keyframe`, reading through the AWS SDK as the functions do",
        LATENCY.as_millis(),
        BYTES_PER_SECOND / 1_000_000,
    )?;
    Ok(())
}

fn table(out: &mut String, rows: &[Row]) -> Result<(), BoxError> {
    out.push_str(
        "| video | method | wall: min, median (s) | processor: min, median (s) | requests | MB read | object / read \
         | temporary MB | memory MB: parent + child | index |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---|\n",
    );
    for row in rows {
        write!(out, "| {} | {} | ", row.video.title, row.method.title())?;
        let run = match &row.runs {
            Ok(runs) => runs.first(),
            Err(error) => {
                writeln!(out, "{} ||||||||", error.replace('|', "/"))?;
                continue;
            }
        };
        let index = match run.and_then(|run| run.measurement.index) {
            Some(true) => "read",
            Some(false) => "read by ffmpeg",
            None => "",
        };
        writeln!(
            out,
            "{:.2}, {:.2} | {:.2}, {:.2} | {:.0} | {:.2} | {} | {:.2} | {:.0} + {:.0} | {index} |",
            row.min(wall),
            row.median(wall),
            row.min(cpu),
            row.median(cpu),
            row.median(|run| float(run.traffic.requests)),
            row.median(read) / 1e6,
            times(row.ratio()),
            row.max(|run| float(run.temporary)) / 1e6,
            row.max(|run| memory(run.measurement.cost.parent)),
            row.max(|run| memory(run.measurement.cost.child)),
        )?;
    }
    Ok(())
}

struct Target {
    what: String,
    expected: String,
    measured: String,
    met: bool,
}

fn at_least(what: String, target: u32, measured: f64) -> Target {
    let target = f64::from(target);
    // The medians of a failed method are infinite.
    let succeeded = measured.is_finite() && measured > 0.0;
    let text = if succeeded { times(measured) } else { "failed".to_owned() };
    Target { what, expected: times(target), measured: text, met: succeeded && measured >= target }
}

/// Returns the targets for the videos that were measured.
fn targets(rows: &[Row]) -> Vec<Target> {
    let find = |name: &str, method| rows.iter().find(|row| row.video.name == name && row.method == method);
    let mut targets = Vec::new();
    for (name, target) in [
        ("mp4-1g.mp4", 2_000),
        ("mp4-1g-last.mp4", 2_000),
        ("mp4-5g.mp4", 10_000),
        ("mp4-5g-last.mp4", 10_000),
        ("mkv-1g.mkv", 500),
        ("webm-1g.webm", 500),
    ] {
        if let Some(row) = find(name, Method::Poster) {
            targets.push(at_least(format!("object / bytes read, {}", row.video.title), target, row.ratio()));
        }
    }
    for name in ["mp4-1g.mp4", "mp4-1g-last.mp4"] {
        if let (Some(download), Some(ours)) = (find(name, Method::Download), find(name, Method::Poster)) {
            let what = format!("wall of the download / Upreel's poster, {}", ours.video.title);
            targets.push(at_least(what, 50, download.median(wall) / ours.median(wall)));
        }
    }
    for name in ["mp4-5g.mp4", "mp4-5g-last.mp4"] {
        if let (Some(large), Some(small)) = (find(name, Method::Poster), find("mp4-60m.mp4", Method::Poster))
        {
            let measured = large.median(read) / small.median(read);
            targets.push(Target {
                what: format!("bytes read, {} / {}", large.video.title, small.video.title),
                expected: "at most 1.6".to_owned(),
                measured: format!("{measured:.2}"),
                // False for NaN, when both failed.
                met: measured <= 1.6,
            });
        }
    }
    for row in
        rows.iter().filter(|row| row.method == Method::Keyframe && row.video.name.starts_with("mp4-5g"))
    {
        let (read, p95) = (row.max(read) / 1e6, row.p95(wall) * 1000.0);
        targets.push(Target {
            what: format!("MB read, each keyframe of {}", row.video.title),
            expected: "at most 1".to_owned(),
            measured: format!("{read:.2}"),
            met: read <= 1.0,
        });
        targets.push(Target {
            what: format!("wall, 95 % of the keyframes of {}", row.video.title),
            expected: "at most 300 ms".to_owned(),
            measured: format!("{p95:.0} ms"),
            met: p95 <= 300.0,
        });
    }
    let ours: Vec<_> = rows.iter().filter(|row| row.method.is_upreel() && row.runs.is_ok()).collect();
    let max = |number: fn(&Run) -> f64| ours.iter().map(|row| row.max(number)).fold(0.0, f64::max);
    let temporary = max(|run| float(run.temporary));
    targets.push(Target {
        what: "temporary bytes, Upreel".to_owned(),
        expected: "0".to_owned(),
        measured: format!("{temporary:.0}"),
        met: temporary < 1.0 && !ours.is_empty(),
    });
    let memory = max(|run| memory(run.measurement.cost.parent + run.measurement.cost.child));
    targets.push(Target {
        what: "memory of parent + child, Upreel".to_owned(),
        expected: "at most 120 MB".to_owned(),
        measured: format!("{memory:.0} MB"),
        met: memory <= 120.0 && !ours.is_empty(),
    });
    let storyboards = rows.iter().filter(|row| row.method == Method::Storyboard);
    for row in storyboards.filter(|row| (900_000_000..1_100_000_000).contains(&row.size)) {
        // MPEG-TS has no index.
        if row.video.name != "ts-1g.ts" {
            targets.push(at_least(
                format!("object / bytes read, storyboard of {}", row.video.title),
                25,
                row.ratio(),
            ));
        }
    }
    targets
}

fn times(ratio: f64) -> String {
    if ratio < 100.0 { format!("{ratio:.1}") } else { format!("{ratio:.0}") }
}
