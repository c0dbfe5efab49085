//! Values that must never reach a log, an error or a terminal.

use std::collections::BTreeMap;
use std::fmt;

/// A secret. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// What stands in place of a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// Properties of the Kafka client, by librdkafka's names. `Debug` shows no credential.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KafkaProperties(BTreeMap<String, String>);

impl KafkaProperties {
    /// By name.
    #[must_use]
    pub fn new(properties: BTreeMap<String, String>) -> Self {
        Self(properties)
    }

    /// Name and value of each, credentials in clear, for the client that needs them.
    pub fn expose(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for KafkaProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| (name, if is_credential(name) { REDACTED } else { value.as_str() }));
        f.debug_map().entries(shown).finish()
    }
}

/// Whether a client property of this name holds a credential.
pub(super) fn is_credential(property: &str) -> bool {
    let property = property.to_ascii_lowercase();
    ["password", "secret", "token", "credential", "jaas", "oauthbearer.config", "key.pem"].iter().any(|part| property.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {secret}"), "[redacted] [redacted]");
        assert_eq!(secret.expose(), "hunter2");

        let properties =
            [("sasl.username", "weir"), ("sasl.password", "hunter2"), ("ssl.key.pem", "hunter2"), ("ssl.key.password", "hunter2")];
        let properties = KafkaProperties::new(properties.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        let shown = format!("{properties:?}");
        assert!(shown.contains("\"sasl.username\": \"weir\""), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
