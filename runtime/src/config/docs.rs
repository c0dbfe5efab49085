//! `docs/configuration.md`, written from the table of keys, so that the two cannot differ.

use super::keys::{FLAGS, KEYS, Key};
use super::kind::Kind;
use std::fmt::Write as _;

const HEAD: &str = "\
# Configuration

<!-- Written from the table of keys in runtime/src/config/keys.rs; `make docs` writes it anew, a test checks that it is current. -->

One file, `weir.toml`, is looked for at `--config`, then at `WEIR_CONFIG`, then in the working directory. Nothing in it is required.
Every key is also an environment variable: `WEIR_` and the key in capitals, its parts joined by two underscores; an empty one counts as
not set. Some keys are flags, and `--set KEY=VALUE` sets any. Later wins: defaults, file, environment, flags.

`weir config check` says everything that is wrong at once, with the line, variable or flag it comes from. `weir config show` prints
every value and where it comes from, without secrets. A key that does not exist is an error.

Durations are written `250ms`, `10s`, `30m`, `24h`, `30d`; sizes `512KiB`, `64MiB`, `8GiB`. Lists in variables and flags are joined by commas
(`WEIR_SESSION__EXTRACTORS=\"jwt:sub, client\"`) or written as TOML. Relative paths start at the working directory.

| key | value | default | meaning |
| --- | --- | --- | --- |
";

const TAIL: &str = "
## Example

```toml
listen = \"0.0.0.0:8088\"
token_file = \"/run/secrets/weir-token\"

[kafka]
brokers = \"kafka-1:9093,kafka-2:9093\"

[kafka.properties]
security.protocol = \"SASL_SSL\"
sasl.mechanism = \"SCRAM-SHA-512\"
sasl.username = \"weir\"
sasl.password_file = \"/run/secrets/kafka-password\"

[session]
extractors = [\"jwt:sid\", \"cookie:session\", \"client\"]
subjects = [\"jwt:sub\", \"field:consumer.id\"]

[[apis]]
name = \"shop\"
hosts = [\"api.shop.example\", \"*.shop.example\"]

[[ingest.topics]]
name = \"edge-access-log\"
format = \"json\"
field_map = \"edge\"

[ingest.field_maps.edge]
time = \"ts\"
method = \"req.method\"
uri = \"req.url\"
status = \"res.status\"
client_ip = \"peer\"

[[privacy.rules]]
field = \"request.body.card.number\"
action = \"mask\"
```

## Properties of the Kafka client

`kafka.properties` takes any property of librdkafka, except those that Weir's guarantees rest on. These are refused with the reason:
`bootstrap.servers`, `group.id`, `group.instance.id`, `client.id`, `group.protocol`, `partition.assignment.strategy`, `transactional.id`,
`transaction.timeout.ms`, `isolation.level`, `enable.auto.commit`, `enable.auto.offset.store`, `auto.offset.reset`, `enable.idempotence`, `acks`,
`max.in.flight`, `partitioner`, `enable.partition.eof`.
";

/// The text of `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for key in KEYS {
        let default = if key.default.is_empty() { "–".to_owned() } else { format!("`{}`", key.default) };
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "| {} | {} | {default} | {} |", name(key), key.kind.describe(), key.meaning);
    }
    text + TAIL
}

fn name(key: &Key) -> String {
    let below = if key.kind == Kind::NamedText || key.kind == Kind::NamedFieldMap { ".NAME" } else { "" };
    let flag = FLAGS.iter().find(|(path, _)| *path == key.path).map(|(_, flag)| format!(" (`{flag}`)"));
    format!("`{}{below}`{}", key.path, flag.unwrap_or_default())
}
