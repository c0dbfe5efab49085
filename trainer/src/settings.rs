//! What the trainer is told.

use engine::api::HostGroup;
use engine::{Admission, ApiName, HistoryLimits, LearnConfig, Limits};
use runtime::config::{AlertLevel, Config, Learning, Network};
use runtime::keys::SigningKey;
use runtime::topics::Topics;
use std::sync::Arc;
use std::time::Duration;

/// What the trainer is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names of topics and groups.
    pub topics: Topics,
    /// When the first training of an API starts.
    pub learning: Learning,
    /// Time between trainings.
    pub every: Duration,
    /// Time between trainings whose networks start afresh.
    pub full_every: Duration,
    /// Networks of models.
    pub network: Network,
    /// What is remembered.
    pub history: HistoryLimits,
    /// Bounds of the state in which the active model is watched.
    pub limits: Limits,
    /// Level below which a verdict is anomalous.
    pub alerts: AlertLevel,
    /// Declared groups of hosts.
    pub groups: Vec<HostGroup>,
    /// Templates that discovery of endpoints keeps to.
    pub pins: Vec<String>,
    /// Signs what is published.
    pub sign_key: Arc<SigningKey>,
}

impl Settings {
    /// As configured.
    #[must_use]
    pub fn new(config: &Config, sign_key: SigningKey) -> Self {
        Self {
            topics: Topics::new(config),
            learning: config.learning,
            every: config.training.every,
            full_every: config.training.full_every,
            network: config.network.clone(),
            history: history_limits(config),
            limits: config.state.limits,
            alerts: config.alerts,
            groups: config.apis.clone(),
            pins: config.pins.clone(),
            sign_key: Arc::new(sign_key),
        }
    }

    /// What one training is told.
    pub(crate) fn learn_config(&self, apis: Vec<ApiName>, label: String, admitted: Vec<Admission>) -> LearnConfig {
        LearnConfig { admitted, pins: self.pins.clone(), ..learn_config(self.alerts, self.groups.clone(), Some(apis), label) }
    }
}

/// Bounds of the history, as configured.
#[must_use]
pub fn history_limits(config: &Config) -> HistoryLimits {
    HistoryLimits {
        max_exchanges: config.history.max_exchanges,
        max_bytes: config.history.max_bytes,
        keep_ms: i64::try_from(config.history.keep.as_millis()).unwrap_or(i64::MAX),
    }
}

/// What learning is told. `apis`: all that the history holds if `None`.
#[must_use]
pub fn learn_config(alerts: AlertLevel, groups: Vec<HostGroup>, apis: Option<Vec<ApiName>>, label: String) -> LearnConfig {
    let default = LearnConfig::default();
    let (alpha, alerts_per_day) = match alerts {
        AlertLevel::Alpha(alpha) => (alpha, None),
        AlertLevel::PerDay(budget) => (default.alpha, Some(budget)),
    };
    LearnConfig { alpha, alerts_per_day, groups, apis, label, ..default }
}
