//! Helpers shared by several test programs.

use std::error::Error;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use upreel_core::Fault;
use upreel_core::range::{RangeRead, RangeReader};
use upreel_media::Source;

/// After this time a test takes an operation for one that hangs. It is far longer than any takes on a machine under load:
/// no test depends on the time that something takes.
pub const HANG_GUARD: Duration = Duration::from_mins(10);

/// Generates a video with the ffmpeg on the PATH, which has all encoders, and returns its path below `folder`. The file is kept
/// for later runs with the same arguments.
///
/// # Panics
/// When ffmpeg fails.
#[must_use]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
pub fn generate(folder: &Path, name: &str, args: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    args.hash(&mut hasher);
    let folder = folder.join(format!("{:016x}", hasher.finish()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    if !path.exists() {
        // Several tests may generate the file at the same time.
        let temporary = tempfile::tempdir_in(&folder).unwrap();
        let part = temporary.path().join(name);
        let mut command = Command::new("ffmpeg");
        let command = command.args(["-nostdin", "-v", "error", "-y"]).args(args.split_whitespace());
        let status = command.env("SVT_LOG", "1").arg(&part).status().unwrap();
        assert!(status.success(), "{name}");
        fs::rename(part, &path).unwrap();
    }
    path
}

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

/// Returns the URLs of a media playlist: that of its initialization segment, then those of its segments.
#[must_use]
pub fn urls(playlist: &str) -> Vec<String> {
    let init = playlist.split("#EXT-X-MAP:URI=\"").nth(1).and_then(|rest| rest.split('"').next());
    let lines = playlist.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    init.into_iter().chain(lines).map(str::to_owned).collect()
}

/// Signs a request to the local S3 or DynamoDB, for what the SDK cannot send. Returns the headers to add to `headers`.
///
/// # Errors
/// When the request is malformed.
pub fn signature(
    (service, secret): (&str, &str),
    (method, url): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let identity = Credentials::new("upreel", secret, None, None, "test").into();
    let params = SigningParams::builder().identity(&identity).region("us-east-1").name(service);
    let params = params.time(SystemTime::now()).settings(settings).build()?.into();
    let request = SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body))?;
    let signed = sign(request, &params)?.into_parts().0;
    Ok(signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Returns the peak segment bit rate in bits per second (section 4.4.6.2): the largest of all contiguous segments that
/// together have 0.5 to 1.5 times the target duration.
#[expect(clippy::cast_precision_loss, reason = "bytes of a segment")]
#[must_use]
pub fn peak_bit_rate(segments: &[(u64, f64)], target_duration: f64) -> f64 {
    let mut peak = 0.0;
    for start in 0..segments.len() {
        let (mut bytes, mut seconds) = (0, 0.0);
        for (more_bytes, more_seconds) in &segments[start..] {
            bytes += more_bytes;
            seconds += more_seconds;
            if seconds >= 0.5 * target_duration && seconds <= 1.5 * target_duration {
                peak = f64::max(peak, bytes as f64 * 8.0 / seconds);
            }
        }
    }
    peak
}
