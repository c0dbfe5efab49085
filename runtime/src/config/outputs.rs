//! Who gets verdicts and alerts besides their topics, and what is put on the block list.

use super::units;
use engine::{Family, Label};
use http::Uri;
use serde::{Deserialize, Deserializer, de};
use std::path::PathBuf;
use std::time::Duration;

/// One receiver: `outputs.NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Declared")]
pub struct Receiver {
    /// Where it is.
    pub to: Target,
    /// What it gets.
    pub of: Stream,
    /// In which format.
    pub format: OutputFormat,
    /// Only verdicts with this label; `None`: all.
    pub label: Option<Label>,
    /// Longest wait for the receiver to take one delivery.
    pub timeout: Duration,
}

/// Where a receiver is, and what only this kind of receiver wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// RFC 5424 messages.
    Syslog {
        /// How they travel.
        transport: Transport,
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// `POST` of JSON.
    Webhook {
        /// Where to, `http` or `https`.
        url: String,
        /// TLS, for `https`.
        tls: TlsFiles,
        /// File of the key that signs bodies.
        secret_file: Option<PathBuf>,
        /// File of the value of the header `authorization`.
        authorization_file: Option<PathBuf>,
        /// Most records of one request.
        batch: usize,
    },
    /// One record a line.
    File {
        /// The file that is written; older ones have `.1`, `.2`, … at the end.
        path: PathBuf,
        /// Size at which a new file is begun, bytes.
        max_bytes: u64,
        /// Older files kept.
        keep_files: u32,
    },
}

/// How syslog messages travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// One datagram each; nobody says whether it arrived.
    Udp,
    /// Octet-counted over TCP.
    Tcp,
    /// Octet-counted over TLS.
    Tls(TlsFiles),
}

/// Files of a TLS client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file of the authorities that are trusted; none: those of the system.
    pub ca: Option<PathBuf>,
    /// PEM files of the client's own certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// What a receiver gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// One record for each change of an incident.
    #[default]
    Alerts,
    /// One record for each exchange.
    Verdicts,
}

/// Format of what a receiver gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// As on the topic: a finding in OCSF, or a verdict.
    #[default]
    #[serde(alias = "ocsf")]
    Json,
    /// Elastic Common Schema.
    Ecs,
    /// Common Event Format.
    Cef,
}

/// What is put on the block list.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocklist {
    /// Whether client addresses are.
    pub addresses: bool,
    /// Whether sessions are, as the keyed hashes of their tokens.
    pub tokens: bool,
    /// Smallest score of an alert that puts somebody on it.
    pub min_score: f64,
    /// Families of alerts that do.
    pub families: Vec<Family>,
    /// How long an entry holds.
    pub ttl: Duration,
    /// Most entries at one time.
    pub max_entries: usize,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_MAX_BYTES: u64 = 100 << 20;
const DEFAULT_KEEP_FILES: u32 = 10;
/// Most records of one request.
const MOST_BATCH: usize = 1_000;

/// A receiver as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    to: String,
    #[serde(default)]
    of: Stream,
    #[serde(default)]
    format: OutputFormat,
    #[serde(default, deserialize_with = "label")]
    label: Option<Label>,
    #[serde(default, deserialize_with = "duration")]
    timeout: Option<Duration>,
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    secret_file: Option<PathBuf>,
    authorization_file: Option<PathBuf>,
    batch: Option<usize>,
    #[serde(default, deserialize_with = "size")]
    max_bytes: Option<u64>,
    keep_files: Option<u32>,
}

impl TryFrom<Declared> for Receiver {
    type Error = String;

    fn try_from(declared: Declared) -> Result<Self, String> {
        let (scheme, rest) = declared.to.split_once("://").ok_or_else(|| bad_target(&declared.to))?;
        declared.check_fields(scheme)?;
        if declared.label.is_some() && declared.of == Stream::Alerts {
            return Err("`label` chooses among verdicts: set `of = \"verdicts\"` too".to_owned());
        }
        let to = match scheme {
            "syslog+udp" => declared.syslog(Transport::Udp)?,
            "syslog+tcp" => declared.syslog(Transport::Tcp)?,
            "syslog+tls" => declared.syslog(Transport::Tls(declared.tls()?))?,
            "http" | "https" => declared.webhook()?,
            "file" if rest.len() > 1 => Target::File {
                path: rest.into(),
                max_bytes: declared.max_bytes.unwrap_or(DEFAULT_MAX_BYTES).max(1 << 10),
                keep_files: declared.keep_files.unwrap_or(DEFAULT_KEEP_FILES),
            },
            _ => return Err(bad_target(&declared.to)),
        };
        let Declared { of, format, label, timeout, .. } = declared;
        Ok(Self { to, of, format, label, timeout: timeout.unwrap_or(DEFAULT_TIMEOUT) })
    }
}

fn bad_target(to: &str) -> String {
    format!(
        "`{to}` is no receiver: write `syslog+udp://HOST:PORT`, `syslog+tcp://HOST:PORT`, `syslog+tls://HOST:PORT`, `https://…`, `http://…` or `file:///PATH`"
    )
}

impl Declared {
    /// What only some kinds of receivers know must not be set for others: it would have no effect.
    fn check_fields(&self, scheme: &str) -> Result<(), String> {
        let http = matches!(scheme, "http" | "https");
        let tls = matches!(scheme, "https" | "syslog+tls");
        let file = scheme == "file";
        let fields = [
            ("ca_file", self.ca_file.is_some(), tls),
            ("cert_file", self.cert_file.is_some(), tls),
            ("key_file", self.key_file.is_some(), tls),
            ("secret_file", self.secret_file.is_some(), http),
            ("authorization_file", self.authorization_file.is_some(), http),
            ("batch", self.batch.is_some(), http),
            ("max_bytes", self.max_bytes.is_some(), file),
            ("keep_files", self.keep_files.is_some(), file),
        ];
        match fields.iter().find(|(_, is_set, is_known)| *is_set && !is_known) {
            Some((name, ..)) => Err(format!("`{name}` means nothing to `{scheme}://`")),
            None => Ok(()),
        }
    }

    fn tls(&self) -> Result<TlsFiles, String> {
        let client = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            _ => return Err("`cert_file` and `key_file` go together".to_owned()),
        };
        Ok(TlsFiles { ca: self.ca_file.clone(), client })
    }

    fn uri(&self) -> Result<Uri, String> {
        let uri: Uri = self.to.parse().map_err(|_| bad_target(&self.to))?;
        match uri.authority() {
            None => Err(bad_target(&self.to)),
            Some(authority) if authority.as_str().contains('@') => {
                Err("credentials do not belong into an address: use `authorization_file`".to_owned())
            }
            Some(_) => Ok(uri),
        }
    }

    fn syslog(&self, transport: Transport) -> Result<Target, String> {
        let uri = self.uri()?;
        match (uri.host(), uri.port_u16()) {
            (Some(host), Some(port)) if uri.path().len() <= 1 && uri.query().is_none() => {
                Ok(Target::Syslog { transport, host: host.trim_matches(['[', ']']).to_owned(), port })
            }
            _ => Err(bad_target(&self.to)),
        }
    }

    fn webhook(&self) -> Result<Target, String> {
        self.uri()?;
        if self.format == OutputFormat::Cef {
            return Err("a webhook takes JSON: set `format` to `json` or `ecs`".to_owned());
        }
        let batch = self.batch.unwrap_or(1);
        if !(1..=MOST_BATCH).contains(&batch) {
            return Err(format!("`batch` is {batch}: it must be from 1 to {MOST_BATCH}"));
        }
        Ok(Target::Webhook {
            url: self.to.clone(),
            tls: self.tls()?,
            secret_file: self.secret_file.clone(),
            authorization_file: self.authorization_file.clone(),
            batch,
        })
    }
}

/// A label, or `all`.
fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Label>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "all" { Ok(None) } else { Label::deserialize(de::value::StrDeserializer::new(&text)).map(Some) }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let read = units::duration(&text).map_err(de::Error::custom)?;
    if read < Duration::from_millis(100) {
        Err(de::Error::custom(format!("`{text}` is too short: at least 100 ms")))
    } else {
        Ok(Some(read))
    }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    units::size(&String::deserialize(deserializer)?).map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(toml: &str) -> Result<Receiver, String> {
        toml::from_str(toml).map_err(|e: toml::de::Error| e.message().to_owned())
    }

    #[test]
    fn each_kind_of_receiver_is_read() {
        let read = receiver("to = \"syslog+udp://siem.example:514\"").unwrap();
        assert_eq!(receiver("to = \"syslog+udp://siem.example:514\"\nformat = \"ocsf\"").unwrap(), read);
        assert_eq!((read.of, read.format, read.timeout), (Stream::Alerts, OutputFormat::Json, DEFAULT_TIMEOUT));
        assert_eq!(read.to, Target::Syslog { transport: Transport::Udp, host: "siem.example".to_owned(), port: 514 });

        let read = receiver("to = \"syslog+tls://[2001:db8::1]:6514\"\nca_file = \"ca.pem\"\nformat = \"cef\"\ntimeout = \"3s\"").unwrap();
        let files = TlsFiles { ca: Some("ca.pem".into()), client: None };
        assert_eq!(read.to, Target::Syslog { transport: Transport::Tls(files), host: "2001:db8::1".to_owned(), port: 6514 });
        assert_eq!((read.format, read.timeout), (OutputFormat::Cef, Duration::from_secs(3)));

        let read = receiver("to = \"https://hooks.example/weir?a=b\"\nof = \"verdicts\"\nlabel = \"anomalous\"\nbatch = 50").unwrap();
        assert!(matches!(read.to, Target::Webhook { batch: 50, ref url, .. } if url == "https://hooks.example/weir?a=b"));
        assert_eq!((read.of, read.label), (Stream::Verdicts, Some(Label::Anomalous)));

        assert_eq!(receiver("to = \"https://h/\"\nof = \"verdicts\"\nlabel = \"all\"").unwrap().label, None);
        assert!(receiver("to = \"https://h/\"\nof = \"verdicts\"\nlabel = \"odd\"").unwrap_err().contains("odd"));

        let read = receiver("to = \"file:///var/log/alerts.ndjson\"\nmax_bytes = \"1MiB\"\nkeep_files = 2").unwrap();
        assert_eq!(read.to, Target::File { path: "/var/log/alerts.ndjson".into(), max_bytes: 1 << 20, keep_files: 2 });
    }

    #[test]
    fn what_would_have_no_effect_or_leak_is_refused() {
        for (toml, why) in [
            ("to = \"siem.example:514\"", "is no receiver"),
            ("to = \"syslog+tcp://siem.example\"", "is no receiver"),
            ("to = \"ftp://siem.example/x\"", "is no receiver"),
            ("to = \"file:///\"", "is no receiver"),
            ("to = \"https://user:hunter2@hooks.example/\"", "authorization_file"),
            ("to = \"syslog+tcp://h:1\"\nca_file = \"x\"", "`ca_file` means nothing to `syslog+tcp://`"),
            ("to = \"file:///x\"\nbatch = 2", "`batch` means nothing"),
            ("to = \"http://h/\"\nformat = \"cef\"", "takes JSON"),
            ("to = \"http://h/\"\nbatch = 0", "from 1 to 1000"),
            ("to = \"http://h/\"\nlabel = \"benign\"", "of = \"verdicts\""),
            ("to = \"https://h/\"\ncert_file = \"x\"", "go together"),
            ("to = \"http://h/\"\ntimeout = \"1ms\"", "too short"),
            ("to = \"http://h/\"\nsecret = \"x\"", "unknown field"),
        ] {
            let error = receiver(toml).unwrap_err();
            assert!(error.contains(why), "{toml}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
