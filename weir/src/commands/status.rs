//! `weir status`: what every API and every scorer is at.

use super::look::{Source, find};
use crate::console::board::Overview;
use crate::terminal::Paint;
use anyhow::Context as _;
use runtime::clock::now_ms;
use runtime::config::Config;
use std::io::Write as _;

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  weir status
  weir status --json | jq .apis";

/// Shows the status of an installation, running or not.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Shows it.
pub(crate) async fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    let overview = match find(config, "/v1/status").await? {
        Source::Running(answer) => serde_json::from_slice(&answer.bytes().await?).context("reading the status")?,
        Source::Log { log, topics } => Overview::read(&*log, &topics.status)?,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &overview)?;
        writeln!(out)?;
    } else {
        out.write_all(overview.to_text(Paint::of_stdout(), now_ms()).as_bytes())?;
    }
    Ok(())
}
