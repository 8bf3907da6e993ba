//! Writes HLS playlists (RFC 8216 and its successor, draft-pantos-hls-rfc8216bis, whose sections are quoted here).

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use upreel_core::language::Language;

use crate::remux::VideoRange;

/// The name of the master playlist (RFC 8216bis: multivariant playlist), with which a player starts.
pub const MASTER: &str = "master.m3u8";

/// A version of the film, or of its audio, in a folder of its own.
#[derive(Debug, Clone)]
pub struct Rendition {
    /// The folder.
    pub name: String,
    /// The codec (RFC 6381).
    pub codec: String,
    /// Ticks per second.
    pub scale: u32,
    /// Its segments, in the order of time.
    pub segments: Vec<Segment>,
}

/// A segment of a rendition.
#[derive(Debug, Clone)]
pub struct Segment {
    /// The file name in the rendition's folder.
    pub name: String,
    /// The duration in ticks.
    pub duration: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Bytes from the start of the segment to the end of its first frame. I-frame playlists need it.
    pub first: u64,
}

/// A rendition of the film.
#[derive(Debug, Clone)]
pub struct Video {
    /// The rendition.
    pub rendition: Rendition,
    /// The width as presented, in pixels.
    pub width: u32,
    /// The height as presented, in pixels.
    pub height: u32,
    /// Frames per second, if they are known.
    pub frame_rate: Option<f64>,
    /// The dynamic range.
    pub range: VideoRange,
}

/// A rendition of the audio.
#[derive(Debug, Clone)]
pub struct Audio {
    /// The rendition.
    pub rendition: Rendition,
    /// The language, as a code of ISO 639-2 or a tag of RFC 5646.
    pub language: Option<String>,
    /// Number of channels.
    pub channels: u32,
}

/// Writes the master playlist (section 4.4.6). All audio is one group, of which the first is the default. Without video,
/// that is the variant. Writing to a `String` can't fail, here and below.
#[must_use]
pub fn master(video: &[Video], audio: &[Audio]) -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n\n".to_owned();
    let sound = Sound::of(audio);
    if let ([], [first, others @ ..], Some(sound)) = (video, audio, &sound) {
        let group = if others.is_empty() { "" } else { ",AUDIO=\"audio\"" };
        if !others.is_empty() {
            text.push_str(&audio_group(audio));
        }
        text.push_str(&audio_variant(&first.rendition, sound, group));
        return text;
    }
    text.push_str(&audio_group(audio));
    text.extend(video.iter().map(|video| variant(video, sound.as_ref())));
    text
}

/// Writes the tag of a presentation without video, and the URI of its audio to play by default.
fn audio_variant(rendition: &Rendition, Sound { codecs, peak, average }: &Sound, group: &str) -> String {
    format!(
        "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{}\"{group}\n{}/index.m3u8\n",
        codecs.join(","),
        rendition.name
    )
}

/// The audio that is played with each rendition of the film.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sound {
    codecs: Vec<String>,
    /// The greatest peak bit rate and the greatest average one, in bits per second.
    peak: u64,
    average: u64,
}

impl Sound {
    /// Describes the audio; `None` if there is none.
    #[must_use]
    pub fn of(audio: &[Audio]) -> Option<Self> {
        let rates = audio.iter().map(|audio| audio.rendition.bit_rates());
        let (peak, average) = rates.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))?;
        let mut codecs: Vec<String> = audio.iter().map(|audio| audio.rendition.codec.clone()).collect();
        codecs.sort_unstable();
        codecs.dedup();
        Some(Self { codecs, peak, average })
    }
}

/// Writes the tag of a rendition of the film, with its audio, and its URI.
#[must_use]
pub fn variant(video: &Video, sound: Option<&Sound>) -> String {
    let Video { rendition, width, height, frame_rate, range } = video;
    let (mut peak, mut average) = rendition.bit_rates();
    let (mut codecs, mut group) = (rendition.codec.clone(), "");
    if let Some(sound) = sound {
        (peak, average, group) = (peak + sound.peak, average + sound.average, ",AUDIO=\"audio\"");
        codecs.extend(sound.codecs.iter().map(|codec| format!(",{codec}")));
    }
    let rate = frame_rate.map_or_else(String::new, |rate| format!("FRAME-RATE={rate:.3},"));
    format!(
        "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{codecs}\",\
         RESOLUTION={width}x{height},{rate}{}CLOSED-CAPTIONS=NONE{group}\n{}/index.m3u8\n",
        video_range(*range),
        rendition.name
    )
}

/// Writes the tags of a master playlist that refer to I-frame playlists (section 4.4.6.3).
#[must_use]
pub fn i_frame_tags(video: &[Video]) -> String {
    let mut text = "\n".to_owned();
    for Video { rendition, width, height, .. } in video {
        let _ = writeln!(
            text,
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},CODECS=\"{}\",RESOLUTION={width}x{height},\
             URI=\"{}/iframes.m3u8\"",
            rendition.i_frame_bit_rate(),
            rendition.codec,
            rendition.name
        );
    }
    text
}

/// Returns the attribute of the dynamic range. Without it, the range is the standard one.
const fn video_range(range: VideoRange) -> &'static str {
    match range {
        VideoRange::Sdr => "",
        VideoRange::Hlg => "VIDEO-RANGE=HLG,",
        VideoRange::Pq => "VIDEO-RANGE=PQ,",
    }
}

/// Writes the audio renditions (section 4.4.6.1). Their names are unique, as the section demands.
fn audio_group(audio: &[Audio]) -> String {
    let mut text = String::new();
    let mut names: Vec<String> = Vec::new();
    for (position, Audio { rendition, language, channels }) in audio.iter().enumerate() {
        let language = language.as_deref().and_then(Language::parse);
        let tag =
            language.as_ref().map_or_else(String::new, |language| format!("LANGUAGE=\"{}\",", language.tag));
        let mut name = language.map_or_else(|| "Audio".to_owned(), |language| language.name);
        if names.contains(&name) {
            name = format!("{name} {}", position + 1);
        }
        let default = if position == 0 { "YES" } else { "NO" };
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"{name}\",{tag}DEFAULT={default},AUTOSELECT=YES,\
             CHANNELS=\"{channels}\",URI=\"{}/index.m3u8\"",
            rendition.name
        );
        names.push(name);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

impl Rendition {
    /// Writes the media playlist (section 4.4.3).
    #[must_use]
    pub fn media_playlist(&self) -> String {
        let mut text = self.head("");
        for segment in &self.segments {
            let _ = writeln!(text, "#EXTINF:{:.6},\n{}", self.seconds(segment.duration), segment.name);
        }
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }

    /// Writes the I-frame playlist (section 4.4.3.6), which names only the first frame of each segment.
    #[must_use]
    pub fn i_frame_playlist(&self) -> String {
        let mut text = self.head("#EXT-X-I-FRAMES-ONLY\n");
        for segment in &self.segments {
            let (seconds, first) = (self.seconds(segment.duration), segment.first);
            let _ = writeln!(text, "#EXTINF:{seconds:.6},\n#EXT-X-BYTERANGE:{first}@0\n{}", segment.name);
        }
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }

    /// Returns the average frames per second of a rendition with this number of frames.
    #[expect(clippy::cast_precision_loss, reason = "frames are far fewer than 2^53")]
    #[must_use]
    pub fn frame_rate(&self, frames: usize) -> Option<f64> {
        let duration: u64 = self.segments.iter().map(|segment| segment.duration).sum();
        (duration > 0).then(|| frames as f64 / self.seconds(duration))
    }

    /// Writes the tags before the segments; `more` are additional tags.
    fn head(&self, more: &str) -> String {
        format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-INDEPENDENT-SEGMENTS\n{more}#EXT-X-MAP:URI=\"init.mp4\"\n",
            self.target_duration()
        )
    }

    /// Returns the target duration in seconds: that of the longest segment, rounded (section 4.4.3.1).
    fn target_duration(&self) -> f64 {
        self.segments
            .iter()
            .map(|segment| self.seconds(segment.duration))
            .fold(0.0, f64::max)
            .round()
            .max(1.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ticks")]
    fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 / f64::from(self.scale.max(1))
    }

    /// Returns the peak and the average bit rate, in bits per second.
    fn bit_rates(&self) -> (u64, u64) {
        let sizes: Vec<(u64, u64)> =
            self.segments.iter().map(|segment| (segment.bytes, segment.duration)).collect();
        let (bytes, duration) = sizes.iter().fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        (self.peak(&sizes), self.rate(bytes, duration).max(1))
    }

    /// Returns the peak bit rate of the I-frames, in bits per second.
    fn i_frame_bit_rate(&self) -> u64 {
        let sizes: Vec<(u64, u64)> =
            self.segments.iter().map(|segment| (segment.first, segment.duration)).collect();
        self.peak(&sizes)
    }

    /// Returns the peak segment bit rate (section 4.1): the greatest of consecutive segments that last between 0.5 and
    /// 1.5 times the target duration, or of all of them if they are shorter. `sizes` are bytes and durations of the
    /// segments.
    fn peak(&self, sizes: &[(u64, u64)]) -> u64 {
        let target = self.target_duration();
        let mut peak = 0;
        for start in 0..sizes.len() {
            let (mut bytes, mut duration) = (0, 0);
            for (segment_bytes, segment_duration) in &sizes[start..] {
                bytes += segment_bytes;
                duration += segment_duration;
                let seconds = self.seconds(duration);
                if seconds > 1.5 * target {
                    break;
                }
                if seconds >= 0.5 * target {
                    peak = peak.max(self.rate(bytes, duration));
                }
            }
        }
        if peak == 0 {
            let (bytes, duration) = sizes.iter().fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
            peak = self.rate(bytes, duration);
        }
        peak.max(1)
    }

    /// Returns the bit rate, rounded up. The duration is rounded down to microseconds, because that of a playlist is
    /// rounded to them.
    fn rate(&self, bytes: u64, duration: u64) -> u64 {
        let micros = u128::from(duration) * 1_000_000 / u128::from(self.scale.max(1));
        u64::try_from((u128::from(bytes) * 8_000_000).div_ceil(micros.max(1))).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendition(name: &str, codec: &str, sizes: &[(u64, u64)]) -> Rendition {
        let segment = |(duration, bytes): &(u64, u64)| Segment {
            name: String::new(),
            duration: *duration,
            bytes: *bytes,
            first: 0,
        };
        Rendition {
            name: name.to_owned(),
            codec: codec.to_owned(),
            scale: 1000,
            segments: sizes.iter().map(segment).collect(),
        }
    }

    fn audio(name: &str, codec: &str, language: Option<&str>) -> Audio {
        let language = language.map(str::to_owned);
        Audio { rendition: rendition(name, codec, &[]), language, channels: 2 }
    }

    #[test]
    fn languages_are_audio_renditions() {
        let text = audio_group(&[
            audio("audio", "x", Some("eng")),
            audio("audio-2", "x", Some("ger")),
            audio("audio-3", "x", Some("eng")),
            audio("audio-4", "x", None),
        ]);
        let expected = [
            "NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio/index.m3u8\"",
            "NAME=\"German\",LANGUAGE=\"de\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-2/index.m3u8\"",
            "NAME=\"English 3\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-3/index.m3u8\"",
            "NAME=\"Audio\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-4/index.m3u8\"",
        ];
        let lines: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\","))
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn audio_alone_is_the_variant() {
        let only = Audio { rendition: rendition("source", "opus", &[(4000, 8000)]), ..audio("", "", None) };
        let text = master(&[], std::slice::from_ref(&only));
        let variant = "#EXT-X-STREAM-INF:BANDWIDTH=16000,AVERAGE-BANDWIDTH=16000,CODECS=\"opus\"";
        assert!(text.ends_with(&format!("\n\n{variant}\nsource/index.m3u8\n")), "{text}");
        let text = master(&[], &[only, audio("source-audio", "mp4a.40.2", Some("de"))]);
        assert!(
            text.contains("DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"source/index.m3u8\""),
            "{text}"
        );
        let end = "CODECS=\"mp4a.40.2,opus\",AUDIO=\"audio\"\nsource/index.m3u8\n";
        assert!(text.ends_with(end), "{text}");
        assert_eq!(master(&[], &[]), "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n\n");
    }

    #[test]
    fn variants_name_every_codec_that_they_may_play() {
        let hdr = Video {
            rendition: rendition("source", "hvc1.2.4.L93.b0", &[(4000, 4000)]),
            width: 640,
            height: 360,
            frame_rate: Some(0.2),
            range: VideoRange::Hlg,
        };
        let sound = [audio("a", "opus", None), audio("b", "mp4a.40.2", None), audio("c", "opus", Some("fr"))];
        let text = master(std::slice::from_ref(&hdr), &sound);
        let variant = "BANDWIDTH=8001,AVERAGE-BANDWIDTH=8001,CODECS=\"hvc1.2.4.L93.b0,mp4a.40.2,opus\",\
                       RESOLUTION=640x360,FRAME-RATE=0.200,VIDEO-RANGE=HLG,CLOSED-CAPTIONS=NONE,AUDIO=\"audio\"";
        assert!(text.contains(&format!("#EXT-X-STREAM-INF:{variant}\nsource/index.m3u8\n")), "{text}");
        let silent = master(&[Video { frame_rate: None, range: VideoRange::Sdr, ..hdr }], &[]);
        assert!(silent.contains("RESOLUTION=640x360,CLOSED-CAPTIONS=NONE\n"), "{silent}");
    }

    #[test]
    fn peak_is_that_of_consecutive_segments_near_the_target_duration() {
        let rates = |sizes: &[(u64, u64)]| rendition("v360", "x", sizes).bit_rates();
        // A segment of a frame does not count on its own.
        assert_eq!(rates(&[(40, 5000), (4000, 10_000), (4000, 9000)]).0, (15_000 * 8_000_u64).div_ceil(4040));
        assert_eq!(rates(&[(4000, 9000), (2000, 6000)]), (24_000, 20_000));
        assert_eq!(rates(&[(3000, 1000)]), (2667, 2667), "rounded up");
        assert_eq!(rates(&[(40, 5)]), (1000, 1000), "shorter than half of the target duration");
        assert_eq!(rates(&[]), (1, 1));
    }
}
