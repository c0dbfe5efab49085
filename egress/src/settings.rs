//! What egress is told.

use runtime::clock::{Clock, now_ms};
use runtime::config::{Blocklist, Config, Receiver};
use runtime::topics::Topics;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What egress is told.
#[derive(Clone)]
pub struct Settings {
    /// Names of topics and groups.
    pub topics: Topics,
    /// Stable name of this process.
    pub instance: String,
    /// Receivers by name.
    pub outputs: BTreeMap<String, Receiver>,
    /// What is put on the block list.
    pub blocklist: Blocklist,
    /// Whether dead letters hold the bytes themselves.
    pub keep_dead_letters: bool,
    /// First pause before a delivery is tried again; it doubles.
    pub first_pause: Duration,
    /// For time stamps of syslog and webhooks, and for when entries of the block list end.
    pub clock: Clock,
}

impl Settings {
    /// As configured, by the system's clock.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            topics: Topics::new(config),
            instance: config.instance.clone(),
            outputs: config.outputs.clone(),
            blocklist: config.blocklist.clone(),
            keep_dead_letters: config.deadletter.keep,
            first_pause: Duration::from_millis(500),
            clock: Arc::new(now_ms),
        }
    }

    /// Whether anything is to be forwarded or blocked.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.outputs.is_empty() || self.has_blocklist()
    }

    /// Whether the block list is kept.
    pub(crate) fn has_blocklist(&self) -> bool {
        self.blocklist.addresses || self.blocklist.tokens
    }
}
