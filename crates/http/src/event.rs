//! API Gateway's event, deserialized with its body decoded.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequest;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// An event of a REST API's Lambda proxy integration.
///
/// The body is decoded from the text of the event: `ApiGatewayProxyRequest` alone would hold a copy of that text, 5.6
/// MB for an upload of 4 MiB, beside the decoded bytes.
#[derive(Debug)]
pub struct ProxyEvent {
    /// Everything but the body.
    pub(crate) request: ApiGatewayProxyRequest,
    /// The decoded body, or an error if it is not valid base64.
    pub(crate) body: Result<Bytes, NotBase64>,
}

/// A body that claims to be base64 and is not. API Gateway encodes every body, so it sends none of these.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body is not valid base64")]
pub(crate) struct NotBase64;

impl<'de> Deserialize<'de> for ProxyEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

/// Text that is borrowed from the event if it contains no JSON escapes, which base64 does not need.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Fields {
    type Value = ProxyEvent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event of an API Gateway REST API")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ProxyEvent, A::Error> {
        let (mut fields, mut body) = (Map::new(), None);
        while let Some(name) = map.next_key::<String>()? {
            if name == "body" {
                body = map.next_value::<Option<Text<'de>>>()?;
            } else {
                fields.insert(name, map.next_value()?);
            }
        }
        let request = ApiGatewayProxyRequest::deserialize(Value::Object(fields)).map_err(A::Error::custom)?;
        let body = match body {
            None => Ok(Bytes::new()),
            Some(Text(text)) if request.is_base64_encoded => {
                base64_simd::STANDARD.decode_to_vec(text.as_bytes()).map(Bytes::from).map_err(|_| NotBase64)
            }
            Some(Text(text)) => Ok(text.into_owned().into()),
        };
        Ok(ProxyEvent { request, body })
    }
}
