//! `weir config`: what is configured, and whether it is right.

use runtime::config::{Config, Sources, markdown, show};
use std::io::Write as _;

/// What to do with the configuration.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Prints every value and where it comes from, without secrets.
    #[command(after_help = "Example:\n  weir config show --set learning.requests=5000")]
    Show,
    /// Says everything that is wrong at once; exit code 2 if anything is.
    #[command(after_help = "Example:\n  weir config check --config /etc/weir/weir.toml")]
    Check,
    /// Prints docs/configuration.md.
    #[command(hide = true)]
    Docs,
}

/// Shows or checks the configuration, which has been understood by now.
pub(crate) fn run(command: &Command, config: &Config, sources: &Sources) -> anyhow::Result<()> {
    match command {
        Command::Show => print(sources),
        Command::Check => summarise(config, sources),
        Command::Docs => Ok(std::io::stdout().write_all(markdown().as_bytes())?),
    }
}

fn print(sources: &Sources) -> anyhow::Result<()> {
    let shown = show(sources)?;
    let mut out = std::io::stdout().lock();
    for setting in shown {
        writeln!(out, "{:<60}  # {}", format!("{} = {}", setting.key, setting.value), setting.origin)?;
    }
    Ok(())
}

fn summarise(config: &Config, sources: &Sources) -> anyhow::Result<()> {
    let file = sources.file.as_ref().map_or_else(|| "no file".to_owned(), |(path, _)| path.display().to_string());
    let log = config
        .kafka
        .brokers
        .as_deref()
        .map_or_else(|| format!("embedded in {}", config.data.display()), |brokers| format!("Kafka at {brokers}"));
    Ok(writeln!(std::io::stdout(), "the configuration is right: {file}, log {log}, listening on {}", config.listen)?)
}
