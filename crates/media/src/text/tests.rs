use upreel_core::captions::Cue;

use super::*;
use crate::mp4::boxes::atom;

fn listed(language: &str, default: bool) -> Listed {
    Listed {
        number: 1,
        language: Some(language.to_owned()),
        label: Some(default.to_string()),
        kind: Kind::Subtitles,
        rank: Rank { enabled: true, default, is_main: true },
        format: Format::SubRip,
    }
}

#[test]
fn one_track_of_a_language_is_chosen() {
    let tracks =
        [("ger", false), ("de", true), ("eng", false), ("en-GB", false), ("en", false), ("?", false)];
    let chosen = choose(tracks.map(|(language, default)| listed(language, default)).into());
    let chosen: Vec<_> =
        chosen.iter().map(|(language, track)| (language.as_str(), track.rank.default)).collect();
    assert_eq!(chosen, [("de", true), ("en", false), ("en-GB", false), ("und", false)]);
    let many = (0..60).map(|n| listed(&format!("x-{n}"), false)).collect();
    assert_eq!(choose(many).len(), MAX_TRACKS);
}

fn shown(start: u64, end: Option<u64>, payload: impl Into<Bytes>) -> Shown {
    Shown { start, end, block: Block { payload: payload.into(), ..Block::default() } }
}

fn written(format: Format, shown: Vec<Shown>) -> Result<String, LeftOut> {
    let empty = Text::write(Vec::new(), true).text;
    text(format, shown.into_iter().map(Some).collect()).map(|text| text.text[empty.len()..].to_owned())
}

#[test]
fn a_text_without_an_end_is_shown_until_the_next_one() {
    let texts = vec![shown(9000, None, "c"), shown(1000, None, "a"), shown(2000, Some(2500), "b")];
    let expected = "\n00:00:01.000 --> 00:00:02.000\na\n\n00:00:02.000 --> 00:00:02.500\nb\n\n\
                    00:00:09.000 --> 00:00:14.000\nc\n";
    assert_eq!(written(Format::SubRip, texts).as_deref(), Ok(expected));
}

#[test]
fn a_damaged_or_large_track_is_left_out() {
    assert_eq!(text(Format::SubRip, vec![Some(shown(0, None, "a")), None]), Err(LeftOut::Damaged));
    assert_eq!(written(Format::Timed, vec![shown(0, None, &b"\0\x09a"[..])]), Err(LeftOut::Damaged));
    assert_eq!(written(Format::SubRip, vec![shown(0, Some(1 << 40), "a")]), Err(LeftOut::Damaged));
    let line = "a".repeat(60_000);
    let lines = (0..20).map(|n| shown(n, Some(n + 1), line.clone())).collect();
    assert_eq!(written(Format::SubRip, lines), Err(LeftOut::TooLarge));
}

#[test]
fn split_cues_are_joined() {
    let cue = |text: &str| {
        atom(*b"vttc", &[&atom(*b"sttg", &[b"line:0 x:y"]), &atom(*b"payl", &[text.as_bytes()])])
    };
    let texts = vec![
        shown(0, Some(1000), cue("a")),
        shown(1000, Some(2000), [cue("a"), cue("b")].concat()),
        shown(2000, Some(3000), cue("b")),
        shown(3000, Some(4000), atom(*b"vtte", &[])),
        shown(4000, Some(5000), cue("b")),
    ];
    let expected = "\n00:00:00.000 --> 00:00:02.000 line:0\na\n\n00:00:01.000 --> 00:00:03.000 line:0\nb\n\n\
                    00:00:04.000 --> 00:00:05.000 line:0\nb\n";
    assert_eq!(written(Format::Boxes, texts).as_deref(), Ok(expected));
}

#[test]
fn formats_of_matroska() {
    let cue = |format: Format, payload: &'static str, settings: Option<&'static str>| {
        let settings = settings.map(|settings| Bytes::from_static(settings.as_bytes()));
        let block = Block { payload: payload.into(), settings, ..Block::default() };
        format.cues(&block, (0, 1)).and_then(|cues| cues.into_iter().next())
    };
    let plain = |settings: &str, text: &str| Some(Cue::new(0, 1, settings, text));
    assert_eq!(cue(Format::WebVtt, "<v A>b", Some("align:start\nname")), plain("align:start", "<v A>b"));
    assert_eq!(cue(Format::WebmVtt, "name\nline:0\na\nb", None), plain("line:0", "a\nb"));
    assert_eq!(cue(Format::WebmVtt, "\r\n\r\na", None), plain("", "a"));
    assert_eq!(cue(Format::WebmVtt, "a", None), None);
    assert_eq!(cue(Format::Ass, r"1,0,Default,,0,0,0,,{\an8}a\Nb", None), plain("line:0", "a\nb"));
    assert_eq!(cue(Format::SubRip, "a", None), Some(Cue::of_subrip(0, 1, "a")));
}
