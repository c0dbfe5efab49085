//! `weir feedback`: what a person says of a verdict.

use super::look::{Source, find_to_post};
use crate::cli::WrongUse;
use crate::feedback::{Ask, give};
use crate::terminal::clean;
use anyhow::Context as _;
use clap::ValueEnum;
use runtime::clock::now_ms;
use runtime::config::{Config, duration};
use runtime::feedback::{Feedback, Say, Scope};
use std::io::Write as _;

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  weir feedback weir.traffic-3-1088 benign
  weir feedback weir.traffic-3-1088 benign --scope endpoint --until 7d --note 'load test'
  weir feedback weir.traffic-3-1088 attack
  weir feedback weir.traffic-3-1088 undo";

/// Says what a verdict really was.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the verdict.
    verdict: String,
    /// What it was.
    say: SayArg,
    /// How far `benign` reaches.
    #[arg(long, default_value = "endpoint-field")]
    scope: ScopeArg,
    /// How long alerts are muted (`30d`, `12h`), or until when (RFC 3339).
    #[arg(long, default_value = "30d")]
    until: String,
    /// Why.
    #[arg(long)]
    note: Option<String>,
    /// Who says it [default: USER].
    #[arg(long)]
    by: Option<String>,
}

/// What a verdict was, as written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum SayArg {
    /// Nothing: alerts like it are muted, within a second, and the next model takes what was found there for normal.
    Benign,
    /// An attack: its session is not learned from.
    Attack,
    /// Takes back what was said of it.
    Undo,
}

/// How far `benign` reaches, as written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScopeArg {
    /// The incident of this verdict.
    Once,
    /// The same family at the same part of the same endpoint.
    EndpointField,
    /// The same family anywhere at the same endpoint.
    Endpoint,
}

/// Says it.
pub(crate) async fn run(args: Args, config: &Config) -> anyhow::Result<()> {
    let say = match args.say {
        SayArg::Benign => Say::Benign,
        SayArg::Attack => Say::Attack,
        SayArg::Undo => Say::Undo,
    };
    let scope = match args.scope {
        ScopeArg::Once => Scope::Once,
        ScopeArg::EndpointField => Scope::EndpointField,
        ScopeArg::Endpoint => Scope::Endpoint,
    };
    let until = (say == Say::Benign).then(|| end(&args.until)).transpose()?;
    let by = args.by.or_else(|| std::env::var("USER").ok());
    let ask = Ask { verdict: args.verdict, say, scope, until, by, note: args.note };
    let given: Feedback = match find_to_post(config, "/v1/feedback", serde_json::to_vec(&ask)?).await? {
        Source::Running(answer) => serde_json::from_slice(&answer.bytes().await?).context("reading the answer")?,
        Source::Log { log, topics } => tokio::task::block_in_place(|| give(&*log, &topics, ask))?,
    };
    writeln!(std::io::stdout(), "{}", sentence(&given))?;
    Ok(())
}

/// The end of muting as RFC 3339, from a duration or a time.
fn end(text: &str) -> anyhow::Result<String> {
    if engine::time::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    let length = duration(text)
        .map_err(|_| WrongUse(format!("`{text}` is neither a duration, like `30d`, nor a time, like `2026-01-31T00:00:00Z`")))?;
    let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    Ok(engine::time::rfc3339(now_ms().saturating_add(length)))
}

fn sentence(given: &Feedback) -> String {
    let verdict = clean(&given.verdict);
    let family = given.family.map_or("anomaly", |family| family.name());
    let (endpoint, place) = (clean(&given.endpoint), clean(&given.place));
    let until = given.until.as_deref().map_or_else(|| "for good".to_owned(), |until| format!("until {}", clean(until)));
    match (given.say, given.scope) {
        (Say::Undo, _) => format!("taken back: nothing is said of {verdict} any more"),
        (Say::Attack, _) => format!("{verdict} was an attack: its session is left out of the next training"),
        (Say::Benign, Scope::Once) => format!("muted {until}: the incident of {verdict}"),
        (Say::Benign, Scope::EndpointField) => format!("muted {until}: {family} at {place} of {endpoint}"),
        (Say::Benign, Scope::Endpoint) => format!("muted {until}: {family} at {endpoint}"),
    }
}
