//! Optional traces: a subsegment of AWS X-Ray for each call to AWS and each run of ffmpeg.
//!
//! Lambda itself sends a segment for each sampled invocation. The SDK and `upreel-media` describe their work as spans
//! anyway; [`layer`] sends those to X-Ray's daemon, which Lambda runs next to the function. Without the layer nothing
//! listens, and no span is created.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::UdpSocket;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The name of the span of a run of ffmpeg (`upreel-media`).
const FFMPEG: &str = "ffmpeg";
/// The field of `lambda_runtime`'s span of an invocation: the trace header.
const TRACE_HEADER: &str = "xrayTraceId";
/// The field of the SDK's spans of an operation.
const OPERATION: &str = "rpc.method";
/// Precedes each document that is sent to the daemon.
const HEADER: &str = "{\"format\":\"json\",\"version\":1}\n";

/// Sends spans to X-Ray's daemon at the address in `AWS_XRAY_DAEMON_ADDRESS`.
struct XRay(UdpSocket);

/// Returns the layer that sends spans to the daemon; `None` if there is no daemon at this address.
pub(crate) fn layer<S>(daemon: &str) -> Option<impl Layer<S> + use<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect(daemon).ok()?;
    socket.set_nonblocking(true).ok()?;
    let filter = FilterFn::new(is_shown as fn(&Metadata<'_>) -> bool);
    Some(XRay(socket).with_filter(filter.with_max_level_hint(LevelFilter::DEBUG)))
}

fn is_shown(metadata: &Metadata<'_>) -> bool {
    let has = |name| metadata.fields().field(name).is_some();
    metadata.is_span() && (metadata.name() == FFMPEG || has(OPERATION) || has(TRACE_HEADER))
}

/// The data of a span.
#[derive(Default)]
struct Span {
    started: Option<SystemTime>,
    trace: Option<Trace>,
    service: Option<String>,
    operation: Option<String>,
}

/// The trace of an invocation, if it is sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trace {
    root: String,
    parent: String,
}

impl Trace {
    /// Reads a trace header: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
    fn from_header(header: &str) -> Option<Self> {
        let field = |name: &str| header.split(';').find_map(|part| part.trim().strip_prefix(name));
        let text = |name| field(name).map(str::to_owned);
        (field("Sampled=") == Some("1")).then_some(())?;
        Some(Self { root: text("Root=")?, parent: text("Parent=")? })
    }
}

impl Visit for Span {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            TRACE_HEADER => self.trace = Trace::from_header(value),
            "rpc.service" => self.service = Some(value.to_owned()),
            OPERATION => self.operation = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for XRay {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut known = Span { started: Some(SystemTime::now()), ..Span::default() };
        attributes.record(&mut known);
        span.extensions_mut().insert(known);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let trace = span.scope().skip(1).find_map(|outer| outer.extensions().get::<Span>()?.trace.clone());
        let extensions = span.extensions();
        let (Some(trace), Some(known)) = (trace, extensions.get::<Span>()) else { return };
        // A failure to send a subsegment must not fail the work that it describes.
        let _ = self.0.send(format!("{HEADER}{}", subsegment(&trace, known, SystemTime::now())).as_bytes());
    }
}

fn subsegment(trace: &Trace, span: &Span, ended: SystemTime) -> Value {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut document = json!({
        "type": "subsegment",
        "id": format!("{:016x}", random()),
        "trace_id": trace.root,
        "parent_id": trace.parent,
        "name": span.service.as_deref().unwrap_or(FFMPEG),
        "start_time": span.started.map(seconds),
        "end_time": seconds(ended),
    });
    if let Some(operation) = &span.operation {
        document["namespace"] = json!("aws");
        document["aws"] = json!({"operation": operation});
    }
    document
}

/// Returns a random number, made from the random seed that the standard library gives each hash map.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing::{debug_span, info_span, subscriber};
    use tracing_subscriber::prelude::*;

    use super::*;

    const SAMPLED: &str =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0";

    /// Runs `work` and returns the documents that the daemon receives.
    fn received(work: impl FnOnce()) -> Vec<Value> {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        let layer = layer(&daemon.local_addr().unwrap().to_string()).unwrap();
        subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        // The documents were sent over the loopback interface, so all of them have arrived.
        daemon.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 65_536];
        let mut documents = Vec::new();
        while let Ok(length) = daemon.recv(&mut buffer) {
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            let (header, document) = text.split_once('\n').unwrap();
            assert_eq!(header, r#"{"format":"json","version":1}"#);
            documents.push(serde_json::from_str(document).unwrap());
        }
        documents
    }

    fn invocation(header: &str) {
        let _invocation =
            info_span!("Lambda runtime invoke", requestId = "r", xrayTraceId = header).entered();
        let operation = "GetObject";
        debug_span!("S3.GetObject", "rpc.service" = "S3", "rpc.method" = operation, "sdk_invocation_id" = 7)
            .in_scope(|| debug_span!("try_attempt").in_scope(|| tracing::debug!("connected")));
        debug_span!("ffmpeg").in_scope(|| ());
    }

    #[test]
    fn calls_and_ffmpeg_are_subsegments_of_the_invocation() {
        let documents = received(|| invocation(SAMPLED));
        let names: Vec<_> =
            documents.iter().map(|it| (it["name"].as_str().unwrap(), &it["aws"]["operation"])).collect();
        assert_eq!(names, [("S3", &json!("GetObject")), ("ffmpeg", &Value::Null)]);
        for document in &documents {
            assert_eq!(document["trace_id"], "1-5759e988-bd862e3fe1be46a994272793");
            assert_eq!(document["parent_id"], "53995c3f42cd8ad8");
            assert_eq!(document["id"].as_str().unwrap().len(), 16);
            assert!(document["start_time"].as_f64() <= document["end_time"].as_f64());
        }
        assert_ne!(documents[0]["id"], documents[1]["id"]);
        assert_eq!((&documents[0]["namespace"], &documents[1]["namespace"]), (&json!("aws"), &Value::Null));
    }

    #[test]
    fn invocation_that_is_not_sampled_sends_nothing() {
        for header in ["Root=1-5;Parent=53;Sampled=0", "Root=1-5;Parent=53", "Sampled=1", ""] {
            assert_eq!(received(|| invocation(header)), Vec::<Value>::new(), "{header}");
        }
        assert_eq!(received(|| debug_span!("ffmpeg").in_scope(|| ())), Vec::<Value>::new(), "no invocation");
    }

    #[test]
    fn times_are_seconds_since_1970() {
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        let trace = Trace { root: "1".to_owned(), parent: "2".to_owned() };
        let span = Span { started: Some(at(1_500)), ..Span::default() };
        let document = subsegment(&trace, &span, at(2_250));
        assert_eq!((&document["start_time"], &document["end_time"]), (&json!(1.5), &json!(2.25)));
    }
}
