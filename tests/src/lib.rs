//! Helpers shared by several test programs.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use upreel_core::Fault;
use upreel_core::range::{RangeRead, RangeReader};
use upreel_media::Source;

/// After this time a test takes an operation for one that hangs. It is far longer than any takes on a machine under load:
/// no test depends on the time that something takes.
pub const HANG_GUARD: Duration = Duration::from_mins(10);

/// A file on disk that is read by ranges, like an object in S3.
pub struct FileReader(File);

impl RangeReader for FileReader {
    fn read_range(&self, range: Range<u64>) -> RangeRead<'_> {
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or_default()];
        let read = self.0.read_exact_at(&mut bytes, range.start);
        let read = read.map(|()| bytes.into()).map_err(|error| Fault::new("read the file", &error).into());
        Box::pin(std::future::ready(read))
    }
}

/// Opens a file as a [`Source`] for the readers of `upreel-media`.
///
/// # Errors
/// When the file cannot be opened.
pub fn source(path: &Path) -> io::Result<Source> {
    let file = File::open(path)?;
    Ok(Source::new(file.metadata()?.len(), FileReader(file)))
}
