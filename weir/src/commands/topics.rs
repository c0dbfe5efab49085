//! `weir topics`: the topics on Kafka, as the configuration wants them.

use crate::installation;
use anyhow::{Context as _, bail};
use runtime::config::Config;
use runtime::topics::Topics;
use std::io::Write as _;

/// What to do with topics.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Creates the topics that are missing; those that are there stay as they are.
    #[command(after_help = "Example:\n  weir topics create --brokers localhost:9092 --set topics.replication=3")]
    Create,
    /// Says which topics are missing or not as configured; exit code 1 if Weir could not work with them.
    #[command(after_help = "Example:\n  weir topics check --brokers localhost:9092")]
    Check,
}

/// Creates or checks.
pub(crate) fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    let topics = Topics::new(config);
    let kafka = installation::kafka(config)?;
    let created = match command {
        Command::Create => kafka.create_missing(topics.specs()).context("creating the topics")?,
        Command::Check => Vec::new(),
    };
    let differences = kafka.check_topics(topics.specs()).context("checking the topics")?;
    let mut out = std::io::stdout().lock();
    for spec in topics.specs() {
        let own: Vec<_> = differences.iter().filter(|difference| difference.topic == spec.name).collect();
        if own.is_empty() {
            let how = if created.contains(&spec.name) { "created      " } else { "as configured" };
            writeln!(out, "{how}  {}  {} partitions", spec.name, spec.partitions)?;
        }
        for difference in own {
            let weight = if difference.breaks { "wrong        " } else { "differs      " };
            writeln!(out, "{weight}  {}  {}", difference.topic, difference.what)?;
        }
    }
    let wrong = differences.iter().filter(|difference| difference.breaks).count();
    if wrong > 0 {
        bail!("Weir cannot work with these topics: {wrong} to be put right");
    }
    Ok(())
}
