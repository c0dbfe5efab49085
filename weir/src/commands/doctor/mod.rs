//! `weir doctor`: looks at everything an installation rests on, says what is wrong and what to do.

mod finding;
mod machine;
mod overview;
mod traffic;
mod trust;
mod waiting;

use super::look::{Source, find};
use crate::console::board::Overview;
use crate::installation;
use crate::terminal::Paint;
use anyhow::{Context as _, bail};
use finding::{Finding, Health, to_text};
use runtime::clock::now_ms;
use runtime::config::Config;
use runtime::log::{Log, LogError};
use runtime::topics::Topics;
use std::io::Write as _;
use traffic::Sample;

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  weir doctor
  weir doctor --brokers localhost:9092 --json | jq '.[] | select(.health != \"well\")'

Exit code 1 if anything is wrong; warnings are none.";

/// Looks at configuration, disk, ONNX Runtime, keys, log, topics, sessions, clocks, models, scorers and outputs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Looks at everything.
pub(crate) async fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    let mut found = vec![Finding::well("config", "every key is known and fits"), machine::disk(config), machine::networks(config)];
    found.extend(machine::keys(config));
    found.extend(log(config).await);
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &found)?;
        writeln!(out)?;
    } else {
        out.write_all(to_text(&found, Paint::of_stdout()).as_bytes())?;
    }
    let wrong = found.iter().filter(|finding| finding.health == Health::Wrong).count();
    if wrong > 0 {
        bail!("{wrong} of {} things are wrong", found.len());
    }
    Ok(())
}

/// The log and all that stands on it.
async fn log(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    if config.kafka.brokers.is_some() {
        match tokio::task::block_in_place(|| topics(config)) {
            Ok(topics) => found.extend(topics),
            Err(error) => {
                let todo = "do the brokers run, and do `kafka.brokers` and `kafka.properties` name them and their security as they are?";
                found.push(Finding::wrong("broker", format!("{error:#}"), todo));
                return found;
            }
        }
    }
    let looked = match find(config, "/v1/status").await {
        Ok(Source::Running(answer)) => {
            found.push(Finding::well("log", format!("`weir up` holds it and answers at {}", config.listen)));
            let read = answer.bytes().await.and_then(|bytes| serde_json::from_slice(&bytes).context("reading the status"));
            read.map(|overview: Overview| overview::parts(&overview, config, now_ms()))
        }
        Ok(Source::Log { log, topics }) => tokio::task::block_in_place(|| standing(&*log, &topics, config)),
        Err(error) => Err(error),
    };
    match looked {
        Ok(more) => found.extend(more),
        Err(error) => found.push(Finding::wrong(
            "log",
            format!("{error:#}"),
            "start `weir up`, or name the installation: `--data`, `--listen`, `--brokers`",
        )),
    }
    found
}

/// Brokers that answer, and topics as they must be.
fn topics(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let kafka = installation::kafka(config)?;
    let specs = Topics::new(config);
    let differences = kafka.check_topics(specs.specs())?;
    let mut found = vec![Finding::well("broker", format!("answers ({})", config.brokers()?))];
    found.extend(differences.iter().map(|difference| {
        let said = format!("{}: {}", difference.topic, difference.what);
        if difference.breaks {
            Finding::wrong("topics", said, "`weir topics create` creates what is missing; docs/operations.md says how to change partitions")
        } else {
            Finding::warning("topics", said, "put the configuration or the topic right (`kafka-configs.sh --alter`)")
        }
    }));
    for topic in &config.ingest.topics {
        match kafka.partitions(&topic.name) {
            Ok(_) => {}
            Err(LogError::NoTopic(name)) => {
                let todo = "put the name in `ingest.topics` right, or create the topic that the gateway writes to";
                found.push(Finding::wrong("topics", format!("{name}: does not exist, and `ingest.topics` names it"), todo));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if found.len() == 1 {
        let raw = config.ingest.topics.len();
        let raw = if raw > 0 { format!("; {raw} to be read by ingest") } else { String::new() };
        found.push(Finding::well("topics", format!("{}, as configured{raw}", specs.specs().len())));
    }
    Ok(found)
}

/// What stands on the topics.
fn standing(log: &dyn Log, topics: &Topics, config: &Config) -> anyhow::Result<Vec<Finding>> {
    let mut sample = Sample::read(log, &topics.traffic)?;
    let now_ms = now_ms();
    let mut found = vec![sample.hottest(), sample.clocks(now_ms)];
    found.extend(trust::pointer(log, topics, config)?);
    found.extend(overview::parts(&Overview::read(log, &topics.status)?, config, now_ms));
    found.extend(waiting::read(log, topics)?.and_then(|waiting| waiting.finding(now_ms)));
    Ok(found)
}
