//! The one binary: parses, wires, maps exit codes. It *never* holds logic that a library's test would want to reach.

mod commands;
mod terminal;

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

/// API security by unsupervised learning.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Learn from some files and judge others, without any service.
    Backtest(commands::backtest::Args),
    /// Simulate a web shop, its users and its attackers: NDJSON and labels.csv.
    Simulate(commands::simulate::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Backtest(args) => commands::backtest::run(args),
        Command::Simulate(args) => commands::simulate::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "weir: {error:#}");
            ExitCode::FAILURE
        }
    }
}
