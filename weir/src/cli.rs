//! The command line.

use crate::commands::{
    backtest, bench, calibration, completions, config, demo, doctor, endpoints, erase, feedback, ingest, keys, models, services, simulate,
    status, topics, up, verdicts,
};
use clap::{Args, Parser, Subcommand};
use runtime::config::{FlagValue, LoadError, Sources, load_sources};
use std::path::PathBuf;

/// API security by unsupervised learning: what does not fit, how surprising it is, and why.
#[derive(Debug, Parser)]
#[command(name = "weir", version, max_term_width = 120, subcommand_required = true, arg_required_else_help = true)]
#[command(
    after_help = "Every command explains itself: `weir COMMAND -h`; with `--help` also the options that all commands share. Exit codes: 0 done, 1 failed, 2 wrong use."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command: where the configuration is, and the common keys.
#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct Options {
    /// Configuration file [default: WEIR_CONFIG, else weir.toml if there is one].
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the embedded log, of checkpoints and keys [default: ./weir-data].
    #[arg(long, global = true, hide_short_help = true, value_name = "DIR")]
    data: Option<String>,
    /// Where to listen for exchanges [default: 127.0.0.1:8088].
    #[arg(long, global = true, hide_short_help = true, value_name = "ADDR")]
    listen: Option<String>,
    /// Kafka's bootstrap servers.
    #[arg(long, global = true, hide_short_help = true, value_name = "HOST:PORT,…")]
    brokers: Option<String>,
    /// Sets any key of the configuration, for example `learning.requests=5000`.
    #[arg(long, global = true, hide_short_help = true, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<FlagValue>,
}

impl Options {
    /// Everything the configuration is made from.
    pub(crate) fn sources(&self) -> Result<Sources, LoadError> {
        let named = [("data", &self.data), ("listen", &self.listen), ("kafka.brokers", &self.brokers)];
        let named = named.into_iter().filter_map(|(key, value)| Some(FlagValue { key: key.to_owned(), value: value.clone()? }));
        load_sources(self.config.clone(), self.set.iter().cloned().chain(named).collect())
    }
}

fn key_value(text: &str) -> Result<FlagValue, String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok(FlagValue { key: key.trim().to_owned(), value: value.to_owned() })
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Works on an installation, and so needs to know its configuration.
    #[command(flatten)]
    Configured(Configured),
    /// Needs to know nothing.
    #[command(flatten)]
    Plain(Plain),
}

/// Commands that work on an installation.
#[derive(Debug, Subcommand)]
pub(crate) enum Configured {
    /// Learns from some files and judges others, without any service.
    #[command(after_help = backtest::EXAMPLES)]
    Backtest(backtest::Args),
    /// Measures what an installation can do.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Compares how often harmless traffic is called odd with how often it should be.
    #[command(after_help = calibration::EXAMPLES)]
    Calibration(calibration::Args),
    /// Shows or checks the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// Forgets a session or an account.
    #[command(after_help = erase::EXAMPLES)]
    Erase(erase::Args),
    /// Says what a verdict really was: mutes alerts like it, or keeps its session out of training.
    #[command(after_help = feedback::EXAMPLES)]
    Feedback(feedback::Args),
    /// Forwards alerts and verdicts from Kafka to syslog, webhooks and files, and keeps the block list.
    #[command(after_help = services::FORWARD_EXAMPLES)]
    Forward(services::Args),
    /// Takes exchanges in and writes them to Kafka.
    #[command(after_help = ingest::EXAMPLES)]
    Ingest(ingest::Args),
    /// Makes the keys that an installation shares.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Lists and moves model versions, and says which one is active.
    #[command(subcommand)]
    Models(models::Command),
    /// Judges what stands on Kafka.
    #[command(after_help = services::SCORE_EXAMPLES)]
    Score(services::Args),
    /// Creates and checks the topics on Kafka.
    #[command(subcommand)]
    Topics(topics::Command),
    /// Learns from what stands on Kafka and publishes models.
    #[command(after_help = services::TRAIN_EXAMPLES)]
    Train(services::Args),
    /// Plays simulated traffic with attacks in it through everything, and says what was found.
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Args),
    /// Looks at all that an installation rests on: says what is wrong, and what to do.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::Args),
    /// Shows the discovered endpoints of a model, or writes them as OpenAPI 3.1.
    #[command(after_help = endpoints::EXAMPLES)]
    Endpoints(endpoints::Args),
    /// Shows what every API and every scorer is at.
    #[command(after_help = status::EXAMPLES)]
    Status(status::Args),
    /// Runs everything in one process: listener, scorer, trainer, outputs; on the embedded log unless Kafka is configured.
    #[command(after_help = up::EXAMPLES)]
    Up,
    /// Shows verdicts, the newest or those to come, with their reasons.
    #[command(after_help = verdicts::EXAMPLES)]
    Verdicts(verdicts::Args),
}

impl Configured {
    /// Name of the service that this command is, if it is one. Services tell what they do; of other commands only what is wrong is logged,
    /// unless `WEIR_LOG` says otherwise.
    pub(crate) fn service(&self) -> Option<&'static str> {
        match self {
            Self::Up => Some("weir"),
            Self::Ingest(args) => args.is_service().then_some("weir-ingest"),
            Self::Score(_) => Some("weir-scorer"),
            Self::Train(_) => Some("weir-trainer"),
            Self::Forward(_) => Some("weir-egress"),
            _ => None,
        }
    }
}

/// Commands that need to know nothing.
#[derive(Debug, Subcommand)]
pub(crate) enum Plain {
    /// Writes the completions of a shell to standard output.
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::Args),
    /// Simulates a web shop, its users and its attackers: NDJSON and labels.csv.
    #[command(after_help = simulate::EXAMPLES)]
    Simulate(simulate::Args),
    /// Writes the manual page to standard output.
    #[command(after_help = "Example:\n  weir man | man -l -")]
    Man,
}

/// The command was used wrongly in a way that the parser of the command line cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUse(pub(crate) String);

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no description", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn flags_become_settings_and_any_key_can_be_set() {
        let cli = Cli::parse_from(["weir", "--set", "learning.requests=5", "config", "show", "--data", "d", "--brokers", "a:1"]);
        let flags = cli.options.sources().unwrap().flags;
        let flags: Vec<_> = flags.iter().map(|flag| (flag.key.as_str(), flag.value.as_str())).collect();
        assert_eq!(flags, [("learning.requests", "5"), ("data", "d"), ("kafka.brokers", "a:1")]);
        assert!(Cli::try_parse_from(["weir", "--set", "learning.requests", "man"]).is_err());
    }
}
