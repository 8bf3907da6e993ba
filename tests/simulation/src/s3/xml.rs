//! The XML documents of S3, as far as they are read and written here.

use std::fmt::Write;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::Object;

/// Returns the texts of all elements with this name, in the order of the document.
pub(super) fn texts(document: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let elements = document.split(&open).skip(1).filter_map(|rest| rest.split(&close).next());
    elements.map(|text| text.replace("&quot;", "\"").replace("&amp;", "&")).collect()
}

/// Returns the result of `GetObjectTagging`.
pub(super) fn tags(tag: Option<(&str, &str)>) -> String {
    let tag = tag.map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"));
    format!("<Tagging><TagSet>{}</TagSet></Tagging>", tag.unwrap_or_default())
}

/// Returns the result of `ListObjectsV2`.
pub(super) fn list(objects: &[(&(String, String), &Object)], next: Option<&str>) -> String {
    let mut text = format!(
        "<ListBucketResult><IsTruncated>{}</IsTruncated><KeyCount>{}</KeyCount>",
        next.is_some(),
        objects.len()
    );
    if let Some(next) = next {
        let _ = write!(text, "<NextContinuationToken>{next}</NextContinuationToken>");
    }
    for ((_, key), object) in objects {
        let modified = DateTime::from(object.modified).fmt(Format::DateTime).unwrap();
        let _ = write!(
            text,
            "<Contents><Key>{key}</Key><Size>{}</Size><ETag>{}</ETag><LastModified>{modified}</LastModified></Contents>",
            object.body.len(),
            object.etag.replace('"', "&quot;")
        );
    }
    text + "</ListBucketResult>"
}
