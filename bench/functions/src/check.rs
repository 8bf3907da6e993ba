//! The limits in CI: what does not depend on time, of the programs that were just built.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use crate::aws::Aws;
use crate::candidate::{Candidate, FUNCTIONS};
use crate::deployed::Template;
use crate::limits::{BINARY, FAULTS, INSTRUCTIONS, MEMORY, ZIP};
use crate::run::{self, Length, float};
use crate::work::Work;
use crate::{Failed, sizes, valgrind};

/// Of the instructions: another C library, or a processor with other features.
const MARGIN: f64 = 1.1;
/// Enough for the allocator to have what it needs.
const LENGTH: Length = Length { settle: 10, measured: 10 };

/// # Errors
/// When a limit is exceeded, after all are measured.
pub(crate) async fn check(build: &Path) -> Result<(), Failed> {
    let template = Template::read()?;
    let candidate = Candidate::built(build);
    let aws = Arc::new(Aws::start().await?);
    let mut exceeded = 0;
    let mut hold = |what: String, measured: f64, limit: f64| -> Result<(), Failed> {
        let met = measured <= limit;
        exceeded += usize::from(!met);
        let said = if met { "ok" } else { "EXCEEDED" };
        Ok(writeln!(io::stdout(), "{what:<44} {measured:>9.0}, at most {limit:>9.0}: {said}")?)
    };
    for function in FUNCTIONS.into_iter().chain(["thumbnail"]) {
        let instructions = valgrind::instructions(&candidate, function, &template, &aws).await?;
        let limit = float(INSTRUCTIONS) * MARGIN;
        hold(format!("{function}: instructions to the first event"), float(instructions), limit)?;
        // The thumbnail function is no API function: it drives a decoder, and nobody waits for its start.
        if function != "thumbnail" {
            let size = sizes::of(&candidate, function)?;
            hold(format!("{function}: bytes"), float(size.bytes), float(BINARY))?;
            hold(format!("{function}: bytes in a zip"), float(size.zip), float(ZIP))?;
        }
    }
    for work in Work::ALL {
        let run = run::run(&candidate, work, &template, &aws, LENGTH).await;
        let run = run.map_err(|error| format!("{}: {error}", work.title()))?;
        let (calls, expected) = (run.calls, work.calls());
        if calls != expected {
            return Err(format!("{}: {calls} calls to AWS, not {expected}", work.title()).into());
        }
        writeln!(io::stdout(), "{:<44} {calls:>9}: ok", format!("{}: calls to AWS", work.title()))?;
        if work == Work::Upload4m {
            hold(format!("{}: page faults, warm", work.title()), run.faults, FAULTS)?;
            hold(format!("{}: bytes of memory", work.title()), run.memory * 1e6, MEMORY * 1e6)?;
        }
    }
    if exceeded == 0 { Ok(()) } else { Err(format!("{exceeded} limits are exceeded").into()) }
}
