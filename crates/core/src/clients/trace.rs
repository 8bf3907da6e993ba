//! Lambda's trace identifier, on every call to AWS: so Lambda finds functions that call each other in a circle.
//!
//! The SDK would take it from an environment variable, which changes with each event; a safe program cannot set one.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use http::HeaderValue;

const HEADER: &str = "x-amzn-trace-id";

tokio::task_local! {
    /// That of the event which is being handled.
    static CURRENT: Option<HeaderValue>;
}

/// Does what an event asks for, under its identifier.
pub(crate) async fn within<F: Future>(trace_id: Option<HeaderValue>, work: F) -> F::Output {
    CURRENT.scope(trace_id, work).await
}

pub(super) fn client(inner: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(Client(inner))
}

#[derive(Debug)]
struct Client(SharedHttpClient);

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector(self.0.http_connector(settings, components)))
    }
}

#[derive(Debug)]
struct Connector(SharedHttpConnector);

impl HttpConnector for Connector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        if let Ok(Some(trace_id)) = CURRENT.try_with(Clone::clone) {
            // No signature has it in it. One that is no text is of no use to anyone.
            let _ = request.headers_mut().try_insert(HEADER, trace_id);
        }
        self.0.call(request)
    }
}

#[cfg(test)]
mod tests {
    use aws_config::Region;
    use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
    use axum::Router;
    use http::HeaderMap;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;
    use crate::clients::{self, Roots};

    #[tokio::test]
    async fn a_call_carries_the_identifier_of_its_event() {
        let (seen, mut calls) = mpsc::unbounded_channel();
        let table = Router::new().fallback(async move |headers: HeaderMap| {
            let _ = seen.send(headers.get(HEADER).cloned());
            "{}"
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sdk = clients::defaults(&Roots::Known)
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "a", "b", None, None, "test",
            )))
            .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
            .build();
        tokio::spawn(axum::serve(listener, table).into_future());
        let client = aws_sdk_dynamodb::Client::new(&sdk);
        let trace_id =
            HeaderValue::from_static("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Lineage=1:a87bd80c:1");
        let odd = HeaderValue::from_bytes(b"\xff").unwrap();
        for (event, expected) in [(Some(&trace_id), Some(&trace_id)), (None, None), (Some(&odd), None)] {
            within(event.cloned(), client.scan().table_name("t").send()).await.unwrap();
            assert_eq!(calls.recv().await.unwrap().as_ref(), expected);
        }
        client.scan().table_name("t").send().await.unwrap();
        assert_eq!(calls.recv().await.unwrap(), None, "not of an event");
    }
}
