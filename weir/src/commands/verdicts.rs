//! `weir verdicts`: live or finished verdicts, for a person or for a pipe.

use super::look::{Source, find};
use crate::cli::WrongUse;
use crate::console::verdicts::{self, Query};
use crate::terminal::{Paint, count};
use anyhow::Context as _;
use clap::ValueEnum;
use engine::{Label, Verdict};
use runtime::config::Config;
use runtime::shutdown::Shutdown;
use std::io::Write as _;
use std::ops::ControlFlow;

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  weir verdicts --label anomalous
  weir verdicts --follow
  weir verdicts --json --limit 1000 | jq .score";

/// Shows verdicts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show verdicts as they come, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    /// Only verdicts with this label.
    #[arg(long)]
    label: Option<LabelArg>,
    /// At most so many, the newest, up to 10,000 [default: 20; with --follow: without end].
    #[arg(long, short = 'n')]
    limit: Option<usize>,
    /// One JSON object a line, as on the topic.
    #[arg(long)]
    json: bool,
}

/// A label as written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LabelArg {
    /// Fits what is normal.
    Benign,
    /// Does not.
    Anomalous,
    /// No model yet, or too little support to say.
    Insufficient,
}

impl From<LabelArg> for Label {
    fn from(label: LabelArg) -> Self {
        match label {
            LabelArg::Benign => Self::Benign,
            LabelArg::Anomalous => Self::Anomalous,
            LabelArg::Insufficient => Self::Insufficient,
        }
    }
}

/// Shows them.
pub(crate) async fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    let limit = if args.follow { args.limit } else { Some(args.limit.unwrap_or(20)) };
    if !args.follow && limit.is_some_and(|limit| limit > verdicts::MOST) {
        let most = count(verdicts::MOST as u64);
        return Err(WrongUse(format!("at most {most} verdicts at once; `--follow` and the topic itself have no limit")).into());
    }
    let query = Query { follow: args.follow, label: args.label.map(Into::into), limit };
    let mut show = Show { json: args.json, paint: Paint::of_stdout(), shown: 0 };
    match find(config, &path(&query)).await? {
        Source::Running(mut answer) => {
            while let Some(line) = answer.line().await? {
                show.verdict(&line)?;
            }
            show.end(&query)
        }
        Source::Log { log, topics } => {
            let shutdown = Shutdown::new();
            shutdown.on_signals().context("listening to signals")?;
            let reading = move || {
                let mut outcome = Ok(());
                verdicts::each(&*log, &topics.verdicts, &query, &shutdown, |value| {
                    outcome = if value.is_empty() { Ok(()) } else { show.verdict(&value) };
                    if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
                outcome.and_then(|()| show.end(&query))
            };
            tokio::task::spawn_blocking(reading).await.context("reading verdicts")?
        }
    }
}

fn path(query: &Query) -> String {
    let mut path = format!("/v1/verdicts?follow={}", query.follow);
    if let Some(label) = query.label {
        path.push_str(&format!("&label={}", label.name()));
    }
    if let Some(limit) = query.limit {
        path.push_str(&format!("&limit={limit}"));
    }
    path
}

/// Writes verdicts to standard output.
struct Show {
    json: bool,
    paint: Paint,
    shown: u64,
}

impl Show {
    /// Says so when there was nothing to show, beside the output, which a pipe may read.
    fn end(&self, query: &Query) -> anyhow::Result<()> {
        if self.shown == 0 && !query.follow {
            let which = query.label.map_or_else(String::new, |label| format!(" with the label {}", label.name()));
            writeln!(std::io::stderr(), "no verdicts{which} yet; `weir status` says what has come in")?;
        }
        Ok(())
    }

    fn verdict(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.shown += 1;
        let mut out = std::io::stdout().lock();
        if self.json {
            out.write_all(bytes)?;
            writeln!(out)?;
        } else {
            let verdict: Verdict = serde_json::from_slice(bytes).context("reading a verdict")?;
            writeln!(out, "{}", self.paint.verdict_line(&verdict))?;
            out.write_all(self.paint.reasons(&verdict).as_bytes())?;
        }
        Ok(out.flush()?)
    }
}
