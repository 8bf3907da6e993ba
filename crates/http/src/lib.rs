//! Common code of the functions behind the API: problem responses, CORS, the caller, and API Gateway.
//!
//! A function has a router whose handlers extract the [`Caller`] and return a [`Problem`] on error. [`run`] adds what
//! every router needs ([`complete`]) and serves it on Lambda. The local backend calls the same routers, with the
//! [`RequestContext`] that API Gateway would send.

mod base;
mod caller;
mod details;
mod event;
mod extract;
pub mod form;
mod gateway;
mod json;
mod problem;
mod routes;

pub use base::BaseUrl;
pub use caller::Caller;
pub use details::{Given, change};
pub use event::ProxyEvent;
pub use extract::{Path, Query, idempotency_key};
pub use gateway::{request, run};
pub use json::from_json;
pub use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;
pub use lambda_http::request::RequestContext;
pub use problem::{Code, Problem};
pub use routes::{complete, cors, matches_origin};
