//! Verdicts and alerts on their way out of Weir: syslog, webhooks, files, and the block list that gateways read.
//!
//! It *never* slows scoring (each receiver reads the topics in a consumer group of its own), never commits a position before the receiver has
//! taken the records before it, and never lets text of an exchange, which attackers write, end a line or a field.
//!
//! Reading order: [`run`] starts a thread for each receiver; a `Forwarder` is its loop: poll, encode, deliver, commit; an `Event` is what a
//! record says, `cef` and `ecs` are how it is said; `receiver` is the three ways out.

mod backoff;
mod blocklist;
mod cef;
mod ecs;
mod event;
mod forward;
mod message;
mod metrics;
mod receiver;
mod settings;

pub use receiver::OpenError;
pub use settings::Settings;

use blocklist::Keeper;
use forward::Forwarder;
use runtime::log::{Log, LogError};
use runtime::shutdown::Shutdown;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;

/// Longest wait before the supervising thread looks again.
const LOOK: Duration = Duration::from_millis(100);

/// Why forwarding ended.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The log cannot be used.
    #[error("egress: {0}")]
    Log(#[from] LogError),
    /// A receiver cannot be used as it is configured.
    #[error("output `{name}`: {why}")]
    Open {
        /// Its name.
        name: String,
        /// What is wrong.
        why: OpenError,
    },
    /// Another process forwards under our name.
    #[error("egress: another process has taken over: {0}")]
    Fenced(String),
    /// A record could not be written.
    #[error("egress: encoding a record: {0}")]
    Encode(#[from] serde_json::Error),
    /// A thread ended in a way that no thread should.
    #[error("egress: {0}")]
    Thread(String),
}

/// Forwards until asked to stop. Blocks; starts a thread for each receiver, and one for the block list where it is configured. Deliveries
/// run on `handle`.
///
/// # Errors
/// A receiver is configured wrongly, the log fails for good, or another process has taken over our name. A receiver that is down is no
/// error: it is tried again.
pub fn run(settings: &Settings, log: &Arc<dyn Log>, handle: &Handle, shutdown: &Shutdown) -> Result<(), EgressError> {
    let forwarders = settings.outputs.iter().map(|(name, output)| Forwarder::open(settings, name, output, &**log));
    let forwarders: Vec<Forwarder> = forwarders.collect::<Result<_, _>>()?;
    let keeper = settings.has_blocklist().then(|| Keeper::open(settings, &**log)).transpose()?;
    std::thread::scope(|scope| {
        let mut threads: Vec<_> = forwarders.into_iter().map(|forwarder| scope.spawn(move || forwarder.run(handle, shutdown))).collect();
        threads.extend(keeper.map(|keeper| scope.spawn(move || keeper.run(shutdown))));
        while !threads.iter().all(ScopedJoinHandle::is_finished) {
            if threads.iter().any(ScopedJoinHandle::is_finished) {
                shutdown.cancel();
            }
            std::thread::sleep(LOOK);
        }
        threads.into_iter().map(end).fold(Ok(()), Result::and)
    })
}

fn end(thread: ScopedJoinHandle<'_, Result<(), EgressError>>) -> Result<(), EgressError> {
    thread.join().unwrap_or_else(|_| Err(EgressError::Thread("a thread ended by a panic".to_owned())))
}
