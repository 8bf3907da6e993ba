//! The cost of an invocation, as the metric `Cost`: its compute time, its requests to S3 and `DynamoDB`, and the
//! request that caused it. The model in docs/OPERATIONS.md (section 6) has the same items.

use std::sync::OnceLock;
use std::time::Instant;

use serde_json::json;
use upreel_store::sdk::Usage;

use crate::config;
use crate::telemetry::{self, Unit};

/// AWS's list prices in millionths of a US dollar: us-east-1, looked up on 23 November 2026. docs/OPERATIONS.md says
/// where; a test compares them.
mod price {
    /// A GB-second of Lambda.
    pub(super) const GB_SECOND: f64 =
        if cfg!(target_arch = "aarch64") { GB_SECOND_ARM } else { GB_SECOND_X86 };
    pub(super) const GB_SECOND_X86: f64 = 16.6667;
    pub(super) const GB_SECOND_ARM: f64 = 13.3334;
    /// An invocation of Lambda.
    pub(super) const INVOCATION: f64 = 0.2;
    /// A request to API Gateway.
    pub(super) const API_REQUEST: f64 = 3.5;
    /// A state transition of Step Functions.
    pub(super) const TRANSITION: f64 = 25.0;
    pub(super) const S3_READ: f64 = 0.4;
    pub(super) const S3_WRITE: f64 = 5.0;
    pub(super) const READ_UNIT: f64 = 0.125;
    pub(super) const WRITE_UNIT: f64 = 0.625;
}

/// Write units of a write: the row has less than 1 KB, and is written to the table, to `byUser`, and mostly to `byDue`.
const UNITS_OF_A_WRITE: f64 = 10.0 / 3.0;
/// State transitions of a task. Most tasks encode a chunk, which is an execution of its own, with three transitions.
const TRANSITIONS_OF_A_TASK: f64 = 3.0;

/// The memory of the function in GB, which is billed whether it is used or not.
static MEMORY: OnceLock<f64> = OnceLock::new();

/// The service that invokes a function, and charges for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invoker {
    /// API Gateway.
    Api,
    /// A state machine.
    StateMachine,
    /// A service that charges nothing, or next to nothing: S3, SQS, the scheduler.
    Free,
}

/// Runs `work`, an invocation of `function`, and writes its cost as a metric.
pub async fn measured<T>(function: &'static str, invoker: Invoker, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let result = work.await;
    let usage = Usage::take();
    let gb_seconds = started.elapsed().as_secs_f64() * MEMORY.get_or_init(config::memory_gb);
    let properties = [
        ("Function", json!(function)),
        ("gbSeconds", json!(gb_seconds)),
        ("s3Reads", json!(usage.s3_reads)),
        ("s3Writes", json!(usage.s3_writes)),
        ("bytesStored", json!(usage.bytes_stored)),
        ("tableReads", json!(usage.table_reads)),
        ("tableWrites", json!(usage.table_writes)),
    ];
    // One metric for all functions: each further one costs $0.30 a month.
    telemetry::write(&[("Cost", Unit::None, cost(invoker, gb_seconds, usage))], &["Stack"], &properties);
    result
}

/// Returns the cost of an invocation in millionths of a dollar.
fn cost(invoker: Invoker, gb_seconds: f64, usage: Usage) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let times = |count: u64, price: f64| count as f64 * price;
    let request = match invoker {
        Invoker::Api => price::API_REQUEST,
        Invoker::StateMachine => TRANSITIONS_OF_A_TASK * price::TRANSITION,
        Invoker::Free => 0.0,
    };
    gb_seconds * price::GB_SECOND
        + price::INVOCATION
        + request
        + times(usage.s3_reads, price::S3_READ)
        + times(usage.s3_writes, price::S3_WRITE)
        + times(usage.table_reads, price::READ_UNIT)
        + times(usage.table_writes, price::WRITE_UNIT * UNITS_OF_A_WRITE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATIONS: &str = include_str!("../../../docs/OPERATIONS.md");

    #[test]
    fn prices_are_those_of_the_operations_document() {
        assert!(OPERATIONS.contains("looked up on 23 November 2026"), "the prices here have another date");
        let (_, sources) = OPERATIONS.split_once("### Where the prices come from").unwrap();
        for (micros, unit) in [
            (price::GB_SECOND_X86, 1.0),
            (price::GB_SECOND_ARM, 1.0),
            (price::INVOCATION, 1e6),
            (price::API_REQUEST, 1e6),
            (price::TRANSITION, 1e3),
            (price::S3_READ, 1e3),
            (price::S3_WRITE, 1e3),
            (price::READ_UNIT, 1e6),
            (price::WRITE_UNIT, 1e6),
        ] {
            // Removes zeros at the end. The document writes some prices with one, such as $3.50.
            let text = format!("{:.10}", micros * unit / 1e6);
            let text = format!("${}", text.trim_end_matches('0').trim_end_matches('.'));
            let found = |text: &str| {
                let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_digit());
                sources.split(text).skip(1).any(ends)
            };
            assert!(found(&text) || found(&format!("{text}0")), "{text} is not in the operations document");
        }
    }

    /// Compares with the model of 1,000 videos in the operations document, without the items that no function sees.
    #[test]
    fn model_video_costs_what_the_operations_document_says() {
        let thumbnail = Usage { s3_reads: 82, s3_writes: 4, table_writes: 2, ..Usage::default() };
        let presign = Usage { table_writes: 1, ..Usage::default() };
        let poll = Usage { table_reads: 1, ..Usage::default() };
        let list = Usage { table_reads: 1, ..Usage::default() };
        let api = |usage| cost(Invoker::Api, 0.02 * 0.5, usage);
        let video = cost(Invoker::Free, 2.1 * 2.0, thumbnail) + api(presign) + 4.0 * api(poll) + api(list);
        let expected = format!("**{video:.0} millionths of a dollar**");
        assert!(OPERATIONS.contains(&expected), "the model says something other than {expected}");
    }

    #[test]
    fn each_item_costs_its_price() {
        let base = cost(Invoker::Free, 0.0, Usage::default());
        let more = |gb_seconds, usage| cost(Invoker::Free, gb_seconds, usage) - base;
        assert!((more(1.0, Usage::default()) - price::GB_SECOND).abs() < 1e-9);
        assert!((more(0.0, Usage { s3_writes: 2, ..Usage::default() }) - 10.0).abs() < 1e-9);
        assert!(
            (more(0.0, Usage { bytes_stored: 1 << 40, ..Usage::default() })).abs() < 1e-9,
            "storage is billed by S3"
        );
        assert!((cost(Invoker::Api, 0.0, Usage::default()) - base - 3.5).abs() < 1e-9);
        assert!((cost(Invoker::StateMachine, 0.0, Usage::default()) - base - 75.0).abs() < 1e-9);
    }
}
