//! The log and the keys of an installation, as its configuration names them.

use anyhow::{Context as _, bail};
use runtime::config::{Config, Delivery};
use runtime::keys::{PublicKey, SessionKey, SigningKey, TrustedKeys};
use runtime::log::embedded::EmbeddedLog;
use runtime::log::kafka::{Difference, KafkaLog};
use runtime::log::{Log, LogError};
use runtime::topics::Topics;
use std::path::PathBuf;
use std::sync::Arc;

/// Largest record of the traffic topic on the embedded log, bytes: an exchange and what goes along with it.
const TRAFFIC_RECORD: usize = engine::Exchange::MAX_BYTES + (64 << 10);

/// The log of an installation.
pub(crate) struct OpenLog {
    /// For everybody.
    pub(crate) log: Arc<dyn Log>,
    /// The embedded one, which wants to be maintained.
    pub(crate) embedded: Option<EmbeddedLog>,
}

/// Directory of the embedded log.
pub(crate) fn log_directory(config: &Config) -> PathBuf {
    config.data.join("log")
}

/// Opens the log: Kafka's where brokers are set, else the embedded one in the data directory.
pub(crate) fn open_log(config: &Config, topics: &Topics) -> Result<OpenLog, LogError> {
    if let Some(brokers) = &config.kafka.brokers {
        return Ok(OpenLog { log: Arc::new(kafka_at(brokers, config)?), embedded: None });
    }
    let embedded = EmbeddedLog::options().topic_record_limit(Arc::clone(&topics.traffic), TRAFFIC_RECORD).open(log_directory(config))?;
    Ok(OpenLog { log: Arc::new(embedded.clone()), embedded: Some(embedded) })
}

/// The log of an installation, for what only wants to read and write it: the embedded one must not be in use by another process.
pub(crate) fn log(config: &Config) -> anyhow::Result<Arc<dyn Log>> {
    Ok(open_log(config, &Topics::new(config))?.log)
}

/// The log on Kafka, for what cannot do without.
pub(crate) fn kafka(config: &Config) -> anyhow::Result<KafkaLog> {
    Ok(kafka_at(config.brokers()?, config)?)
}

fn kafka_at(brokers: &str, config: &Config) -> Result<KafkaLog, LogError> {
    let properties = config.kafka.properties.expose().map(|(name, value)| (name.to_owned(), value.to_owned()));
    KafkaLog::options(brokers)
        .properties(properties)
        .replication(config.topics.replication)
        .at_least_once(config.delivery == Delivery::AtLeastOnce)
        .open()
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

/// The keys of an installation.
pub(crate) struct Keys {
    /// Signs models.
    pub(crate) sign: SigningKey,
    /// Whose models are trusted.
    pub(crate) trusted: TrustedKeys,
    /// Names sessions.
    pub(crate) session: SessionKey,
}

impl Keys {
    /// Reads the keys; makes those that are missing.
    pub(crate) fn load_or_create(config: &Config) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.data).with_context(|| format!("creating {}", config.data.display()))?;
        let files = config.key_files();
        let sign = SigningKey::load_or_create(&files.sign)?;
        for path in files.public.iter().filter(|path| !path.exists()) {
            sign.public().save(path)?;
        }
        let public = files.public.iter().map(|path| PublicKey::load(path)).collect::<Result<_, _>>()?;
        Ok(Self { sign, trusted: TrustedKeys::new(public), session: SessionKey::load_or_create(&files.session)? })
    }
}
