//! Matroska and WebM (RFC 9559, RFC 8794).

use bytes::Bytes;
use upreel_core::video::Facts;

use crate::index::{Error, Keyframe};
use crate::source::Source;

/// The first video track, and what finds its keyframes.
#[derive(Debug)]
pub struct Track;

pub(crate) async fn open(_source: &Source) -> Result<(Facts, Track), Error> {
    Err(Error::Unknown("no reader yet"))
}

impl Track {
    pub(crate) async fn keyframes(&self, _source: &Source, _n: usize) -> Result<Vec<Keyframe>, Error> {
        Err(Error::Unknown("no reader yet"))
    }

    pub(crate) fn wrap(&self, samples: Vec<Bytes>) -> Vec<Bytes> {
        samples
    }
}
