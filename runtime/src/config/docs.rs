//! `docs/configuration.md`, written from the table of keys, so that the two cannot differ.

use super::keys::{FLAGS, KEYS, Key};
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

[[privacy.rules]]
name = \"date_of_birth\"
action = \"hash\"
```

## Outputs

Each `[outputs.NAME]` is a receiver with a consumer group of its own (`weir.egress.NAME`): one that is slow or dead holds up nobody else, and
gets everything that its topic still holds when it is back, and so does a new one at first. `weir up` forwards by itself; on Kafka `weir forward` does.

```toml
[outputs.siem]
to = \"syslog+tls://siem.example:6514\"
format = \"cef\"
ca_file = \"/etc/weir/siem-ca.pem\"

[outputs.chat]
to = \"https://hooks.example/weir\"
secret_file = \"/run/secrets/weir-webhook\"

[outputs.archive]
to = \"file:///var/log/weir/anomalous.ndjson\"
of = \"verdicts\"
label = \"anomalous\"
```

| key | default | meaning |
| --- | --- | --- |
| `to` | required | `syslog+udp://HOST:PORT`, `syslog+tcp://HOST:PORT`, `syslog+tls://HOST:PORT`, `https://…`, `http://…`, `file:///PATH` |
| `of` | `alerts` | `alerts`, or `verdicts` |
| `format` | `json` | `json` or `ocsf`: as on the topic (alerts are OCSF 1.5 Detection Findings); `ecs`: Elastic Common Schema; `cef`: Common Event Format, not over HTTP |
| `label` | `all` | of verdicts, only `benign`, `anomalous` or `insufficient` ones |
| `timeout` | `10s` | longest wait for the receiver to take one delivery |
| `ca_file` | the system's | TLS: PEM file of the authorities that are trusted |
| `cert_file`, `key_file` | – | TLS: PEM files of Weir's own certificate and key |
| `secret_file` | – | HTTP: file of the key that signs requests: its bytes, or `whsec_` and base64 |
| `authorization_file` | – | HTTP: file of the value of the `Authorization` header |
| `batch` | 1 | HTTP: most records of one request; 1: the body is one JSON object, more: one object a line |
| `max_bytes` | `100MiB` | file: size at which it becomes `PATH.1` and a new one is begun |
| `keep_files` | 10 | file: older files kept |

A record counts as taken when an HTTP receiver answers 2xx, when a syslog receiver has read to the end of the connection and closed it (each
delivery is a connection), when a file is synced to disk. Over UDP nobody says. What was not taken is sent again, with pauses that grow up to a minute; after a crash
or a broken connection a receiver may get a record twice, under the same id. What a receiver refuses for good (HTTP 400, 413, 422) becomes a dead
letter with the reason `refused`.

Requests are signed after [Standard Webhooks](https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp`, and `webhook-signature`, which is
`v1,` and base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`. A retry has the same id.

## Properties of the Kafka client

`kafka.properties` takes any property of librdkafka, except those that Weir's guarantees rest on. These are refused with the reason:
`bootstrap.servers`, `group.id`, `group.instance.id`, `client.id`, `group.protocol`, `partition.assignment.strategy`, `transactional.id`,
`transaction.timeout.ms`, `isolation.level`, `enable.auto.commit`, `enable.auto.offset.store`, `auto.offset.reset`, `enable.idempotence`, `acks`,
`max.in.flight`, `message.timeout.ms`, `message.max.bytes`, `partitioner`, `enable.partition.eof`.

Bearer tokens (OAUTHBEARER) are fetched and renewed from a token endpoint by the client-credentials grant:

```toml
[kafka.properties]
security.protocol = \"SASL_SSL\"
sasl.mechanism = \"OAUTHBEARER\"
sasl.oauthbearer.method = \"oidc\"
sasl.oauthbearer.token.endpoint.url = \"https://login.example/oauth2/token\"
sasl.oauthbearer.client.id = \"weir\"
sasl.oauthbearer.client.secret_file = \"/run/secrets/kafka-client\"
```
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
    let below = if key.kind.is_named() { ".NAME" } else { "" };
    let flag = FLAGS.iter().find(|(path, _)| *path == key.path).map(|(_, flag)| format!(" (`{flag}`)"));
    format!("`{}{below}`{}", key.path, flag.unwrap_or_default())
}
