//! The configuration as it came to be, for a person: key, value, who said so.

use super::keys::KEYS;
use super::problem::{ConfigErrors, Origin};
use super::secret::REDACTED;
use super::source::{Settings, Sources, is_secret};
use super::units::{written_duration, written_size};
use super::{Config, kind::Kind};
use toml::Value;

/// One setting, ready to be shown. Secrets are redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Key, dotted.
    pub key: String,
    /// Value, as TOML.
    pub value: String,
    /// Who said so.
    pub origin: Origin,
}

/// Every setting that has a value, in the order of the documentation.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub fn show(sources: &Sources) -> Result<Vec<Shown>, ConfigErrors> {
    Config::resolve(sources)?;
    let settings = Settings::gather(sources);
    let mut shown = Vec::new();
    for key in KEYS {
        let below = format!("{}.", key.path);
        for (path, setting) in
            settings.given.iter().filter(|(path, _)| *path == key.path || (key.kind.is_named() && path.starts_with(&below)))
        {
            let value = if is_secret(path) { format!("\"{REDACTED}\"") } else { as_written(key.kind, &setting.value) };
            shown.push(Shown { key: path.clone(), value, origin: setting.origin.clone() });
        }
    }
    Ok(shown)
}

fn as_written(kind: Kind, value: &Value) -> String {
    match (kind, value.as_integer()) {
        (Kind::Duration(_), Some(millis)) => format!("\"{}\"", written_duration(millis.unsigned_abs())),
        (Kind::Size(_), Some(bytes)) => format!("\"{}\"", written_size(bytes.unsigned_abs())),
        _ => value.to_string(),
    }
}
