//! Where to look: at a running `weir up`, at Kafka, or into the data directory of one that does not run.

use crate::client::{self, Answer};
use crate::installation::{OpenLog, log_directory, open_log};
use anyhow::bail;
use runtime::config::Config;
use runtime::log::Log;
use runtime::topics::Topics;
use std::sync::Arc;

/// Where what is asked for comes from.
pub(crate) enum Source {
    /// A running process answers.
    Running(Answer),
    /// The topics themselves.
    Log {
        /// The log.
        log: Arc<dyn Log>,
        /// Its topics.
        topics: Box<Topics>,
    },
}

/// Finds it: Kafka where brokers are set; else whoever listens, and where nobody does, the data directory.
pub(crate) async fn find(config: &Config, path: &str) -> anyhow::Result<Source> {
    match config.kafka.brokers {
        None => client::get(config, path).await?.map_or_else(|| the_log(config), |answer| Ok(Source::Running(answer))),
        Some(_) => the_log(config),
    }
}

/// The same for what is to be done: whoever listens is sent this JSON.
pub(crate) async fn find_to_post(config: &Config, path: &str, json: Vec<u8>) -> anyhow::Result<Source> {
    match config.kafka.brokers {
        None => client::post(config, path, json).await?.map_or_else(|| the_log(config), |answer| Ok(Source::Running(answer))),
        Some(_) => the_log(config),
    }
}

fn the_log(config: &Config) -> anyhow::Result<Source> {
    let topics = Topics::new(config);
    let directory = log_directory(config);
    if config.kafka.brokers.is_none() && !directory.exists() {
        bail!("nothing listens on {}, and {} is no log: start one with `weir up`", config.listen, directory.display());
    }
    let OpenLog { log, .. } = open_log(config, &topics)?;
    Ok(Source::Log { log, topics: Box::new(topics) })
}
