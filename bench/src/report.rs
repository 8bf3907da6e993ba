//! The tables.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::Failed;
use crate::drive::Run;
use crate::files::Video;
use crate::link::{BYTES_PER_SECOND, LATENCY};
use crate::machine::{self, said};
use crate::worker::Method;

/// What one method took on one video.
pub(crate) struct Row {
    pub(crate) video: &'static Video,
    pub(crate) size: u64,
    pub(crate) method: Method,
    pub(crate) runs: Result<Vec<Run>, String>,
}

impl Row {
    /// The median of a number of the runs; infinite if it failed.
    fn median(&self, number: impl Fn(&Run) -> f64) -> f64 {
        let mut all: Vec<f64> = self.runs.iter().flatten().map(number).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::INFINITY)
    }

    fn least(&self, number: impl Fn(&Run) -> f64) -> f64 {
        self.runs.iter().flatten().map(number).fold(f64::INFINITY, f64::min)
    }

    fn most(&self, number: impl Fn(&Run) -> f64) -> f64 {
        self.runs.as_ref().map_or(f64::INFINITY, |runs| runs.iter().map(number).fold(0.0, f64::max))
    }

    /// How many times larger the object is than what was read of it.
    fn ratio(&self) -> f64 {
        float(self.size) / self.median(read)
    }
}

/// The numbers here are far from what a float cannot hold.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

fn wall(run: &Run) -> f64 {
    run.taken.cost.wall / 1000.0
}

fn cpu(run: &Run) -> f64 {
    run.taken.cost.cpu / 1000.0
}

fn read(run: &Run) -> f64 {
    float(run.traffic.bytes)
}

/// In MB, as the other sizes here.
pub(crate) fn memory(kib: u64) -> f64 {
    float(kib * 1024) / 1e6
}

pub(crate) fn write(rows: &[Row], ffmpeg: &Path) -> Result<String, Failed> {
    let mut out = String::from("# Upreel beside the usual ways\n\n");
    surroundings(&mut out, ffmpeg)?;
    out.push_str("\n## What it took\n\n");
    table(&mut out, rows)?;
    out.push_str("\n## What was demanded\n\n| | demanded | measured | |\n|---|---:|---:|---|\n");
    for demand in demands(rows) {
        let Demand { what, demanded, measured, met } = demand;
        writeln!(out, "| {what} | {demanded} | {measured} | {} |", if met { "ok" } else { "MISSED" })?;
    }
    Ok(out)
}

/// What was measured, where, and how.
fn surroundings(out: &mut String, ffmpeg: &Path) -> Result<(), Failed> {
    let here = machine::here("make bench", "bench/results.md")?;
    let (ours, theirs) =
        (said(Command::new(ffmpeg).arg("-version")), said(Command::new("ffmpeg").arg("-version")));
    writeln!(
        out,
        "{here}; Upreel's {ours}; {theirs} for the usual ways.

S3 is local. Each request waits {} ms for the first byte, all answers share a link of {} MB/s; requests and bytes
are counted there. Each run is a process of its own, measured from the event to the picture, with a connection yet to
be made. Processor time and memory are those of the process and its children. The child's memory is counted
from the fork, so it is never below the parent's. \"Temporary\" is the most that was in `TMPDIR` at one time.
A storyboard is measured after the poster, as it is made in the same invocation; its memory is that of both.

- download: one `GET` to a file, then `ffmpeg -i in -ss 1 -frames:v 1 -vf scale=640:-2 out.jpg`
- ffmpeg over http: `ffmpeg -ss 1 -i <signed URL> -frames:v 1 -vf scale=640:-2 out.jpg`
- Upreel: `poster::make` and `storyboard::make`, reading through the AWS SDK as the thumbnail function does",
        LATENCY.as_millis(),
        BYTES_PER_SECOND / 1_000_000,
    )?;
    Ok(())
}

fn table(out: &mut String, rows: &[Row]) -> Result<(), Failed> {
    out.push_str(
        "| video | method | wall: least, median (s) | processor: least, median (s) | requests | MB read | object / read \
         | temporary MB | MB of memory: parent + child | index |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---|\n",
    );
    for row in rows {
        write!(out, "| {} | {} | ", row.video.title, row.method.title())?;
        let run = match &row.runs {
            Ok(runs) => runs.first(),
            Err(why) => {
                writeln!(out, "{} ||||||||", why.replace('|', "/"))?;
                continue;
            }
        };
        let index = match run.and_then(|run| run.taken.index) {
            Some(true) => "read",
            Some(false) => "left to ffmpeg",
            None => "",
        };
        writeln!(
            out,
            "{:.2}, {:.2} | {:.2}, {:.2} | {:.0} | {:.2} | {} | {:.2} | {:.0} + {:.0} | {index} |",
            row.least(wall),
            row.median(wall),
            row.least(cpu),
            row.median(cpu),
            row.median(|run| float(run.traffic.requests)),
            row.median(read) / 1e6,
            times(row.ratio()),
            row.most(|run| float(run.temporary)) / 1e6,
            row.most(|run| memory(run.taken.cost.parent)),
            row.most(|run| memory(run.taken.cost.child)),
        )?;
    }
    Ok(())
}

struct Demand {
    what: String,
    demanded: String,
    measured: String,
    met: bool,
}

fn at_least(what: String, demanded: u32, measured: f64) -> Demand {
    let demanded = f64::from(demanded);
    // What failed has read an infinite number of bytes, or taken infinitely long.
    let worked = measured.is_finite() && measured > 0.0;
    let said = if worked { times(measured) } else { "failed".to_owned() };
    Demand { what, demanded: times(demanded), measured: said, met: worked && measured >= demanded }
}

/// The demands on the videos that were measured.
fn demands(rows: &[Row]) -> Vec<Demand> {
    let find = |name: &str, method| rows.iter().find(|row| row.video.name == name && row.method == method);
    let mut demands = Vec::new();
    for (name, demanded) in [
        ("mp4-1g.mp4", 2_000),
        ("mp4-1g-last.mp4", 2_000),
        ("mp4-5g.mp4", 10_000),
        ("mp4-5g-last.mp4", 10_000),
        ("mkv-1g.mkv", 500),
        ("webm-1g.webm", 500),
    ] {
        if let Some(row) = find(name, Method::Poster) {
            demands.push(at_least(
                format!("object / bytes read, {}", row.video.title),
                demanded,
                row.ratio(),
            ));
        }
    }
    for name in ["mp4-1g.mp4", "mp4-1g-last.mp4"] {
        if let (Some(usual), Some(ours)) = (find(name, Method::Download), find(name, Method::Poster)) {
            let what = format!("wall of the download / ours, {}", ours.video.title);
            demands.push(at_least(what, 50, usual.median(wall) / ours.median(wall)));
        }
    }
    for name in ["mp4-5g.mp4", "mp4-5g-last.mp4"] {
        if let (Some(large), Some(small)) = (find(name, Method::Poster), find("mp4-60m.mp4", Method::Poster))
        {
            let measured = large.median(read) / small.median(read);
            demands.push(Demand {
                what: format!("bytes read, {} / {}", large.video.title, small.video.title),
                demanded: "at most 1.6".to_owned(),
                measured: format!("{measured:.2}"),
                // Not so for NaN, if both failed.
                met: measured <= 1.6,
            });
        }
    }
    let ours: Vec<_> = rows.iter().filter(|row| row.method.ours() && row.runs.is_ok()).collect();
    let most = |number: fn(&Run) -> f64| ours.iter().map(|row| row.most(number)).fold(0.0, f64::max);
    let temporary = most(|run| float(run.temporary));
    demands.push(Demand {
        what: "temporary bytes, all of ours".to_owned(),
        demanded: "0".to_owned(),
        measured: format!("{temporary:.0}"),
        met: temporary < 1.0 && !ours.is_empty(),
    });
    let memory = most(|run| memory(run.taken.cost.parent + run.taken.cost.child));
    demands.push(Demand {
        what: "memory of parent + child, all of ours".to_owned(),
        demanded: "at most 120 MB".to_owned(),
        measured: format!("{memory:.0} MB"),
        met: memory <= 120.0 && !ours.is_empty(),
    });
    let storyboards = rows.iter().filter(|row| row.method == Method::Storyboard);
    for row in storyboards.filter(|row| (900_000_000..1_100_000_000).contains(&row.size)) {
        // There is no index in MPEG-TS.
        if row.video.name != "ts-1g.ts" {
            demands.push(at_least(
                format!("object / bytes read, storyboard of {}", row.video.title),
                25,
                row.ratio(),
            ));
        }
    }
    demands
}

fn times(ratio: f64) -> String {
    if ratio < 100.0 { format!("{ratio:.1}") } else { format!("{ratio:.0}") }
}
