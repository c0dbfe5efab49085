//! The one binary: parses the command line, wires libraries together, maps exit codes. It *never* holds logic that a test would want to reach.

mod catalogue;
mod cli;
mod client;
mod commands;
mod console;
mod feedback;
mod installation;
mod openapi;
mod terminal;

use anyhow::Context as _;
use clap::Parser as _;
use cli::{Cli, Command, WrongUse};
use runtime::config::{Config, ConfigErrors, LoadError};
use runtime::telemetry::{self, Service, TelemetryError};
use std::io::Write as _;
use std::process::ExitCode;

/// Exit code when a command failed.
const FAILED: u8 = 1;
/// Exit code when it was used wrongly: unknown arguments, wrong configuration.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told when standard error is gone.
            let _ = writeln!(std::io::stderr(), "weir: {}", chain(&error));
            ExitCode::from(if is_wrong_use(&error) { WRONG_USE } else { FAILED })
        }
    }
}

fn run(Cli { options, command }: Cli) -> anyhow::Result<()> {
    match command {
        Command::Plain(command) => commands::run_plain(command),
        Command::Configured(command) => {
            let sources = options.sources()?;
            let config = Config::resolve(&sources)?;
            let quiet = command.service().is_none().then(|| "warn".to_owned());
            let level = std::env::var(telemetry::LEVEL_VARIABLE).ok().or(quiet);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the async runtime")?;
            let service = command.service().map(|name| Service { name, handle: runtime.handle().clone() });
            let telemetry = telemetry::init(&config, level.as_deref(), service.as_ref())?;
            let ended = runtime.block_on(commands::run_configured(command, config, &sources));
            telemetry.finish();
            ended
        }
    }
}

/// An error and what caused it, in one line; parts that repeat what was said are left out.
fn chain(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

fn is_wrong_use(error: &anyhow::Error) -> bool {
    error.is::<WrongUse>()
        || error.is::<ConfigErrors>()
        || error.is::<LoadError>()
        || matches!(error.downcast_ref(), Some(TelemetryError::Filter { .. }))
}

/// Whether the reader of our output has gone: `weir verdicts | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(broken))
}
