//! Videos of which all frames and samples are presented.

use super::check::{Expected, check};
use super::{AAC, FILM, H264, PYRAMID, TONE, basic, generate};

async fn plain(name: &str, args: &str) {
    check(&generate(name, args), Expected::default()).await;
}

#[tokio::test]
async fn orders_of_frames() {
    plain("pyramid.mp4", &format!("{FILM} {TONE} {H264} {PYRAMID} {AAC} -shortest")).await;
    plain("pyramid.mov", &format!("-i {} -c copy", basic())).await;
    plain("faststart.mp4", &format!("-i {} -c copy -movflags +faststart", basic())).await;
    plain("no-b.mp4", &format!("{FILM} {TONE} {H264} -bf 0 -g 60 {AAC}")).await;
    plain("intra.mp4", &format!("{FILM} {TONE} {H264} -g 1 {AAC}")).await;
    plain(
        "long-gop.mp4",
        &format!("{FILM} {TONE} {H264} -force_key_frames 0,9 -g 600 -sc_threshold 0 {AAC}"),
    )
    .await;
}

#[tokio::test]
async fn frame_rates() {
    let rate = |rate: &str| FILM.replace("rate=30", &format!("rate={rate}"));
    plain("23976.mp4", &format!("{} {TONE} {H264} -g 48 {AAC}", rate("24000/1001"))).await;
    plain("60.mp4", &format!("{} {TONE} {H264} -g 120 -bf 2 {AAC}", rate("60"))).await;
    let vary = "-vf select='not(mod(n,7))+not(mod(n,3))' -fps_mode vfr";
    plain("vfr.mp4", &format!("{FILM} {TONE} {vary} {H264} {PYRAMID} {AAC}")).await;
    let coarse = "-video_track_timescale 30";
    plain("coarse.mp4", &format!("{FILM} {TONE} {H264} {PYRAMID} {coarse} {AAC}")).await;
}

#[tokio::test]
async fn codecs() {
    let closed = "-x265-params keyint=60:min-keyint=60:scenecut=0:open-gop=0:log-level=error";
    let hevc = format!("-c:v libx265 -preset ultrafast {closed}");
    plain("hevc.mp4", &format!("{FILM} {TONE} {hevc} -pix_fmt yuv420p -tag:v hvc1 {AAC}")).await;
    let hlg = format!("{hevc}:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc");
    let colours = "-color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc";
    plain("hlg.mp4", &format!("{FILM} {TONE} {hlg} -pix_fmt yuv420p10le {colours} {AAC}")).await;
    let av1 = "-c:v libsvtav1 -preset 12 -g 60 -pix_fmt yuv420p -c:a libopus -b:a 96k";
    plain("av1.mp4", &format!("{FILM} {TONE} {av1}")).await;
    let vp9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -b:v 300k -c:a libopus -b:a 96k";
    plain("vp9.mp4", &format!("{FILM} {TONE} {vp9}")).await;
}

#[tokio::test]
async fn audio() {
    plain("44100.mp4", &format!("{FILM} {} {H264} {PYRAMID} {AAC}", TONE.replace("48000", "44100"))).await;
    plain("mono.mp4", &format!("{FILM} {TONE} {H264} {PYRAMID} {AAC} -ac 1")).await;
    plain("silent.mp4", &format!("{FILM} {H264} {PYRAMID}")).await;
    let film = FILM.replace("duration=12", "duration=7");
    plain("longer.mp4", &format!("{film} {TONE} {H264} {PYRAMID} {AAC}")).await;
    plain("shorter.mp4", &format!("{FILM} {} {H264} {PYRAMID} {AAC}", TONE.replace("d=12", "d=11"))).await;
    let two = format!("{FILM} {TONE} {} -map 0 -map 1 -map 2", TONE.replace("300", "700"));
    plain("two.mp4", &format!("{two} {H264} {PYRAMID} {AAC}")).await;
}

#[tokio::test]
async fn missing_audio_is_silent() {
    let expected = Expected { is_silent: true, ..Expected::default() };
    let short = TONE.replace("d=12", "d=6");
    check(&generate("short.mp4", &format!("{FILM} {short} {H264} {PYRAMID} {AAC}")), expected).await;
    let late = format!("-i {0} -itsoffset 1.5 -i {0} -map 0:v -map 1:a -c copy", basic());
    check(&generate("audio-late.mp4", &late), expected).await;
    let opus = format!("{FILM} {TONE} {H264} {PYRAMID} -c:a libopus -t 12");
    let opus = generate("opus.mp4", &opus).display().to_string();
    let late = format!("-i {opus} -itsoffset 2 -i {opus} -map 0:v -map 1:a -c copy");
    check(&generate("opus-late.mp4", &late), expected).await;
}

#[tokio::test]
async fn edits() {
    let expected = Expected { starts_late: true, ..Expected::default() };
    let late = format!("-itsoffset 0.5 -i {0} -i {0} -map 0:v -map 1:a -c copy", basic());
    check(&generate("film-late.mp4", &late), expected).await;
    // From a keyframe on, and to a keyframe.
    plain("trimmed.mp4", &format!("-ss 4 -i {} -c copy", basic())).await;
    plain("ended.mp4", &format!("-i {} -t 6 -c copy", basic())).await;
}

#[tokio::test]
async fn orientations_are_kept() {
    for (name, turn, size) in [("90.mp4", 90, (120, 160)), ("180.mp4", 180, (160, 120))] {
        let path = generate(name, &format!("-i {} -c copy -metadata:s:v:0 rotate={turn}", basic()));
        let made = check(&path, Expected::default()).await;
        let upreel_media::remux::Kind::Video { width, height, .. } = made.remux.tracks[0].kind else {
            panic!()
        };
        assert_eq!((width, height), size);
    }
}

#[tokio::test]
async fn fragments() {
    let fragmented = "-movflags +frag_keyframe+empty_moov+default_base_moof";
    let copy = format!("-i {} -c copy", basic());
    plain("fragmented.mp4", &format!("{copy} {fragmented}")).await;
    plain("sidx.mp4", &format!("{copy} {fragmented}+global_sidx")).await;
    plain("delayed.mp4", &format!("{copy} {fragmented}+delay_moov+skip_trailer")).await;
    plain("hybrid.mp4", &format!("{copy} -movflags +frag_keyframe+default_base_moof")).await;
    plain("short-fragments.mp4", &format!("{copy} {fragmented} -frag_duration 300000")).await;
    plain("dash.mp4", &format!("{copy} -movflags +frag_keyframe+empty_moov+separate_moof+dash")).await;
}

#[tokio::test]
async fn matroska() {
    let rounded = |name: &str, args: &str| {
        let path = generate(name, args);
        async move { check(&path, Expected { is_rounded: true, ..Expected::default() }).await }
    };
    // Without Cues, all blocks are listed, and decode times have the clock of the file.
    let scale = |made: &super::Remuxed| made.remux.tracks[0].scale;
    let outlined = |made: super::Remuxed| assert_eq!(scale(&made), 16_000, "made of the Cues");
    outlined(rounded("pyramid.mkv", &format!("-i {} -c copy", basic())).await);
    outlined(rounded("no-b.mkv", &format!("{FILM} {TONE} {H264} -bf 0 -g 60 {AAC}")).await);
    let vp9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -b:v 300k -c:a libopus -b:a 96k";
    outlined(rounded("vp9.webm", &format!("{FILM} {TONE} {vp9}")).await);
    let live = rounded("live.webm", &format!("{FILM} {TONE} {vp9} -live 1")).await;
    assert_eq!(scale(&live), 1000);
    let av1 = "-c:v libsvtav1 -preset 12 -g 60 -pix_fmt yuv420p -c:a libopus -b:a 96k";
    outlined(rounded("av1.webm", &format!("{FILM} {TONE} {av1}")).await);
    let closed = "-x265-params keyint=60:min-keyint=60:scenecut=0:open-gop=0:log-level=error";
    let hevc = format!("-c:v libx265 -preset ultrafast {closed} -pix_fmt yuv420p");
    let tone = TONE.replace("48000", "44100");
    let film = FILM.replace("rate=30", "rate=60");
    outlined(rounded("hevc.mkv", &format!("{film} {tone} {hevc} {AAC}")).await);
}

#[tokio::test]
async fn matroska_with_other_audio() {
    let silent = |is_silent| Expected { is_rounded: true, is_silent, ..Expected::default() };
    let film = format!("{H264} {PYRAMID} {AAC}");
    let two = format!("{FILM} {TONE} {} -map 0 -map 1 -map 2", TONE.replace("300", "700"));
    let two = check(&generate("two.mkv", &format!("{two} {film}")), silent(false)).await;
    assert_eq!(two.remux.tracks.len(), 3);
    let short = TONE.replace("d=12", "d=11");
    check(&generate("shorter.mkv", &format!("{FILM} {short} {film}")), silent(false)).await;
    let late = format!("-i {0} -itsoffset 1.5 -i {0} -map 0:v -map 1:a -c copy", basic());
    check(&generate("audio-late.mkv", &late), silent(true)).await;
    let late = format!("-itsoffset 0.5 -i {0} -i {0} -map 0:v -map 1:a -c copy", basic());
    check(&generate("film-late.mkv", &late), Expected { starts_late: true, ..silent(false) }).await;
    check(&generate("silent.mkv", &format!("{FILM} {H264} {PYRAMID}")), silent(false)).await;
}

#[tokio::test]
async fn mirrored_films_stay_mirrored() {
    let path = super::patched("mirrored.mp4", *b"tkhd", |body| {
        body[40..44].copy_from_slice(&(-0x1_0000i32).to_be_bytes());
    });
    let made = check(&path, Expected::default()).await;
    let init = &made.remux.tracks[0].init;
    let at = init.windows(4).position(|name| name == b"tkhd").unwrap() + 4;
    assert_eq!(init[at + 40..at + 44], (-0x1_0000i32).to_be_bytes());
}
