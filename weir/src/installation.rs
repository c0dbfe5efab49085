//! The log and the keys of an installation, as its configuration names them.

use anyhow::Context as _;
use runtime::config::Config;
use runtime::keys::{PublicKey, SessionKey, SigningKey, TrustedKeys};
use runtime::log::embedded::EmbeddedLog;
use runtime::log::kafka::KafkaLog;
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
        let properties = config.kafka.properties.expose().map(|(key, value)| (key.to_owned(), value.to_owned()));
        let replicas = u16::try_from(config.topics.replication).unwrap_or(u16::MAX);
        let log = KafkaLog::options(brokers).properties(properties).replication(replicas).open()?;
        return Ok(OpenLog { log: Arc::new(log), embedded: None });
    }
    let embedded = EmbeddedLog::options().topic_record_limit(Arc::clone(&topics.traffic), TRAFFIC_RECORD).open(log_directory(config))?;
    Ok(OpenLog { log: Arc::new(embedded.clone()), embedded: Some(embedded) })
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
