//! What the program says of itself: its log, as lines on standard error, and, for services, metrics, traces and logs over OTLP.
//!
//! Metrics are made where things happen, with `opentelemetry::global::meter`; they cost next to nothing while nobody listens.

mod client;
mod otlp;
pub mod trace;

pub use otlp::Service;

use crate::config::{Config, LogFormat};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use otlp::Providers;
use std::io::IsTerminal as _;
use tracing::Metadata;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer as _};

/// Environment variable that says what is logged, before `log.level`.
pub const LEVEL_VARIABLE: &str = "WEIR_LOG";

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be understood.
    #[error(
        "`{filter}` (WEIR_LOG or `log.level`) says not what to log: write a level, like `info`, or levels by module, like `info,runtime=debug`"
    )]
    Filter {
        /// As written.
        filter: String,
        /// What the parser said.
        source: tracing_subscriber::filter::ParseError,
    },
    /// There is a log already.
    #[error("the log is set up already")]
    Twice(#[from] TryInitError),
    /// What would send metrics, traces and logs cannot be set up.
    #[error("telemetry (`telemetry.endpoint`, OTEL_EXPORTER_OTLP_*): {0}")]
    Otlp(String),
}

/// What was set up; [`Self::finish`] is for the end of the process.
#[derive(Debug)]
pub struct Telemetry(Providers);

impl Telemetry {
    /// Sends what is still to be sent. Blocks, for some seconds at most.
    pub fn finish(self) {
        self.0.finish();
    }
}

/// Sets up the log of this process, and, for a service, what it sends. `level` goes before the configured one (it is the value of `WEIR_LOG`).
///
/// # Errors
/// The filter cannot be understood, the log is set up already, or an exporter cannot be set up.
pub fn init(config: &Config, level: Option<&str>, service: Option<&Service>) -> Result<Telemetry, TelemetryError> {
    let filter = parse_filter(level.unwrap_or(&config.log.level))?;
    let providers = service.map(|service| Providers::open(config, service)).transpose()?.unwrap_or_default();
    let terminal = std::io::stderr().is_terminal();
    let json = match config.log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(terminal);
    let lines = if json { lines.json().flatten_event(true).boxed() } else { lines.with_target(false).boxed() };
    let sent = providers.logs.as_ref().map(|logs| OpenTelemetryTracingBridge::new(logs).with_filter(filter_fn(is_ours)));
    tracing_subscriber::registry().with(filter).with(lines).with(sent).try_init()?;
    Ok(Telemetry(providers))
}

/// Not what sending itself says: sending that would never end.
fn is_ours(event: &Metadata<'_>) -> bool {
    let senders = ["opentelemetry", "hyper", "rustls", "h2", "tower"];
    !senders.iter().any(|sender| event.target().starts_with(sender))
}

fn parse_filter(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(filter).map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_understood_or_refused() {
        for filter in ["info", "debug,fjall=warn", "runtime::log=trace"] {
            assert!(parse_filter(filter).is_ok(), "{filter}");
        }
        let error = parse_filter("info,runtime=loud").unwrap_err().to_string();
        assert!(error.contains("`info,runtime=loud`") && error.contains("WEIR_LOG"), "{error}");
    }
}
