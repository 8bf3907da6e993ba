//! The formats of images.

/// The format of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JPEG.
    Jpeg,
    /// A WebP with one frame.
    Webp,
    /// An animated WebP.
    AnimatedWebp,
    /// A GIF.
    Gif,
}

impl Format {
    /// Returns the media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Webp | Self::AnimatedWebp => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    /// Returns the arguments of the output.
    pub(super) const fn output(self) -> &'static [&'static str] {
        match self {
            Self::Jpeg => &["-c:v", "mjpeg", "-q:v", "3", "-threads", "1", "-f", "image2pipe"],
            Self::Webp => &["-c:v", "libwebp", "-quality", "80", "-f", "image2pipe"],
            // The muxer for WebP would have to seek in the pipe. The encoder returns the whole file.
            Self::AnimatedWebp => {
                &["-c:v", "libwebp_anim", "-quality", "65", "-compression_level", "3", "-f", "image2pipe"]
            }
            Self::Gif => &["-c:v", "gif", "-f", "gif"],
        }
    }

    /// Returns the filters that follow the scaling, which returns JPEG's colours.
    pub(super) const fn filters(self) -> &'static str {
        match self {
            Self::Jpeg => "[image]",
            Self::Webp | Self::AnimatedWebp => ",scale=in_range=pc:out_range=tv,format=yuv420p[image]",
            Self::Gif => {
                ",split[a][b];[a]palettegen[palette];\
                 [b][palette]paletteuse=dither=bayer:bayer_scale=3:diff_mode=rectangle[image]"
            }
        }
    }

    /// Returns whether an image was not cut off: by the limit of its size, or because ffmpeg was ended.
    pub(super) fn is_complete(self, image: &[u8]) -> bool {
        match self {
            Self::Jpeg => image.starts_with(&[0xFF, 0xD8]) && image.ends_with(&[0xFF, 0xD9]),
            Self::Webp | Self::AnimatedWebp => {
                let size = image.get(4..8).and_then(|size| size.first_chunk()).copied();
                image.starts_with(b"RIFF")
                    && size.is_some_and(|size| u64::from(u32::from_le_bytes(size)) + 8 == image.len() as u64)
            }
            Self::Gif => image.starts_with(b"GIF8") && image.ends_with(b";"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_were_cut_off_are_incomplete() {
        let webp = b"RIFF\x04\0\0\0WEBP";
        for (format, whole) in [
            (Format::Jpeg, &b"\xFF\xD8\xFF\xDA..\xFF\xD9"[..]),
            (Format::Webp, webp),
            (Format::AnimatedWebp, webp),
            (Format::Gif, b"GIF89a...;"),
        ] {
            assert!(format.is_complete(whole), "{format:?}");
            for end in 0..whole.len() {
                assert!(!format.is_complete(&whole[..end]), "{format:?} {end}");
            }
        }
    }
}
