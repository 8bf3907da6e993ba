//! Videos of which all frames and samples are presented.

use super::check::{Expected, check};
use super::{AAC, FILM, H264, PYRAMID, SHORT, TONE, basic, generate};

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
    let irregular = "-force_key_frames 0,0.7,1.9,3.3,4.6,4.8,7 -g 600 -sc_threshold 0 -bf 3";
    plain("irregular.mp4", &format!("{SHORT} {H264} {irregular} {AAC}")).await;
    let deep = "-x264-params keyint=60:min-keyint=60:scenecut=0:bframes=16:b-adapt=0:b-pyramid=normal:ref=16";
    plain("deep-pyramid.mp4", &format!("{SHORT} {H264} {deep} {AAC}")).await;
    let headers = "-x264-params keyint=60:scenecut=0:bframes=2:repeat-headers=1:aud=1:slices=4:nal-hrd=vbr \
                   -maxrate 400k -bufsize 400k";
    plain("headers.mp4", &format!("{SHORT} {H264} {headers} {AAC}")).await;
    let fields = "-flags +ilme+ildct -x264-params keyint=60:scenecut=0:bframes=2:tff=1:interlaced=1";
    plain("interlaced.mp4", &format!("{SHORT} {H264} {fields} {AAC}")).await;
}

#[tokio::test]
async fn short_films() {
    let lasts = |seconds: &str| {
        let [film, tone] =
            [FILM.replace("=12", &format!("={seconds}")), TONE.replace("d=12", &format!("d={seconds}"))];
        format!("{film} {tone} {H264} {PYRAMID} {AAC}")
    };
    plain("second.mp4", &lasts("1")).await;
    plain("moment.mp4", &lasts("0.3")).await;
    plain("moment.mov", &format!("-f lavfi -i testsrc2=size=160x120:rate=30 -frames:v 1 {H264}")).await;
    check(&generate("moment.mkv", &lasts("0.3")), Expected { is_rounded: true, ..Expected::default() }).await;
}

#[tokio::test]
async fn frame_rates() {
    let rate = |rate: &str| FILM.replace("rate=30", &format!("rate={rate}"));
    plain("23976.mp4", &format!("{} {TONE} {H264} -g 48 {AAC}", rate("24000/1001"))).await;
    plain("60.mp4", &format!("{} {TONE} {H264} -g 120 -bf 2 {AAC}", rate("60"))).await;
    let vary = "-vf select='not(mod(n,7))+not(mod(n,3))' -fps_mode vfr";
    plain("vfr.mp4", &format!("{FILM} {TONE} {vary} {H264} {PYRAMID} {AAC}")).await;
    for (name, number) in [("29.97.mp4", "30000/1001"), ("25.mov", "25"), ("120.mp4", "120"), ("8.mp4", "8")]
    {
        plain(
            name,
            &format!("{} {H264} {PYRAMID} {AAC}", SHORT.replace("rate=30", &format!("rate={number}"))),
        )
        .await;
    }
    // Frames that last from a thirtieth of a second to two seconds.
    let still = "-vf select='not(between(n,20,79))*not(between(n,110,119))' -fps_mode vfr";
    plain("still.mp4", &format!("{SHORT} {still} {H264} {PYRAMID} {AAC}")).await;
    plain("mpeg-clock.mp4", &format!("{SHORT} {H264} {PYRAMID} -video_track_timescale 90000 {AAC}")).await;
    plain("movie-clock.mp4", &format!("{SHORT} {H264} {PYRAMID} -movie_timescale 90000 {AAC}")).await;
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
    let pq = format!("{hevc}:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc");
    let colours = "-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc";
    plain("pq.mp4", &format!("{SHORT} {pq} -pix_fmt yuv420p10le {colours} {AAC}")).await;
    // Parameter sets beside the frames, and in the sample entry.
    plain("hev1.mp4", &format!("{SHORT} {hevc}:repeat-headers=1 -pix_fmt yuv420p -tag:v hev1 {AAC}")).await;
    let h264 = H264.replace("yuv420p", "yuv420p10le");
    plain("h264-10-bit.mp4", &format!("{SHORT} {h264} {PYRAMID} {AAC}")).await;
    let wide = "-vf setsar=4/3 -color_range pc -colorspace bt709 -color_primaries bt709 -color_trc bt709";
    plain("anamorphic.mov", &format!("{SHORT} {H264} {PYRAMID} {wide} {AAC}")).await;
    let av1 = "-c:v libsvtav1 -preset 12 -g 60 -pix_fmt yuv420p -c:a libopus -b:a 96k";
    plain("av1.mp4", &format!("{FILM} {TONE} {av1}")).await;
    let vp9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -b:v 300k -c:a libopus -b:a 96k";
    plain("vp9.mp4", &format!("{FILM} {TONE} {vp9}")).await;
    // With frames that are never shown.
    let hidden =
        "-c:v libvpx-vp9 -deadline good -cpu-used 8 -g 60 -lag-in-frames 16 -auto-alt-ref 1 -b:v 200k";
    plain("vp9-hidden.mp4", &format!("{SHORT} {hidden} -c:a libopus -b:a 96k")).await;
}

#[tokio::test]
async fn audio() {
    plain("44100.mp4", &format!("{FILM} {} {H264} {PYRAMID} {AAC}", TONE.replace("48000", "44100"))).await;
    plain("mono.mp4", &format!("{FILM} {TONE} {H264} {PYRAMID} {AAC} -ac 1")).await;
    plain("silent.mp4", &format!("{FILM} {H264} {PYRAMID}")).await;
    // The encoder's delay, an eighth of a second, precedes the first frame.
    let starts_late = Expected { starts_late: true, ..Expected::default() };
    check(&generate("8000.mp4", &format!("{SHORT} {H264} {PYRAMID} {AAC} -ar 8000 -ac 1")), starts_late)
        .await;
    plain("96000.mp4", &format!("{SHORT} {H264} {PYRAMID} {AAC} -ar 96000")).await;
    plain("surround.mp4", &format!("{SHORT} {H264} {PYRAMID} {AAC} -ac 6")).await;
    plain("surround-opus.mp4", &format!("{SHORT} {H264} {PYRAMID} -c:a libopus -ac 6")).await;
    for duration in ["2.5", "60"] {
        let opus = format!("-c:a libopus -b:a 64k -frame_duration {duration}");
        plain(&format!("opus-{duration}.mp4"), &format!("{SHORT} {H264} {PYRAMID} {opus}")).await;
    }
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
    // Without an edit list, or with composition offsets below zero instead.
    plain("no-edits.mp4", &format!("-i {} -c copy -use_editlist 0", basic())).await;
    plain("negative.mp4", &format!("-i {} -c copy -movflags +negative_cts_offsets", basic())).await;
    plain("later.mp4", &format!("-i {} -c copy -output_ts_offset 3", basic())).await;
}

#[tokio::test]
async fn other_tracks() {
    let cover =
        generate("cover.jpg", "-f lavfi -i color=c=magenta:s=64x64:d=1 -frames:v 1").display().to_string();
    let attached = format!("-i {} -i {cover} -map 0 -map 1 -c copy -disposition:v:1 attached_pic", basic());
    plain("cover.mp4", &attached).await;
    let first = format!("-i {cover} -i {} -map 0 -map 1 -c copy -disposition:v:0 0", basic());
    check(&generate("cover-first.mp4", &first), Expected { film: Some("0:v:1"), ..Expected::default() })
        .await;
    plain("timecode.mov", &format!("-i {} -c copy -timecode 01:00:00:00", basic())).await;
    plain("phone.m4v", &format!("-i {} -c copy -f ipod", basic())).await;
}

#[tokio::test]
async fn orientations_are_kept() {
    for (name, turn, size) in
        [("90.mp4", 90, (120, 160)), ("180.mp4", 180, (160, 120)), ("270.mov", 270, (120, 160))]
    {
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
    let below_zero = Expected { shift: 1024, ..Expected::default() };
    check(&generate("cmaf.mp4", &format!("{copy} -movflags +cmaf+frag_keyframe")), below_zero).await;
    plain("every-frame.mp4", &format!("{copy} -t 4 -an -movflags +frag_every_frame+empty_moov")).await;
    let below_zero = Expected { shift: 666_667, ..Expected::default() };
    check(&generate("smooth.mp4", &format!("{copy} -f ismv -movflags +frag_keyframe")), below_zero).await;
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
    let short = basic();
    outlined(
        rounded("cues-first.mkv", &format!("-i {short} -c copy -cues_to_front 1 -cluster_time_limit 700"))
            .await,
    );
    outlined(
        rounded("bare.mkv", &format!("-i {short} -c copy -write_crc32 0 -cluster_size_limit 20000")).await,
    );
    let rate = SHORT.replace("rate=30", "rate=24000/1001");
    outlined(rounded("23976.mkv", &format!("{rate} {H264} {PYRAMID} {AAC} -ar 44100")).await);
    let vary = "-vf select='not(mod(n,7))+not(mod(n,3))' -fps_mode vfr";
    outlined(rounded("vfr.mkv", &format!("{SHORT} {vary} {H264} {PYRAMID} -c:a libopus")).await);
    outlined(
        rounded("anamorphic.mkv", &format!("{SHORT} {H264} {PYRAMID} -vf setsar=4/3 {AAC} -ac 6")).await,
    );
    let hlg = "-colorspace bt2020nc -color_primaries bt2020 -color_trc arib-std-b67";
    let ten = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -profile:v 2 -pix_fmt yuv420p10le";
    outlined(rounded("hlg.webm", &format!("{SHORT} {ten} {hlg} -c:a libopus -frame_duration 60")).await);
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
