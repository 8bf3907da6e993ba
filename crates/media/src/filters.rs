//! What has to be done to a picture before people can look at it, as filters of ffmpeg.

/// Properties of a video that change the filters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Filters {
    /// High dynamic range (PQ or HLG): to be tone-mapped.
    pub(crate) hdr: bool,
    /// Transparent parts: to be shown on black.
    pub(crate) alpha: bool,
}

/// PQ and HLG to what a standard screen shows, in linear light. White paper (203 nits, ITU-R BT.2408) stays white, and what
/// is brighter is rolled off up to 1000 nits (`peak`), whatever the file claims. Files that leave primaries and
/// matrix out mean those of BT.2020.
const TONE_MAP: &str = "setparams=color_primaries=bt2020:colorspace=bt2020nc,zscale=t=linear:p=bt709:npl=203:agamma=0,\
     format=gbrpf32le,tonemap=mobius:desat=0:peak=4.93";

impl Filters {
    /// What its transfer characteristics say.
    pub(crate) fn of(color_transfer: Option<&str>, alpha: bool) -> Self {
        Self { hdr: matches!(color_transfer, Some("smpte2084" | "arib-std-b67")), alpha }
    }

    /// Filters for a picture of its stored size. Interlaced frames are filled up from one field alone,
    /// because the neighbours of a keyframe here are from other scenes.
    pub(crate) fn source(self) -> &'static str {
        if self.alpha {
            "estdif=mode=frame:deint=interlaced,format=gbrap,premultiply=inplace=1,format=gbrp"
        } else {
            "estdif=mode=frame:deint=interlaced"
        }
    }

    /// Filters that scale to `size` (`W:H`), with square pixels, for a video in standard dynamic range. All that is
    /// made of it says which colours it has: the source's, or those `assumed`.
    pub(crate) fn scale_video(self, size: &str, assumed: Option<&str>) -> String {
        let colours = match assumed {
            _ if self.hdr => format!(",{TONE_MAP},zscale=t=bt709:p=bt709:m=bt709:r=limited"),
            Some(name) => format!(
                ":out_range=tv:in_color_matrix={name}:out_color_matrix={name},\
                 setparams=colorspace={name}:color_primaries={name}:color_trc={name}"
            ),
            None => ":out_range=tv".to_owned(),
        };
        format!("scale={size}:flags=bicubic{colours},format=yuv420p,setsar=1")
    }

    /// Filters that scale to `size` (`W:H`), with square pixels and the colours of a JPEG.
    pub(crate) fn scale(self, size: &str, enlarge: bool) -> String {
        // Averaging is quick and free of artefacts, but would show the pixels of what is enlarged.
        let flags = if enlarge { "bicubic" } else { "area" };
        let colours = if self.hdr {
            format!(",{TONE_MAP},zscale=t=iec61966-2-1:m=170m:r=full")
        } else {
            ":out_color_matrix=bt601".to_owned()
        };
        format!("scale={size}:flags={flags}{colours},format=yuvj420p,setsar=1")
    }
}
