//! `weir ingest`, `weir score`, `weir train`, `weir forward`: one service each, on Kafka.

use super::parts::Parts;
use crate::cli::WrongUse;
use crate::installation;
use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use runtime::config::Config;
use runtime::keys::{SessionKey, SigningKey, TrustedKeys};
use runtime::shutdown::Shutdown;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// Examples of `weir score`.
pub(crate) const SCORE_EXAMPLES: &str = "Example:\n  weir score --brokers localhost:9092 --set instance=scorer-1";
/// Examples of `weir train`.
pub(crate) const TRAIN_EXAMPLES: &str = "Example:\n  weir train --brokers localhost:9092";

/// Examples of `weir forward`.
pub(crate) const FORWARD_EXAMPLES: &str =
    "Example:\n  weir forward --brokers localhost:9092 --set 'outputs.siem={ to = \"syslog+tls://siem.example:6514\", format = \"cef\" }'";

/// Arguments of every service.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to answer GET /healthz while the service runs [default: nowhere].
    #[arg(long, value_name = "ADDR")]
    health: Option<SocketAddr>,
}

/// Which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Ingest,
    Score,
    Train,
    Forward,
}

/// Runs a service until it is asked to stop.
pub(crate) async fn run(service: Service, args: &Args, config: Config) -> anyhow::Result<()> {
    config.brokers()?;
    if service == Service::Forward && !egress::Settings::new(&config).has_work() {
        let what =
            "there is nothing to forward to: write `[outputs.NAME]` with `to = …` (docs/configuration.md), or set `blocklist.addresses`";
        return Err(WrongUse(what.to_owned()).into());
    }
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("listening to signals")?;
    let health = match args.health {
        None => None,
        Some(address) => Some(TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?),
    };
    let log = tokio::task::block_in_place(|| installation::kafka_with_topics(&config))?;
    let answering = health.map(|socket| tokio::spawn(answer(socket)));
    let keys = config.key_files();
    tracing::info!(instance = config.instance, "{} starts", service.name());
    let ended = match service {
        Service::Ingest => {
            ingest::Ingest::new(&config, &SessionKey::load(&keys.session)?, log).run(shutdown).await.map_err(anyhow::Error::from)
        }
        Service::Score => {
            let settings = scorer::Settings::new(&config, TrustedKeys::load(&keys.public)?);
            let mut parts = Parts::new(shutdown.clone());
            let (gathering, its_log, its_shutdown) = (settings.clone(), Arc::clone(&log), shutdown.clone());
            parts.add_blocking(move || scorer::run_fact_stage(&gathering, &its_log, &its_shutdown));
            parts.add_blocking(move || scorer::run(&settings, &log, &shutdown));
            parts.finish().await
        }
        Service::Train => {
            let settings = trainer::Settings::new(&config, SigningKey::load(&keys.sign)?);
            tokio::task::spawn_blocking(move || trainer::run(&settings, &log, &shutdown)).await?.map_err(anyhow::Error::from)
        }
        Service::Forward => {
            let (settings, handle) = (egress::Settings::new(&config), Handle::current());
            tokio::task::spawn_blocking(move || egress::run(&settings, &log, &handle, &shutdown)).await?.map_err(anyhow::Error::from)
        }
    };
    if let Some(answering) = answering {
        answering.abort();
    }
    ended
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Score => "scorer",
            Self::Train => "trainer",
            Self::Forward => "egress",
        }
    }
}

async fn answer(socket: TcpListener) {
    let routes = Router::new().route("/healthz", get(|| async { "ok\n" }));
    if let Err(error) = axum::serve(socket, routes).await {
        tracing::warn!(%error, "health is not answered any more");
    }
}
