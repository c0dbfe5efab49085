//! What the scorer is told.

use engine::{ClientIp, Limits};
use runtime::clock::{Clock, now_ms};
use runtime::config::{Config, Network};
use runtime::keys::TrustedKeys;
use runtime::topics::Topics;
use std::sync::Arc;
use std::time::Duration;

/// What the scorer is told.
#[derive(Clone)]
pub struct Settings {
    /// Names of topics and groups.
    pub topics: Topics,
    /// Stable name of this process.
    pub instance: String,
    /// Worker threads.
    pub workers: usize,
    /// Caps of the tables of a partition.
    pub limits: Limits,
    /// Longest time between checkpoints.
    pub checkpoint: Duration,
    /// Whether dead letters hold the bytes themselves.
    pub keep_dead_letters: bool,
    /// How verdicts show client addresses.
    pub client_ip: ClientIp,
    /// Whether models are judged with their networks, and by which library.
    pub network: Network,
    /// Who may publish models.
    pub trusted: TrustedKeys,
    /// When a checkpoint is due and a partition idle.
    pub clock: Clock,
}

impl Settings {
    /// As configured, by the system's clock.
    #[must_use]
    pub fn new(config: &Config, trusted: TrustedKeys) -> Self {
        Self {
            topics: Topics::new(config),
            instance: config.instance.clone(),
            workers: config.scorer.workers,
            limits: config.state.limits,
            checkpoint: config.state.checkpoint,
            keep_dead_letters: config.deadletter.keep,
            client_ip: config.privacy.client_ip,
            network: config.network.clone(),
            trusted,
            clock: Arc::new(now_ms),
        }
    }
}
