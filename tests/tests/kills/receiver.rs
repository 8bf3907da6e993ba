//! Receives the webhooks, and rejects one of ten.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::world::Random;

#[derive(Clone)]
struct Inbox {
    random: Arc<Mutex<Random>>,
    /// The identifiers of the events that were accepted.
    accepted: Arc<Mutex<BTreeSet<String>>>,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    inbox: Inbox,
}

impl Receiver {
    pub(crate) async fn start(random: Random) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let inbox = Inbox { random: Arc::new(Mutex::new(random)), accepted: Arc::default() };
        let routes = axum::Router::new().route("/", axum::routing::post(receive)).with_state(inbox.clone());
        tokio::spawn(axum::serve(listener, routes).into_future());
        Self { url, inbox }
    }

    pub(crate) fn accepted(&self) -> BTreeSet<String> {
        self.inbox.accepted.lock().unwrap().clone()
    }
}

async fn receive(State(inbox): State<Inbox>, body: String) -> StatusCode {
    if inbox.random.lock().unwrap().below(10) == 0 {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let event: Value = serde_json::from_str(&body).unwrap();
    inbox.accepted.lock().unwrap().insert(event["id"].as_str().unwrap().to_owned());
    StatusCode::OK
}
