//! `weir up`: ingest, scorer, trainer and outputs in one process.

use super::parts::Parts;
use crate::console::board::Board;
use crate::console::routes;
use crate::installation::{Keys, OpenLog, open_log};
use anyhow::Context as _;
use ingest::Ingest;
use runtime::clock::now_ms;
use runtime::config::Config;
use runtime::log::embedded::EmbeddedLog;
use runtime::shutdown::Shutdown;
use runtime::topics::Topics;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Time between two runs of retention and compaction.
const MAINTAIN_EVERY: Duration = Duration::from_secs(10);

/// Examples for `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  weir up
  curl --data-binary @exchanges.ndjson http://127.0.0.1:8088/v1/exchanges
  weir status
  weir verdicts --follow --label anomalous";

/// Runs until Ctrl-C or SIGTERM.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("listening to signals")?;
    let installation = Installation::open(config)?;
    let socket = ingest::listen(&installation.config).await?;
    installation.greet(socket.local_addr()?)?;
    installation.serve(socket, shutdown).await
}

/// An open log with its keys: what all services of a process share.
pub(crate) struct Installation {
    pub(crate) config: Config,
    pub(crate) topics: Topics,
    pub(crate) open: OpenLog,
    keys: Keys,
}

impl Installation {
    /// Opens the log, makes what is missing: topics and keys.
    pub(crate) fn open(config: Config) -> anyhow::Result<Self> {
        let keys = Keys::load_or_create(&config)?;
        let topics = Topics::new(&config);
        let open = open_log(&config, &topics)?;
        open.log.create_topics(topics.specs())?;
        Ok(Self { config, topics, open, keys })
    }

    /// Its keys.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    fn greet(&self, address: std::net::SocketAddr) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        let log = self.config.kafka.brokers.as_ref().map_or_else(|| self.config.data.display().to_string(), |b| format!("Kafka at {b}"));
        writeln!(out, "Weir is up. Log: {log}. Send exchanges to http://{address}/v1/exchanges; stop with Ctrl-C.")?;
        out.flush()
    }

    /// Serves everything until asked to stop, or until one part fails; then the others stop too.
    pub(crate) async fn serve(self, socket: tokio::net::TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { config, topics, open: OpenLog { log, embedded }, keys } = self;
        let board = Board::default();
        let ingest = Ingest::new(&config, &keys.session, Arc::clone(&log));
        let app = ingest.routes()?.merge(routes(&config, board.clone(), Arc::clone(&log), shutdown.clone()));
        let mut parts = Parts::new(shutdown.clone());

        parts.add(ingest::serve(socket, app, shutdown.clone()));
        parts.add(ingest.read(shutdown.clone()));
        let scoring = scorer::Settings::new(&config, keys.trusted);
        let (gathering, its_log, its_shutdown) = (scoring.clone(), Arc::clone(&log), shutdown.clone());
        parts.add_blocking(move || scorer::run_fact_stage(&gathering, &its_log, &its_shutdown));
        let (its_log, its_shutdown) = (Arc::clone(&log), shutdown.clone());
        parts.add_blocking(move || scorer::run(&scoring, &its_log, &its_shutdown));
        let training = trainer::Settings::new(&config, keys.sign);
        let (its_log, its_shutdown) = (Arc::clone(&log), shutdown.clone());
        parts.add_blocking(move || trainer::run(&training, &its_log, &its_shutdown));
        let (its_log, its_shutdown, status) = (Arc::clone(&log), shutdown.clone(), Arc::clone(&topics.status));
        parts.add_blocking(move || board.follow(&*its_log, &status, &its_shutdown));
        let forwarding = egress::Settings::new(&config);
        if forwarding.has_work() {
            let (its_log, its_shutdown, handle) = (Arc::clone(&log), shutdown.clone(), Handle::current());
            parts.add_blocking(move || egress::run(&forwarding, &its_log, &handle, &its_shutdown));
        }
        if let Some(embedded) = embedded {
            parts.add(maintain(embedded, shutdown));
        }
        parts.finish().await
    }
}

/// Retention and compaction of the embedded log, now and then and at the end.
async fn maintain(log: EmbeddedLog, shutdown: Shutdown) -> anyhow::Result<()> {
    loop {
        let is_last = shutdown.cancelled_within(MAINTAIN_EVERY).await;
        let log = log.clone();
        let done = tokio::task::spawn_blocking(move || log.maintain(now_ms())).await.context("maintaining the log")??;
        tracing::debug!(expired = done.expired, compacted = done.compacted, "maintained the log");
        if is_last {
            return Ok(());
        }
    }
}
