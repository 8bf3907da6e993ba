//! `upreel-bench-functions`: the functions beside the usual ones (`bench`), and the limits that CI holds them to
//! (`check`).
//!
//! Each function is a process that asks the Runtime API which is here ([`runtime`]), and calls the S3 and DynamoDB
//! that are here, over TLS ([`aws`]). What it takes is read from outside, so the cost of all that is not in it.

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
use crate::candidate::{Candidate, Kind};
use crate::deployed::Template;
use crate::report::{Cell, Results};
use crate::run::Length;
use crate::work::Work;

/// Why there is no result: said to the person who started it.
type Failed = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Compare Upreel's functions with the usual ones; a complete run writes bench/functions.md
    Bench(Bench),
    /// Hold what `sam build` made to limits that do not depend on time
    Check {
        /// As `sam build` leaves it
        build: PathBuf,
    },
}

#[derive(Args)]
struct Bench {
    /// Only these: upreel, node-v3, node-v2, python, rust
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Kind>,
    /// Only this work: upload-100k, upload-4m, presign, part, get, list
    #[arg(long, value_delimiter = ',', value_enum)]
    work: Vec<Work>,
    /// How often each function is started for each work; the table has the medians
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How many warm requests are measured in each round, after 10 that are not
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    requests: u16,
    /// The folder with Upreel's binaries
    #[arg(long, default_value = "target/release")]
    upreel: PathBuf,
    /// The folder with the binaries of bench/functions/rust
    #[arg(long, default_value = "bench/functions/rust/target/release")]
    rust: PathBuf,
    /// The Python of bench/functions/python/requirements.txt
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

/// One thread: the function has the other processor for itself.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match Arguments::parse().part {
        Part::Bench(options) => bench(&options).await,
        Part::Check { build } => check::check(&build).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if that fails too.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// The top of the tree.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

async fn bench(options: &Bench) -> Result<(), Failed> {
    let template = Template::read()?;
    let wanted = |kind: &Kind| options.only.is_empty() || options.only.contains(kind);
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(wanted).collect();
    let work: Vec<Work> =
        Work::ALL.into_iter().filter(|work| options.work.is_empty() || options.work.contains(work)).collect();
    let candidate = |kind| Candidate::new(kind, options);
    let candidates = kinds.iter().map(|kind| candidate(*kind)).collect::<Result<Vec<_>, Failed>>()?;
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
        // Round robin, from another place each time: what else the machine does meets all alike.
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
        for function in candidate.functions() {
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
