//! `weir erase`: forgets a session or an account.

use crate::cli::WrongUse;
use crate::installation;
use runtime::config::Config;
use runtime::erase::Traces;
use runtime::topics::Topics;
use std::io::Write as _;

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Example:\n  weir erase 7fc61a16162ef8d9553a2ad415d57e74";

/// Forgets a session or an account, in the scorers' saved state and in the trainer's history.
///
/// In the state these are open incidents; counters of live sessions stand there without a name and go when the session has been idle.
///
/// Stop scorers and trainer (or `weir up`) before, and start them again after: what runs keeps what it has in memory. Traffic, verdicts, alerts and
/// the bytes of the history go when their retention is over (`traffic.keep`, `verdicts.keep`, `alerts.keep`, `history.keep`).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `session` or `subject` as verdicts show it.
    #[arg(value_name = "SESSION|SUBJECT")]
    who: String,
}

/// Forgets.
pub(crate) fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    let traces = Traces::of(&args.who).map_err(|error| WrongUse(error.to_string()))?;
    let log = installation::log(config)?;
    let topics = Topics::new(config);
    let entries = scorer::erase(&*log, &topics, &traces)?;
    let sessions = trainer::erase(&*log, &topics, &traces)?;
    writeln!(std::io::stdout(), "forgotten: {entries} entries of the state, {sessions} sessions of the history")?;
    Ok(())
}
