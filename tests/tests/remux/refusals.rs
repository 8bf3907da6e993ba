//! Videos that cannot be played from their originals.

use super::{AAC, FILM, H264, PYRAMID, TONE, basic, generate, remux};

async fn refused(name: &str, args: &str) -> &'static str {
    remux(&generate(name, args)).await.err().map_or("NONE", |refusal| refusal.0)
}

#[tokio::test]
async fn broken_streams_are_never_made() {
    let open = "-x264-params keyint=60:min-keyint=60:scenecut=0:bframes=3:open-gop=1";
    assert_eq!(refused("open-gop.mp4", &format!("{FILM} {TONE} {H264} {open} {AAC}")).await, "OPEN_GOP");
    assert_eq!(refused("open-gop.mkv", &format!("{FILM} {TONE} {H264} {open} {AAC}")).await, "OPEN_GOP");
    let x265 = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p \
                -x265-params keyint=60:min-keyint=60:scenecut=0:bframes=3:open-gop=1:log-level=error";
    assert_eq!(refused("open-hevc.mp4", &format!("{FILM} {TONE} {x265} {AAC}")).await, "OPEN_GOP");
    assert_eq!(refused("open-hevc.mkv", &format!("{FILM} {TONE} {x265} {AAC}")).await, "OPEN_GOP");
    let refresh = "-x264-params keyint=60:intra-refresh=1:bframes=0";
    assert_eq!(refused("refresh.mp4", &format!("{FILM} {TONE} {H264} {refresh} {AAC}")).await, "OPEN_GOP");
    assert_eq!(refused("refresh.mkv", &format!("{FILM} {TONE} {H264} {refresh} {AAC}")).await, "OPEN_GOP");
    let within = format!("-ss 3 -i {} -c copy", basic());
    assert_eq!(refused("within.mp4", &within).await, "STARTS_WITHIN_GOP");
    let film = FILM.replace("duration=12", "duration=30");
    let far = format!("{film} {H264} -g 9999 -sc_threshold 0");
    assert_eq!(refused("far.mp4", &far).await, "KEYFRAMES_TOO_FAR_APART");
    assert_eq!(refused("far.mkv", &far).await, "KEYFRAMES_TOO_FAR_APART");
}

#[tokio::test]
async fn other_codecs_are_not_played() {
    let prores = format!("{FILM} {TONE} -c:v prores_ks -profile:v 0 -c:a aac");
    assert_eq!(refused("prores.mov", &prores).await, "CODEC");
    let wavpack = format!("{FILM} {TONE} {H264} {PYRAMID} -c:a wavpack");
    assert_eq!(refused("wavpack.mkv", &wavpack).await, "AUDIO_CODEC");
    // A codec that nobody knows.
    let unknown = super::patched("unknown-audio.mp4", *b"mp4a", |_| {});
    let mut bytes = std::fs::read(&unknown).unwrap();
    let at = bytes.windows(4).position(|found| found == b"mp4a").unwrap();
    bytes[at..at + 4].copy_from_slice(b"apac");
    std::fs::write(&unknown, bytes).unwrap();
    assert_eq!(remux(&unknown).await.unwrap_err().0, "AUDIO_CODEC");
}

#[tokio::test]
async fn audio_ends_with_the_film() {
    let film = FILM.replace("duration=12", "duration=1.5");
    assert_eq!(refused("longer-audio.mp4", &format!("{film} {TONE} {H264} {AAC}")).await, "AUDIO_LONGER");
    let quad = "-af aformat=channel_layouts=4.0";
    let short = format!("{FILM} {} {quad} {H264} {PYRAMID} {AAC}", TONE.replace("d=12", "d=1"));
    assert_eq!(refused("short-4-channels.mp4", &short).await, "AUDIO_GAP");
}

#[tokio::test]
async fn what_was_trimmed_away_is_never_sent() {
    // An edit that ends between two frames that are stored in another order.
    let path = super::patched("ends-within.mp4", *b"elst", |body| {
        body[8..12].copy_from_slice(&7_050u32.to_be_bytes());
    });
    assert_eq!(remux(&path).await.unwrap_err().0, "ENDS_WITHIN_GOP");
    let path = super::patched("begins-within.mp4", *b"elst", |body| {
        body[12..16].copy_from_slice(&20_000u32.to_be_bytes());
    });
    assert_eq!(remux(&path).await.unwrap_err().0, "STARTS_WITHIN_GOP");
    let path =
        super::patched("fast.mp4", *b"elst", |body| body[16..20].copy_from_slice(&0x2_0000u32.to_be_bytes()));
    assert_eq!(remux(&path).await.unwrap_err().0, "EDITS");
}
