use super::*;

fn read(text: &str) -> Result<String, InvalidFile> {
    Text::read(text.as_bytes())
        .map(|read| read.text.strip_prefix(HEAD).map(str::to_owned).unwrap_or_default())
}

#[test]
fn reads_webvtt() {
    let text = "\u{feff}WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:fred\n\n\
                NOTE nobody --\nsees this\n\n1\n00:01.000 --> 00:02.500 align:middle line:-1 region:fred x:y\nHello\n\
                <v Mary>there\n\n\n01:00:00.000 --> 01:00:01.000\nthe end";
    let expected = "\n00:00:01.000 --> 00:00:02.500 align:center line:-1\nHello\n<v Mary>there\n\n\
                    01:00:00.000 --> 01:00:01.000\nthe end\n";
    assert_eq!(read(text).as_deref(), Ok(expected));
    assert_eq!(read(&text.replace('\n', "\r\n")).as_deref(), Ok(expected));
    assert_eq!(read(&text.replace('\n', "\r")).as_deref(), Ok(expected));
    let read = Text::read(text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.end_ms, 3_601_000);
    assert_eq!(Text::read(read.text.as_bytes()), Ok(read), "what is written can be read");
}

#[test]
fn reads_subrip() {
    let text = "1\n00:00:01,000 --> 00:00:02,500 X1:40 X2:600\n{\\an8}<i>Hello</i>\n\nthere\n\n3\n\
                0:0:3,5 -->  00:00:04.000\n42\n\n00:00:05,000 --> 00:00:06,000\na --> b & c\n\n\n";
    let expected = "\n00:00:01.000 --> 00:00:02.500 line:0\n<i>Hello</i>\nthere\n\n\
                    00:00:03.500 --> 00:00:04.000\n42\n\n00:00:05.000 --> 00:00:06.000\na --&gt; b &amp; c\n";
    assert_eq!(read(text).as_deref(), Ok(expected));
    assert_eq!(read(&format!("\u{feff}\r\n{}", text.replace('\n', "\r\n"))).as_deref(), Ok(expected));
    let unnumbered = "00:00:01,000 --> 00:00:02,000\na\n00:00:03,000 --> 00:00:04,000\nb";
    let expected = "\n00:00:01.000 --> 00:00:02.000\na\n\n00:00:03.000 --> 00:00:04.000\nb\n";
    assert_eq!(read(unnumbered).as_deref(), Ok(expected));
}

#[test]
fn cues_are_sorted_and_those_that_show_nothing_are_left_out() {
    let text = "WEBVTT\n\n00:03.000 --> 00:04.000\nb\n\n00:01.000 --> 00:09.000\na\n\n00:02.000 --> 00:02.000\nnever\n\n\
                00:05.000 --> 00:06.000\n<script>\n\n00:07.000 --> 00:08.000";
    assert_eq!(
        read(text).as_deref(),
        Ok("\n00:00:01.000 --> 00:00:09.000\na\n\n00:00:03.000 --> 00:00:04.000\nb\n")
    );
    assert_eq!(read("WEBVTT").as_deref(), Ok(""), "a film in which nobody speaks");
    assert_eq!(
        read("WEBVTT\n00:01.000 --> 00:02.000\na").as_deref(),
        Ok("\n00:00:01.000 --> 00:00:02.000\na\n")
    );
    assert_eq!(
        read("WEBVTT\n\n00:01.000 --> 00:02.000\n\u{1b}[31ma\0").as_deref(),
        Ok("\n00:00:01.000 --> 00:00:02.000\n[31ma\n")
    );
}

#[test]
fn errors_name_the_line() {
    use InvalidFile::{Backwards, Empty, Encoding, NoTimes, Times, Unknown};
    for (text, expected) in [
        ("", Empty),
        ("\u{feff} \r\n\t", Empty),
        ("hello", Unknown(1)),
        ("webvtt\n\n00:01.000 --> 00:02.000\na", Unknown(1)),
        ("WEBVTTX\n", Unknown(1)),
        ("\n1\nhello", Unknown(3)),
        ("12\n\n", Unknown(1)),
        ("WEBVTT\n\nhello\nthere\n", NoTimes(3)),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\na\n\nb\n", NoTimes(6)),
        ("WEBVTT\r\n\r\n00:01.000 -> 00:02.000\r\na", NoTimes(3)),
        ("WEBVTT\n\nx\n00:01.000 --> 00:02\u{661}.000\na", Times(4)),
        ("WEBVTT\n\n1.000 --> 2.000\na", Times(3)),
        ("WEBVTT\n\n00:61.000 --> 01:62.000\na", Times(3)),
        ("WEBVTT\n\n00:01.0000 --> 00:02.000\na", Times(3)),
        ("WEBVTT\n\n00:01.000 -->\na", Times(3)),
        ("WEBVTT\n\n00:01. --> 00:02.000\na", Times(3)),
        ("1\n00:00:01,000 --> 00:00:0x,000\na", Times(2)),
        ("1\n99999:00:01,000 --> 99999:00:02,000\na", Times(2)),
        ("1\n00:00:02,000 --> 00:00:01,000\na", Backwards(2)),
    ] {
        assert_eq!(read(text), Err(expected), "{text:?}");
    }
    assert_eq!(Text::read(b"WEBVTT\n\n00:01.000 --> 00:02.000\nGr\xfc\xdfe"), Err(Encoding(4)));
    assert_eq!(Text::read(b"\xff\xfeW\0E\0"), Err(Encoding(1)));
}

#[test]
fn only_known_settings_are_kept() {
    for known in [
        "vertical:rl",
        "line:5",
        "line:-1.5,end",
        "line:50%",
        "position:10.5%,line-left",
        "size:100%",
        "align:start",
    ] {
        assert_eq!(setting(known).as_deref(), Some(known));
    }
    for other in [
        "",
        ":",
        "line",
        "line:",
        "line:x",
        "line:1.",
        "line:1,left",
        "position:5",
        "position:101%",
        "size:-1%",
        "align:top",
        "region:a",
        "vertical:RL",
        "onclick:1",
    ] {
        assert_eq!(setting(other), None, "{other}");
    }
    assert_eq!(setting("position:50%,middle").as_deref(), Some("position:50%,center"));
}

/// What is written is in one form, whatever was read: reading it again changes nothing, and each line with an arrow is
/// one of times.
#[test]
fn any_file_is_refused_or_brought_into_one_form() {
    const PIECES: [&str; 24] = [
        "WEBVTT\n",
        "\n",
        "\n",
        "\n\n",
        "00:01.000 --> 00:02.000",
        "00:00:01,5 --> 00:00:03,25 ",
        " line:0",
        "1",
        "text",
        "<i>",
        "</i>",
        "<v A=\"b\" --",
        "<c.x-",
        ">",
        "-->",
        "--",
        "<",
        "&",
        "&amp;",
        "{\\an8}",
        "NOTE ",
        "\r",
        "\u{3000}",
        "<00:01.5>",
    ];
    let mut state = 1_u64;
    let mut next = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % limit
    };
    let mut written = 0;
    for round in 0..5_000 {
        let mut text = ["WEBVTT\n\n00:01.000 --> 00:02.000\n", "1\n00:00:01,000 --> 00:00:02,000\n"]
            [round % 2]
            .to_owned();
        for _ in 0..next(12) {
            text.push_str(PIECES[next(PIECES.len())]);
        }
        let Ok(once) = Text::read(text.as_bytes()) else { continue };
        assert_eq!(Text::read(once.text.as_bytes()).as_ref(), Ok(&once), "{text:?}");
        let arrows = once.text.lines().filter(|line| line.contains("-->")).count();
        assert_eq!(arrows, once.text.split("\n\n").count() - 1, "{text:?} {once:?}");
        written += usize::from(arrows > 0);
    }
    assert!(written > 500, "{written}");
}
