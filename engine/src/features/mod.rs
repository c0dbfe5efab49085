//! What an exchange looks like to every detector, extracted once, without any model.

pub mod json;

use crate::record::Exchange;
use serde::{Deserialize, Serialize};

/// One exchange, digested: owned, compact, independent of any model. It is what history keeps and what detectors read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Features {
    /// Event time, epoch milliseconds.
    pub time: Option<i64>,
}

impl Features {
    /// Digests an exchange.
    #[must_use]
    pub fn of(exchange: &Exchange<'_>) -> Self {
        Self { time: exchange.time }
    }
}
