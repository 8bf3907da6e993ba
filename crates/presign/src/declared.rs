//! The declared properties of a file, and the row that is created before it is uploaded.

use upreel_core::limits::MAX_PUT;
use upreel_core::media_type::UNKNOWN;
use upreel_core::{Container, Details, Key, MediaType, UserId, VideoId, filename};
use upreel_function::App;
use upreel_http::{Code, Given, Problem};

/// What is reserved for a multipart upload whose size is not known: so little that it is refused only if nothing is left.
/// Its completion knows the size, and reserves it before the object exists.
pub(crate) const UNKNOWN_MULTIPART: u64 = 1;

/// The type of a file as declared by the client. The actual type is detected after the upload.
pub(crate) struct Declared {
    pub(crate) media_type: String,
    container: Option<Container>,
}

impl Declared {
    /// `with_audio` says whether files with audio alone are accepted.
    pub(crate) fn new(name: &str, media_type: Option<&str>, with_audio: bool) -> Result<Self, Problem> {
        let by_name = Container::from_file_name(name, with_audio);
        let of_name = || by_name.map_or(UNKNOWN, Container::media_type).to_owned();
        let Some(text) = media_type.map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(Self { media_type: of_name(), container: by_name });
        };
        let declared: MediaType = text.parse().map_err(|_| unsupported(with_audio))?;
        if let Some(container) = Container::from_media_type(&declared, with_audio) {
            return Ok(Self { media_type: declared.to_string(), container: Some(container) });
        }
        // Many systems have a wrong type for some formats, such as `text/vnd.trolltech.linguist` for `.ts`. The
        // filename is more reliable, and the bytes decide after the upload.
        let essence = declared.essence();
        let is_media = essence.starts_with("video/") || with_audio && essence.starts_with("audio/");
        if by_name.is_some() || essence == UNKNOWN || is_media {
            return Ok(Self { media_type: of_name(), container: by_name });
        }
        Err(unsupported(with_audio))
    }
}

fn unsupported(with_audio: bool) -> Problem {
    Problem::new(
        Code::UnsupportedMedia,
        format!(
            "This file isn't a video. Supported: {}. Leave the type out, or send the type of the file, such as \
             video/mp4.",
            Container::names(with_audio)
        ),
    )
}

/// A new video of the caller: its key, and a row that expires unless the upload arrives.
pub(crate) struct NewVideo {
    pub(crate) id: VideoId,
    pub(crate) key: Key,
    /// The owner, the file name and the media type.
    about: (UserId, String, String),
    size: Option<u64>,
    /// What is reserved for the upload if there are quotas.
    pub(crate) reserved: u64,
    details: Details,
}

impl NewVideo {
    /// `reserved` is what is reserved if `size` is not known.
    pub(crate) fn new(
        user: UserId,
        name: &str,
        declared: &Declared,
        size: Option<u64>,
        reserved: u64,
    ) -> Self {
        let id = VideoId::new();
        let key = Key::Video { user: user.clone(), id, container: declared.container };
        let name = filename::sanitize(name);
        let about = (user, name, declared.media_type.clone());
        let reserved = size.unwrap_or(reserved);
        Self { id, key, about, size, reserved, details: Details::default() }
    }

    /// Gives the video the identifier of an earlier request.
    pub(crate) fn identified(mut self, id: VideoId) -> Self {
        if let Key::Video { id: of_key, .. } = &mut self.key {
            (self.id, *of_key) = (id, id);
        }
        self
    }

    /// Sets what the user says about the video.
    pub(crate) fn described(mut self, given: Given, app: &App) -> Result<Self, Problem> {
        self.details = given.details(app.videos.now())?;
        Ok(self)
    }

    /// Adds the row. Call this after signing, so that a rejected request leaves no row.
    pub(crate) async fn create(&self, app: &App) -> Result<(), Problem> {
        let sizes = (self.size, self.reserved);
        app.create_video(&self.key, self.about.clone(), sizes, &self.details).await??;
        tracing::info!(videoId = %self.id, "presigned");
        Ok(())
    }
}

/// Checks a size in bytes against the limit `max`.
pub(crate) fn check_size(size: u64, max: u64) -> Result<u64, Problem> {
    match size {
        0 => Err(Problem::new(Code::EmptyFile, "The file is empty.")),
        size if size > max => Err(too_large(max)),
        size => Ok(size),
    }
}

/// Like [`check_size`], but also checks the limit of one PUT request.
pub(crate) fn check_put_size(size: u64, max: u64) -> Result<u64, Problem> {
    match check_size(size, max)? {
        size if size > MAX_PUT => Err(Problem::new(
            Code::TooLarge,
            format!(
                "The file is too large for one PUT request, which accepts up to {MAX_PUT} bytes (5 GiB). Use a \
                 multipart upload."
            ),
        )),
        size => Ok(size),
    }
}

pub(crate) fn parse_put_size(text: &str, max: u64) -> Result<u64, Problem> {
    check_put_size(text.parse().map_err(|_| invalid("The size must be a number of bytes."))?, max)
}

pub(crate) fn too_large(max: u64) -> Problem {
    Problem::new(Code::TooLarge, format!("The video is too large. The limit is {max} bytes."))
}

pub(crate) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str, media_type: Option<&str>) -> Result<(String, Option<Container>), Code> {
        Declared::new(name, media_type, false).map(|d| (d.media_type, d.container)).map_err(|p| p.code())
    }

    #[test]
    fn prefers_the_declared_type_to_the_name() {
        let mp4 = Some(Container::Mp4);
        assert_eq!(declared("a.mp4", None), Ok(("video/mp4".into(), mp4)));
        assert_eq!(declared("a.mp4", Some("")), Ok(("video/mp4".into(), mp4)));
        assert_eq!(declared("a", None), Ok(("application/octet-stream".into(), None)));
        assert_eq!(declared("a.mp4", Some("video/webm")), Ok(("video/webm".into(), Some(Container::Webm))));
        assert_eq!(declared("a.mp4", Some("application/octet-stream")).unwrap().1, mp4);
        assert_eq!(declared("a", Some("Video/MP4;codecs=avc1")), Ok(("video/mp4; codecs=avc1".into(), mp4)));
        assert_eq!(declared("a", Some("video/x-unknown")), Ok((UNKNOWN.into(), None)));
    }

    #[test]
    fn the_name_decides_when_the_system_knows_the_wrong_type() {
        for (name, media_type, container) in [
            ("a.ts", "text/vnd.trolltech.linguist", Container::MpegTs),
            ("a.ts", "application/typescript", Container::MpegTs),
            ("a.MTS", "model/vnd.mts", Container::MpegTs),
            ("a.m2ts", "", Container::MpegTs),
            ("a.mkv", "application/x-matroska", Container::Mkv),
            ("a.flv", "video/x-flv", Container::Flv),
            ("a.flv", "application/x-shockwave-flash", Container::Flv),
            ("a.ogg", "audio/ogg", Container::Ogg),
            ("a.3gp", "audio/3gpp", Container::ThreeGp),
            ("a.asf", "application/vnd.ms-asf", Container::Wmv),
            ("a.mp4", "application/octet-stream", Container::Mp4),
            ("a.mp4", "text/html; charset=utf-8", Container::Mp4),
        ] {
            let expected = Ok((container.media_type().to_owned(), Some(container)));
            assert_eq!(declared(name, Some(media_type)), expected, "{name} {media_type}");
        }
    }

    #[test]
    fn audio_is_accepted_if_it_is_on() {
        let declared = |name: &str, media_type| {
            let declared = Declared::new(name, media_type, true).map_err(|problem| problem.code());
            declared.map(|declared| (declared.media_type, declared.container))
        };
        let accepted = |media_type: &str, container| Ok((media_type.to_owned(), container));
        let mp3 = Some(Container::Mp3);
        assert_eq!(declared("a.mp3", None), accepted("audio/mpeg", mp3));
        assert_eq!(declared("a", Some("audio/mpeg")), accepted("audio/mpeg", mp3));
        assert_eq!(declared("a.m4a", Some("audio/x-m4a")), accepted("audio/x-m4a", Some(Container::Mp4)));
        assert_eq!(declared("a", Some("audio/x-unknown")), accepted(UNKNOWN, None));
        assert_eq!(declared("a", Some("image/png")), Err(Code::UnsupportedMedia));
    }

    #[test]
    fn rejects_other_types() {
        for bad in ["text/html", "image/svg+xml", "application/pdf", "audio/ogg"] {
            assert_eq!(declared("a", Some(bad)), Err(Code::UnsupportedMedia), "{bad}");
            assert_eq!(declared("a.html", Some(bad)), Err(Code::UnsupportedMedia), "{bad}");
        }
        for bad in ["video/mp4, text/html", "video/mp4\r\nX: y", "vidéo/mp4", "video"] {
            assert_eq!(declared("a.mp4", Some(bad)), Err(Code::UnsupportedMedia), "{bad}");
        }
    }

    #[test]
    fn checks_sizes() {
        let size = |text: &str, max| parse_put_size(text, max).map_err(|p| p.code());
        assert_eq!(size("1", 10), Ok(1));
        assert_eq!(size("0", 10), Err(Code::EmptyFile));
        assert_eq!(size("11", 10), Err(Code::TooLarge));
        assert_eq!(size("5368709121", u64::MAX), Err(Code::TooLarge));
        for bad in ["", "-1", "1.5", "1e3", "99999999999999999999"] {
            assert_eq!(size(bad, 10), Err(Code::InvalidRequest), "{bad}");
        }
    }
}
