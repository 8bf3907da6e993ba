//! ffmpeg filters that prepare decoded frames for display: deinterlacing, transparency, tone mapping and scaling.

use upreel_core::video::MediaInfo;

/// Properties of a video that determine the filters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Filters {
    /// `FFmpeg`'s name for the transfer characteristics of a video with a high dynamic range (PQ or HLG), which is
    /// tone-mapped.
    pub(crate) hdr: Option<&'static str>,
    /// The video has an alpha channel and is drawn on black.
    pub(crate) alpha: bool,
    /// The frames have one or two lines, which `estdif` does not accept.
    pub(crate) tiny: bool,
}

/// The transfer characteristics of high dynamic range.
const HDR: [&str; 2] = ["smpte2084", "arib-std-b67"];

/// Returns filters that tone-map PQ and HLG to standard dynamic range, in linear light. Diffuse white (203 nits, ITU-R
/// BT.2408) stays white; brighter values are rolled off up to 1000 nits (`peak`), whatever the file's metadata claims.
/// Files without primaries and matrix are taken as BT.2020. `transfer` replaces the transfer characteristics of the
/// frames: they have none if only the container states them.
fn tone_map(transfer: Option<&str>) -> String {
    let transfer = transfer.map_or_else(String::new, |name| format!(":color_trc={name}"));
    format!(
        "setparams=color_primaries=bt2020:colorspace=bt2020nc{transfer},\
         zscale=t=linear:p=bt709:npl=203:agamma=0,format=gbrpf32le,tonemap=mobius:desat=0:peak=4.93"
    )
}

impl Filters {
    /// Derives the properties from `FFmpeg`'s name for the transfer characteristics and from the presence of alpha.
    pub(crate) fn of(color_transfer: Option<&str>, alpha: bool) -> Self {
        Self { hdr: HDR.into_iter().find(|name| color_transfer == Some(name)), alpha, tiny: false }
    }

    /// Returns the filters of a video with these properties. Rotation exchanges width and height.
    pub(crate) fn of_video(media_info: &MediaInfo, alpha: bool) -> Self {
        let tiny = media_info.width.into_iter().chain(media_info.height).any(|side| side < 3);
        Self { tiny, ..Self::of(media_info.color_transfer.as_deref(), alpha) }
    }

    /// Returns filters that run before scaling: they draw transparent frames on black, and deinterlace within one
    /// frame, because the neighbouring frames here are keyframes of other scenes.
    pub(crate) fn source(self) -> &'static str {
        match (self.tiny, self.alpha) {
            (false, false) => "estdif=mode=frame:deint=interlaced",
            (false, true) => {
                "estdif=mode=frame:deint=interlaced,format=gbrap,premultiply=inplace=1,format=gbrp"
            }
            (true, false) => "null",
            (true, true) => "format=gbrap,premultiply=inplace=1,format=gbrp",
        }
    }

    /// Returns filters that scale to `size` (`W:H`), with square pixels, for a rendition in standard dynamic range. The
    /// frames are tagged with colours: BT.709 if tone-mapped, else `assumed` if given, else the source's. The frames have
    /// transfer characteristics of their own if the stream `states_transfer`.
    pub(crate) fn scale_video(self, size: &str, assumed: Option<&str>, states_transfer: bool) -> String {
        let colours = match (self.hdr, assumed) {
            (Some(transfer), _) => {
                let tone_map = tone_map(Some(transfer).filter(|_| !states_transfer));
                format!(",{tone_map},zscale=t=bt709:p=bt709:m=bt709:r=limited")
            }
            (None, Some(name)) => format!(
                ":out_range=tv:in_color_matrix={name}:out_color_matrix={name},\
                 setparams=colorspace={name}:color_primaries={name}:color_trc={name}"
            ),
            (None, None) => ":out_range=tv".to_owned(),
        };
        format!("scale={size}:flags=bicubic{colours},format=yuv420p,setsar=1")
    }

    /// Returns filters that scale to `size` (`W:H`), with square pixels and JPEG's colours. `enlarge` says that the
    /// size exceeds the video's.
    pub(crate) fn scale(self, size: &str, enlarge: bool) -> String {
        // Averaging is fast and free of artefacts, but shows blocky pixels when it enlarges.
        let flags = if enlarge { "bicubic" } else { "area" };
        let colours = match self.hdr {
            Some(transfer) => format!(",{},zscale=t=iec61966-2-1:m=170m:r=full", tone_map(Some(transfer))),
            None => ":out_color_matrix=bt601".to_owned(),
        };
        format!("scale={size}:flags={flags}{colours},format=yuvj420p,setsar=1")
    }
}
