//! One file a command.

pub(crate) mod backtest;
pub(crate) mod bench;
pub(crate) mod calibration;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod endpoints;
pub(crate) mod erase;
pub(crate) mod feedback;
pub(crate) mod ingest;
pub(crate) mod keys;
mod look;
pub(crate) mod models;
mod parts;
pub(crate) mod services;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod topics;
pub(crate) mod up;
pub(crate) mod verdicts;

use crate::cli::{Configured, Plain};
use runtime::config::{Config, Sources};
use services::Service;

/// Runs a command that works on an installation.
pub(crate) async fn run_configured(command: Configured, config: Config, sources: &Sources) -> anyhow::Result<()> {
    match command {
        Configured::Backtest(args) => backtest::run(&args, &config),
        Configured::Bench(command) => tokio::task::block_in_place(|| bench::run(&command, config)),
        Configured::Calibration(args) => calibration::run(&args, &config),
        Configured::Config(command) => config::run(&command, &config, sources),
        Configured::Feedback(args) => feedback::run(args, &config).await,
        Configured::Forward(args) => services::run(Service::Forward, &args, config).await,
        Configured::Endpoints(args) => endpoints::run(&args, &config).await,
        Configured::Erase(args) => erase::run(&args, &config),
        Configured::Ingest(args) => ingest::run(&args, config).await,
        Configured::Keys(command) => keys::run(&command, &config),
        Configured::Models(command) => models::run(command, &config).await,
        Configured::Score(args) => services::run(Service::Score, &args, config).await,
        Configured::Topics(command) => topics::run(&command, &config),
        Configured::Train(args) => services::run(Service::Train, &args, config).await,
        Configured::Doctor(args) => doctor::run(&args, &config).await,
        Configured::Demo(args) => demo::run(&args, config, sources).await,
        Configured::Status(args) => status::run(&args, &config).await,
        Configured::Up => up::run(config).await,
        Configured::Verdicts(args) => verdicts::run(&args, &config).await,
    }
}

/// Runs a command that needs to know nothing.
pub(crate) fn run_plain(command: Plain) -> anyhow::Result<()> {
    match command {
        Plain::Completions(args) => completions::run(&args),
        Plain::Simulate(args) => simulate::run(&args),
        Plain::Man => completions::man(),
    }
}
