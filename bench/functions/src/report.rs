//! The report.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;

use crate::candidate::{Candidate, Kind};
use crate::deployed::Template;
use crate::limits::{self, FAULTS, INSTRUCTIONS, Less, MEMORY, PRESIGN, UPLOAD};
use crate::machine::{self, first_line};
use crate::run::{Length, Run, float, median};
use crate::sizes::Size;
use crate::work::Work;
use crate::{BoxError, root};

/// US dollars, see [`PRICES`].
const PER_MILLION_REQUESTS: f64 = 0.20;
const PER_GB_SECOND_X86: f64 = 0.000_016_666_7;
const PER_GB_SECOND_ARM: f64 = 0.000_013_333_4;
const PRICES: &str = "0.20 for a million requests, 0.0000166667 (x86) and\n  0.0000133334 (Arm) for a GB-second \
                      (<https://aws.amazon.com/lambda/pricing/>, us-east-1, first tier, as quoted in May 2026)";
/// Memory with which a function has one processor, in MB. With less, it has that share of one.
const ONE_PROCESSOR: f64 = 1769.0;

/// The runs of one function for one kind of request.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) work: Work,
    pub(crate) kind: Kind,
    pub(crate) runs: Vec<Run>,
}

impl Cell {
    pub(crate) fn new(work: Work, kind: Kind) -> Self {
        Self { work, kind, runs: Vec::new() }
    }

    fn median(&self, number: impl Fn(&Run) -> f64) -> f64 {
        median(&mut self.runs.iter().map(number).collect::<Vec<_>>())
    }

    /// Returns the maximum over the runs. It should be the same in each.
    fn calls(&self) -> usize {
        self.runs.iter().map(|run| run.calls).max().unwrap_or_default()
    }
}

/// All measurements.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) template: Template,
    pub(crate) cells: Vec<Cell>,
    /// Instructions until the first event.
    pub(crate) starts: BTreeMap<(Kind, &'static str), u64>,
    pub(crate) sizes: Vec<Size>,
    pub(crate) length: Length,
    pub(crate) rounds: u16,
}

impl Results {
    pub(crate) fn write(&self, candidates: &[Candidate]) -> Result<String, BoxError> {
        let mut out = String::from("# Upreel's functions compared with common implementations\n\n");
        self.method(&mut out, candidates)?;
        for work in Work::ALL {
            self.requests(&mut out, work)?;
        }
        self.programs(&mut out)?;
        out.push_str("\n## Targets\n\n| | target | measured | |\n|---|---:|---:|---|\n");
        for Target { what, expected, measured, met } in self.targets() {
            writeln!(out, "| {what} | {expected} | {measured} | {} |", if met { "ok" } else { "MISSED" })?;
        }
        out.push_str(include_str!("../runtime.md"));
        Ok(out)
    }

    /// Writes the environment and the method of the measurements.
    fn method(&self, out: &mut String, candidates: &[Candidate]) -> Result<(), BoxError> {
        let here = machine::here("make bench-functions", "bench/functions.md")?;
        let Length { settle, measured } = self.length;
        let rounds = self.rounds;
        let versions = versions(candidates)?;
        let priority = if is_real_time()? { ", at real-time priority" } else { "" };
        writeln!(
            out,
            "{here}{versions}{priority}.

Each function is a process that talks to the same emulator of Lambda's Runtime API, and to the same emulators of S3 and
DynamoDB, over TLS on the loopback interface. The emulators check signatures, bodies, checksums, conditions and every URL
in a response, and count the calls to AWS. Events, environment and memory size are those of [events](../events) and
[template.yaml](../template.yaml). The functions take turns in {rounds} rounds; the figures are medians of the rounds.

- init: from the start of the process to its request for the first event; cold: from the start to the first response
- warm: median of {measured} requests, after the first and {settle} more; CPU: their processor time (user and system); faults:
  their minor page faults; memory: peak (`VmHWM`). The emulators are another process
- USD: price of a million warm requests: {PRICES}.
  The billed time is the CPU time, divided by the share of a processor that the memory size gives (1,769 MB is one), in
  whole milliseconds. The time of AWS's own services is the same for all and not included
- Node.js, SDK v3 and v2: [node](functions/node), bundled and minified by esbuild, with clients outside of the handler,
  persistent connections, a shorter loop than Lambda's own runtime, and V8's memory limits as Lambda sets them
- Python: [python](functions/python), with Lambda's own runtime client; boto3 is part of Lambda's runtime, not of the zip
- Rust, defaults: [rust](functions/rust), lambda_http, multer and the AWS SDK with their default features, and Cargo's
  default release profile
- Upreel: the release build, as it is deployed. It reads the roots that are otherwise in its binary, together with the
  test's certificate authority, from a file; the others read the same number of roots as on Lambda"
        )?;
        Ok(())
    }

    fn cell(&self, work: Work, kind: Kind) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.work == work && cell.kind == kind)
    }

    fn requests(&self, out: &mut String, work: Work) -> Result<(), BoxError> {
        let cells: Vec<_> = self.cells.iter().filter(|cell| cell.work == work).collect();
        if cells.is_empty() {
            return Ok(());
        }
        let memory = self.template.memory(work.function());
        write!(
            out,
            "\n## {}\n\n{}; {memory} MB.\n\n| | init ms | cold ms | warm ms | CPU ms | faults | memory MB | AWS calls \
             | USD x86 | USD Arm |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            capital(work.title()),
            work.route(),
        )?;
        for cell in cells {
            let cpu = cell.median(|run| run.cpu);
            writeln!(
                out,
                "| {} | {:.1} | {:.1} | {:.2} | {cpu:.2} | {:.0} | {:.1} | {} | {:.2} | {:.2} |",
                cell.kind,
                cell.median(|run| run.init),
                cell.median(|run| run.cold),
                cell.median(|run| run.warm),
                cell.median(|run| run.faults),
                cell.median(|run| run.memory),
                cell.calls(),
                dollars(cpu, memory, PER_GB_SECOND_X86),
                dollars(cpu, memory, PER_GB_SECOND_ARM),
            )?;
        }
        Ok(())
    }

    fn programs(&self, out: &mut String) -> Result<(), BoxError> {
        out.push_str(
            "\n## Programs\n\n`valgrind --tool=callgrind` counts the instructions, of all threads.\n\n\
             | function | | MB | MB in a zip | instructions to the first event |\n|---|---|---:|---:|---:|\n",
        );
        for Size { kind, function, bytes, zip } in &self.sizes {
            let start = self.starts.get(&(*kind, *function));
            let start = start.map(|start| format!("{:.2} M", float(*start) / 1e6)).unwrap_or_default();
            let (bytes, zip) = (float(*bytes) / 1e6, float(*zip) / 1e6);
            let places = if bytes < 1.0 { 3 } else { 2 };
            writeln!(out, "| {function} | {kind} | {bytes:.places$} | {zip:.places$} | {start} |")?;
        }
        Ok(())
    }

    /// Returns the targets for the measurements.
    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for (work, Less { cold, warm, memory }) in [(Work::Upload4m, UPLOAD), (Work::Presign, PRESIGN)] {
            let (Some(ours), Some(node)) = (self.cell(work, Kind::Upreel), self.cell(work, Kind::NodeV3))
            else {
                continue;
            };
            let mut less = |what: &str, target: f64, number: fn(&Run) -> f64| {
                let measured = node.median(number) / ours.median(number);
                targets.push(Target {
                    what: format!("{what}, {}: Node.js, SDK v3 / Upreel", work.title()),
                    expected: target.to_string(),
                    measured: format!("{measured:.1}"),
                    met: measured >= target,
                });
            };
            less("cold", cold, |run| run.cold);
            less("warm", warm, |run| run.warm);
            less("memory", memory, |run| run.memory);
        }
        let mut at_most = |what: String, measured: f64, limit: f64, unit: &str| {
            let places = if unit.is_empty() { 0 } else { 2 };
            targets.push(Target {
                what,
                expected: format!("at most {limit}{unit}"),
                measured: format!("{measured:.places$}{unit}"),
                met: measured <= limit,
            });
        };
        for ((kind, function), instructions) in &self.starts {
            if *kind == Kind::Upreel {
                let what = format!("instructions to the first event, {function}");
                at_most(what, float(*instructions) / 1e6, float(INSTRUCTIONS) / 1e6, " M");
            }
        }
        for size in self.sizes.iter().filter(|size| size.kind == Kind::Upreel) {
            let (function, limit) = (size.function, limits::sizes(size.function));
            at_most(format!("program, {function}"), float(size.bytes) / 1e6, float(limit.bytes) / 1e6, " MB");
            at_most(format!("zip, {function}"), float(size.zip) / 1e6, float(limit.zip) / 1e6, " MB");
        }
        if let Some(cell) = self.cell(Work::Upload4m, Kind::Upreel) {
            at_most("page faults, warm upload, 4 MiB".to_owned(), cell.median(|run| run.faults), FAULTS, "");
            at_most("memory, upload, 4 MiB".to_owned(), cell.median(|run| run.memory), MEMORY, " MB");
        }
        for cell in self.cells.iter().filter(|cell| cell.kind == Kind::Upreel) {
            let (calls, target) = (cell.calls(), cell.work.calls());
            targets.push(Target {
                what: format!("AWS calls, {}", cell.work.title()),
                expected: target.to_string(),
                measured: calls.to_string(),
                met: calls == target,
            });
        }
        targets
    }
}

struct Target {
    what: String,
    expected: String,
    measured: String,
    met: bool,
}

/// Returns the price of a million requests with this processor time in milliseconds, and this memory size in MB.
fn dollars(cpu: f64, memory: u64, per_gb_second: f64) -> f64 {
    let share = (float(memory) / ONE_PROCESSOR).min(1.0);
    let billed = (cpu / share).ceil() / 1000.0;
    PER_MILLION_REQUESTS + 1e6 * billed * float(memory) / 1024.0 * per_gb_second
}

fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

/// Returns whether this process runs at real-time priority (`chrt --fifo 1 ...`), which the functions inherit.
fn is_real_time() -> Result<bool, BoxError> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The priority is field 40 in proc(5). The first field after the name in brackets is number 3.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    Ok(fields.split_whitespace().nth(37).is_some_and(|priority| priority != "0"))
}

/// Returns the versions of the interpreters and SDKs.
fn versions(candidates: &[Candidate]) -> Result<String, BoxError> {
    let package = std::fs::read_to_string(root().join("bench/functions/node/package.json"))?;
    let package: serde_json::Value = serde_json::from_str(&package)?;
    let of = |name: &str| package["dependencies"][name].as_str().unwrap_or("unknown").to_owned();
    let mut text = String::new();
    for candidate in candidates {
        let run = |arguments: &[&str]| first_line(Command::new(&candidate.interpreter).args(arguments));
        match candidate.kind {
            Kind::NodeV3 => {
                write!(text, "; Node.js {}, SDK {}", run(&["--version"]), of("@aws-sdk/client-s3"))?;
            }
            Kind::NodeV2 => write!(text, " and {}", of("aws-sdk"))?,
            Kind::Python => {
                let boto3 = run(&["-c", "import boto3; print(boto3.__version__)"]);
                write!(text, "; {}, boto3 {boto3}", run(&["--version"]))?;
            }
            Kind::Upreel | Kind::Rust => {}
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_of_a_million_requests() {
        // 10 ms of a whole processor with 1,769 MB. With less memory, the share of a processor prolongs the billed
        // time.
        let whole = dollars(10.0, 1769, PER_GB_SECOND_X86);
        assert!((whole - (0.20 + 10_000.0 * 1.727_539 * PER_GB_SECOND_X86)).abs() < 1e-4, "{whole}");
        assert!(
            (dollars(1.0, 512, PER_GB_SECOND_ARM) - (0.20 + 4_000.0 * 0.5 * PER_GB_SECOND_ARM)).abs() < 1e-9
        );
    }
}
