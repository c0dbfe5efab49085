//! From history to a model.

use crate::api::HostGroup;
use crate::history::History;
use crate::model::Model;
use serde::{Deserialize, Serialize};

/// What training is told.
#[derive(Debug, Clone)]
pub struct LearnConfig {
    /// Level below which a verdict is anomalous (configured; the model may have to raise it).
    pub alpha: f64,
    /// Alert budget a day from which `alpha` is derived instead.
    pub alerts_per_day: Option<f64>,
    /// Declared host groups.
    pub groups: Vec<HostGroup>,
    /// APIs to learn; `None`: all that the history holds.
    pub apis: Option<Vec<crate::record::ApiName>>,
    /// Label of the model (`v12`).
    pub label: String,
}

impl Default for LearnConfig {
    fn default() -> Self {
        Self { alpha: 1e-4, alerts_per_day: None, groups: Vec::new(), apis: None, label: "v1".to_owned() }
    }
}

/// How far training is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done.
    pub phase: &'static str,
    /// 0 to 1 over the whole training.
    pub done: f64,
}

/// Why training made no model.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// Nothing to learn from.
    #[error("nothing to learn from: the history is empty")]
    Empty,
}

/// Learns a model from a history. Deterministic: the same history in the same order gives the same model bytes.
///
/// # Errors
/// The history is empty.
pub fn learn(history: &History, config: &LearnConfig, _progress: &mut dyn FnMut(Progress)) -> Result<Model, LearnError> {
    if history.is_empty() {
        return Err(LearnError::Empty);
    }
    Ok(Model { label: config.label.clone() })
}
