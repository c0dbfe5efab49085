//! The wish to stop, handed from a signal to everything that runs.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A wish to stop, shared by all its clones. Once asked for, it stays.
#[derive(Debug, Clone)]
pub struct Shutdown {
    asked: Arc<watch::Sender<bool>>,
}

/// Exit code after a second Ctrl-C.
const INTERRUPTED: i32 = 130;

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// Nobody wants to stop yet.
    #[must_use]
    pub fn new() -> Self {
        Self { asked: Arc::new(watch::Sender::new(false)) }
    }

    /// Asks everything to stop.
    pub fn cancel(&self) {
        self.asked.send_replace(true);
    }

    /// Whether stopping was asked for. For threads that poll.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.asked.borrow()
    }

    /// Waits until stopping is asked for.
    pub async fn cancelled(&self) {
        // The sender lives in `self`, so waiting ends only by the wish to stop.
        let _ = self.asked.subscribe().wait_for(|asked| *asked).await;
    }

    /// Waits for a time, or less if stopping is asked for before; returns whether it was.
    pub async fn cancelled_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.cancelled()).await.is_ok()
    }

    /// Listens to Ctrl-C and SIGTERM from now on: the first asks to stop, a second Ctrl-C ends the process at once with exit code 130.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The system refuses to hand over signals.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let mut interrupt = Signal::interrupt()?;
        let mut terminate = Signal::terminate()?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            let first = tokio::select! {
                () = interrupt.next() => "Ctrl-C",
                () = terminate.next() => "SIGTERM",
            };
            tracing::info!(signal = first, "stopping; Ctrl-C again ends at once");
            shutdown.cancel();
            interrupt.next().await;
            tracing::warn!("ended at once; what was acknowledged is in the log and is read again at the next start");
            std::process::exit(INTERRUPTED);
        });
        Ok(())
    }
}

/// One kind of signal, waited for again and again.
struct Signal(tokio::signal::unix::Signal);

impl Signal {
    fn interrupt() -> std::io::Result<Self> {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).map(Self)
    }

    fn terminate() -> std::io::Result<Self> {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map(Self)
    }

    async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_clones_hear_it_and_it_stays() {
        let shutdown = Shutdown::new();
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.cancelled().await }
        });
        assert!(!shutdown.is_cancelled());
        assert!(!shutdown.cancelled_within(Duration::ZERO).await);

        shutdown.clone().cancel();
        waiting.await.unwrap();
        assert!(shutdown.is_cancelled());
        assert!(shutdown.cancelled_within(Duration::MAX).await);
    }
}
