//! Who is asking, as API Gateway has established it.

use axum::extract::FromRequestParts;
use http::request::Parts;
use lambda_http::request::RequestContext;

use crate::id::UserId;
use crate::problem::{Code, Problem};

/// The signed-in user of a request: the Cognito user pool's `sub`, else the IAM identity id.
#[derive(Debug, Clone)]
pub struct Caller(pub UserId);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let context = parts.extensions.get::<RequestContext>();
        identify(context)
            .ok_or_else(|| Problem::new(Code::Unauthorized, "Sign in first: this request names no user."))
    }
}

fn identify(context: Option<&RequestContext>) -> Option<Caller> {
    let Some(RequestContext::ApiGatewayV1(context)) = context else {
        return None;
    };
    let claims = context.authorizer.fields.get("claims");
    let subject = claims.and_then(|claims| claims.get("sub")).and_then(|sub| sub.as_str());
    let identity = context.identity.cognito_identity_id.as_deref();
    subject.or(identity)?.parse().ok().map(Caller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn caller(context: &serde_json::Value) -> Option<String> {
        let event = json!({
            "httpMethod": "GET", "path": "/videos", "headers": {"Host": "x"}, "requestContext": context,
        });
        let request = lambda_http::request::from_str(&event.to_string());
        let request = request.unwrap_or_else(|e| panic!("{e}"));
        identify(request.extensions().get()).map(|caller| caller.0.to_string())
    }

    #[test]
    fn the_user_pool_comes_before_the_identity_pool() {
        let pool = json!({"httpMethod": "GET", "authorizer": {"claims": {"sub": "u-1"}},
            "identity": {"cognitoIdentityId": "eu:1"}});
        assert_eq!(caller(&pool).as_deref(), Some("u-1"));
        let iam = json!({"httpMethod": "GET", "identity": {"cognitoIdentityId": "eu:1"}});
        assert_eq!(caller(&iam).as_deref(), Some("eu:1"));
    }

    #[test]
    fn without_a_usable_name_there_is_no_caller() {
        assert_eq!(caller(&json!({"httpMethod": "GET"})), None);
        let hostile = json!({"httpMethod": "GET", "authorizer": {"claims": {"sub": "../x"}}});
        assert_eq!(caller(&hostile), None);
        assert!(identify(None).is_none());
    }
}
