//! The ways out: syslog, webhook, file. Each takes messages in order and says how far it came.

mod file;
mod network;
mod syslog;
mod webhook;

use crate::message::Message;
use crate::settings::Settings;
use file::File;
use runtime::config::{Receiver as Declared, Target};
use std::path::PathBuf;
use std::time::Duration;
use syslog::Syslog;
use webhook::Webhook;

/// A receiver that cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file holds something else.
    #[error("{}: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never its content.
        why: String,
    },
    /// The address cannot be used.
    #[error("`{0}` is no address of a receiver")]
    Address(String),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(String),
}

/// How far a receiver came with some messages.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// So many, from the first on, have come to their end: taken or refused.
    pub(crate) done: usize,
    /// Which of them were refused for good.
    pub(crate) refused: Vec<Refused>,
    /// Why it went no further. `None` with some left: it is another's turn, go on.
    pub(crate) trouble: Option<Trouble>,
}

/// A message that the receiver will never take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Number among those handed in.
    pub(crate) index: usize,
    /// What it said.
    pub(crate) why: String,
}

/// Why a delivery failed that may go well later.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// What went wrong.
    pub(crate) why: String,
    /// How long the receiver asks to be left alone.
    pub(crate) wait: Option<Duration>,
}

impl Trouble {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), wait: None }
    }
}

impl Delivery {
    fn all(messages: &[Message]) -> Self {
        Self { done: messages.len(), ..Self::default() }
    }

    fn none(trouble: Trouble) -> Self {
        Self { trouble: Some(trouble), ..Self::default() }
    }
}

/// A way out.
pub(crate) enum Receiver {
    Syslog(Syslog),
    Webhook(Box<Webhook>),
    File(File),
}

impl Receiver {
    /// Makes ready; connects to nobody yet.
    pub(crate) fn open(settings: &Settings, declared: &Declared) -> Result<Self, OpenError> {
        Ok(match &declared.to {
            Target::Syslog { transport, host, port } => {
                let address = network::Address { host: host.clone(), port: *port };
                Self::Syslog(Syslog::open(address, transport, &settings.instance, declared.timeout)?)
            }
            Target::Webhook { .. } => Self::Webhook(Box::new(Webhook::open(declared, settings.clock.clone())?)),
            Target::File { path, max_bytes, keep_files } => Self::File(File::open(path, *max_bytes, *keep_files)),
        })
    }

    /// Hands messages over, in order.
    pub(crate) async fn deliver(&mut self, messages: &[Message]) -> Delivery {
        match self {
            Self::Syslog(syslog) => syslog.deliver(messages).await,
            Self::Webhook(webhook) => webhook.deliver(messages).await,
            Self::File(file) => file.deliver(messages),
        }
    }
}
