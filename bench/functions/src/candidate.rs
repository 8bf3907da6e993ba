//! The implementations to compare: the same three functions, written in different ways.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tokio::process::Command;

use crate::deployed::Template;
use crate::tls::Trust;
use crate::{Bench, BoxError, root};

/// The functions of the API.
pub(crate) const FUNCTIONS: [&str; 3] = ["upload", "presign", "videos"];

/// The kind of an implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    Upreel,
    NodeV3,
    NodeV2,
    Python,
    Rust,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Upreel, Self::NodeV3, Self::NodeV2, Self::Python, Self::Rust];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Upreel => "Upreel",
            Self::NodeV3 => "Node.js, SDK v3",
            Self::NodeV2 => "Node.js, SDK v2",
            Self::Python => "Python, boto3",
            Self::Rust => "Rust, defaults",
        }
    }

    pub(crate) const fn is_binary(self) -> bool {
        matches!(self, Self::Upreel | Self::Rust)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// An implementation of the three functions.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) kind: Kind,
    /// The interpreter; empty for binaries.
    pub(crate) interpreter: PathBuf,
    /// The folder of the functions.
    pub(crate) folder: PathBuf,
}

impl Candidate {
    pub(crate) fn new(kind: Kind, options: &Bench) -> Result<Self, BoxError> {
        let here = root().join("bench/functions");
        let (interpreter, folder) = match kind {
            Kind::Upreel => (PathBuf::new(), options.upreel.clone()),
            Kind::Rust => (PathBuf::new(), options.rust.clone()),
            Kind::NodeV3 => (node(&here), here.join("node/dist/v3")),
            Kind::NodeV2 => (node(&here), here.join("node/dist/v2")),
            Kind::Python => (options.python.clone(), here.join("python")),
        };
        // Functions start in another working directory, so the path must be absolute.
        let candidate = Self { kind, interpreter, folder: root().join(folder) };
        for function in FUNCTIONS {
            let file = candidate.file(function);
            if !file.is_file() {
                return Err(
                    format!("{} is missing: build it with `make bench-functions`", file.display()).into()
                );
            }
        }
        Ok(candidate)
    }

    /// Returns the functions that `sam build` built.
    pub(crate) fn built(folder: &Path) -> Self {
        Self { kind: Kind::Upreel, interpreter: PathBuf::new(), folder: root().join(folder) }
    }

    /// Returns the file of a function that is deployed, or the largest one if there are several.
    pub(crate) fn file(&self, function: &str) -> PathBuf {
        let built = self.folder.join(crate::deployed::logical(function)).join("bootstrap");
        match self.kind {
            Kind::Upreel if built.exists() => built,
            Kind::Upreel | Kind::Rust => self.folder.join(function),
            Kind::NodeV3 | Kind::NodeV2 => self.folder.join(format!("{function}.mjs")),
            Kind::Python => self.folder.join(format!("{function}.py")),
        }
    }

    /// Returns the command that starts a function as Lambda does.
    pub(crate) fn command(&self, function: &str, template: &Template) -> Command {
        let file = self.file(function);
        match self.kind {
            Kind::Upreel | Kind::Rust => Command::new(file),
            Kind::NodeV3 | Kind::NodeV2 => {
                let mut command = Command::new(&self.interpreter);
                // The same memory limits as Lambda's bootstrap sets.
                let memory = template.memory(function);
                let new = memory / 10;
                command.arg(format!("--max-semi-space-size={}", new / 2));
                command.arg(format!("--max-old-space-size={}", memory - new));
                command.arg(root().join("bench/functions/node/runtime.js")).arg(file);
                command
            }
            Kind::Python => {
                let mut command = Command::new(&self.interpreter);
                command.current_dir(&self.folder).args(["-m", "awslambdaric"]);
                command.arg(format!("{function}.handler"));
                command
            }
        }
    }

    /// Returns the variables that make a function trust the test's certificate authority, and read as many root
    /// certificates as on Lambda.
    pub(crate) fn variables(&self, trust: &Trust) -> Vec<(&'static str, PathBuf)> {
        // In addition to the roots in Node.js.
        let node = ("NODE_EXTRA_CA_CERTS", trust.authority.clone());
        match self.kind {
            // Replaces the five roots in the binary.
            Kind::Upreel => {
                vec![("AWS_CA_BUNDLE", trust.amazon.clone())]
            }
            Kind::NodeV3 => vec![node],
            Kind::NodeV2 => vec![
                node,
                // Without these, it reuses no connections, and prints a warning at the start.
                ("AWS_NODEJS_CONNECTION_REUSE_ENABLED", "1".into()),
                ("AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE", "1".into()),
            ],
            // Replaces the roots of botocore.
            Kind::Python => vec![("AWS_CA_BUNDLE", trust.mozilla.clone())],
            Kind::Rust => vec![
                // Replaces the roots of the system.
                ("SSL_CERT_FILE", trust.mozilla.clone()),
                // Without this, lambda_http prefixes every path with the stage.
                ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true".into()),
            ],
        }
    }
}

/// Returns the path of Node.js: the version in the lock file, which Lambda also has.
fn node(here: &Path) -> PathBuf {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    here.join(format!("node/node_modules/node-linux-{architecture}/bin/node"))
}
