//! The program's own log: lines on standard error.

use crate::config::{LogFormat, LogOutput};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

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
}

/// Sets up the log of this process. `level` goes before the configured one (it is the value of `WEIR_LOG`).
///
/// # Errors
/// The filter cannot be understood, or the log is set up already.
pub fn init(output: &LogOutput, level: Option<&str>) -> Result<(), TelemetryError> {
    let filter = parse_filter(level.unwrap_or(&output.level))?;
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal);
    let json = match output.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    if json {
        lines.json().flatten_event(true).finish().try_init()?;
    } else {
        lines.with_target(false).finish().try_init()?;
    }
    Ok(())
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
