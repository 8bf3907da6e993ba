//! The base URL of the API, as the client addressed it.

use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use http::request::Parts;
use lambda_http::request::RequestContext;

/// The URL that precedes the paths of the routes, with the stage or the base path of a custom domain:
/// `https://host/stage`.
#[derive(Debug, Clone)]
pub struct BaseUrl(String);

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Sync> FromRequestParts<S> for BaseUrl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let host = header("host").unwrap_or_default();
        let scheme = header("x-forwarded-proto").unwrap_or("https");
        let path = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV1(context)) => context.path.as_deref().unwrap_or_default(),
            _ => "",
        };
        let prefix = path.strip_suffix(parts.uri.path()).unwrap_or_default();
        Ok(Self(format!("{scheme}://{host}{prefix}")))
    }
}
