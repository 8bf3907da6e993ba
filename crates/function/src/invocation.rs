//! Deadlines and errors of handlers on `lambda_runtime`.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Context, Diagnostic, Error};
use tokio::time::Instant;
use upreel_core::Fault;

use crate::telemetry;

/// Runs a function: its start-up, and its invocations until Lambda ends the process. An error is logged as one JSON
/// line of level `ERROR`, even if the settings are incomplete and there is no log yet.
pub async fn run(function: impl Future<Output = Result<(), Error>>) -> ExitCode {
    let Err(error) = function.await else { return ExitCode::SUCCESS };
    telemetry::init("error", "");
    tracing::error!(error = "Function.StartFailed", fault = %error, "function cannot run");
    ExitCode::FAILURE
}

/// Returns the time by which the handler has to return: `margin` before Lambda's timeout.
#[must_use]
pub fn deadline(context: &Context, margin: Duration) -> Instant {
    let end = UNIX_EPOCH + Duration::from_millis(context.deadline);
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_sub(margin)
}

/// Logs the fault that ended an invocation, and converts it into the error that Lambda shows and stores with the event
/// in the dead-letter queue. The error type has the form that Lambda recommends, `Category.Reason`.
#[must_use]
pub fn diagnostic(fault: &Fault) -> Diagnostic {
    tracing::error!(error = "Function.Fault", %fault, "invocation failed");
    Diagnostic { error_type: "Function.Fault".to_owned(), error_message: fault.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(from_now: i64) -> Context {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut context = Context::default();
        context.deadline = u64::try_from(now).unwrap_or_default().saturating_add_signed(from_now);
        context
    }

    #[test]
    fn deadline_leaves_the_margin() {
        let left = |from_now, margin| {
            deadline(&context(from_now), Duration::from_secs(margin))
                .saturating_duration_since(Instant::now())
        };
        assert!((50..=60).contains(&left(90_000, 30).as_secs()));
        assert_eq!(left(-1000, 0), Duration::ZERO, "past");
        assert_eq!(left(10_000, 30), Duration::ZERO, "shorter than the margin");
        assert!(left(i64::MAX / 2, 0).as_secs() > 1 << 40);
    }

    #[test]
    fn faults_have_a_stable_type() {
        let diagnostic = diagnostic(&Fault::message("s3:GetObject", "timed out"));
        assert_eq!(diagnostic.error_type, "Function.Fault");
        assert_eq!(diagnostic.error_message, "s3:GetObject: timed out");
    }
}
