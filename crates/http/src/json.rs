//! JSON bodies, and errors of them for users.

use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// Parses a JSON body. The `Content-Type` is ignored, so that a page can leave it out and avoid a CORS preflight.
///
/// # Errors
/// When the body is too large, incomplete or not JSON of this type.
pub fn from_json<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Code::TooLarge, "The body is too large for this route.")
        }
        _ => Problem::new(Code::MalformedBody, "The body could not be read. Send it again."),
    })?;
    serde_json::from_slice(&body).map_err(|error| Problem::new(Code::InvalidRequest, explain(&error)))
}

/// Describes the error of a JSON body. `serde`'s own messages quote the body and name Rust types.
fn explain(error: &serde_json::Error) -> String {
    let at = format!("line {}, column {}", error.line(), error.column());
    if !error.is_data() {
        return format!("The body is not valid JSON: see {at}.");
    }
    let text = error.to_string();
    match text.strip_prefix("missing field `").and_then(|text| text.split_once('`')) {
        Some((field, _)) => format!("The body has no field `{field}`."),
        None => {
            format!("A field of the body has a value of the wrong type or out of range: see {at}.")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Parts {
        #[expect(dead_code, reason = "only its errors matter")]
        parts: Vec<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    #[expect(dead_code, reason = "only its errors matter")]
    struct Part {
        part_number: u16,
    }

    #[test]
    fn errors_of_a_body_do_not_repeat_it() {
        let detail = |body: &str| explain(&serde_json::from_str::<Parts>(body).err().unwrap());
        assert_eq!(detail("{}"), "The body has no field `parts`.");
        assert_eq!(detail("{\"parts\": ["), "The body is not valid JSON: see line 1, column 11.");
        let expected =
            "A field of the body has a value of the wrong type or out of range: see line 1, column";
        for value in ["\"secret\"", "70000", "{\"secret\": 1}", "null", "[\"secret\"]"] {
            let found = detail(&format!("{{\"parts\": [{{\"PartNumber\": {value}, \"ETag\": \"a\"}}]}}"));
            assert!(found.starts_with(expected) && !found.contains("secret"), "{value}: {found}");
        }
        let long = detail(&format!("\"{}\"", "\\u0001".repeat(100_000)));
        assert!(long.len() < 200, "{long}");
    }
}
