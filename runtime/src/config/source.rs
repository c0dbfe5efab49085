//! From sources (file, environment, flags) to settings: for every key that somebody set, the value that wins and who said so.

use super::keys::{self, FLAGS, KEYS, SECRETS};
use super::kind::{Kind, Refused};
use super::problem::{Origin, Problem};
use super::secret::is_credential;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Value;
use toml::de::{DeTable, DeValue};

/// Everything a configuration is made from, read but not yet understood.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Path and text of the file, if there is one.
    pub file: Option<(PathBuf, String)>,
    /// Environment variables; those that are empty or do not start with `WEIR_` are ignored.
    pub environment: Vec<(String, String)>,
    /// Keys set on the command line, later ones win.
    pub flags: Vec<FlagValue>,
    /// Name of this host, for `instance`; `weir` if it is empty.
    pub host_name: String,
}

/// A key set on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagValue {
    /// Key, dotted.
    pub key: String,
    /// Value as text.
    pub value: String,
}

/// One setting that was given.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// In the normal form of its kind.
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// Variables that steer the program and are no keys.
const NOT_KEYS: [&str; 2] = ["WEIR_CONFIG", "WEIR_LOG"];

/// Settings and problems, as they are gathered.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) given: BTreeMap<String, Setting>,
    pub(super) problems: Vec<Problem>,
}

impl Settings {
    /// Reads all sources; later ones win.
    pub(super) fn gather(sources: &Sources) -> Self {
        let mut settings = Self::default();
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            settings.put_text(key.path.to_owned(), key.default, Origin::Default);
        }
        let host_name = if sources.host_name.is_empty() { "weir" } else { &sources.host_name };
        settings.put_text("instance".to_owned(), host_name, Origin::Default);
        if let Some((path, text)) = &sources.file {
            settings.read_file(path, text);
        }
        for (name, value) in sources.environment.iter().filter(|(_, value)| !value.is_empty()) {
            settings.read_variable(name, value);
        }
        for FlagValue { key, value } in &sources.flags {
            let flag = FLAGS.iter().find(|(path, _)| path == key).map_or("--set", |(_, flag)| flag);
            settings.put_text(key.clone(), value, Origin::Flag(flag.to_owned()));
        }
        settings
    }

    fn read_file(&mut self, path: &Path, text: &str) {
        let file = File { path, text };
        match DeTable::parse(text) {
            Ok(table) => self.read_table("", table.into_inner(), &file),
            Err(error) => {
                let span = error.span().unwrap_or_default();
                let origin = file.at(span.start);
                // Only names are quoted: what is wrong elsewhere may be a secret.
                let what = match (error.message(), text.get(span)) {
                    (said @ "duplicate key", Some(name)) => format!("{said} `{name}`: join what stands under both"),
                    (said, _) => said.to_owned(),
                };
                self.problems.push(Problem { key: String::new(), origin, what });
            }
        }
    }

    fn read_table(&mut self, section: &str, table: DeTable<'_>, file: &File<'_>) {
        for (name, value) in table {
            let path = if section.is_empty() { name.get_ref().to_string() } else { format!("{section}.{}", name.get_ref()) };
            let origin = file.at(name.span().start);
            let key = keys::find(&path);
            let nested_name = key.is_some_and(|key| key.kind == Kind::NamedText) && value.get_ref().is_table();
            match (key, value.get_ref()) {
                (Some(key), _) if !nested_name => {
                    let read = key.kind.read(value);
                    self.put(path, read, origin, |span| file.at(span));
                }
                (_, DeValue::Table(_)) if nested_name || keys::is_section(&path) => {
                    if let DeValue::Table(table) = value.into_inner() {
                        self.read_table(&path, table, file);
                    }
                }
                _ => self.unknown(path, origin),
            }
        }
    }

    fn read_variable(&mut self, name: &str, value: &str) {
        let Some(rest) = name.strip_prefix("WEIR_") else { return };
        if NOT_KEYS.contains(&name) || is_service_link(rest) {
            return;
        }
        let mut path = rest.to_ascii_lowercase().replace("__", ".");
        if let Some(property) = path.strip_prefix("kafka.properties.") {
            let (property, file) = property.strip_suffix("_file").map_or((property, ""), |property| (property, "_file"));
            path = format!("kafka.properties.{}{file}", property.replace('_', "."));
        }
        self.put_text(path, value, Origin::Environment(name.to_owned()));
    }

    fn put_text(&mut self, path: String, text: &str, origin: Origin) {
        match keys::find(&path) {
            Some(key) => self.put(path, key.kind.read_text(text), origin.clone(), |_| origin.clone()),
            None => self.unknown(path, origin),
        }
    }

    /// Takes a setting, or the reason why it is refused; `locate` finds the line of a byte of the file.
    fn put(&mut self, key: String, read: Result<Value, Refused>, origin: Origin, locate: impl Fn(usize) -> Origin) {
        match read {
            Ok(value) => {
                self.given.insert(key, Setting { value, origin });
            }
            Err(Refused { what, span }) => {
                let origin = span.map_or(origin, |span| locate(span.start));
                self.problems.push(Problem { key, origin, what });
            }
        }
    }

    fn unknown(&mut self, key: String, origin: Origin) {
        let what = format!("there is no such key{}", keys::suggestion(&key));
        self.problems.push(Problem { key, origin, what });
    }

    /// Who set a key; the default where nobody did.
    pub(super) fn origin(&self, path: &str) -> Origin {
        self.given.get(path).map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// What was given below a named key, by name.
    pub(super) fn named(&self, key: &str) -> impl Iterator<Item = (&str, &Setting)> {
        let prefix = format!("{key}.");
        self.given.iter().filter_map(move |(path, setting)| Some((path.strip_prefix(&prefix)?, setting)))
    }
}

/// Whether a setting must not be shown.
pub(super) fn is_secret(path: &str) -> bool {
    SECRETS.contains(&path) || path.strip_prefix("kafka.properties.").is_some_and(|name| !name.ends_with("_file") && is_credential(name))
}

/// Variables that container platforms set for a service called `weir…`: `WEIR_PORT`, `WEIR_SERVICE_HOST`, `WEIR_PORT_8088_TCP_ADDR`.
fn is_service_link(rest: &str) -> bool {
    !rest.contains("__")
        && (rest.contains("SERVICE_HOST")
            || rest.contains("SERVICE_PORT")
            || rest == "PORT"
            || rest.ends_with("_PORT")
            || rest.contains("PORT_"))
}

/// The configuration file, to find lines in.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn at(&self, byte: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(byte);
        Origin::File { path: self.path.to_owned(), line: 1 + before.filter(|b| **b == b'\n').count() }
    }
}
