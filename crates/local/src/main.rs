//! `upreel`: the whole backend on one machine.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Parser;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use upreel_local::queue::BACK_OFF;
use upreel_local::transcode;
use upreel_local::webhook::{self, Webhook};
use upreel_local::{ACCESS_KEY, Local, Options, REGION, SECRET_KEY};
use upreel_webhook::Endpoint;

/// The whole Upreel backend on this machine: API and page, S3, DynamoDB, thumbnails.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Port of the API and the page (0: any free one)
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Port of S3
    #[arg(long, default_value_t = 9000)]
    s3_port: u16,
    /// Port of DynamoDB
    #[arg(long, default_value_t = 8000)]
    dynamodb_port: u16,
    /// Folder in which everything is kept
    #[arg(long, default_value = ".upreel")]
    data: PathBuf,
    /// Keep nothing: start empty, and remove everything at the end
    #[arg(long, conflicts_with = "data")]
    ephemeral: bool,
    /// The ffmpeg program [default: `$FFMPEG_PATH`, else ffmpeg on the PATH]
    #[arg(long)]
    ffmpeg: Option<PathBuf>,
    /// Refuse videos with more bytes than this
    #[arg(long, default_value_t = 5 << 40, value_parser = clap::value_parser!(u64).range(1..))]
    max_upload_bytes: u64,
    /// Make HLS renditions of each video too, which takes about as long as it plays
    #[arg(long)]
    transcode: bool,
    /// Tell this URL what happens to videos (see "Webhooks" in the README)
    #[arg(long, requires = "webhook_secret")]
    webhook_url: Option<String>,
    /// With what the webhooks are signed
    #[arg(long, requires = "webhook_url")]
    webhook_secret: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let levels = env::var("RUST_LOG").unwrap_or_else(|_| "warn,upreel=info,dynoxide=error".to_owned());
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    tracing_subscriber::registry().with(lines.with_filter(levels.parse::<Targets>()?)).init();
    if let Err(error) = run(arguments).await {
        // Not as main's result: that would be printed in Rust's notation.
        tracing::error!("{error}");
        std::process::exit(1);
    }
    Ok(())
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let ffmpeg = arguments.ffmpeg.or_else(find_ffmpeg).ok_or(
        "there is no ffmpeg on the PATH: install it (apt-get install ffmpeg, brew install ffmpeg), \
         or name it with --ffmpeg",
    )?;
    let data = (!arguments.ephemeral).then(|| arguments.data.clone());
    let told = arguments.webhook_url.clone().unwrap_or_else(|| "nobody (--webhook-url)".to_owned());
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
        webhook: endpoint.map(|endpoint| Webhook { endpoint, back_off: webhook::BACK_OFF.to_vec() }),
    })
    .await?;
    greet(&local, &ffmpeg, data, &told)?;
    stop_signal().await?;
    writeln!(io::stdout(), "\nStopped. What was under way goes on at the next start.")?;
    Ok(())
}

fn greet(local: &Local, ffmpeg: &std::path::Path, data: Option<PathBuf>, told: &str) -> io::Result<()> {
    let Local { api, s3, dynamodb, resumed, .. } = local;
    let data = data.map_or("nowhere (--ephemeral)".to_owned(), |data| data.display().to_string());
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "
  Upreel is running.

  Page and API   {api}  (described at {api}/docs)
  S3             {s3}  (access key {ACCESS_KEY}, secret {SECRET_KEY}, region {REGION})
  DynamoDB       {dynamodb}
  Webhooks       {told}
  Data           {data}
  ffmpeg         {}

  Try it:        curl -F 'file=@video.mp4' {api}/upload
                 curl {api}/videos
  Dead letters:  curl {api}/_local/dlq
                 curl -X POST {api}/_local/dlq/replay

  Ctrl-C stops it.
",
        ffmpeg.display()
    )?;
    if *resumed > 0 {
        writeln!(out, "  {resumed} unfinished event(s) of the last run are being worked on.\n")?;
    }
    out.flush()
}

/// The programs see no environment, so the PATH is looked through here.
fn find_ffmpeg() -> Option<PathBuf> {
    if let Some(path) = env::var_os("FFMPEG_PATH").filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join("ffmpeg")).find(|path| path.is_file())
}

async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt,
        _ = terminate.recv() => Ok(()),
    }
}
