//! Configuration: one file, the environment and flags become one checked [`Config`].
//!
//! Later wins: defaults, `weir.toml`, environment (`WEIR_` and the key, parts joined by two underscores), flags.
//! Everything that is wrong is reported at once, each with its key and who said so; a key that does not exist is an error.

mod docs;
mod ingest;
mod keys;
mod kind;
mod load;
mod outputs;
mod problem;
mod resolve;
mod secret;
mod show;
mod source;
#[cfg(test)]
mod tests;
mod units;

pub use docs::markdown;
pub use engine::ClientIp;
pub use ingest::{BadExtractor, Extractor, FieldMap, LogFile, PrivacyAction, PrivacyRule, Private, RawTopic, RecordFormat};
pub use ipnet::IpNet;
pub use load::{LoadError, load_sources};
pub use outputs::{Blocklist, OutputFormat, Receiver, Stream, Target, TlsFiles, Transport};
pub use problem::{ConfigErrors, Origin, Problem};
pub use secret::{KafkaProperties, Secret};
pub use show::{Shown, show};
pub use source::{FlagValue, Sources};
pub use units::duration;

use engine::api::HostGroup;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The configuration, checked. Keys and defaults: `docs/configuration.md`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of the embedded log, of checkpoints and keys.
    pub data: PathBuf,
    /// Stable name of this process.
    pub instance: String,
    /// What is promised about verdicts after a crash.
    pub delivery: Delivery,
    /// Where the ingest listener listens.
    pub listen: SocketAddr,
    /// Bearer token of senders; always there when `listen` is not a loopback address.
    pub token: Option<Secret>,
    /// How to reach Kafka.
    pub kafka: Kafka,
    /// How topics are named and laid out on Kafka.
    pub topics: TopicNames,
    /// The embedded log.
    pub embedded: Embedded,
    /// What ingest takes and from where.
    pub ingest: Ingest,
    /// Who a request belongs to.
    pub session: Session,
    /// Declared groups of hosts, host names in lower case.
    pub apis: Vec<HostGroup>,
    /// Templates that discovery of endpoints keeps to.
    pub pins: Vec<String>,
    /// When the first training of an API starts.
    pub learning: Learning,
    /// When models are trained again.
    pub training: Training,
    /// Networks of models.
    pub network: Network,
    /// What the trainer remembers.
    pub history: History,
    /// How long topics keep their records.
    pub keep: Keep,
    /// When a verdict is an alert.
    pub alerts: AlertLevel,
    /// The scorer.
    pub scorer: Scorer,
    /// The live state of a partition.
    pub state: State,
    /// Who may publish models.
    pub model: ModelKeys,
    /// What could not be read.
    pub deadletter: Deadletter,
    /// What must not be seen.
    pub privacy: Privacy,
    /// Receivers of verdicts and alerts, by name.
    pub outputs: BTreeMap<String, Receiver>,
    /// What is put on the block list.
    pub blocklist: Blocklist,
    /// The program's own log.
    pub log: LogOutput,
    /// What services tell of themselves over OTLP.
    pub telemetry: Telemetry,
}

impl Config {
    /// Understands and checks what was read.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn resolve(sources: &Sources) -> Result<Self, ConfigErrors> {
        resolve::resolve(source::Settings::gather(sources))
    }

    /// Bootstrap servers, for a service that cannot do without Kafka.
    ///
    /// # Errors
    /// `kafka.brokers` is not set; says how to set it.
    pub fn brokers(&self) -> Result<&str, ConfigErrors> {
        let what = "this service needs Kafka: set it to the bootstrap servers (`--brokers HOST:9092`, WEIR_KAFKA__BROKERS, \
                    or in weir.toml); `weir up` runs everything in one process without Kafka";
        let problem = || Problem { key: "kafka.brokers".to_owned(), origin: Origin::Default, what: what.to_owned() };
        self.kafka.brokers.as_deref().ok_or_else(|| ConfigErrors(vec![problem()]))
    }

    /// Where the keys are: as configured, else in the data directory under the names that `weir keys create` gives them.
    #[must_use]
    pub fn key_files(&self) -> KeyFiles {
        let in_data = KeyFiles::in_directory(&self.data);
        KeyFiles {
            sign: self.model.sign_key_file.clone().unwrap_or(in_data.sign),
            public: if self.model.public_keys.is_empty() { in_data.public } else { self.model.public_keys.clone() },
            session: self.session.key_file.clone().unwrap_or(in_data.session),
        }
    }
}

/// Where the keys of an installation are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// Private key that signs models.
    pub sign: PathBuf,
    /// Public keys whose models are trusted, at least one.
    pub public: Vec<PathBuf>,
    /// Key of the keyed hashes of sessions and subjects.
    pub session: PathBuf,
}

impl KeyFiles {
    /// All of them in one directory, under their usual names.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        let file = |name: &str| directory.join(name);
        Self { sign: file("model-sign.pem"), public: vec![file("model-public.pem")], session: file("session.key") }
    }
}

/// What is promised about verdicts after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Verdicts and positions are one transaction.
    ExactlyOnce,
    /// Verdicts may come twice, under the same id.
    AtLeastOnce,
}

/// How to reach Kafka.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// Bootstrap servers; none: the embedded log.
    pub brokers: Option<String>,
    /// Properties for the client, by librdkafka's names; none that Weir sets itself.
    pub properties: KafkaProperties,
}

/// How topics are named and laid out on Kafka.
#[derive(Debug, Clone)]
pub struct TopicNames {
    /// Prefix of every topic and consumer group.
    pub prefix: String,
    /// Partitions of the traffic topic and of those that go along with it.
    pub partitions: u32,
    /// Replicas of each partition.
    pub replication: u16,
}

/// The embedded log.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// Partitions of the traffic topic and of those that go along with it.
    pub partitions: u32,
    /// Most bytes of traffic kept, over all partitions.
    pub max_bytes: u64,
}

/// What ingest takes and from where.
#[derive(Debug, Clone)]
pub struct Ingest {
    /// Largest body of one request to the listener, bytes.
    pub max_body: usize,
    /// Most bytes that wait for the log at one time.
    pub max_pending: usize,
    /// Networks whose word on the forwarding chain is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Topics that gateways write themselves. Each `field_map` is in `field_maps`.
    pub topics: Vec<RawTopic>,
    /// Files that gateways write. Each `field_map` is in `field_maps`.
    pub files: Vec<LogFile>,
    /// Field maps by name.
    pub field_maps: BTreeMap<String, FieldMap>,
}

/// Who a request belongs to.
#[derive(Debug, Clone)]
pub struct Session {
    /// Where the session is taken from, in order.
    pub extractors: Vec<Extractor>,
    /// Where the account is taken from, in order.
    pub subjects: Vec<Extractor>,
    /// Key of the keyed hashes; none: in the data directory.
    pub key_file: Option<PathBuf>,
}

/// When the first training of an API starts.
#[derive(Debug, Clone, Copy)]
pub struct Learning {
    /// Requests after which it starts at once.
    pub requests: u64,
    /// Fewest requests it makes do with after `max_wait`.
    pub min_requests: u64,
    /// See `min_requests`.
    pub max_wait: Duration,
}

/// When models are trained again.
#[derive(Debug, Clone, Copy)]
pub struct Training {
    /// At the latest, where there is something new; networks go on from those of the active model.
    pub every: Duration,
    /// Time between trainings whose networks start afresh.
    pub full_every: Duration,
}

/// Networks of models.
#[derive(Debug, Clone)]
pub struct Network {
    /// Whether there are any.
    pub enabled: bool,
    /// ONNX Runtime's shared library; none: where it usually is.
    pub library: Option<PathBuf>,
}

/// What the trainer remembers.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// For how long.
    pub keep: Duration,
    /// Most exchanges.
    pub max_exchanges: usize,
    /// Most bytes of memory.
    pub max_bytes: usize,
}

/// How long topics keep their records.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// The traffic topic.
    pub traffic: Duration,
    /// The verdict topic.
    pub verdicts: Duration,
    /// The alert topic.
    pub alerts: Duration,
}

/// When a verdict is an alert.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AlertLevel {
    /// When its p-value is below this.
    Alpha(f64),
    /// When its p-value is below a level that makes about this many alerts a day.
    PerDay(f64),
}

/// The scorer.
#[derive(Debug, Clone, Copy)]
pub struct Scorer {
    /// Worker threads.
    pub workers: usize,
}

/// The live state of a partition.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// Longest time between checkpoints.
    pub checkpoint: Duration,
    /// Caps of its tables.
    pub limits: engine::Limits,
}

/// Who may publish models.
#[derive(Debug, Clone)]
pub struct ModelKeys {
    /// Private key of the trainer; none: in the data directory.
    pub sign_key_file: Option<PathBuf>,
    /// PEM files of the keys whose models are trusted; none: the one in the data directory.
    pub public_keys: Vec<PathBuf>,
}

/// What could not be read.
#[derive(Debug, Clone, Copy)]
pub struct Deadletter {
    /// Whether dead letters hold the bytes themselves.
    pub keep: bool,
}

/// What must not be seen.
#[derive(Debug, Clone)]
pub struct Privacy {
    /// How verdicts show client addresses.
    pub client_ip: ClientIp,
    /// What is done with single fields, before the built-in rules.
    pub rules: Vec<PrivacyRule>,
    /// Whether commands that read files mask secrets first.
    pub mask_files: bool,
}

/// The program's own log.
#[derive(Debug, Clone)]
pub struct LogOutput {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged, as a filter of `tracing-subscriber`.
    pub level: String,
}

/// How lines of the program's own log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// What services tell of themselves over OTLP.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Base address of an OTLP/HTTP receiver; none: the standard variables say.
    pub endpoint: Option<String>,
    /// Share of exchanges that are traced, above 0, at most 1.
    pub traces: f64,
}
