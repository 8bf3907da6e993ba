//! Checks at the start that the ffmpeg program can do what the functions need. Otherwise every video would fail later.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// The oldest version that has all options that the functions use (`-fps_mode`).
const OLDEST: (u32, u32) = (5, 1);
/// How long a run of the program may take. ffmpeg prints its version and its lists at once.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The decoders of the most common videos. Some distributions leave them out because of patents.
const DECODERS: [&str; 4] = ["h264", "hevc", "vp9", "aac"];
/// The encoders of posters and storyboards, and those of renditions.
const ENCODERS: ([&str; 1], [&str; 2]) = (["mjpeg"], ["libx264", "aac"]);

/// Runs the program and returns its version.
///
/// # Errors
/// When the program is not an ffmpeg that can process videos. The text says why, and what to do.
pub async fn version(ffmpeg: &Path, transcode: bool) -> Result<String, String> {
    let run = async |argument| output(ffmpeg, argument).await;
    let unusable = |what: &str| {
        format!("{} {what}. Install FFmpeg 5.1 or later, or set its path with --ffmpeg", ffmpeg.display())
    };
    let about = run("-version").await.map_err(|error| unusable(&format!("cannot be run: {error}")))?;
    let version = parse_version(&about).ok_or_else(|| unusable("is not ffmpeg"))?;
    if is_too_old(version) {
        return Err(unusable(&format!("has the version {version}, which is too old")));
    }
    let mut encoders = ENCODERS.0.to_vec();
    if transcode {
        encoders.extend(ENCODERS.1);
    }
    for (kind, argument, needed) in
        [("decoder", "-decoders", DECODERS.to_vec()), ("encoder", "-encoders", encoders)]
    {
        let list = run(argument).await.map_err(|error| unusable(&format!("cannot be run: {error}")))?;
        let missing: Vec<&str> = needed.into_iter().filter(|name| !has(&list, name)).collect();
        if !missing.is_empty() {
            return Err(unusable(&format!("has no {kind} {}", missing.join(", "))));
        }
    }
    Ok(version.to_owned())
}

async fn output(ffmpeg: &Path, argument: &str) -> Result<String, String> {
    let mut command = Command::new(ffmpeg);
    // Like the functions, without an environment.
    command.args(["-hide_banner", argument]).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    let output =
        timeout(TIMEOUT, command.output()).await.map_err(|_| "it did not end within 30 s".to_owned())?;
    let output = output.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the version in the first line that `ffmpeg -version` prints.
fn parse_version(about: &str) -> Option<&str> {
    about.strip_prefix("ffmpeg version ")?.split_whitespace().next()
}

/// Returns whether a version such as `4.4.2-0ubuntu0.22.04.1` is too old. Builds of a commit, such as
/// `N-109542-g1bf1d50`, count as new.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('n').split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    next().is_some_and(|major| (major, next().unwrap_or(0)) < OLDEST)
}

/// Returns whether a list of codecs has this one. A line of the list is ` V....D h264    H.264 / AVC`.
fn has(list: &str, name: &str) -> bool {
    list.lines().any(|line| line.split_whitespace().nth(1) == Some(name))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn versions_are_compared() {
        for (version, too_old) in [
            ("7.1.5", false),
            ("5.1.9-0+deb12u1", false),
            ("5.1", false),
            ("n6.0", false),
            ("10.0", false),
            ("N-109542-g1bf1d50", false),
            ("git-2023-01-01-abc", false),
            ("5.0.3", true),
            ("4.4.2-0ubuntu0.22.04.1", true),
            ("n4.4", true),
            ("4", true),
        ] {
            assert_eq!(is_too_old(version), too_old, "{version}");
        }
        assert_eq!(parse_version("ffmpeg version 7.1.5 Copyright (c)\nbuilt with"), Some("7.1.5"));
        assert_eq!(parse_version("bash: ffmpeg version 7"), None);
    }

    /// Writes a program that prints this version, these decoders and encoders.
    fn program(version: &str, decoders: &str, encoders: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let list = |names: &str| {
            let lines = names.split(' ').map(|name| format!(" V....D {name} a codec, not mjpeg2 or h2645\n"));
            lines.collect::<Vec<_>>().concat()
        };
        let script = format!(
            "#!/bin/sh\ncase $2 in -version) echo '{version}';; -decoders) echo '{}';; *) echo '{}';; esac",
            list(decoders),
            list(encoders)
        );
        let path = folder.path().join("ffmpeg");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    #[tokio::test]
    async fn says_why_a_program_cannot_be_used() {
        let decoders = "h264 hevc vp9 aac";
        for (version, decoders, encoders, transcode, expected) in [
            ("ffmpeg version 7.1.5 Copyright", decoders, "mjpeg", false, Ok("7.1.5")),
            ("ffmpeg version 7.1.5 Copyright", decoders, "mjpeg aac libx264", true, Ok("7.1.5")),
            (
                "ffmpeg version 4.4.2",
                decoders,
                "mjpeg",
                false,
                Err("has the version 4.4.2, which is too old"),
            ),
            ("ls (GNU coreutils) 9.1", decoders, "mjpeg", false, Err("is not ffmpeg")),
            ("ffmpeg version 7", "hevc_qsv vp9 aac", "mjpeg", false, Err("has no decoder h264, hevc")),
            ("ffmpeg version 7", decoders, "png", false, Err("has no encoder mjpeg")),
            ("ffmpeg version 7", decoders, "mjpeg aac", true, Err("has no encoder libx264")),
        ] {
            let folder = program(version, decoders, encoders);
            let found = super::version(&folder.path().join("ffmpeg"), transcode).await;
            match expected {
                Ok(version) => assert_eq!(found.as_deref(), Ok(version)),
                Err(fault) => {
                    assert!(found.as_ref().is_err_and(|text| text.contains(fault)), "{fault}: {found:?}");
                }
            }
        }
        let missing = super::version(Path::new("/nonexistent/ffmpeg"), false).await.unwrap_err();
        assert!(missing.contains("/nonexistent/ffmpeg cannot be run: No such file"), "{missing}");
    }
}
