//! The formats of texts.

mod ass;
mod timed;

use upreel_core::captions::Cue;

use super::read::Block;
use super::utf8;
use crate::mp4::boxes::Fields;

/// The format of the texts of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// 3GPP timed text (TS 26.245, 5.17), and the text of `QuickTime`: a length, a text, and boxes with its style.
    Timed,
    /// `WebVTT` in MP4 (ISO/IEC 14496-30): boxes.
    Boxes,
    /// The text of a cue of `SubRip`.
    SubRip,
    /// An event of Advanced Substation Alpha, or of its predecessor: fields that are separated by commas.
    Ass,
    /// The text of a cue of `WebVTT` (Matroska).
    WebVtt,
    /// The name, the settings and the text of a cue of `WebVTT`, each from a new line on (WebM).
    WebmVtt,
}

impl Format {
    /// Returns whether texts have the markup of `WebVTT`. The others have that of `SubRip`, which many programs write
    /// whatever the format is.
    pub(super) const fn is_webvtt(self) -> bool {
        matches!(self, Self::Boxes | Self::WebVtt | Self::WebmVtt)
    }

    /// Returns whether a cue is split where another one begins or ends.
    pub(super) const fn is_split(self) -> bool {
        matches!(self, Self::Boxes)
    }

    /// Returns the cues that a text shows at these times. Returns `None` if it is damaged.
    pub(super) fn cues(self, block: &Block, (start, end): (u64, u64)) -> Option<Vec<Cue>> {
        let settings = block.settings.as_ref().map(utf8).unwrap_or_default();
        let cue = |settings: &str, text: &str| vec![Cue::new(start, end, settings, text)];
        Some(match self {
            Self::Timed => match timed::text(block.payload.clone())? {
                text if text.is_empty() => Vec::new(),
                text => vec![Cue::of_subrip(start, end, &text)],
            },
            Self::Boxes => {
                let cues = Fields(block.payload.clone()).boxes().filter(|(name, _)| name == b"vttc");
                let child = |body: &Fields, name| body.child(name).map(|it| utf8(&it.0)).unwrap_or_default();
                let cue =
                    |body: Fields| Cue::new(start, end, &child(&body, *b"sttg"), &child(&body, *b"payl"));
                cues.map(|(_, body)| cue(body)).collect()
            }
            Self::SubRip => vec![Cue::of_subrip(start, end, &utf8(&block.payload))],
            Self::Ass => {
                let (settings, text) = ass::text(&utf8(&block.payload))?;
                cue(settings, &text)
            }
            Self::WebVtt => cue(settings.lines().next().unwrap_or_default(), &utf8(&block.payload)),
            Self::WebmVtt => {
                let text = utf8(&block.payload).replace("\r\n", "\n");
                let (_name, rest) = text.split_once('\n')?;
                let (settings, text) = rest.split_once('\n').unwrap_or((rest, ""));
                cue(settings, text)
            }
        })
    }
}
