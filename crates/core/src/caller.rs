//! Who is asking, as API Gateway has established it.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::gateway::RequestContext;
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
    context?.user()?.parse().ok().map(Caller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn caller(context: serde_json::Value) -> Option<String> {
        let context = serde_json::from_value(context).unwrap_or_else(|e| panic!("{e}"));
        identify(Some(&context)).map(|caller| caller.0.to_string())
    }

    #[test]
    fn the_user_pool_comes_before_the_identity_pool() {
        let pool =
            json!({"authorizer": {"claims": {"sub": "u-1"}}, "identity": {"cognitoIdentityId": "eu:1"}});
        assert_eq!(caller(pool).as_deref(), Some("u-1"));
        let iam = json!({"httpMethod": "GET", "identity": {"cognitoIdentityId": "eu:1"}});
        assert_eq!(caller(iam).as_deref(), Some("eu:1"));
    }

    #[test]
    fn without_a_usable_name_there_is_no_caller() {
        assert_eq!(caller(json!({"httpMethod": "GET"})), None);
        assert_eq!(caller(json!({"authorizer": null, "identity": {"cognitoIdentityId": null}})), None);
        assert_eq!(caller(json!({"authorizer": {"claims": "not a map"}})), None);
        assert_eq!(caller(json!({"authorizer": {"claims": {"sub": "../x"}}})), None);
        assert!(identify(None).is_none());
    }
}
