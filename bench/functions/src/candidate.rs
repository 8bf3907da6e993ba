//! Who is compared: the same three functions, written in different ways.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tokio::process::Command;

use crate::deployed::Template;
use crate::tls::Trust;
use crate::{Bench, Failed, root};

/// How the functions are written.
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

/// The functions of one kind.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) kind: Kind,
    /// What runs them, if they are no programs themselves.
    pub(crate) interpreter: PathBuf,
    /// Where they are.
    pub(crate) folder: PathBuf,
}

impl Candidate {
    pub(crate) fn new(kind: Kind, options: &Bench) -> Result<Self, Failed> {
        let here = root().join("bench/functions");
        let (interpreter, folder) = match kind {
            Kind::Upreel => (PathBuf::new(), options.upreel.clone()),
            Kind::Rust => (PathBuf::new(), options.rust.clone()),
            Kind::NodeV3 => (node(&here), here.join("node/dist/v3")),
            Kind::NodeV2 => (node(&here), here.join("node/dist/v2")),
            Kind::Python => (options.python.clone(), here.join("python")),
        };
        // A function is not started where this is.
        let candidate = Self { kind, interpreter, folder: root().join(folder) };
        for function in candidate.functions() {
            let file = candidate.file(function);
            if !file.is_file() {
                return Err(format!("{} is not built: `make bench-functions` does it", file.display()).into());
            }
        }
        Ok(candidate)
    }

    /// Those that a `sam build` made.
    pub(crate) fn built(folder: &Path) -> Self {
        Self { kind: Kind::Upreel, interpreter: PathBuf::new(), folder: root().join(folder) }
    }

    pub(crate) fn functions(&self) -> impl Iterator<Item = &'static str> + use<> {
        let thumbnail = self.kind == Kind::Upreel;
        ["upload", "presign", "videos"].into_iter().chain(thumbnail.then_some("thumbnail"))
    }

    /// The file that is deployed, or the largest of them.
    pub(crate) fn file(&self, function: &str) -> PathBuf {
        let built = self.folder.join(crate::deployed::logical(function)).join("bootstrap");
        match self.kind {
            Kind::Upreel if built.exists() => built,
            Kind::Upreel | Kind::Rust => self.folder.join(function),
            Kind::NodeV3 | Kind::NodeV2 => self.folder.join(format!("{function}.mjs")),
            Kind::Python => self.folder.join(format!("{function}.py")),
        }
    }

    /// Starts a function as Lambda does.
    pub(crate) fn command(&self, function: &str, template: &Template) -> Command {
        let file = self.file(function);
        match self.kind {
            Kind::Upreel | Kind::Rust => Command::new(file),
            Kind::NodeV3 | Kind::NodeV2 => {
                let mut command = Command::new(&self.interpreter);
                // As Lambda's own bootstrap divides the memory.
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

    /// Has the test's authority trusted, and as many others read as on Lambda.
    pub(crate) fn variables(&self, trust: &Trust) -> Vec<(&'static str, PathBuf)> {
        // Beside those that are in Node.js.
        let node = ("NODE_EXTRA_CA_CERTS", trust.authority.clone());
        match self.kind {
            // In place of the five roots in the binary.
            Kind::Upreel => {
                vec![("AWS_CA_BUNDLE", trust.amazon.clone())]
            }
            Kind::NodeV3 => vec![node],
            Kind::NodeV2 => vec![
                node,
                // Without these it makes new connections, and a speech when it starts.
                ("AWS_NODEJS_CONNECTION_REUSE_ENABLED", "1".into()),
                ("AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE", "1".into()),
            ],
            // In place of the list that comes with botocore.
            Kind::Python => vec![("AWS_CA_BUNDLE", trust.mozilla.clone())],
            Kind::Rust => vec![
                // In place of the system's.
                ("SSL_CERT_FILE", trust.mozilla.clone()),
                // Without it lambda_http sees the stage in every path.
                ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true".into()),
            ],
        }
    }
}

/// The Node.js that Lambda has too, in the version of the lock file.
fn node(here: &Path) -> PathBuf {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    here.join(format!("node/node_modules/node-linux-{architecture}/bin/node"))
}
