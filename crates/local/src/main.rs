//! `upreel`: runs the whole backend on one machine.

#![expect(clippy::disallowed_methods, reason = "the command line's own settings")]

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use upreel_core::limits::Limits;
use upreel_local::queue::BACK_OFF;
use upreel_local::transcode;
use upreel_local::webhook::{self, Webhook};
use upreel_local::{ACCESS_KEY, Local, Options, REGION, SECRET_KEY, SWEEP_INTERVAL, limits};
use upreel_webhook::Endpoint;

/// Runs the whole Upreel backend on this machine: API and web page, S3, DynamoDB, thumbnails.
#[derive(Parser)]
#[command(name = "upreel", version)]
struct Arguments {
    /// Port of the API and the web page (0 picks a free port)
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Port of S3
    #[arg(long, default_value_t = 9000)]
    s3_port: u16,
    /// Port of DynamoDB
    #[arg(long, default_value_t = 8000)]
    dynamodb_port: u16,
    /// Folder that stores all data
    #[arg(long, default_value = ".upreel")]
    data: PathBuf,
    /// Store the data in a temporary folder and remove it on exit
    #[arg(long, conflicts_with = "data")]
    ephemeral: bool,
    /// Path of the ffmpeg program [default: `$FFMPEG_PATH`, else ffmpeg on the PATH]
    #[arg(long)]
    ffmpeg: Option<PathBuf>,
    /// Maximum size of a video, in bytes
    #[arg(long, default_value_t = 5 << 40, value_parser = clap::value_parser!(u64).range(1..))]
    max_upload_bytes: u64,
    /// Also transcode each video to HLS renditions, which takes about as long as the video plays
    #[arg(long)]
    transcode: bool,
    /// Send a webhook to this URL when a video changes (see "Webhooks" in the README)
    #[arg(long, requires = "webhook_secret")]
    webhook_url: Option<String>,
    /// Secret that signs the webhooks
    #[arg(long, requires = "webhook_url")]
    webhook_secret: Option<String>,
    /// Examine rows that wait after this time in seconds, for tests [default: hours, as when deployed]
    #[arg(long, hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    examine_after: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let levels = env::var("RUST_LOG").unwrap_or_else(|_| "warn,upreel=info,dynoxide=error".to_owned());
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    tracing_subscriber::registry().with(lines.with_filter(levels.parse::<Targets>()?)).init();
    if let Err(error) = run(arguments).await {
        // Returning the error from `main` would print its `Debug` form.
        tracing::error!("{error}");
        std::process::exit(1);
    }
    Ok(())
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let ffmpeg = arguments.ffmpeg.or_else(find_ffmpeg).ok_or(
        "ffmpeg was not found on the PATH: install it (apt-get install ffmpeg, brew install ffmpeg), \
         or set its path with --ffmpeg",
    )?;
    let examine_after = arguments.examine_after.map(Duration::from_secs);
    let data = (!arguments.ephemeral).then(|| arguments.data.clone());
    let webhooks = arguments.webhook_url.clone().unwrap_or_else(|| "off (--webhook-url)".to_owned());
    let endpoint = arguments.webhook_url.zip(arguments.webhook_secret);
    let endpoint = endpoint.map(|(url, secret)| Endpoint::local(&url, &secret)).transpose()?;
    let local = Local::start(Options {
        port: arguments.port,
        s3_port: arguments.s3_port,
        dynamodb_port: arguments.dynamodb_port,
        data: data.clone(),
        ffmpeg: ffmpeg.clone(),
        max_upload_bytes: arguments.max_upload_bytes,
        back_off: BACK_OFF,
        transcode: arguments.transcode.then(transcode::workers),
        limits: examine_after.map_or_else(limits, Limits::all),
        sweep_interval: examine_after.unwrap_or(SWEEP_INTERVAL),
        webhook: endpoint.map(|endpoint| Webhook { endpoint, back_off: webhook::BACK_OFF.to_vec() }),
    })
    .await?;
    greet(&local, &ffmpeg, data, &webhooks)?;
    stop_signal().await?;
    writeln!(io::stdout(), "\nStopped. Unfinished work resumes at the next start.")?;
    Ok(())
}

fn greet(local: &Local, ffmpeg: &std::path::Path, data: Option<PathBuf>, webhooks: &str) -> io::Result<()> {
    let Local { api, s3, dynamodb, resumed, .. } = local;
    let data = data.map_or("temporary (--ephemeral)".to_owned(), |data| data.display().to_string());
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "
  Upreel is running.

  Page and API   {api}  (documentation: {api}/docs)
  S3             {s3}  (access key {ACCESS_KEY}, secret {SECRET_KEY}, region {REGION})
  DynamoDB       {dynamodb}
  Webhooks       {webhooks}
  Data           {data}
  ffmpeg         {}

  Try it:        curl -F 'file=@video.mp4' {api}/upload
                 curl {api}/videos
  Dead letters:  curl {api}/_local/dlq
                 curl -X POST {api}/_local/dlq/replay

  Press Ctrl-C to stop.
",
        ffmpeg.display()
    )?;
    if *resumed > 0 {
        writeln!(out, "  Resuming {resumed} unfinished event(s) from the last run.\n")?;
    }
    out.flush()
}

/// Finds ffmpeg: `$FFMPEG_PATH`, else the first one on the PATH. ffmpeg itself runs with an empty environment, so the
/// PATH is searched here.
fn find_ffmpeg() -> Option<PathBuf> {
    if let Some(path) = env::var_os("FFMPEG_PATH").filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join("ffmpeg")).find(|path| path.is_file())
}

/// Waits for SIGINT (Ctrl-C) or SIGTERM.
async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt,
        _ = terminate.recv() => Ok(()),
    }
}
