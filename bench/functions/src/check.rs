//! The checks in CI: limits that don't depend on time, for the programs that were just built.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use crate::aws::Aws;
use crate::candidate::{Candidate, FUNCTIONS};
use crate::deployed::Template;
use crate::limits::{self, FAULTS, INSTRUCTIONS, MEMORY};
use crate::run::{self, Length, float};
use crate::work::Work;
use crate::{BoxError, sizes, valgrind};

/// Ten warm-up requests are enough for the allocator to reach its final size.
const LENGTH: Length = Length { settle: 10, measured: 10 };

/// Measures all programs, and compares them with the limits.
///
/// # Errors
/// When a limit is exceeded.
pub(crate) async fn check(build: &Path) -> Result<(), BoxError> {
    let template = Template::read()?;
    let candidate = Candidate::built(build);
    let aws = Arc::new(Aws::start().await?);
    let mut exceeded = 0;
    let mut check = |what: String, measured: f64, limit: f64| -> Result<(), BoxError> {
        let met = measured <= limit;
        exceeded += usize::from(!met);
        let result = if met { "ok" } else { "EXCEEDED" };
        Ok(writeln!(io::stdout(), "{what:<44} {measured:>9.0}, at most {limit:>9.0}: {result}")?)
    };
    for function in FUNCTIONS.into_iter().chain(["playback", "thumbnail"]) {
        let instructions = valgrind::instructions(&candidate, function, &template, &aws).await?;
        let limit = float(INSTRUCTIONS);
        check(format!("{function}: instructions to the first event"), float(instructions), limit)?;
        // The thumbnail function isn't behind the API: no client waits for its start, so its size has no limit.
        if function != "thumbnail" {
            let (size, limit) = (sizes::of(&candidate, function)?, limits::sizes(function));
            check(format!("{function}: bytes"), float(size.bytes), float(limit.bytes))?;
            check(format!("{function}: bytes in a zip"), float(size.zip), float(limit.zip))?;
        }
    }
    for work in Work::ALL {
        let run = run::run(&candidate, work, &template, &aws, LENGTH).await;
        let run = run.map_err(|error| format!("{}: {error}", work.title()))?;
        let (calls, expected) = (run.calls, work.calls());
        if calls != expected {
            return Err(format!("{}: {calls} calls to AWS, expected {expected}", work.title()).into());
        }
        writeln!(io::stdout(), "{:<44} {calls:>9}: ok", format!("{}: calls to AWS", work.title()))?;
        if work == Work::Upload4m {
            check(format!("{}: page faults, warm", work.title()), run.faults, FAULTS)?;
            check(format!("{}: bytes of memory", work.title()), run.memory * 1e6, MEMORY * 1e6)?;
        }
    }
    if exceeded == 0 { Ok(()) } else { Err(format!("{exceeded} limits are exceeded").into()) }
}
