//! `upreel`: runs the whole backend on one machine.

#![expect(clippy::disallowed_methods, reason = "the command line's own settings")]

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::{FilterExt, Targets};
use tracing_subscriber::prelude::*;
use upreel_core::UserId;
use upreel_core::limits::Limits;
use upreel_fetch::Client;
use upreel_function::{app, config};
use upreel_local::import::{Import, Plan, Size, Source};
use upreel_local::log::OnlyFaults;
use upreel_local::queue::BACK_OFF;
use upreel_local::webhook::{self, Webhook};
use upreel_local::{
    ACCESS_KEY, Local, Options, REGION, SWEEP_INTERVAL, arguments, arguments::Checks, arguments::Quotas,
    ffmpeg, limits, transcode,
};
use upreel_store::{Buckets, ObjectStore, VideoStore};
use upreel_webhook::Endpoint;

/// Runs the whole Upreel backend on this machine: API and web page, S3, DynamoDB, thumbnails.
#[derive(Parser)]
#[command(name = "upreel", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Port of the API and the web page (0 picks a free port)
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Port of S3
    #[arg(long, default_value_t = 9000)]
    s3_port: u16,
    /// Port of DynamoDB
    #[arg(long, default_value_t = 8000)]
    dynamodb_port: u16,
    /// Address of the API, the web page and S3, such as 192.168.1.5, to try a phone on the same network
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_parser = arguments::address)]
    host: IpAddr,
    /// Also accept requests for this name of the machine, such as my-laptop.local (can be repeated)
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Let pages of this origin use the API and S3, such as `http://localhost:5173` (can be repeated)
    #[arg(long, value_name = "ORIGIN", value_parser = arguments::origin)]
    allow_origin: Vec<String>,
    /// Secret that signs requests to S3 and DynamoDB [default: a random one, stored with the data]
    #[arg(long, value_name = "SECRET")]
    s3_secret: Option<String>,
    /// Folder that stores all data
    #[arg(long, default_value = ".upreel")]
    data: PathBuf,
    /// Store the data in a temporary folder and remove it on exit
    #[arg(long, conflicts_with = "data")]
    ephemeral: bool,
    /// Path of the ffmpeg program [default: `$FFMPEG_PATH`, else ffmpeg on the PATH]
    #[arg(long)]
    ffmpeg: Option<PathBuf>,
    /// Maximum size of a video, such as 500MB, 5GiB or 1000000
    #[arg(long, value_name = "SIZE", default_value = "5TiB", value_parser = arguments::size)]
    max_upload_bytes: u64,
    /// Also transcode videos to HLS renditions, which takes about as long as the video plays: all of them, or those that are
    /// watched
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    transcode: Option<When>,
    /// Also accept files with audio alone, such as MP3: they get a waveform, and are played as HLS where that is possible
    #[arg(long)]
    audio: bool,
    /// Also fetch videos from https URLs with `POST /videos`
    #[arg(long)]
    import_urls: bool,
    /// Send a webhook to this URL when a video changes (see "Webhooks" in the README)
    #[arg(long, requires = "webhook_secret")]
    webhook_url: Option<String>,
    /// Secret that signs the webhooks
    #[arg(long, requires = "webhook_url")]
    webhook_secret: Option<String>,
    /// Examine rows that wait after this time in seconds, for tests [default: hours, as when deployed]
    #[arg(long, hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    examine_after: Option<u64>,
    // Their headings hold for all that follows.
    #[command(flatten)]
    checks: Checks,
    #[command(flatten)]
    quotas: Quotas,
}

#[derive(Subcommand)]
enum Command {
    /// Imports the videos of another S3 bucket into a deployed stack, or into this backend
    ///
    /// Copies each object with the file name of a video inside S3, and adds its row; the copy is then processed like an
    /// upload. The source stays as it is. An import that was interrupted is continued by the same command. Reads the
    /// credentials and the region from the environment:
    ///
    /// eval "$(aws configure export-credentials --format env)"; export AWS_REGION=eu-central-1
    Import(ImportArguments),
}

#[derive(clap::Args)]
struct ImportArguments {
    /// The bucket and the start of the keys, such as `s3://my-videos/2025/`
    #[arg(value_parser = arguments::source)]
    source: Source,
    /// The user who gets the videos: the `sub` of Cognito
    #[arg(long)]
    user: UserId,
    /// The bucket of the uploads, an output of the stack
    #[arg(long, value_name = "BUCKET")]
    uploads: String,
    /// The table, an output of the stack
    #[arg(long)]
    table: String,
    /// Also import files with audio alone, which the stack accepts with the parameter `Audio`
    #[arg(long)]
    audio: bool,
    /// Number of objects that are copied at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Only tell what would be imported
    #[arg(long)]
    dry_run: bool,
}

/// Which videos are transcoded.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    All,
    Watched,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let levels = env::var("RUST_LOG").unwrap_or_else(|_| "warn,upreel=info,dynoxide=error".to_owned());
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    tracing_subscriber::registry().with(lines.with_filter(levels.parse::<Targets>()?.and(OnlyFaults))).init();
    let done = match arguments.command {
        Some(Command::Import(arguments)) => import(arguments).await,
        None => run(arguments).await,
    };
    if let Err(error) = done {
        // Returning the error from `main` would print its `Debug` form.
        writeln!(io::stderr(), "error: {error}")?;
        std::process::exit(1);
    }
    Ok(())
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let ffmpeg = arguments.ffmpeg.clone().or_else(find_ffmpeg).ok_or(
        "ffmpeg was not found on the PATH: install it (apt-get install ffmpeg, brew install ffmpeg), \
         or set its path with --ffmpeg",
    )?;
    let version = ffmpeg::version(&ffmpeg, arguments.transcode.is_some()).await?;
    let examine_after = arguments.examine_after.map(Duration::from_secs);
    let data = (!arguments.ephemeral).then(|| arguments.data.clone());
    let webhooks = arguments.webhook_url.clone().unwrap_or_else(|| "off (--webhook-url)".to_owned());
    let endpoint = arguments.webhook_url.zip(arguments.webhook_secret);
    let endpoint = endpoint.map(|(url, secret)| Endpoint::local(&url, &secret)).transpose()?;
    let host = arguments.host;
    let local = Local::start(Options {
        host,
        allowed_hosts: arguments.allow_host,
        allowed_origins: arguments.allow_origin,
        secret: arguments.s3_secret,
        port: arguments.port,
        s3_port: arguments.s3_port,
        dynamodb_port: arguments.dynamodb_port,
        data: data.clone(),
        ffmpeg: ffmpeg.clone(),
        max_upload_bytes: arguments.max_upload_bytes,
        quotas: arguments.quotas.into(),
        checks: arguments.checks.into(),
        back_off: BACK_OFF,
        transcode: arguments.transcode.map(|_| transcode::workers()),
        audio: arguments.audio,
        fetch: arguments.import_urls.then(Client::public),
        transcodes_when_watched: arguments.transcode == Some(When::Watched),
        limits: examine_after.map_or_else(limits, Limits::all),
        sweep_interval: examine_after.unwrap_or(SWEEP_INTERVAL),
        webhook: endpoint.map(|endpoint| Webhook { endpoint, back_off: webhook::BACK_OFF.to_vec() }),
    })
    .await?;
    let ffmpeg = format!("{} ({version})", ffmpeg.display());
    greet(&local, &ffmpeg, data, &webhooks, host)?;
    stop_signal().await?;
    writeln!(io::stdout(), "\nStopped. Unfinished work resumes at the next start.")?;
    Ok(())
}

async fn import(arguments: ImportArguments) -> Result<(), Box<dyn Error>> {
    let ImportArguments { source, user, uploads, table, audio, concurrency, dry_run } = arguments;
    let [s3, dynamodb] = config::endpoints_of_services().map_err(|error| {
        format!("{error}. For example: eval \"$(aws configure export-credentials --format env)\"; export AWS_REGION=eu-central-1")
    })?;
    let (s3, dynamodb) = (app::sdk_config(&s3).await?, app::sdk_config(&dynamodb).await?);
    let none = String::new();
    let buckets = Buckets { uploads, thumbnails: none.clone(), processed: none };
    let objects = ObjectStore::new(&s3, buckets, false);
    let videos = VideoStore::new(&dynamodb, table, Limits::default());
    let import = Import { source, user, audio, concurrency: concurrency.into() };
    let plan = Plan::new(&objects, import).await?;
    let (count, bytes) = plan.size();
    let mut out = io::stdout();
    writeln!(out, "{count} videos to copy, {}; {} were copied before", Size(bytes), plan.copied_before)?;
    for (extension, count) in &plan.others {
        let extension = if extension.is_empty() { "no extension" } else { extension };
        writeln!(out, "not videos by their names: {count} with {extension}")?;
    }
    if dry_run {
        return Ok(());
    }
    let report = |progress: &_| {
        // Without a terminal there is nobody to tell.
        writeln!(io::stdout(), "{progress}").ok();
    };
    let progress = plan.run(&objects, &videos, report).await;
    writeln!(out, "{progress}")?;
    for (key, fault) in &progress.failed {
        writeln!(io::stderr(), "failed: {key}: {fault}")?;
    }
    if progress.failed.is_empty() {
        return Ok(());
    }
    Err(format!("{} videos were not imported. The same command tries them again", progress.failed.len())
        .into())
}

fn greet(local: &Local, ffmpeg: &str, data: Option<PathBuf>, webhooks: &str, host: IpAddr) -> io::Result<()> {
    let Local { api, s3, dynamodb, resumed, secret, .. } = local;
    let data = data.map_or("temporary (--ephemeral)".to_owned(), |data| data.display().to_string());
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "
  Upreel is running.

  Page and API   {api}  (documentation: {api}/docs)
  S3             {s3}
  DynamoDB       {dynamodb}
  Webhooks       {webhooks}
  Data           {data}
  ffmpeg         {ffmpeg}

  Try it:        curl -F 'file=@video.mp4' {api}/upload
                 curl {api}/videos
  Dead letters:  curl {api}/_local/dlq
                 curl -X POST {api}/_local/dlq/replay

  For the AWS CLI and SDKs:

export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={secret} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}
export AWS_ENDPOINT_URL_S3={s3} AWS_ENDPOINT_URL_DYNAMODB={dynamodb}
"
    )?;
    if !host.is_loopback() {
        writeln!(
            out,
            "  WARNING: everyone who can reach {host}, such as all devices in this network, can see, upload and delete
  the videos of every user: there is no sign-in.\n"
        )?;
    }
    if *resumed > 0 {
        writeln!(out, "  Resuming {resumed} unfinished event(s) from the last run.\n")?;
    }
    writeln!(out, "  Press Ctrl-C to stop.\n")?;
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
