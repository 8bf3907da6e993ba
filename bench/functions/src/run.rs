//! Measures one process of a function, from its start through a number of requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::BoxError;
use crate::aws::{Aws, TABLE, UPLOADS};
use crate::candidate::Candidate;
use crate::deployed::Template;
use crate::runtime::{self, Done};
use crate::work::Work;

pub(crate) const REGION: &str = "us-east-1";
/// The example credentials of AWS's documentation.
pub(crate) const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// The number of warm requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Length {
    /// Warm-up requests that aren't measured, because a just-in-time compiler may still be working.
    pub(crate) settle: usize,
    pub(crate) measured: usize,
}

/// The measurement of one process.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Time from the start to the request for the first event, in milliseconds.
    pub(crate) init: f64,
    /// Time from the start to the first response, in milliseconds.
    pub(crate) cold: f64,
    /// Median time of a warm request, in milliseconds.
    pub(crate) warm: f64,
    /// Mean processor time of a warm request, in milliseconds.
    pub(crate) cpu: f64,
    /// Mean number of minor page faults of a warm request.
    pub(crate) faults: f64,
    /// Peak memory, in MB.
    pub(crate) memory: f64,
    /// Number of calls to AWS of each request.
    pub(crate) calls: usize,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { init, cold, warm, cpu, faults, memory, calls } = self;
        write!(
            f,
            "init {init:.1} ms, cold {cold:.1} ms, warm {warm:.2} ms, {cpu:.2} ms of CPU, {faults:.0} faults, \
             {memory:.1} MB, {calls} calls"
        )
    }
}

/// Returns the environment that Lambda and the template give a function, and the endpoint of the emulators.
pub(crate) fn environment(function: &str, template: &Template, aws: &Aws) -> Vec<(String, String)> {
    let memory = template.memory(function).to_string();
    // The same length as on Lambda.
    let token = "IQoJb3JpZ2luX2VjEXAMPLE".repeat(40);
    let variables = [
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_SESSION_TOKEN", &token),
        ("AWS_ENDPOINT_URL", &aws.url),
        ("AWS_LAMBDA_FUNCTION_NAME", function),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "g"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "s"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("TABLE_NAME", TABLE),
        ("UPLOADS_BUCKET", UPLOADS),
        ("THUMBNAILS_BUCKET", "thumbnails"),
        ("PROCESSED_BUCKET", "processed"),
        ("ALLOWED_ORIGINS", "https://app.example.com"),
        ("MAX_UPLOAD_BYTES", "5368709120"),
        ("LOG_LEVEL", "info"),
        ("TRANSFER_ACCELERATION", "false"),
    ];
    variables
        .into_iter()
        .chain(template.variables(function))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Starts a function, sends it requests, and checks its responses and its calls to AWS.
///
/// # Errors
/// When the function fails, or a response or a call is incorrect.
pub(crate) async fn run(
    candidate: &Candidate,
    work: Work,
    template: &Template,
    aws: &Arc<Aws>,
    length: Length,
) -> Result<Run, BoxError> {
    let function = work.function();
    aws.expect(work.file());
    let mut command = candidate.command(function, template);
    command.env_clear().envs(environment(function, template, aws)).envs(candidate.variables(&aws.trust));
    let events = 1 + length.settle + length.measured;
    let done = runtime::run(command, work.event()?, events, aws.clone()).await;
    // Report a rejected call first: it is the cause of an error response.
    aws.finish()?;
    let Done { mut child, measurements } = done?;
    let memory = runtime::peak(&child)?;
    child.kill().await?;
    for response in &measurements.responses {
        work.check(response)?;
    }
    let counts: Vec<usize> = [0].into_iter().chain(measurements.calls).collect();
    let each: Vec<usize> = counts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let calls = each.iter().max().copied().unwrap_or_default();
    if each.iter().any(|count| *count != calls) {
        return Err(format!("calls to AWS differ from request to request: {:?}", aws.call_names()).into());
    }
    let from = 1 + length.settle;
    let (Some(begin), Some(end)) = (measurements.usage.get(from), measurements.usage.get(events)) else {
        return Err("there are fewer responses than events".into());
    };
    let requests = count(length.measured);
    let mut warm: Vec<f64> = measurements.latencies[from..].iter().copied().map(millis).collect();
    Ok(Run {
        init: millis(measurements.init),
        cold: millis(measurements.cold),
        warm: median(&mut warm),
        cpu: millis(end.cpu.saturating_sub(begin.cpu)) / requests,
        faults: float(end.faults - begin.faults) / requests,
        memory: float(memory) / 1e6,
        calls,
    })
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Converts a number. All numbers in the reports are below 2^53, so the conversion is exact.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

fn count(number: usize) -> f64 {
    float(number.try_into().unwrap_or(u64::MAX))
}

/// Returns the median, or infinity if there are no values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::INFINITY)
}
