//! Executions of the state machine (`statemachines/transcode.asl.json`).

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::functions::Function;
use crate::world::World;

/// The retries of the tasks, with full jitter: up to 2, 8 and 32 seconds.
const BACK_OFF: [u64; 3] = [2, 8, 32];
/// The retries of the task `Fail`.
const FAIL_ATTEMPTS: usize = 60;

/// Runs an execution.
pub(crate) async fn execute(world: Rc<World>, name: String) {
    let input = world.network.services().executions[&name].input.clone();
    let run: Value = serde_json::from_str(&input).unwrap_or_default();
    let status = if world.mishap(3) {
        // The execution is aborted, or runs out of time.
        "TIMED_OUT"
    } else if steps(&world, &run).await.is_some() {
        "SUCCEEDED"
    } else {
        "FAILED"
    };
    world.note(|| format!("execution {name} {status}"));
    if let Some(execution) = world.network.services().executions.get_mut(&name) {
        execution.status = status;
    }
    if status == "TIMED_OUT" && !world.mishap(20) {
        // The rule of EventBridge, which invokes the function asynchronously.
        let event = json!({"detail-type": "Step Functions Execution Status Change", "detail": {"status": status, "input": input}});
        for _ in 0..3 {
            if world.invoke(Function::Transcode, event.clone()).await.is_ok() {
                break;
            }
            world.pause(Duration::from_mins(1)..Duration::from_mins(2)).await;
        }
    }
}

/// Runs the tasks: plan, encode and package; or `Fail` after the last retry of one of them.
async fn steps(world: &Rc<World>, run: &Value) -> Option<()> {
    let all = async {
        let plan = attempt(world, Function::Encode, with(run, "plan", None)).await?;
        let chunks = plan["chunks"].as_array().cloned().unwrap_or_default();
        let encoded = chunks
            .into_iter()
            .map(|index| attempt(world, Function::Encode, with(run, "encode", Some(index))));
        join_all(encoded).await.into_iter().collect::<Option<Vec<_>>>()?;
        attempt(world, Function::Transcode, with(run, "package", None)).await
    };
    if all.await.is_some() {
        return Some(());
    }
    for _ in 0..FAIL_ATTEMPTS {
        if world.invoke(Function::Transcode, with(run, "fail", None)).await.is_ok() {
            break;
        }
        world.pause(Duration::from_secs(1)..Duration::from_mins(1)).await;
    }
    None
}

async fn attempt(world: &Rc<World>, function: Function, event: Value) -> Option<Value> {
    for delay in BACK_OFF.into_iter().map(Some).chain([None]) {
        if let Ok(result) = world.invoke(function, event.clone()).await {
            return Some(result);
        }
        world.pause(Duration::from_millis(1)..Duration::from_secs(delay?)).await;
    }
    None
}

fn with(run: &Value, task: &str, index: Option<Value>) -> Value {
    let mut event = run.clone();
    event["task"] = task.into();
    if let Some(index) = index {
        event["index"] = index;
    }
    event
}
