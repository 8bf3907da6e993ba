//! Logs as JSON lines, metrics in CloudWatch's embedded metric format, and the start of optional traces.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::{config, trace};

/// The stack whose metrics are written. Unset until [`init`], so that the local backend, which has its own log, does not
/// print metrics.
static STACK: OnceLock<String> = OnceLock::new();

/// Starts logging and metrics: one JSON object on each line of standard output, as CloudWatch Logs expects. An invalid
/// `log_level` means `info`. The metrics have the dimensions `Stack` and `Function`. Does nothing the second time.
pub fn init(log_level: &str, stack: &str) {
    let _ = STACK.set(stack.to_owned());
    // `EnvFilter` is not used, because its regular expressions take longer to start than everything else.
    let levels =
        log_level.parse::<Targets>().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true);
    let lines = lines.with_current_span(true).with_span_list(false);
    let traces = config::xray_daemon().and_then(|daemon| trace::layer(&daemon));
    // Fails if logging was started before.
    let _ = tracing_subscriber::registry().with(lines.with_filter(levels)).with(traces).try_init();
}

/// A CloudWatch unit.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// A count.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// A number that CloudWatch has no unit for.
    None,
}

/// Writes one record of metrics (CloudWatch embedded metric format, namespace `Upreel`).
///
/// `properties` are searchable in the log, and add no dimensions to the metrics.
pub fn metrics(function: &str, values: &[(&str, Unit, f64)], properties: &[(&str, &str)]) {
    let properties: Vec<_> = properties.iter().map(|(name, text)| (*name, json!(text))).collect();
    let properties = [&[("Function", json!(function))][..], &properties].concat();
    write(values, &["Stack", "Function"], &properties);
}

/// Writes one record of metrics with these dimensions, each of which is `Stack` or a property.
pub(crate) fn write(values: &[(&str, Unit, f64)], dimensions: &[&str], properties: &[(&str, Value)]) {
    let Some(stack) = STACK.get() else { return };
    let line = embedded_metrics(stack, dimensions, values, properties, SystemTime::now());
    // A metric that cannot be written must not fail the work that it measures.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

fn embedded_metrics(
    stack: &str,
    dimensions: &[&str],
    values: &[(&str, Unit, f64)],
    properties: &[(&str, Value)],
    now: SystemTime,
) -> Value {
    let millis = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let metrics: Vec<Value> =
        values.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": format!("{unit:?}")})).collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": u64::try_from(millis).unwrap_or_default(),
            "CloudWatchMetrics": [
                {"Namespace": "Upreel", "Dimensions": [dimensions], "Metrics": metrics}
            ],
        }),
    );
    line.insert("Stack".to_owned(), json!(stack));
    for (name, value) in properties {
        line.insert((*name).to_owned(), value.clone());
    }
    for (name, _, value) in values {
        line.insert((*name).to_owned(), json!(value));
    }
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_each_metric_and_its_value() {
        let values = [("BytesRead", Unit::Bytes, 42.0), ("Requests", Unit::Count, 2.0)];
        let properties = [("Function", json!("thumbnail")), ("videoId", json!("v"))];
        let line = embedded_metrics("upreel-dev", &["Stack", "Function"], &values, &properties, UNIX_EPOCH);
        assert_eq!(
            line,
            json!({
                "_aws": {"Timestamp": 0, "CloudWatchMetrics": [{
                    "Namespace": "Upreel",
                    "Dimensions": [["Stack", "Function"]],
                    "Metrics": [
                        {"Name": "BytesRead", "Unit": "Bytes"},
                        {"Name": "Requests", "Unit": "Count"},
                    ],
                }]},
                "Stack": "upreel-dev", "Function": "thumbnail", "videoId": "v", "BytesRead": 42.0, "Requests": 2.0,
            })
        );
    }
}
