//! Every key there is: the one table that reading, checking and the documentation are made from.

use super::kind::Kind;

/// One key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// Dotted path. Named kinds ([`Kind::is_named`]) have a name of the user's choice below it.
    pub(super) path: &'static str,
    /// What it may look like.
    pub(super) kind: Kind,
    /// Default, as a user would write it; empty: none.
    pub(super) default: &'static str,
    /// What it is for, in Markdown.
    pub(super) meaning: &'static str,
}

const COUNT: u64 = u32::MAX as u64;

const fn key(path: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key { path, kind, default, meaning }
}

/// Keys that hold a secret; each has a twin with `_file` at the end that names a file instead.
pub(super) const SECRETS: [&str; 1] = ["token"];

/// Command-line flags that set a key.
pub(super) const FLAGS: [(&str, &str); 3] = [("data", "--data"), ("listen", "--listen"), ("kafka.brokers", "--brokers")];

/// Every key, in the order of the documentation.
pub(super) const KEYS: &[Key] = &[
    key("data", Kind::Path, "./weir-data", "Directory of the embedded log, of checkpoints and keys."),
    key("instance", Kind::Text, "", "Stable name of this process: transactional ids, status. Default: the host name."),
    key(
        "delivery",
        Kind::Choice(&["exactly-once", "at-least-once"]),
        "exactly-once",
        "Whether verdicts and read positions are one transaction.",
    ),
    key("listen", Kind::Address, "127.0.0.1:8088", "Where the ingest listener and the status page listen."),
    key("token", Kind::Text, "", "Bearer token that senders must show; required when `listen` is not a loopback address."),
    key("token_file", Kind::Path, "", "File that holds the token."),
    key(
        "kafka.brokers",
        Kind::Text,
        "",
        "Bootstrap servers, `host:port` joined by commas. Without it `weir up` uses the embedded log and the services refuse to start.",
    ),
    key(
        "kafka.properties",
        Kind::NamedText,
        "",
        "Passed to librdkafka as they are (security, tuning). `NAME_file` names a file that holds the value. As environment variable, `_` stands for a dot: `WEIR_KAFKA__PROPERTIES__SASL_PASSWORD_FILE`.",
    ),
    key("topics.prefix", Kind::Text, "weir.", "Prefix of every topic and consumer group."),
    key("topics.partitions", Kind::Count(1, 10_000), "24", "Partitions on Kafka, used by `weir topics create`; fixed for a topic's life."),
    key("topics.replication", Kind::Count(1, 100), "1", "Replicas of each partition on Kafka."),
    key("embedded.partitions", Kind::Count(1, 256), "4", "Partitions of the embedded log; fixed for a data directory's life."),
    key("embedded.max_bytes", Kind::Size(16 << 20), "8GiB", "Most bytes of traffic that the embedded log keeps; the oldest go first."),
    key("ingest.max_body", Kind::Size(1 << 10), "16MiB", "Largest body of one `POST /v1/exchanges`; larger ones are answered 413."),
    key(
        "ingest.max_pending",
        Kind::Size(1 << 20),
        "64MiB",
        "Most bytes that wait for the log at one time; beyond it senders are answered 429.",
    ),
    key(
        "ingest.trusted_proxies",
        Kind::Networks,
        "127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, ::1/128, fc00::/7, fe80::/10",
        "Networks whose word on the forwarding chain is taken: the client is the last address not in them.",
    ),
    key(
        "ingest.topics",
        Kind::RawTopics,
        "",
        "Topics that gateways write themselves: `name` (in full), `format` (`auto`, `exchange`, `har`, `combined`, `json`, `otlp`, `tap`) and, for JSON logs, `field_map`.",
    ),
    key(
        "ingest.files",
        Kind::LogFiles,
        "",
        "Log files of gateways that are followed as they grow, through rotation and truncation: `path`, `format` (as of topics, but not `har`) and, for JSON logs, `field_map`.",
    ),
    key(
        "ingest.field_maps",
        Kind::NamedFieldMap,
        "",
        "How a foreign JSON log is read: for each field of an exchange, the dotted path of the log's field.",
    ),
    key(
        "session.extractors",
        Kind::Extractors,
        "header:authorization, cookie:session, cookie:sessionid, cookie:session_id, cookie:sid, cookie:connect.sid, cookie:JSESSIONID, cookie:PHPSESSID, cookie:ASP.NET_SessionId, cookie:.AspNetCore.Session, cookie:.AspNetCore.Cookies, cookie:laravel_session, cookie:_session_id, cookie:ci_session, cookie:__Secure-next-auth.session-token, client",
        "Where the session is taken from, in order: `jwt:CLAIM`, `jwt:HEADER:CLAIM`, `header:NAME`, `cookie:NAME`, `field:PATH` (of the gateway's record), `client` (address and user agent).",
    ),
    key("session.subjects", Kind::Extractors, "jwt:sub", "Where the account is taken from, in the same form; nothing found: unknown."),
    key(
        "session.key_file",
        Kind::Path,
        "",
        "Key of the keyed hashes of sessions and subjects, shared by every ingest of an installation. `weir up` makes one in `data`.",
    ),
    key(
        "apis",
        Kind::HostGroups,
        "",
        "Hosts that are one API: `name` and `hosts` (`*.example.com` takes every sub-domain). Other hosts earn an API of their own by traffic.",
    ),
    key(
        "paths.pins",
        Kind::Texts,
        "",
        "Templates that discovery must keep to, whatever traffic says: `/v2/categories/{slug}` makes a value of every segment there, `/v2/categories/new` keeps that one a name.",
    ),
    key("learning.requests", Kind::Count(1, COUNT), "16000", "Requests of an API after which its first training starts."),
    key(
        "learning.min_requests",
        Kind::Count(1, COUNT),
        "2000",
        "Fewest requests that a first training makes do with, after `learning.max_wait`.",
    ),
    key("learning.max_wait", Kind::Duration(1), "30m", "Longest wait for `learning.requests`, once `learning.min_requests` are there."),
    key("training.every", Kind::Duration(1_000), "1h", "Time between trainings; networks go on from those of the active model."),
    key("training.full_every", Kind::Duration(1_000), "24h", "Time between trainings whose networks start afresh."),
    key(
        "network.enabled",
        Kind::Flag,
        "true",
        "Whether models get networks beside counted detectors, and are judged with those they have.",
    ),
    key(
        "network.library",
        Kind::Path,
        "",
        "ONNX Runtime's shared library, 1.17 or newer. Default: what `ORT_DYLIB_PATH` names, else `.cache/onnxruntime`, where `make setup` puts it.",
    ),
    key("history.keep", Kind::Duration(60_000), "30d", "How long the trainer remembers."),
    key("history.max_exchanges", Kind::Count(1_000, COUNT), "2000000", "Most exchanges the trainer remembers, as features."),
    key("history.max_bytes", Kind::Size(16 << 20), "512MiB", "Most memory the trainer's history takes."),
    key("traffic.keep", Kind::Duration(60_000), "24h", "Retention of the traffic topic."),
    key("verdicts.keep", Kind::Duration(60_000), "7d", "Retention of the verdict topic."),
    key("alerts.keep", Kind::Duration(60_000), "30d", "Retention of the alert topic."),
    key("alerts.alpha", Kind::Number(0.5), "1e-4", "Level below which a verdict is anomalous: how often benign traffic may be called so."),
    key("alerts.per_day", Kind::Number(f64::MAX), "", "Alert budget a day, from which the level is derived instead."),
    key("scorer.workers", Kind::Count(1, 256), "1", "Worker threads of one scorer."),
    key("state.checkpoint", Kind::Duration(100), "10s", "Longest time between checkpoints of the live state."),
    key("state.max_sessions", Kind::Count(1, COUNT), "50000", "Live sessions a partition; beyond it the longest idle goes."),
    key("state.max_sources", Kind::Count(1, COUNT), "20000", "Network sources a partition."),
    key("state.max_objects", Kind::Count(1, COUNT), "200000", "Object ids with a known owner a partition."),
    key("state.max_tokens", Kind::Count(1, COUNT), "100000", "Values that never repeat a partition."),
    key("state.max_incidents", Kind::Count(1, COUNT), "5000", "Open incidents a partition."),
    key("state.max_endpoints", Kind::Count(1, COUNT), "5000", "Endpoints whose present crowd is counted a partition."),
    key("model.sign_key_file", Kind::Path, "", "Private key that signs models; only the trainer has it. `weir up` makes one in `data`."),
    key("model.public_keys", Kind::Texts, "", "PEM files of the keys whose models are trusted. `weir up` trusts the one in `data`."),
    key("deadletter.keep", Kind::Flag, "false", "Whether dead letters hold the bytes that could not be read, besides reason and position."),
    key(
        "privacy.client_ip",
        Kind::Choice(&["full", "prefix", "hash"]),
        "full",
        "How verdicts and alerts show client addresses: in full, as /24 or /48, or as keyed hash.",
    ),
    key(
        "privacy.rules",
        Kind::PrivacyRules,
        "",
        "What is done with a value before it reaches any topic: `field` (`request.body.card`, `request.headers.x-key`), `name` (at any depth of bodies, headers, cookies and parameters) or `kind` (`card`, `iban`, `email`, `phone`, `ssn`, `jwt`, `private-key`, `cloud-key`), and `action` (`mask`, `hash`, `drop`, `keep`); rules for fields and names come before the built-in rules, rules for kinds behind them.",
    ),
    key(
        "privacy.mask_files",
        Kind::Flag,
        "false",
        "Whether commands that learn from or judge files (`backtest`, `calibration`) mask secrets first, with the installation's key if it is there, as everything is masked before it reaches a topic: then they see what a service sees. With a model that a service learned they always do. The files stay as they are.",
    ),
    key("outputs", Kind::NamedReceiver, "", "Who gets alerts or verdicts besides their topics: syslog, webhook, file."),
    key("blocklist.addresses", Kind::Flag, "false", "Whether client addresses of alerts are put on the block list topic."),
    key("blocklist.tokens", Kind::Flag, "false", "Whether sessions of alerts are, as HMAC-SHA256 of their tokens."),
    key("blocklist.min_score", Kind::Number(300.0), "60", "Smallest score of an alert that puts somebody on the block list."),
    key("blocklist.families", Kind::Texts, "injection, object_access, volume, account_takeover, fuzzing", "Families of alerts that do."),
    key("blocklist.ttl", Kind::Duration(1_000), "1h", "How long an entry holds after its last alert."),
    key("blocklist.max_entries", Kind::Count(1, COUNT), "10000", "Most entries at one time; the one that ends first makes room."),
    key(
        "log.format",
        Kind::Choice(&["auto", "text", "json"]),
        "auto",
        "Format of the log on standard error; `auto` is text on a terminal and JSON elsewhere.",
    ),
    key(
        "log.level",
        Kind::Text,
        "info",
        "What is logged: `error`, `warn`, `info`, `debug`, `trace`, or by module (`info,runtime=debug`). The environment variable `WEIR_LOG` wins.",
    ),
    key(
        "telemetry.endpoint",
        Kind::Text,
        "",
        "Base address of an OTLP/HTTP receiver that gets metrics, traces and logs of services: `http://localhost:4318`. Else the variables `OTEL_EXPORTER_OTLP_ENDPOINT` and its kin say; none: nothing is sent.",
    ),
    key(
        "telemetry.traces",
        Kind::Number(1.0),
        "0.01",
        "Share of exchanges that are traced from ingest to verdict; `OTEL_TRACES_SAMPLER` wins.",
    ),
];

/// The key that a path is, or stands below.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| {
        let rest = path.strip_prefix(key.path);
        rest.is_some_and(|rest| if key.kind.is_named() { rest.len() > 1 && rest.starts_with('.') } else { rest.is_empty() })
    })
}

/// Whether some key stands below this path.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.') || (rest.is_empty() && key.kind.is_named())))
}

/// ` (did you mean …?)`, if some key is like this path.
pub(super) fn suggestion(path: &str) -> String {
    let near = KEYS.iter().map(|key| (strsim::damerau_levenshtein(path, key.path), key.path)).min();
    let same_name = |key: &&Key| key.path.rsplit('.').next() == path.rsplit('.').next();
    match near {
        Some((distance, key)) if distance <= 1 + path.len() / 5 => format!(" (did you mean `{key}`?)"),
        _ => KEYS.iter().find(same_name).map(|key| format!(" (did you mean `{}`?)", key.path)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            assert!(key.kind.read_text(key.default).is_ok(), "{}", key.path);
        }
    }

    #[test]
    fn named_keys_are_found_below_their_path() {
        assert_eq!(find("kafka.properties.sasl.mechanism").map(|key| key.path), Some("kafka.properties"));
        assert_eq!(find("learning.requests").map(|key| key.path), Some("learning.requests"));
        assert!(find("kafka.properties").is_none());
        assert!(find("learning.requests.more").is_none());
        assert!(is_section("kafka") && is_section("kafka.properties") && !is_section("learn"));
    }

    #[test]
    fn a_slip_of_the_pen_gets_a_suggestion() {
        assert_eq!(suggestion("learning.request"), " (did you mean `learning.requests`?)");
        assert_eq!(suggestion("brokers"), " (did you mean `kafka.brokers`?)");
        assert_eq!(suggestion("something.else.entirely"), "");
    }
}
