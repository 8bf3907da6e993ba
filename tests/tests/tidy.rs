//! Rules of the tree that no tool enforces. Crate boundaries, lints (`clippy.toml`) and `cargo deny` enforce the rest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use upreel_core::Container;

const FUNCTIONS: [&str; 9] =
    ["upload", "presign", "fetch", "videos", "playback", "thumbnail", "webhook", "transcode", "reconcile"];

/// For each crate, the crates of this workspace that it may depend on.
const LAYERS: [(&str, &[&str]); 7] = [
    ("core", &[]),
    ("events", &["core"]),
    ("media", &["core"]),
    ("store", &["core"]),
    ("http", &["core"]),
    ("function", &["core", "store"]),
    // Every function.
    ("", &["core", "events", "media", "store", "http", "function"]),
];

/// The crates that may use a client of the AWS SDK.
const SDK_USERS: [(&str, &[&str]); 5] = [
    ("store", &["aws-sdk-dynamodb", "aws-sdk-s3", "aws-sdk-secretsmanager", "aws-sdk-sfn"]),
    ("reconcile", &["aws-sdk-lambda", "aws-sdk-sqs"]),
    ("presign", &["aws-sdk-lambda"]),
    ("webhook", &["aws-sdk-sqs"]),
    // Creates the table of the embedded DynamoDB.
    ("local", &["aws-sdk-dynamodb"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs cargo in the workspace and returns what it prints.
fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(args).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The packages in `crates/`, each with the names of its dependencies but those for tests and build scripts.
fn packages() -> Vec<(String, Vec<String>)> {
    let metadata = cargo(&["metadata", "--locked", "--no-deps", "--format-version=1"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let folder = root().join("crates");
    let packages = metadata["packages"].as_array().unwrap().iter();
    let packages =
        packages.filter(|package| Path::new(&text(&package["manifest_path"])).starts_with(&folder));
    let packages: Vec<_> = packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
            let name = text(&package["name"]).replace("upreel-", "");
            (name, normal.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect();
    assert!(packages.len() >= 13, "{packages:?}");
    packages
}

/// The names of the crates that are linked into a package, on Linux.
fn linked(package: &str) -> Vec<String> {
    let tree = cargo(&[
        "tree",
        "--locked",
        "--no-dedupe",
        "--prefix=none",
        "--format={p}",
        "--edges=normal,no-proc-macro",
        "--target=x86_64-unknown-linux-gnu",
        "--package",
        &format!("upreel-{package}"),
    ]);
    let crates: BTreeSet<_> = tree.lines().collect();
    let names = crates.iter().filter_map(|line| line.split(' ').next()).map(str::to_owned);
    names.filter(|name| !name.is_empty()).collect()
}

/// Every Rust file of the crates, with its path from the root and its text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

#[test]
fn dependencies_point_inwards() {
    for (name, dependencies) in packages().into_iter().filter(|(name, _)| name != "local") {
        let layer = LAYERS.iter().find(|(layer, _)| *layer == name);
        let (_, allowed) = layer.unwrap_or_else(|| {
            assert!(FUNCTIONS.contains(&name.as_str()), "{name} has no place in LAYERS or FUNCTIONS");
            LAYERS.last().unwrap()
        });
        let ours = dependencies.iter().filter_map(|dependency| dependency.strip_prefix("upreel-"));
        for dependency in ours {
            assert!(allowed.contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn only_the_stores_and_their_owners_use_the_sdk() {
    for (name, dependencies) in packages() {
        let allowed =
            SDK_USERS.iter().find(|(user, _)| *user == name).map_or(&[][..], |(_, clients)| *clients);
        let clients = dependencies.iter().filter(|dependency| dependency.starts_with("aws-sdk-"));
        for client in clients {
            assert!(allowed.contains(&client.as_str()), "{name} must not depend on {client}");
        }
    }
}

#[test]
fn inner_crates_stay_free_of_frameworks() {
    let without = |package: &str, banned: &[&str]| {
        let linked = linked(package);
        let found: Vec<_> =
            linked.iter().filter(|name| banned.iter().any(|banned| name.starts_with(banned))).collect();
        assert!(found.is_empty(), "upreel-{package} links {found:?}");
    };
    without("core", &["aws", "axum", "hyper", "lambda", "tokio"]);
    without("media", &["aws", "axum", "lambda"]);
    without("events", &["aws-", "axum", "hyper", "lambda_runtime"]);
    without("http", &["aws-"]);
}

/// Crates that are linked into a function in several versions, and why. Another one makes the functions larger: update
/// what depends on the old version, or add it here with the reason.
const ALLOWED_DUPLICATES: [(&str, usize, &str); 4] = [
    ("base64", 3, "serde_dynamo has 0.21, lambda_runtime 0.22, hyper-util 0.23"),
    ("crypto-common", 2, "as digest"),
    ("digest", 2, "crc-fast has 0.10, all others 0.11"),
    ("getrandom", 2, "ring has 0.2, uuid 0.4"),
];

#[test]
fn functions_link_one_version_of_each_crate() {
    for function in FUNCTIONS {
        let names = linked(function);
        assert!(names.len() > 50, "{names:?}");
        for name in &names {
            let versions = names.iter().filter(|other| *other == name).count();
            let known = ALLOWED_DUPLICATES.iter().find(|(known, ..)| known == name);
            let allowed = known.map_or(1, |(_, versions, _)| *versions);
            assert!(versions <= allowed, "{function} links {versions} versions of {name}");
        }
    }
}

#[test]
fn keys_are_built_in_one_place() {
    let allowed = ["crates/core/src/key.rs", "crates/core/src/key/text.rs", "crates/local/src/lib.rs"];
    for (name, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        let mut lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let prefixes = ["\"videos/", "\"thumbnails/", "\"storyboards/", "\"playback/", "\"segments/"];
        let builds_key = lines.any(|line| prefixes.iter().any(|prefix| line.contains(prefix)));
        assert!(!builds_key || allowed.contains(&name.as_str()), "{name} has the text of a key: use Key");
    }
}

#[test]
fn every_crate_obeys_the_workspace_lints() {
    for (name, _) in packages() {
        assert!(read(&format!("crates/{name}/Cargo.toml")).contains("[lints]\nworkspace = true"), "{name}");
    }
}

#[test]
fn main_only_wires_things_together() {
    for name in FUNCTIONS {
        assert!(read(&format!("crates/{name}/src/main.rs")).lines().count() <= 40, "{name}");
    }
}

#[test]
fn modules_are_short() {
    for (name, text) in sources() {
        let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
        let lines = text[..tests].lines().count();
        assert!(lines <= 300, "{name} has {lines} lines without its tests: split it");
    }
}

#[test]
fn functions_list_their_iam_actions() {
    for name in FUNCTIONS {
        assert!(read(&format!("crates/{name}/src/lib.rs")).contains("//! IAM: "), "{name}");
    }
}

/// The places that list container formats and cannot be derived from `Container`. What is missing is named.
#[test]
fn formats_are_complete_everywhere() {
    let module = read("web/upreel/upreel.js");
    let (_, known) = module.split_once("const KNOWN_EXTENSIONS = /").unwrap();
    let known = known.lines().next().unwrap();
    let page = read("web/page/index.html");
    let accepts: Vec<Vec<&str>> = page
        .split("accept=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().split(',').collect())
        .collect();
    assert!(!accepts.is_empty(), "web/page/index.html has no accept");
    let openapi = read("openapi.yaml");
    let line_with = |text: &str| {
        let line = openapi.lines().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("openapi.yaml has no {text}")).to_owned()
    };
    let (keys, containers) = (line_with("VideoKey: {"), line_with("container: {enum: ["));
    let layer = read("layers/ffmpeg/build.sh");
    let (_, demuxers) = layer.split_once("\ndemuxers=(").unwrap();
    let demuxers: Vec<&str> = demuxers.split(')').next().unwrap().split_whitespace().collect();
    let readme = read("README.md");
    let (_, formats) = readme.split_once("**Formats**").unwrap();
    let formats = formats.split("\n\n").next().unwrap().replace('\n', " ");
    let videos = read("tests/videos/make.sh") + &read("tests/videos/audio.sh");

    for container in Container::ALL {
        let name = container.name();
        for extension in container.extensions() {
            assert!(is_alternative(known, extension), "web/upreel/upreel.js, KNOWN_EXTENSIONS: .{extension}");
            for accept in &accepts {
                // The local backend adds `audio/*` if it accepts audio.
                let offered = container.is_audio()
                    || container.media_type().starts_with("video/") && accept.contains(&"video/*");
                assert!(
                    offered || accept.contains(&format!(".{extension}").as_str()),
                    "web/page/index.html, accept: .{extension}"
                );
            }
        }
        let extension = container.extension();
        assert!(keys.contains(&format!("{extension}|")), "openapi.yaml, VideoKey: {extension}");
        let id = serde_json::to_value(container).unwrap();
        let id = id.as_str().unwrap();
        let ids = containers.split(['[', ']', ',']).map(str::trim).collect::<Vec<_>>();
        assert!(ids.contains(&id), "openapi.yaml, container: {id}");
        // FFmpeg's configure has other names for these two.
        let demuxer = match container.demuxer().split(',').next().unwrap() {
            "mpeg" => "mpegps",
            other => other,
        };
        assert!(demuxers.contains(&demuxer), "layers/ffmpeg/build.sh, demuxers: {demuxer}");
        assert!(formats.contains(name), "README.md, Formats: {name}");
        assert!(videos.contains(&format!(".{extension}")), "tests/videos/make.sh: no .{extension} file");
    }
}

/// Whether a group of alternatives in a regular expression has `word`, spelled out or with an optional letter.
fn is_alternative(pattern: &str, word: &str) -> bool {
    let alternatives = pattern.split_once('(').unwrap().1.split(')').next().unwrap().split('|');
    let mut spelled = alternatives.flat_map(|alternative| {
        if let Some((head, tail)) = alternative.split_once('?') {
            let (stem, _) = head.split_at(head.len() - 1);
            vec![format!("{head}{tail}"), format!("{stem}{tail}")]
        } else if let Some((head, class)) = alternative.split_once('[') {
            let (class, tail) = class.split_once(']').unwrap();
            class.chars().map(|letter| format!("{head}{letter}{tail}")).collect()
        } else {
            vec![alternative.to_owned()]
        }
    });
    spelled.any(|spelled| spelled == word)
}
