//! The log that an installation's configuration names.

use anyhow::{Context as _, bail};
use runtime::config::{Config, Delivery};
use runtime::log::Log;
use runtime::log::embedded::EmbeddedLog;
use runtime::log::kafka::{Difference, KafkaLog};
use runtime::topics::Topics;
use std::sync::Arc;

/// The log on Kafka, for what cannot do without.
pub(crate) fn kafka(config: &Config) -> anyhow::Result<KafkaLog> {
    let brokers = config.brokers()?;
    let properties = config.kafka.properties.expose().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = KafkaLog::options(brokers)
        .properties(properties)
        .replication(u16::try_from(config.topics.replication).context("`topics.replication` is too large")?)
        .at_least_once(config.delivery == Delivery::AtLeastOnce);
    Ok(options.open()?)
}

/// The log of the installation: Kafka where brokers are set, else the one in the data directory, which no other process may be using.
pub(crate) fn log(config: &Config) -> anyhow::Result<Arc<dyn Log>> {
    if config.kafka.brokers.is_some() {
        return Ok(Arc::new(kafka(config)?));
    }
    Ok(Arc::new(EmbeddedLog::open(config.data.join("log"))?))
}

/// The log on Kafka with all topics as they must be; else says what is wrong with them.
pub(crate) fn kafka_with_topics(config: &Config) -> anyhow::Result<Arc<dyn Log>> {
    let kafka = kafka(config)?;
    let differences = kafka.check_topics(Topics::new(config).specs()).context("checking the topics")?;
    for difference in differences.iter().filter(|difference| !difference.breaks) {
        tracing::info!(topic = %difference.topic, "differs from the configuration: {}", difference.what);
    }
    let wrong: Vec<_> = differences.iter().filter(|difference| difference.breaks).map(line).collect();
    if !wrong.is_empty() {
        bail!("the topics are not as they must be; `weir topics create` creates missing ones:\n{}", wrong.join("\n"));
    }
    Ok(Arc::new(kafka))
}

/// A difference on one line.
pub(crate) fn line(difference: &Difference) -> String {
    format!("  {}: {}", difference.topic, difference.what)
}
