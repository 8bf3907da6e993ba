//! The size of the deployed functions, as files and in a zip.

use std::fs;
use std::path::Path;

use miniz_oxide::deflate::{CompressionLevel, compress_to_vec};

use crate::BoxError;
use crate::candidate::{Candidate, FUNCTIONS, Kind};

/// The size of one function, in bytes.
#[derive(Debug)]
pub(crate) struct Size {
    pub(crate) kind: Kind,
    pub(crate) function: &'static str,
    pub(crate) bytes: u64,
    pub(crate) zip: u64,
}

pub(crate) fn all(candidates: &[Candidate]) -> Result<Vec<Size>, BoxError> {
    let mut sizes = Vec::new();
    for candidate in candidates {
        for function in FUNCTIONS {
            sizes.push(of(candidate, function)?);
        }
    }
    Ok(sizes)
}

pub(crate) fn of(candidate: &Candidate, function: &'static str) -> Result<Size, BoxError> {
    let file = candidate.file(function);
    let mut zip = zipped(&file)?;
    let mut bytes = fs::metadata(&file)?.len();
    if candidate.kind == Kind::Python {
        let common = candidate.folder.join("common.py");
        zip += zipped(&common)?;
        bytes += fs::metadata(&common)?.len();
    }
    Ok(Size { kind: candidate.kind, function, bytes, zip })
}

/// Returns the compressed size of a file, as in the zip of `sam package`, which uses zlib's default level. The headers of
/// the zip have some hundred bytes more.
fn zipped(file: &Path) -> Result<u64, BoxError> {
    Ok(compress_to_vec(&fs::read(file)?, CompressionLevel::DefaultLevel as u8).len() as u64)
}
