//! From settings to a [`Config`]: the checks that need more than one key.

use super::kind::{DeclaredGroup, network, read_secret_file};
use super::problem::{ConfigErrors, Origin, Problem};
use super::secret::{KafkaProperties, Secret};
use super::source::{Setting, Settings};
use super::*;
use crate::log::kafka::refusal;
use crate::topics;
use serde::de::DeserializeOwned;
use toml::Value;

/// Checks what was gathered and makes the configuration of it.
pub(super) fn resolve(mut settings: Settings) -> Result<Config, ConfigErrors> {
    let token = secret(&mut settings, "token");
    let properties = kafka_properties(&mut settings);
    check_levels(&mut settings);
    check_learning(&mut settings);
    check_field_maps(&mut settings);
    check_prefix(&mut settings);
    check_raw_topics(&mut settings);
    check_outputs(&mut settings);
    check_listener(&mut settings);
    if settings.problems.is_empty() {
        match build(&settings, token, properties) {
            Ok(config) => return Ok(config),
            Err(problem) => settings.problems.push(problem),
        }
    }
    settings.problems.sort_by(|a, b| a.origin.cmp(&b.origin));
    Err(ConfigErrors(settings.problems))
}

fn build(settings: &Settings, token: Option<Secret>, properties: KafkaProperties) -> Result<Config, Problem> {
    let values = Values { settings };
    let field_maps = settings.named("ingest.field_maps").map(|(name, setting)| Ok((name.to_owned(), values.typed(name, setting)?)));
    let outputs = settings.named("outputs").map(|(name, setting)| Ok((name.to_owned(), values.typed(name, setting)?)));
    Ok(Config {
        data: values.get("data")?,
        instance: values.get("instance")?,
        delivery: values.get("delivery")?,
        listen: values.get("listen")?,
        token,
        kafka: Kafka { brokers: values.optional("kafka.brokers")?, properties },
        topics: TopicNames {
            prefix: values.get("topics.prefix")?,
            partitions: values.get("topics.partitions")?,
            replication: values.get("topics.replication")?,
        },
        embedded: Embedded { partitions: values.get("embedded.partitions")?, max_bytes: values.get("embedded.max_bytes")? },
        ingest: Ingest {
            max_body: values.get("ingest.max_body")?,
            max_pending: values.get("ingest.max_pending")?,
            trusted_proxies: values.list::<String>("ingest.trusted_proxies")?.iter().filter_map(|text| network(text).ok()).collect(),
            topics: values.list("ingest.topics")?,
            files: values.list("ingest.files")?,
            field_maps: field_maps.collect::<Result<_, Problem>>()?,
        },
        session: Session {
            extractors: values.list("session.extractors")?,
            subjects: values.list("session.subjects")?,
            key_file: values.optional("session.key_file")?,
        },
        apis: values.list::<DeclaredGroup>("apis")?.into_iter().map(Into::into).collect(),
        pins: values.list("paths.pins")?,
        learning: Learning {
            requests: values.get("learning.requests")?,
            min_requests: values.get("learning.min_requests")?,
            max_wait: values.duration("learning.max_wait")?,
        },
        training: Training { every: values.duration("training.every")?, full_every: values.duration("training.full_every")? },
        network: Network { enabled: values.get("network.enabled")?, library: values.optional("network.library")? },
        history: History {
            keep: values.duration("history.keep")?,
            max_exchanges: values.get("history.max_exchanges")?,
            max_bytes: values.get("history.max_bytes")?,
        },
        keep: Keep {
            traffic: values.duration("traffic.keep")?,
            verdicts: values.duration("verdicts.keep")?,
            alerts: values.duration("alerts.keep")?,
        },
        alerts: match values.optional("alerts.per_day")? {
            Some(budget) => AlertLevel::PerDay(budget),
            None => AlertLevel::Alpha(values.get("alerts.alpha")?),
        },
        scorer: Scorer { workers: values.get("scorer.workers")? },
        state: State {
            checkpoint: values.duration("state.checkpoint")?,
            limits: engine::Limits {
                sessions: values.get("state.max_sessions")?,
                sources: values.get("state.max_sources")?,
                objects: values.get("state.max_objects")?,
                tokens: values.get("state.max_tokens")?,
                incidents: values.get("state.max_incidents")?,
                endpoints: values.get("state.max_endpoints")?,
            },
        },
        model: ModelKeys { sign_key_file: values.optional("model.sign_key_file")?, public_keys: values.list("model.public_keys")? },
        deadletter: Deadletter { keep: values.get("deadletter.keep")? },
        privacy: Privacy {
            client_ip: values.get("privacy.client_ip")?,
            rules: values.list("privacy.rules")?,
            mask_files: values.get("privacy.mask_files")?,
        },
        outputs: outputs.collect::<Result<_, Problem>>()?,
        blocklist: Blocklist {
            addresses: values.get("blocklist.addresses")?,
            tokens: values.get("blocklist.tokens")?,
            min_score: values.get("blocklist.min_score")?,
            families: values.list("blocklist.families")?,
            ttl: values.duration("blocklist.ttl")?,
            max_entries: values.get("blocklist.max_entries")?,
        },
        log: LogOutput { format: values.get("log.format")?, level: values.get("log.level")? },
        telemetry: Telemetry { endpoint: values.optional("telemetry.endpoint")?, traces: values.get("telemetry.traces")? },
    })
}

/// Settings by type.
struct Values<'a> {
    settings: &'a Settings,
}

impl Values<'_> {
    fn typed<T: DeserializeOwned>(&self, path: &str, setting: &Setting) -> Result<T, Problem> {
        let wrong = |e: toml::de::Error| Problem { key: path.to_owned(), origin: setting.origin.clone(), what: e.message().to_owned() };
        setting.value.clone().try_into().map_err(wrong)
    }

    fn optional<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Problem> {
        self.settings.given.get(path).map(|setting| self.typed(path, setting)).transpose()
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        let missing = || Problem { key: path.to_owned(), origin: Origin::Default, what: "it must be set".to_owned() };
        self.optional(path)?.ok_or_else(missing)
    }

    fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Problem> {
        Ok(self.optional(path)?.unwrap_or_default())
    }

    fn duration(&self, path: &str) -> Result<Duration, Problem> {
        self.get(path).map(Duration::from_millis)
    }
}

/// A secret, in clear or from its file.
fn secret(settings: &mut Settings, key: &str) -> Option<Secret> {
    let file_key = format!("{key}_file");
    let clear = settings.given.get(key).and_then(|setting| setting.value.as_str().map(Secret::new));
    let Some(Setting { value: Value::String(path), origin }) = settings.given.get(&file_key) else { return clear };
    let read = if clear.is_some() {
        Err(format!("`{key}` is set too ({}): set only one of them", settings.origin(key)))
    } else {
        read_secret_file(Path::new(path))
    };
    match read {
        Ok(text) => Some(Secret::new(text)),
        Err(what) => {
            settings.problems.push(Problem { key: file_key, origin: origin.clone(), what });
            None
        }
    }
}

fn kafka_properties(settings: &mut Settings) -> KafkaProperties {
    let mut properties = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, setting) in settings.named("kafka.properties") {
        let text = setting.value.as_str().unwrap_or_default();
        let (property, value) = match name.strip_suffix("_file") {
            Some(property) => (property, read_secret_file(Path::new(text))),
            None => (name, Ok(text.to_owned())),
        };
        match (refusal(property), value) {
            (Some(why), _) | (None, Err(why)) => {
                problems.push(Problem { key: format!("kafka.properties.{name}"), origin: setting.origin.clone(), what: why });
            }
            (None, Ok(value)) => {
                properties.insert(property.to_owned(), value);
            }
        }
    }
    settings.problems.append(&mut problems);
    KafkaProperties::new(properties)
}

fn check_levels(settings: &mut Settings) {
    let alpha = settings.origin("alerts.alpha");
    if let Some(budget) = settings.given.get("alerts.per_day").filter(|_| alpha != Origin::Default) {
        let what = format!("`alerts.alpha` is set too ({alpha}): set the level or the budget it is derived from, not both");
        settings.problems.push(Problem { key: "alerts.per_day".to_owned(), origin: budget.origin.clone(), what });
    }
}

fn check_learning(settings: &mut Settings) {
    let number = |path: &str| settings.given.get(path).and_then(|setting| setting.value.as_integer());
    if let (Some(most), Some(least)) = (number("learning.requests"), number("learning.min_requests"))
        && least > most
    {
        let lowered = settings.origin("learning.min_requests") == Origin::Default;
        let key = if lowered { "learning.requests" } else { "learning.min_requests" };
        let what = format!("`learning.min_requests` ({least}) is more than `learning.requests` ({most})");
        settings.problems.push(Problem { key: key.to_owned(), origin: settings.origin(key), what });
    }
}

fn check_field_maps(settings: &mut Settings) {
    let mut problems = Vec::new();
    for key in ["ingest.topics", "ingest.files"] {
        let Some(Setting { value: Value::Array(tables), origin }) = settings.given.get(key) else { continue };
        let wanted = tables.iter().filter_map(|table| table.get("field_map")?.as_str());
        let missing = wanted.filter(|name| !settings.given.contains_key(&format!("ingest.field_maps.{name}")));
        problems.extend(missing.map(|name| Problem {
            key: key.to_owned(),
            origin: origin.clone(),
            what: format!("there is no field map `{name}`: write one as `[ingest.field_maps.{name}]`"),
        }));
    }
    settings.problems.append(&mut problems);
}

fn check_prefix(settings: &mut Settings) {
    let Some(Setting { value: Value::String(prefix), origin }) = settings.given.get("topics.prefix") else { return };
    if prefix.len() > 100 || !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        let what = format!("`{prefix}` cannot start the name of a topic: at most 100 letters, digits, dots, underscores and dashes");
        settings.problems.push(Problem { key: "topics.prefix".to_owned(), origin: origin.clone(), what });
    }
}

/// What Weir writes must not come back as a gateway's, and a topic has one format.
fn check_raw_topics(settings: &mut Settings) {
    let Some(Setting { value: Value::Array(tables), origin }) = settings.given.get("ingest.topics") else { return };
    let prefix = settings.given.get("topics.prefix").and_then(|setting| setting.value.as_str()).unwrap_or_default();
    let names: Vec<&str> = tables.iter().filter_map(|table| table.get("name")?.as_str()).collect();
    let is_ours = |name: &str| name.strip_prefix(prefix).is_some_and(|name| topics::NAMES.contains(&name));
    let what = names.iter().enumerate().filter_map(|(at, name)| match name {
        name if is_ours(name) => Some(format!("`{name}` is a topic of Weir's own: what is read from it would be written to it again")),
        name if names[..at].contains(name) => Some(format!("`{name}` stands there twice")),
        _ => None,
    });
    let mut problems: Vec<_> = what.map(|what| Problem { key: "ingest.topics".to_owned(), origin: origin.clone(), what }).collect();
    settings.problems.append(&mut problems);
}

/// Names of outputs name consumer groups; addresses that verdicts do not show cannot be blocked.
fn check_outputs(settings: &mut Settings) {
    let is_name = |name: &str| name.len() <= 100 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let bad = settings.named("outputs").filter(|(name, _)| !is_name(name)).map(|(name, setting)| Problem {
        key: format!("outputs.{name}"),
        origin: setting.origin.clone(),
        what: format!("`{name}` cannot be part of the name of a consumer group: at most 100 letters, digits, underscores and dashes"),
    });
    let mut problems: Vec<_> = bad.collect();
    settings.problems.append(&mut problems);
    let text = |path: &str| settings.given.get(path).map(|setting| setting.value.to_string());
    if text("blocklist.addresses").as_deref() == Some("true") && text("privacy.client_ip").as_deref() != Some("\"full\"") {
        let what = "alerts show no addresses that could be blocked: `privacy.client_ip` is not `full`".to_owned();
        let key = "blocklist.addresses".to_owned();
        settings.problems.push(Problem { origin: settings.origin(&key), key, what });
    }
}

fn check_listener(settings: &mut Settings) {
    let Some(Setting { value: Value::String(listen), origin }) = settings.given.get("listen") else { return };
    let has_token = settings.given.contains_key("token") || settings.given.contains_key("token_file");
    let open = listen.parse::<SocketAddr>().is_ok_and(|listen| !listen.ip().is_loopback());
    if open && !has_token {
        let what = format!(
            "{listen} can be reached from other machines, so a token is required: set `token_file` (or `token`, WEIR_TOKEN), or listen on 127.0.0.1"
        );
        settings.problems.push(Problem { key: "listen".to_owned(), origin: origin.clone(), what });
    }
}
