//! The services behind the network: S3, the table, SQS, Step Functions, Lambda and the receiver of the webhooks.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fastrand::Rng;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::dynamodb::Table;
use crate::faults::{Fault, Plan, Service, service};
use crate::http_api::respond;
use crate::network::Invocation;
use crate::s3::S3;
use crate::signature;
use crate::trace::{Names, Trace};

/// The ARN of the state machine.
pub(crate) const STATE_MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:transcode";
/// The queue of the webhooks.
pub(crate) const WEBHOOK_QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/webhooks";

/// The dead-letter queue of the thumbnail function.
pub(crate) const DEAD_LETTERS: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters";

/// All services of a schedule.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) s3: S3,
    pub(crate) table: Table,
    /// Messages that were sent to the webhook queue and not received yet.
    pub(crate) messages: VecDeque<String>,
    /// Visibility timeouts that were set, by receipt handle, in seconds.
    pub(crate) visibility: BTreeMap<String, u64>,
    /// Events of the thumbnail function that Lambda gave up, by their receipt, and until when they are hidden.
    pub(crate) dead_letters: BTreeMap<String, (Value, SystemTime)>,
    /// The executions by name.
    pub(crate) executions: BTreeMap<String, Execution>,
    /// Executions that the world has not started yet.
    pub(crate) started: VecDeque<String>,
    /// Invocations of the thumbnail function that have not begun yet, and where the response goes.
    pub(crate) invocations: VecDeque<(Value, Option<oneshot::Sender<Response<Bytes>>>)>,
    /// The bodies of the webhooks that the receiver has accepted.
    pub(crate) received: Vec<Value>,
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    /// The calls so far, for [`Plan::At`].
    pub(crate) calls: usize,
    /// The calls that had a fault.
    pub(crate) faults: usize,
    /// The labels of the calls, if the trace is on.
    pub(crate) labels: Vec<String>,
    pub(crate) trace: Trace,
    pub(crate) names: Names,
    /// Whether a response has told the functions AWS's time.
    pub(crate) has_told_time: bool,
    /// Whether the sparse indexes are updated later than the table.
    pub(crate) is_index_late: bool,
}

/// An execution of the state machine.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    pub(crate) input: String,
    /// As in `DescribeExecution`.
    pub(crate) status: &'static str,
}

/// The response of a call, and the later one of a function that is invoked synchronously.
type Executed = (Response<Bytes>, Option<oneshot::Receiver<Response<Bytes>>>);

impl Services {
    pub(crate) fn new(rng: Rng, plan: Plan, trace: Trace) -> Self {
        Self {
            s3: S3::default(),
            table: Table::new(trace.is_on()),
            messages: VecDeque::new(),
            visibility: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
            executions: BTreeMap::new(),
            started: VecDeque::new(),
            invocations: VecDeque::new(),
            received: Vec::new(),
            rng,
            plan,
            calls: 0,
            faults: 0,
            labels: Vec::new(),
            trace,
            names: Names::default(),
            has_told_time: false,
            is_index_late: false,
        }
    }

    /// Decides about a call: its fault, its delays before and after its execution, and its label.
    pub(crate) fn accept(
        &mut self,
        invocation: &Invocation,
        request: &Request<Bytes>,
    ) -> (Option<Fault>, (Duration, Duration), String) {
        let call = self.calls;
        self.calls += 1;
        let fault = invocation.continued(service(request)).or_else(|| {
            let fault = self.plan.decide(&mut self.rng, call, request)?;
            invocation.start(request, fault);
            Some(fault)
        });
        self.faults += usize::from(fault.is_some());
        let mut label = String::new();
        if self.trace.is_on() {
            label = self.names.replace(&describe(request));
            self.labels.push(format!("{}: {label}", invocation.name));
        }
        let before = match fault {
            Some(Fault::Slow) => Duration::from_secs(3) + self.delay(5000),
            _ if self.rng.u8(..) < 16 => self.delay(400),
            _ => self.delay(8),
        };
        (fault, (before, self.delay(8)), label)
    }

    /// Returns a random time up to `millis` milliseconds.
    pub(crate) fn delay(&mut self, millis: u64) -> Duration {
        Duration::from_millis(self.rng.u64(1..=millis))
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&mut self, at: Duration, text: impl FnOnce() -> String) {
        self.trace.add(&mut self.names, at, text);
    }

    /// Executes a request.
    pub(crate) fn execute(&mut self, request: &Request<Bytes>, now: SystemTime) -> Executed {
        let input = || serde_json::from_slice(request.body()).unwrap_or(Value::Null);
        if let Some(refusal) = signature::refuse(request, now) {
            return (refusal, None);
        }
        self.table.is_index_late = self.is_index_late && self.rng.u8(..4) == 0;
        let response = match service(request) {
            Service::S3 => self.s3.handle(request, now),
            Service::DynamoDb => self.table.handle(request, now),
            Service::Sqs => self.queue(operation(request), &input(), now),
            Service::StepFunctions => self.state_machine(operation(request), &input()),
            Service::Lambda => return self.invoke(request, input()),
            Service::Receiver => {
                self.received.push(input());
                respond(200, "")
            }
        };
        (response, None)
    }

    fn queue(&mut self, operation: &str, input: &Value, now: SystemTime) -> Response<Bytes> {
        match operation {
            "SendMessageBatch" => {
                let entries = input["Entries"].as_array().cloned().unwrap_or_default();
                let sent = entries.iter().map(|entry| {
                    self.messages.push_back(entry["MessageBody"].as_str().unwrap_or_default().to_owned());
                    json!({"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "1"})
                });
                let sent: Vec<Value> = sent.collect();
                respond(200, json!({"Successful": sent, "Failed": []}).to_string())
            }
            "ChangeMessageVisibility" => {
                let receipt = input["ReceiptHandle"].as_str().unwrap_or_default().to_owned();
                self.visibility.insert(receipt, input["VisibilityTimeout"].as_u64().unwrap_or_default());
                respond(200, "{}")
            }
            "ReceiveMessage" if input["QueueUrl"] == DEAD_LETTERS => {
                let hidden = Duration::from_secs(input["VisibilityTimeout"].as_u64().unwrap_or(30));
                let limit =
                    input["MaxNumberOfMessages"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
                let visible =
                    self.dead_letters.iter_mut().filter(|(_, (_, until))| *until <= now).take(limit);
                let messages = visible.map(|(receipt, (event, until))| {
                    *until = now + hidden;
                    json!({"MessageId": receipt, "ReceiptHandle": receipt, "Body": event.to_string()})
                });
                let messages: Vec<Value> = messages.collect();
                respond(200, json!({"Messages": messages}).to_string())
            }
            "DeleteMessage" if input["QueueUrl"] == DEAD_LETTERS => {
                self.dead_letters.remove(input["ReceiptHandle"].as_str().unwrap_or_default());
                respond(200, "{}")
            }
            _ => respond(400, json!({"__type": "UnknownOperationException"}).to_string()),
        }
    }

    /// Adds an event to the dead-letter queue.
    pub(crate) fn bury(&mut self, event: Value, now: SystemTime) {
        let receipt = format!("letter-{:06}", self.calls);
        self.dead_letters.insert(receipt, (event, now));
    }

    fn state_machine(&mut self, operation: &str, input: &Value) -> Response<Bytes> {
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        let error = |kind: &str| respond(400, json!({"__type": kind, "message": kind}).to_string());
        match operation {
            "StartExecution" => {
                let (name, input) = (text("name"), text("input"));
                let found = self.executions.get(&name).cloned();
                if found.as_ref().is_some_and(|found| found.status != "RUNNING" || found.input != input) {
                    return error("ExecutionAlreadyExists");
                }
                let arn = format!("{}:{name}", STATE_MACHINE.replace("stateMachine", "execution"));
                if found.is_none() {
                    self.executions.insert(name.clone(), Execution { input, status: "RUNNING" });
                    self.started.push_back(name);
                }
                respond(200, json!({"executionArn": arn, "startDate": 1_795_780_800}).to_string())
            }
            "DescribeExecution" => {
                let arn = text("executionArn");
                let name = arn.rsplit(':').next().unwrap_or_default();
                let Some(found) = self.executions.get(name) else { return error("ExecutionDoesNotExist") };
                let output = json!({
                    "executionArn": arn, "stateMachineArn": STATE_MACHINE, "name": name, "status": found.status,
                    "startDate": 1_795_780_800, "input": found.input,
                });
                respond(200, output.to_string())
            }
            _ => error("UnknownOperationException"),
        }
    }

    /// Lambda's `Invoke` of the thumbnail function: asynchronous (202), or synchronous.
    fn invoke(&mut self, request: &Request<Bytes>, event: Value) -> Executed {
        let is_async = request.headers().get("x-amz-invocation-type").is_some_and(|kind| kind == "Event");
        if is_async {
            self.invocations.push_back((event, None));
            return (respond(202, ""), None);
        }
        let (sender, receiver) = oneshot::channel();
        self.invocations.push_back((event, Some(sender)));
        (respond(500, ""), Some(receiver))
    }
}

pub(crate) fn operation(request: &Request<Bytes>) -> &str {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    target.and_then(|target| target.rsplit('.').next()).unwrap_or_default()
}

/// Describes a request for the trace.
fn describe(request: &Request<Bytes>) -> String {
    let uri = request.uri();
    if service(request) != Service::S3 {
        let target = operation(request);
        let input: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let part = &input["TransactItems"][0];
        let input = [&part["Put"], &part["Update"], &input].into_iter().find(|input| input.is_object());
        let input = input.cloned().unwrap_or_default();
        // The order of the assignments in an expression is not the same in each run.
        let mut expression: Vec<&str> =
            input["UpdateExpression"].as_str().unwrap_or_default().split(' ').collect();
        expression.sort_unstable();
        let key = input["Key"]["videoId"]["S"].as_str().or(input["Item"]["videoId"]["S"].as_str());
        let status = input["ExpressionAttributeValues"][":status"]["S"].as_str();
        let detail = status.map_or_else(|| expression.join(" "), str::to_owned);
        let host = uri.host().unwrap_or_default().split('.').next().unwrap_or_default();
        let path = uri.path().trim_start_matches('/');
        return format!("{host} {target}{path} {} {detail}", key.unwrap_or_default());
    }
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let query = uri.query().unwrap_or_default().split('&').filter(|pair| {
        ["uploads", "uploadId", "list-type", "prefix", "delete", "partNumber", "continuation"]
            .iter()
            .any(|name| pair.starts_with(name))
    });
    let query = query.collect::<Vec<_>>().join("&");
    let range = header("range").unwrap_or_default();
    let bucket = uri.host().unwrap_or_default().split('.').next().unwrap_or_default();
    format!("s3 {} {bucket}{} {query}{range}", request.method(), uri.path())
}
