//! What runs together in one process.

use anyhow::Context as _;
use runtime::shutdown::Shutdown;
use std::future::Future;
use tokio::task::JoinSet;

/// Parts that run together: the end of one is the end of all.
pub(super) struct Parts {
    set: JoinSet<anyhow::Result<()>>,
    shutdown: Shutdown,
}

impl Parts {
    /// None yet.
    pub(super) fn new(shutdown: Shutdown) -> Self {
        Self { set: JoinSet::new(), shutdown }
    }

    /// Starts one that waits.
    pub(super) fn add<E: Into<anyhow::Error> + Send + 'static>(&mut self, part: impl Future<Output = Result<(), E>> + Send + 'static) {
        self.set.spawn(async move { part.await.map_err(Into::into) });
    }

    /// Starts one that blocks its thread.
    pub(super) fn add_blocking<E: Into<anyhow::Error> + Send + 'static>(&mut self, part: impl FnOnce() -> Result<(), E> + Send + 'static) {
        self.set.spawn_blocking(move || part().map_err(Into::into));
    }

    /// Waits for all; the first error is the one that is told.
    pub(super) async fn finish(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        while let Some(ended) = self.set.join_next().await {
            self.shutdown.cancel();
            let ended = ended.context("a part of the process ended by a panic").and_then(|ended| ended);
            if let Err(error) = &ended {
                tracing::error!(error = format!("{error:#}"), "stopping");
            }
            outcome = outcome.and(ended);
        }
        outcome
    }
}
