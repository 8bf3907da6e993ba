//! `upreel-bench-functions`: compares the functions with common implementations (`bench`), and checks the limits that
//! CI enforces (`check`).
//!
//! Each function is a process. It talks to an emulator of the Runtime API ([`runtime`]), and to emulators of S3 and
//! DynamoDB over TLS ([`aws`]). The process is measured from outside, so the measurements don't include the emulators.

mod aws;
mod aws_chunked;
mod candidate;
mod check;
mod deployed;
mod limits;
#[path = "../../src/machine.rs"]
mod machine;
mod report;
mod run;
mod runtime;
mod signature;
mod sizes;
mod tls;
mod valgrind;
mod work;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::aws::Aws;
use crate::candidate::{Candidate, FUNCTIONS, Kind};
use crate::deployed::Template;
use crate::report::{Cell, Results};
use crate::run::Length;
use crate::work::Work;

/// Any error; `main` prints it.
type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Compare Upreel's functions with common implementations; a complete run writes bench/functions.md
    Bench(Bench),
    /// Check the programs of `sam build` against limits that don't depend on time
    Check {
        /// The output folder of `sam build`
        build: PathBuf,
    },
}

#[derive(Args)]
struct Bench {
    /// Only these: upreel, node-v3, node-v2, python, rust
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Kind>,
    /// Only these kinds of requests: upload-100k, upload-4m, presign, part, get, list
    #[arg(long, value_delimiter = ',', value_enum)]
    work: Vec<Work>,
    /// Number of times that each function is started for each kind of request; the tables have the medians
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Number of warm requests that are measured in each round, after 10 that are not
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    requests: u16,
    /// Folder of Upreel's binaries
    #[arg(long, default_value = "target/release")]
    upreel: PathBuf,
    /// Folder of the binaries of bench/functions/rust
    #[arg(long, default_value = "bench/functions/rust/target/release")]
    rust: PathBuf,
    /// Python interpreter with the packages of bench/functions/python/requirements.txt
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

/// Runs on one thread, so that the function has the other processor for itself.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match Arguments::parse().mode {
        Mode::Bench(options) => bench(&options).await,
        Mode::Check { build } => check::check(&build).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is closed, the exit code alone reports the error.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the root of the repository.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

async fn bench(options: &Bench) -> Result<(), BoxError> {
    let template = Template::read()?;
    let wanted = |kind: &Kind| options.only.is_empty() || options.only.contains(kind);
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(wanted).collect();
    let work: Vec<Work> =
        Work::ALL.into_iter().filter(|work| options.work.is_empty() || options.work.contains(work)).collect();
    let candidate = |kind| Candidate::new(kind, options);
    let candidates = kinds.iter().map(|kind| candidate(*kind)).collect::<Result<Vec<_>, BoxError>>()?;
    let aws = Arc::new(Aws::start().await?);

    let length = Length { settle: 10, measured: options.requests.into() };
    let mut cells: Vec<Cell> = Vec::new();
    for work in &work {
        cells.extend(candidates.iter().map(|candidate| Cell::new(*work, candidate.kind)));
    }
    let pairs: Vec<(Work, &Candidate)> =
        work.iter().flat_map(|work| candidates.iter().map(move |candidate| (*work, candidate))).collect();
    for round in 0..usize::from(options.rounds) {
        writeln!(io::stderr(), "round {} of {}", round + 1, options.rounds)?;
        // Round robin with a different start in each round, so that other load on the machine affects all equally.
        for turn in 0..pairs.len() {
            let turn = (turn + round * 7) % pairs.len();
            let (work, candidate) = pairs[turn];
            let run = run::run(candidate, work, &template, &aws, length).await;
            let run = run.map_err(|error| format!("{}, {}: {error}", candidate.kind, work.title()))?;
            writeln!(io::stderr(), "  {:<14} {:<16} {run}", work.title(), candidate.kind.title())?;
            cells[turn].runs.push(run);
        }
    }

    let mut starts = BTreeMap::new();
    for candidate in candidates.iter().filter(|candidate| candidate.kind.is_binary()) {
        for function in FUNCTIONS {
            let instructions = valgrind::instructions(candidate, function, &template, &aws).await?;
            starts.insert((candidate.kind, function), instructions);
        }
    }
    let sizes = sizes::all(&candidates)?;
    let results = Results { template, cells, starts, sizes, length, rounds: options.rounds };
    let report = results.write(&candidates)?;
    write!(io::stdout(), "{report}")?;
    if options.only.is_empty() && options.work.is_empty() {
        std::fs::write(root().join("bench/functions.md"), report)?;
    }
    Ok(())
}
