//! The lines that the tree is drawn along (`docs/ARCHITECTURE.md`), so that they cannot rot.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FUNCTIONS: [&str; 6] = ["upload", "presign", "videos", "thumbnail", "webhook", "transcode"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
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

fn manifest(name: &str) -> String {
    fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap()
}

/// The files whose code (not comments, not unit tests) holds one of the words, beyond those that may.
fn strays(words: &[&str], allowed: &[&str]) -> Vec<String> {
    let holds = |text: &str| {
        let code = text.split("#[cfg(test)]").next().unwrap();
        let mut lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.any(|line| words.iter().any(|word| line.contains(word)))
    };
    let strays =
        sources().into_iter().filter(|(name, text)| !allowed.contains(&name.as_str()) && holds(text));
    strays.map(|(name, _)| name).collect()
}

#[test]
fn dependencies_point_inwards() {
    for crate_name in ["core", "media"].iter().chain(&FUNCTIONS) {
        let allowed: &[&str] = match *crate_name {
            "core" => &[],
            "media" => &["core"],
            _ => &["core", "media"],
        };
        for line in manifest(crate_name).lines().filter(|line| line.starts_with("upreel-")) {
            let dependency = line.trim_start_matches("upreel-").split('.').next().unwrap();
            assert!(allowed.contains(&dependency), "{crate_name} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_aws_sdk_stays_in_the_stores() {
    let allowed = [
        "crates/core/src/objects.rs",
        "crates/core/src/objects/multipart.rs",
        "crates/core/src/objects/renditions.rs",
        "crates/core/src/objects/signed.rs",
        "crates/core/src/videos.rs",
        "crates/core/src/videos/moves.rs",
        "crates/core/src/videos/transcodes.rs",
        // What only these functions have.
        "crates/thumbnail/src/executions.rs",
        "crates/webhook/src/queue.rs",
        // These make a table and credentials for the local services.
        "crates/local/src/dynamodb.rs",
        "crates/local/src/lib.rs",
    ];
    assert_eq!(strays(&["aws_sdk_"], &allowed), [""; 0]);
}

#[test]
fn the_environment_is_read_once() {
    // Cargo tells a build script its folder that way.
    let allowed = ["crates/core/src/config.rs", "crates/core/build.rs", "crates/local/src/main.rs"];
    assert_eq!(strays(&["std::env", "env::var"], &allowed), [""; 0]);
}

#[test]
fn the_text_of_a_key_is_in_one_place() {
    let allowed = ["crates/core/src/key.rs", "crates/local/src/lib.rs"];
    assert_eq!(strays(&["\"videos/", "\"thumbnails/", "\"storyboards/"], &allowed), [""; 0]);
}

#[test]
fn every_crate_obeys_the_workspace_lints() {
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(manifest(&name).contains("[lints]\nworkspace = true"), "{name}");
    }
}

#[test]
fn main_is_a_wiring_list() {
    for name in FUNCTIONS {
        let text = fs::read_to_string(root().join("crates").join(name).join("src/main.rs")).unwrap();
        assert!(text.lines().count() <= 30, "{name}");
    }
}

#[test]
fn modules_have_one_duty() {
    for (name, text) in sources() {
        let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
        let lines = text[..tests].lines().count();
        assert!(lines <= 300, "{name} has {lines} lines without its tests: is it still one duty?");
    }
}

#[test]
fn each_function_lists_the_actions_that_it_needs() {
    for name in FUNCTIONS {
        let text = fs::read_to_string(root().join("crates").join(name).join("src/lib.rs")).unwrap();
        assert!(text.contains("//! IAM: "), "{name}");
    }
}

/// Crates that a function's program holds in so many versions, and who is behind. A new one makes the functions
/// larger: update what needs it, or say here why it cannot be helped.
const ALLOWED_DUPLICATES: [(&str, usize, &str); 4] = [
    ("base64", 2, "serde_dynamo has 0.21, hyper-util 0.23"),
    ("crypto-common", 2, "as digest"),
    ("digest", 2, "crc-fast has 0.10, all others 0.11"),
    ("getrandom", 2, "ring has 0.2, uuid 0.4"),
];

/// The names of the crates in a function's program.
fn linked(function: &str) -> Vec<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--no-dedupe", "--prefix=none", "--format={p}"])
        .args(["--edges=normal,no-proc-macro", "--target=x86_64-unknown-linux-gnu"])
        .args(["--package", &format!("upreel-{function}")])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let crates: BTreeSet<_> = std::str::from_utf8(&tree.stdout).unwrap().lines().collect();
    let names = crates.iter().filter_map(|line| line.split(' ').next()).map(str::to_owned);
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_function_holds_a_crate_once() {
    for function in FUNCTIONS {
        let names = linked(function);
        assert!(names.len() > 50, "{names:?}");
        for name in &names {
            let versions = names.iter().filter(|other| *other == name).count();
            let known = ALLOWED_DUPLICATES
                .iter()
                .find(|(known, ..)| known == name)
                .map_or(1, |(_, versions, _)| *versions);
            assert!(versions <= known, "{function} holds {versions} versions of {name}");
        }
    }
}

#[test]
fn a_function_has_one_tls_stack() {
    let rules = fs::read_to_string(root().join("deny.toml")).unwrap();
    let (_, banned) = rules.split_once("\ndeny = [").unwrap();
    let banned: Vec<_> = banned.split(']').next().unwrap().split('"').skip(1).step_by(2).collect();
    assert!(banned.contains(&"aws-lc-rs") && banned.contains(&"openssl"), "{banned:?}");
    for function in FUNCTIONS {
        let found: Vec<_> =
            linked(function).into_iter().filter(|name| banned.contains(&name.as_str())).collect();
        assert_eq!(found, [""; 0], "{function}");
    }
}
