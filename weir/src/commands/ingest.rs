//! `weir ingest`: the service on Kafka; `weir ingest check`: what arrives, and what is made of it.

use super::look::{Source as Where, find};
use super::services;
use crate::cli::WrongUse;
use crate::console::board::Overview;
use crate::terminal::clean;
use anyhow::Context as _;
use engine::{Exchange, Offset, TopicPartition};
use ingest::Preparer;
use ingest::decode::{Options, Source};
use ingest::session::Identities;
use ingest::survey::Survey;
use runtime::config::Config;
use runtime::keys::SessionKey;
use runtime::log::{Log, LogError, Start, read_to_end};
use runtime::topics::Topics;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Exchanges of each partition that are looked at.
const NEWEST: u64 = 2_000;
/// Exchanges that `--privacy` shows.
const SHOWN: usize = 3;
/// Key of hashes that are only shown, where the installation has none yet.
const SHOWN_KEY: [u8; 32] = *b"weir: hashes that are only shown";

/// Examples of `weir ingest`.
pub(crate) const EXAMPLES: &str = "Examples:
  weir ingest --brokers localhost:9092 --listen 0.0.0.0:8088
  weir ingest check /var/log/nginx/access.json --privacy";
/// Examples of `weir ingest check`.
const CHECK_EXAMPLES: &str = "Examples:
  weir ingest check                                   what has arrived lately
  weir ingest check /var/log/nginx/access.json        what would be made of a file
  weir ingest check --privacy access.json             and what of it would be stored";

/// Arguments of `weir ingest`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    service: services::Args,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do instead of running the service.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Says what arrives, from where, what could not be read and why, and which detectors are blind for it.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
}

/// Arguments of `weir ingest check`.
#[derive(Debug, clap::Args)]
struct Check {
    /// Files to look at instead of what has arrived; `-` is standard input.
    files: Vec<PathBuf>,
    /// Also show some exchanges as they would be stored, secrets masked as configured.
    #[arg(long)]
    privacy: bool,
}

impl Args {
    /// Whether this is the service itself.
    pub(crate) fn is_service(&self) -> bool {
        self.command.is_none()
    }
}

/// Runs the service, or checks.
pub(crate) async fn run(args: &Args, config: Config) -> anyhow::Result<()> {
    match &args.command {
        None => services::run(services::Service::Ingest, &args.service, config).await,
        Some(Command::Check(Check { files, privacy: true })) if files.is_empty() => {
            Err(WrongUse("`--privacy` shows what would be stored of files: name some".to_owned()).into())
        }
        Some(Command::Check(Check { files, .. })) if files.is_empty() => arrived(&config).await,
        Some(Command::Check(check)) => of_files(check, &config),
    }
}

fn of_files(check: &Check, config: &Config) -> anyhow::Result<()> {
    let key_file = config.key_files().session;
    let key = if key_file.exists() { *SessionKey::load(&key_file)?.as_bytes() } else { SHOWN_KEY };
    let preparer = Preparer::new(Identities::configured(config), &config.privacy.rules, &key)?;
    let mut survey = Survey::default();
    let mut shown = Vec::new();
    for path in &check.files {
        let name = path.display().to_string();
        let source = Source::open(path, &Options::configured(config))?;
        for record in source {
            match record {
                Ok(decoded) => {
                    let exchange = preparer.prepared(decoded);
                    survey.add(&exchange, &name);
                    if shown.len() < SHOWN {
                        shown.push(serde_json::to_string_pretty(&exchange)?);
                    }
                }
                Err(bad) => survey.add_bad_line(&bad),
            }
        }
    }
    let mut out = std::io::stdout().lock();
    out.write_all(by_line(&survey.to_string()).as_bytes())?;
    if check.privacy {
        writeln!(out, "\nThe first {} as they would be stored; `~h:` stands before keyed hashes of secrets:", shown.len())?;
        shown.iter().try_for_each(|exchange| writeln!(out, "{}", by_line(exchange)))?;
    }
    anyhow::ensure!(survey.requests() > 0, "nothing could be read");
    Ok(())
}

async fn arrived(config: &Config) -> anyhow::Result<()> {
    let text = match find(config, "/v1/arrivals").await? {
        Where::Running(answer) => String::from_utf8(answer.bytes().await?.to_vec()).context("reading the answer")?,
        Where::Log { log, topics } => survey(&*log, &topics)?.to_string(),
    };
    Ok(std::io::stdout().write_all(by_line(&text).as_bytes())?)
}

/// What stands on the traffic topic, the newest of each partition, the dead letters, and the inputs that cannot be read. Blocks.
pub(crate) fn survey(log: &dyn Log, topics: &Topics) -> Result<Survey, LogError> {
    let mut survey = Survey::default();
    let mut from = Vec::new();
    for topic in [&topics.traffic, &topics.deadletter] {
        for partition in 0..log.partitions(topic)? {
            let at = TopicPartition::new(Arc::clone(topic), partition);
            let (oldest, end) = log.bounds(&at)?;
            let newest = Offset(end.0.saturating_sub(NEWEST));
            if newest > oldest {
                survey.only_newest(NEWEST);
            }
            from.push((at, Start::At(oldest.max(newest))));
        }
    }
    read_to_end(log, &from, |record| {
        if record.at.topic == topics.deadletter {
            let header = |name: &str| String::from_utf8_lossy(record.header(name).unwrap_or(b"?")).into_owned();
            let place = format!("{}-{} at {}", header("topic"), header("partition"), header("offset"));
            survey.add_bad(&header("reason"), &place, &header("detail"));
        } else if let Some(Ok(exchange)) = record.value.as_deref().map(Exchange::from_json) {
            survey.add(&exchange, "unnamed sources");
        }
    })?;
    let told = Overview::read(log, &topics.status)?;
    let running = told.ingest.iter().filter(|ingest| !ingest.life.ended);
    running.flat_map(|ingest| &ingest.unread).for_each(|input| survey.add_unread(input));
    Ok(survey)
}

/// Without control characters but line ends.
fn by_line(text: &str) -> String {
    text.lines().map(|line| clean(line) + "\n").collect()
}
