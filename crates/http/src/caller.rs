//! The signed-in user, as authenticated by API Gateway.

use axum::extract::FromRequestParts;
use http::request::Parts;
use lambda_http::request::RequestContext;
use upreel_core::UserId;

use crate::problem::{Code, Problem};

/// The signed-in user of a request: the Cognito user pool's `sub`, else the IAM identity id.
#[derive(Debug, Clone)]
pub struct Caller(pub UserId);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().and_then(identify).ok_or_else(|| {
            Problem::new(Code::Unauthorized, "Sign in first: this request has no user identity.")
        })
    }
}

fn identify(context: &RequestContext) -> Option<Caller> {
    let RequestContext::ApiGatewayV1(context) = context else { return None };
    let claims = context.authorizer.fields.get("claims");
    let subject = claims.and_then(|claims| claims.get("sub")?.as_str());
    subject.or(context.identity.cognito_identity_id.as_deref())?.parse().ok().map(Caller)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn caller(mut context: serde_json::Value) -> Option<String> {
        context["httpMethod"] = "GET".into();
        let context = serde_json::from_value(context).unwrap_or_else(|e| panic!("{e}"));
        identify(&RequestContext::ApiGatewayV1(context)).map(|caller| caller.0.to_string())
    }

    #[test]
    fn prefers_the_user_pool_over_the_identity_pool() {
        let both =
            json!({"authorizer": {"claims": {"sub": "u-1"}}, "identity": {"cognitoIdentityId": "eu:1"}});
        assert_eq!(caller(both).as_deref(), Some("u-1"));
        assert_eq!(caller(json!({"identity": {"cognitoIdentityId": "eu:1"}})).as_deref(), Some("eu:1"));
    }

    #[test]
    fn rejects_missing_and_malformed_identities() {
        assert_eq!(caller(json!({})), None);
        assert_eq!(caller(json!({"authorizer": null, "identity": {"cognitoIdentityId": null}})), None);
        assert_eq!(caller(json!({"authorizer": {"claims": "not a map"}})), None);
        assert_eq!(caller(json!({"authorizer": {"claims": {"sub": "../x"}}})), None);
    }
}
