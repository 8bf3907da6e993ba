//! Maps codec identifiers (RFC 9559, section 5.1.4.1.21, and the Matroska codec specifications) to `FFmpeg`'s names.

use crate::mp4::wave_format;

/// Returns the codec of a video track; `private` is its `CodecPrivate`.
pub(super) fn video(id: &str, private: &[u8]) -> Option<&'static str> {
    Some(match id {
        "V_MS/VFW/FOURCC" => return fourcc(private),
        "V_MPEG4/ISO/AVC" => "h264",
        "V_MPEGH/ISO/HEVC" => "hevc",
        "V_MPEGI/ISO/VVC" => "vvc",
        "V_AV1" => "av1",
        "V_VP8" => "vp8",
        "V_VP9" => "vp9",
        "V_MPEG4/ISO/SP" | "V_MPEG4/ISO/ASP" | "V_MPEG4/ISO/AP" => "mpeg4",
        "V_MPEG4/MS/V3" => "msmpeg4v3",
        "V_MPEG1" => "mpeg1video",
        "V_MPEG2" => "mpeg2video",
        "V_THEORA" => "theora",
        "V_DIRAC" => "dirac",
        "V_MJPEG" => "mjpeg",
        "V_PRORES" => "prores",
        "V_FFV1" => "ffv1",
        "V_UNCOMPRESSED" => "rawvideo",
        "V_REAL/RV10" => "rv10",
        "V_REAL/RV20" => "rv20",
        "V_REAL/RV30" => "rv30",
        "V_REAL/RV40" => "rv40",
        _ => return None,
    })
}

/// Returns the codec of a Video for Windows track, which is `biCompression` in a `BITMAPINFOHEADER`.
fn fourcc(private: &[u8]) -> Option<&'static str> {
    let code = private.get(16..20)?.to_ascii_uppercase();
    Some(match code.as_slice() {
        b"H264" | b"X264" | b"AVC1" | b"DAVC" => "h264",
        b"HEVC" | b"H265" | b"HVC1" => "hevc",
        b"XVID" | b"DIVX" | b"DX50" | b"FMP4" | b"MP4V" | b"M4S2" => "mpeg4",
        b"DIV3" | b"MP43" => "msmpeg4v3",
        b"DIV2" | b"MP42" => "msmpeg4v2",
        b"MJPG" => "mjpeg",
        b"MPG1" => "mpeg1video",
        b"MPG2" => "mpeg2video",
        b"WMV1" => "wmv1",
        b"WMV2" => "wmv2",
        b"WMV3" => "wmv3",
        b"WVC1" => "vc1",
        b"VP80" => "vp8",
        b"VP90" => "vp9",
        b"AV01" => "av1",
        b"FFV1" => "ffv1",
        b"HFYU" => "huffyuv",
        b"FLV1" => "flv1",
        _ => return None,
    })
}

/// Returns the codec of an audio track; `private` is its `CodecPrivate`, `bits` its `BitDepth`.
pub(super) fn audio(id: &str, private: &[u8], bits: Option<u64>) -> Option<&'static str> {
    Some(match (id, bits) {
        // `CodecPrivate` is a `WAVEFORMATEX`.
        ("A_MS/ACM", _) => {
            let word = |at: usize| Some(u16::from_le_bytes(*private.get(at..)?.first_chunk()?));
            return wave_format(word(0)?, word(14)?.into());
        }
        ("A_OPUS", _) => "opus",
        ("A_VORBIS", _) => "vorbis",
        ("A_AC3" | "A_AC3/BSID9" | "A_AC3/BSID10", _) => "ac3",
        ("A_EAC3", _) => "eac3",
        ("A_MPEG/L3", _) => "mp3",
        ("A_MPEG/L2", _) => "mp2",
        ("A_MPEG/L1", _) => "mp1",
        ("A_FLAC", _) => "flac",
        ("A_ALAC", _) => "alac",
        ("A_DTS" | "A_DTS/EXPRESS" | "A_DTS/LOSSLESS", _) => "dts",
        ("A_TRUEHD", _) => "truehd",
        ("A_MLP", _) => "mlp",
        ("A_TTA1", _) => "tta",
        ("A_WAVPACK4", _) => "wavpack",
        ("A_PCM/INT/LIT" | "A_PCM/INT/BIG", Some(8)) => "pcm_u8",
        ("A_PCM/INT/LIT", Some(16)) => "pcm_s16le",
        ("A_PCM/INT/LIT", Some(24)) => "pcm_s24le",
        ("A_PCM/INT/LIT", Some(32)) => "pcm_s32le",
        ("A_PCM/INT/BIG", Some(16)) => "pcm_s16be",
        ("A_PCM/INT/BIG", Some(24)) => "pcm_s24be",
        ("A_PCM/INT/BIG", Some(32)) => "pcm_s32be",
        ("A_PCM/FLOAT/IEEE", None | Some(32)) => "pcm_f32le",
        ("A_PCM/FLOAT/IEEE", Some(64)) => "pcm_f64le",
        _ if id == "A_AAC" || id.starts_with("A_AAC/") => "aac",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn video_for_windows_codec_is_read_from_codec_private() {
        let mut private = [0; 40];
        private[16..20].copy_from_slice(b"xvid");
        assert_eq!(video("V_MS/VFW/FOURCC", &private), Some("mpeg4"));
        assert_eq!(video("V_MS/VFW/FOURCC", &private[..19]), None);
        assert_eq!(video("V_MS/VFW/FOURCC", &[0; 40]), None);
    }

    #[test]
    fn pcm_codec_depends_on_the_bit_depth() {
        let audio = |id, bits| audio(id, &[], bits);
        assert_eq!(audio("A_AAC/MPEG4/LC/SBR", None), Some("aac"));
        assert_eq!(audio("A_PCM/INT/LIT", Some(24)), Some("pcm_s24le"));
        assert_eq!(audio("A_PCM/INT/LIT", None), None);
        assert_eq!(audio("A_PCM/FLOAT/IEEE", None), Some("pcm_f32le"));
        assert_eq!(audio("A_AACX", None), None);
    }

    #[test]
    fn audio_compression_manager_codec_is_read_from_codec_private() {
        let mut private = [0; 18];
        (private[0], private[14]) = (1, 24);
        assert_eq!(audio("A_MS/ACM", &private, None), Some("pcm_s24le"));
        private[0] = 0x55;
        assert_eq!(audio("A_MS/ACM", &private, None), Some("mp3"));
        assert_eq!(audio("A_MS/ACM", &private[..15], None), None);
    }
}
