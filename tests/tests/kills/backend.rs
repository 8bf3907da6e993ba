//! The program that is killed.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Maximum time of a start.
const START: Duration = Duration::from_mins(1);

/// The secret that signs requests to DynamoDB.
pub(crate) const SECRET: &str = "secret-of-the-kills";

pub(crate) struct Backend {
    program: PathBuf,
    /// A link to ffmpeg in the folder of this test, by which its processes are recognised.
    ffmpeg: PathBuf,
    log: PathBuf,
    webhooks: String,
    pub(crate) data: PathBuf,
    ports: [u16; 3],
    process: Option<Child>,
}

impl Backend {
    pub(crate) fn new(folder: &Path, webhooks: &str) -> Self {
        let ffmpeg = folder.join("ffmpeg-of-this-test");
        symlink(real_ffmpeg(), &ffmpeg).unwrap();
        Self {
            program: program(),
            ffmpeg,
            log: folder.join("log"),
            webhooks: webhooks.to_owned(),
            data: folder.join("data"),
            ports: ports(),
            process: None,
        }
    }

    pub(crate) fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    pub(crate) fn dynamodb(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[2])
    }

    /// Starts the program and waits until it responds.
    pub(crate) async fn start(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let [api, s3, dynamodb] = self.ports.map(|port| port.to_string());
        let mut child = Command::new(&self.program)
            .args(["--port", &api, "--s3-port", &s3, "--dynamodb-port", &dynamodb])
            .args(["--s3-secret", SECRET])
            .args(["--webhook-url", &self.webhooks, "--webhook-secret", "secret", "--transcode"])
            .arg("--data")
            .arg(&self.data)
            .arg("--ffmpeg")
            .arg(&self.ffmpeg)
            // Longer than any work on the small videos takes, so that nothing is cleaned up under a worker.
            .args(["--examine-after", "15"])
            .args(std::env::var("UPREEL_ARGS").unwrap_or_default().split_whitespace())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let http = reqwest::Client::new();
        loop {
            let response = http.get(format!("{}/videos?limit=1", self.api())).send().await;
            if response.is_ok_and(|response| response.status().is_success()) {
                break;
            }
            let ended = child.try_wait().unwrap();
            let log = || fs::read_to_string(&self.log).unwrap();
            assert!(ended.is_none(), "the backend didn't start: {ended:?}\n{}", log());
            assert!(begun.elapsed() < START, "the backend doesn't respond\n{}", log());
            sleep(Duration::from_millis(20)).await;
        }
        self.process = Some(child);
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Returns the identifiers of the ffmpeg processes of this test.
    pub(crate) fn ffmpegs(&self) -> Vec<String> {
        let name = self.ffmpeg.to_str().unwrap();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ours = processes.filter(|process| {
            let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(name)
                && fs::read_to_string(process.path().join("comm"))
                    .is_ok_and(|comm| comm.starts_with("ffmpeg"))
        });
        ours.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the ffmpeg under test: `$FFMPEG_PATH`, else the one on the PATH.
fn real_ffmpeg() -> PathBuf {
    let path = std::env::var_os("FFMPEG_PATH").filter(|path| !path.is_empty());
    path.map_or_else(system_ffmpeg, PathBuf::from)
}

/// Returns the ffmpeg on the PATH, which generates the videos.
pub(crate) fn system_ffmpeg() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut programs = std::env::split_paths(&path).map(|folder| folder.join("ffmpeg"));
    programs.find(|path| path.is_file()).expect("no ffmpeg")
}

/// Returns the program, which cargo builds unless `$UPREEL_BINARY` names it. The test itself is in the folder `deps`
/// next to it.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("UPREEL_BINARY").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let arguments = ["build", "--locked", "--quiet", "--workspace", "--bin", "upreel"];
    assert!(Command::new(env!("CARGO")).args(arguments).status().unwrap().success());
    std::env::current_exe().unwrap().parent().unwrap().with_file_name("upreel")
}

/// Returns three free ports below those that the operating system assigns to clients, so that they stay free while the
/// backend is down.
fn ports() -> [u16; 3] {
    let first = 12_000 + u16::try_from(std::process::id() % 1_500).unwrap() * 10;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut free = (first..first + 1_000).filter(is_free);
    [(); 3].map(|()| free.next().expect("no free port"))
}
