//! What a setting may look like, and how it is read from TOML or from text.

use super::ingest::{Extractor, FieldMap, LogFile, PrivacyRule, RawTopic};
use super::outputs::Receiver;
use super::units;
use engine::api::HostGroup;
use serde::Deserialize;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::Value;
use toml::de::{DeString, DeValue, ValueDeserializer};

/// What a setting may look like. Reading brings every setting into one form: durations are milliseconds, sizes bytes, lists arrays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Any text but the empty one.
    Text,
    /// A path, relative to the working directory.
    Path,
    /// Address and port to listen on.
    Address,
    /// A whole number within bounds, both included.
    Count(u64, u64),
    /// A number above 0 and up to a bound.
    Number(f64),
    /// `true` or `false`.
    Flag,
    /// A duration, at least this many milliseconds.
    Duration(u64),
    /// A size, at least this many bytes.
    Size(u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of networks.
    Networks,
    /// A list of [`Extractor`]s.
    Extractors,
    /// A list of [`HostGroup`]s.
    HostGroups,
    /// A list of [`RawTopic`]s.
    RawTopics,
    /// A list of [`LogFile`]s.
    LogFiles,
    /// A list of [`PrivacyRule`]s.
    PrivacyRules,
    /// A [`FieldMap`] under a name of the user's choice.
    NamedFieldMap,
    /// A [`Receiver`] under a name of the user's choice.
    NamedReceiver,
    /// Text under a name that has dots of its own.
    NamedText,
}

/// Why a value was refused, and where in the file, in bytes.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) what: String,
    pub(super) span: Option<Range<usize>>,
}

impl From<String> for Refused {
    fn from(what: String) -> Self {
        Self { what, span: None }
    }
}

impl From<toml::de::Error> for Refused {
    fn from(error: toml::de::Error) -> Self {
        Self { what: error.message().to_owned(), span: error.span() }
    }
}

impl Kind {
    /// Whether the setting has a name below its key: `kafka.properties.sasl.mechanism`.
    pub(super) fn is_named(self) -> bool {
        matches!(self, Self::NamedText | Self::NamedFieldMap | Self::NamedReceiver)
    }

    /// Reads text of the environment, of a flag or of the table of defaults.
    pub(super) fn read_text(self, text: &str) -> Result<Value, Refused> {
        let toml = text.trim_start().starts_with(['[', '{']);
        match self {
            Self::Texts | Self::Networks | Self::Extractors if !toml => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                let array = Value::Array(parts.map(|part| Value::String(part.to_owned())).collect());
                self.check(&array)?;
                Ok(array)
            }
            Self::Texts
            | Self::Networks
            | Self::Extractors
            | Self::HostGroups
            | Self::RawTopics
            | Self::LogFiles
            | Self::PrivacyRules
            | Self::NamedFieldMap
            | Self::NamedReceiver => {
                let value = DeValue::parse(text).map_err(|e| Refused::from(format!("this is no TOML value ({})", e.message())))?;
                self.read(value).map_err(|refused| Refused { span: None, ..refused })
            }
            _ => self.read(Spanned::new(0..0, DeValue::String(DeString::Borrowed(text)))),
        }
    }

    /// Reads a TOML value.
    pub(super) fn read(self, value: Spanned<DeValue<'_>>) -> Result<Value, Refused> {
        let span = value.span();
        let value = match self {
            Self::Extractors => checked::<Vec<Extractor>>(value)?,
            Self::HostGroups => checked::<Vec<DeclaredGroup>>(value)?,
            Self::RawTopics => checked::<Vec<RawTopic>>(value)?,
            Self::LogFiles => checked::<Vec<LogFile>>(value)?,
            Self::PrivacyRules => checked::<Vec<PrivacyRule>>(value)?,
            Self::NamedFieldMap => checked::<FieldMap>(value)?,
            Self::NamedReceiver => checked::<Receiver>(value)?,
            Self::Texts | Self::Networks => checked::<Vec<String>>(value)?,
            _ => {
                let scalar = Value::deserialize(ValueDeserializer::from(value))?;
                return self.scalar(&scalar).map_err(|what| Refused { what, span: Some(span) });
            }
        };
        self.check(&value).map_err(|refused| Refused { span: Some(span), ..refused })?;
        Ok(value)
    }

    /// What a list must be beyond its shape.
    fn check(self, value: &Value) -> Result<(), Refused> {
        match self {
            Self::Extractors => Vec::<Extractor>::deserialize(value.clone()).map(drop).map_err(Refused::from),
            Self::Networks => strings(value).try_for_each(|text| network(text).map(drop)).map_err(Refused::from),
            _ => Ok(()),
        }
    }

    /// Reads a single value.
    fn scalar(self, value: &Value) -> Result<Value, String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            other => return Err(format!("this is {}, not {}", article(other.type_str()), self.describe())),
        };
        let wrong = || format!("`{text}` is not {}", self.describe());
        match self {
            Self::Count(least, most) => match text.replace('_', "").parse::<u64>() {
                Ok(n) if (least..=most).contains(&n) => i64::try_from(n).map(Value::Integer).map_err(|_| wrong()),
                _ => Err(wrong()),
            },
            Self::Number(most) => match text.parse::<f64>() {
                Ok(x) if x > 0.0 && x <= most => Ok(Value::Float(x)),
                _ => Err(wrong()),
            },
            Self::Flag => text.parse::<bool>().map(Value::Boolean).map_err(|_| wrong()),
            Self::Duration(least) => {
                let millis = i64::try_from(units::duration(&text)?.as_millis()).map_err(|_| wrong())?;
                at_least(millis, least, || format!("`{text}` is too short: at least {least} ms"))
            }
            Self::Size(least) => {
                let bytes = i64::try_from(units::size(&text)?).map_err(|_| wrong())?;
                at_least(bytes, least, || format!("`{text}` is too small: at least {least} bytes"))
            }
            Self::Choice(words) if words.contains(&text.as_str()) => Ok(Value::String(text)),
            Self::Address if text.parse::<SocketAddr>().is_ok() => Ok(Value::String(text)),
            Self::Text | Self::Path if !text.is_empty() => Ok(Value::String(text)),
            Self::NamedText => Ok(Value::String(text)),
            _ => Err(wrong()),
        }
    }

    /// What it is, for errors and for the documentation.
    pub(super) fn describe(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Address => "an address with a port, like `127.0.0.1:8088` or `[::]:8088`".to_owned(),
            Self::Count(least, most) if most == u64::from(u32::MAX) => format!("a whole number from {least}"),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
            Self::Number(most) if most == f64::MAX => "a number above 0".to_owned(),
            Self::Number(most) => format!("a number above 0 and up to {most}"),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Duration(_) => "a duration".to_owned(),
            Self::Size(_) => "a size".to_owned(),
            Self::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
            Self::Texts => "a list of texts".to_owned(),
            Self::Networks => "a list of addresses or networks".to_owned(),
            Self::Extractors => "a list of extractors".to_owned(),
            Self::HostGroups => "a list of tables with `name` and `hosts`".to_owned(),
            Self::RawTopics => "a list of tables with `name`, `format` and `field_map`".to_owned(),
            Self::LogFiles => "a list of tables with `path`, `format` and `field_map`".to_owned(),
            Self::PrivacyRules => "a list of tables with `field`, `name` or `kind`, and `action`".to_owned(),
            Self::NamedFieldMap => "a table of fields".to_owned(),
            Self::NamedReceiver => "a table, see [outputs](#outputs)".to_owned(),
            Self::NamedText => "a text".to_owned(),
        }
    }
}

/// A network, or an address that stands for a network of its own.
pub(super) fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let address = || text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| format!("`{text}` is no address or network, like `10.0.0.0/8`"))
}

/// [`HostGroup`] as it is declared: no unknown fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredGroup {
    name: String,
    hosts: Vec<String>,
}

impl From<DeclaredGroup> for HostGroup {
    fn from(DeclaredGroup { name, hosts }: DeclaredGroup) -> Self {
        Self { name, hosts: hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect() }
    }
}

/// The value, if it has the shape of a `T`.
fn checked<T: for<'de> Deserialize<'de>>(value: Spanned<DeValue<'_>>) -> Result<Value, Refused> {
    T::deserialize(ValueDeserializer::from(value.clone()))?;
    Ok(Value::deserialize(ValueDeserializer::from(value))?)
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn at_least(value: i64, least: u64, wrong: impl Fn() -> String) -> Result<Value, String> {
    if u64::try_from(value).is_ok_and(|value| value >= least) { Ok(Value::Integer(value)) } else { Err(wrong()) }
}

fn article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

/// Reads a secret or a property from the file that holds it, without the line end.
pub(super) fn read_secret_file(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(text.to_owned()) }
}
