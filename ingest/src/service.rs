//! Ingest as a service: what the configuration says, put together and run.

use crate::decode::Options;
use crate::listener::{self, ListenerOptions, Token};
use crate::masking::MaskingError;
use crate::report::{Counts, Report};
use crate::session::Identities;
use crate::{Preparer, files, raw};
use axum::Router;
use runtime::config::Config;
use runtime::keys::SessionKey;
use runtime::log::{Log, LogError};
use runtime::shutdown::Shutdown;
use runtime::topics::Topics;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Longest wait for requests that are being answered when the service stops.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// Why ingest stopped, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The listener cannot listen.
    #[error("cannot listen on {address}: {error} (`--listen` chooses another address)")]
    Listen {
        /// Address from the configuration (`listen`).
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The listener broke down.
    #[error("the listener broke down: {0}")]
    Serve(std::io::Error),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A topic that gateways are to write themselves is not there.
    #[error("topic `{0}`, which `ingest.topics` names, does not exist: put the name right, or create the topic that the gateway writes to")]
    NoTopic(String),
    /// Masking could not be set up.
    #[error(transparent)]
    Masking(#[from] MaskingError),
    /// The thread that reads raw topics is gone.
    #[error("the reader of raw topics ended unexpectedly")]
    RawTopics,
    /// The thread that follows files is gone.
    #[error("the reader of files ended unexpectedly")]
    Files,
    /// The place in a file cannot be written down.
    #[error("the place in a file cannot be written down: {0}")]
    Place(String),
}

impl Options {
    /// For files given by hand: the format is detected, fields that extractors ask for are taken along.
    #[must_use]
    pub fn configured(config: &Config) -> Self {
        Self { fields: Identities::configured(config).fields(), ..Self::default() }
    }
}

impl Preparer {
    /// For exchanges that are to be written, as the configuration wants them.
    ///
    /// # Errors
    /// Never in practice; see [`Preparer::new`].
    pub fn configured(config: &Config, key: &SessionKey) -> Result<Self, MaskingError> {
        Self::new(Identities::configured(config), &config.privacy.rules, key.as_bytes())
    }
}

/// Listens on the configured address (`listen`).
///
/// # Errors
/// The address cannot be listened on.
pub async fn listen(config: &Config) -> Result<TcpListener, IngestError> {
    let address = config.listen;
    let listen = |error| IngestError::Listen { address, error };
    let socket = TcpListener::bind(address).await.map_err(listen)?;
    tracing::info!(address = %socket.local_addr().map_err(listen)?, "listening for exchanges");
    Ok(socket)
}

/// Answers requests until it is to stop; requests that are being answered then are finished, for at most 10 s.
///
/// # Errors
/// The listener breaks down.
pub async fn serve(socket: TcpListener, routes: Router, shutdown: Shutdown) -> Result<(), IngestError> {
    let stop = shutdown.clone();
    let serving = axum::serve(socket, routes).with_graceful_shutdown(async move { stop.cancelled().await });
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(FINISH_WITHIN).await;
    };
    tokio::select! {
        served = serving => served.map_err(IngestError::Serve),
        () = overdue => {
            tracing::warn!("stopped with requests unanswered: their senders took too long");
            Ok(())
        }
    }
}

/// Ingest as the configuration wants it; clones are the same ingest.
#[derive(Clone)]
pub struct Ingest {
    pub(crate) config: Arc<Config>,
    pub(crate) key: SessionKey,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) counts: Counts,
}

impl Ingest {
    /// Not running yet. `key`: for hashes of sessions and of what is masked.
    #[must_use]
    pub fn new(config: &Config, key: &SessionKey, log: Arc<dyn Log>) -> Self {
        Self { config: Arc::new(config.clone()), key: key.clone(), log, counts: Counts::default() }
    }

    /// The routes of the listener, to be merged with others.
    ///
    /// # Errors
    /// The log gives no producer.
    pub fn routes(&self) -> Result<Router, IngestError> {
        let config = &self.config;
        let options = ListenerOptions {
            topic: Topics::new(config).traffic,
            token: config.token.as_ref().map(|token| Token::new(token.expose())),
            max_body: config.ingest.max_body,
            max_pending: config.ingest.max_pending,
            decoding: Options::configured(config),
            field_maps: config.ingest.field_maps.clone(),
        };
        Ok(listener::router(options, Preparer::configured(config, &self.key)?, self.log.producer(None)?, self.counts.clone()))
    }

    /// Reads the topics that gateways write themselves and the files that they write, and tells on the status topic how ingest fares, until it
    /// is to stop.
    ///
    /// # Errors
    /// One of them cannot start or breaks down; the others are stopped then.
    pub async fn read(self, shutdown: Shutdown) -> Result<(), IngestError> {
        let report = Report::new(&self.config, self.counts.clone(), &*self.log)?;
        let stop = shutdown.clone();
        let reporting = tokio::task::spawn_blocking(move || report.run(&stop));
        let topics = failing_stops(raw::run(&self, shutdown.clone()), &shutdown);
        let files = failing_stops(files::run(&self, shutdown.clone()), &shutdown);
        let (topics, files, report) = tokio::join!(topics, files, reporting);
        let read = topics.and(files);
        if let (Ok(()), Ok(report)) = (&read, report) {
            // Whether these last words arrive does not matter.
            let _ = tokio::task::spawn_blocking(move || report.end()).await;
        }
        read
    }

    /// Runs the whole of ingest: the listener, and what [`Ingest::read`] does.
    ///
    /// # Errors
    /// One of them cannot start or breaks down; the other is stopped then.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), IngestError> {
        let routes = self.routes()?;
        let socket = listen(&self.config).await?;
        let listener = async {
            let ended = serve(socket, routes, shutdown.clone()).await;
            shutdown.cancel();
            ended
        };
        let (listener, read) = tokio::join!(listener, failing_stops(self.read(shutdown.clone()), &shutdown));
        listener.and(read)
    }
}

/// Runs a part; if it fails, the others are to stop.
async fn failing_stops(part: impl Future<Output = Result<(), IngestError>>, shutdown: &Shutdown) -> Result<(), IngestError> {
    let ended = part.await;
    if ended.is_err() {
        shutdown.cancel();
    }
    ended
}
