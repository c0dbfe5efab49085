//! One file a command.

pub(crate) mod backtest;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod endpoints;
pub(crate) mod keys;
pub(crate) mod simulate;

use crate::cli::{Configured, Plain};
use runtime::config::{Config, Sources};

/// Runs a command that works on an installation.
pub(crate) async fn run_configured(command: Configured, config: Config, sources: &Sources) -> anyhow::Result<()> {
    match command {
        Configured::Backtest(args) => backtest::run(&args, &config),
        Configured::Config(command) => config::run(&command, &config, sources),
        Configured::Keys(command) => keys::run(&command, &config),
    }
}

/// Runs a command that needs to know nothing.
pub(crate) fn run_plain(command: Plain) -> anyhow::Result<()> {
    match command {
        Plain::Completions(args) => completions::run(&args),
        Plain::Endpoints(args) => endpoints::run(&args),
        Plain::Simulate(args) => simulate::run(&args),
        Plain::Man => completions::man(),
    }
}
