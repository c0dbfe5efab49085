//! `weir completions`, `weir man`: what the shell and the manual know of the command line.

use crate::cli::Cli;
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::io::Write as _;

/// Shown below the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  weir completions bash > ~/.local/share/bash-completion/completions/weir
  weir completions zsh  > ~/.zfunc/_weir
  weir completions fish > ~/.config/fish/completions/weir.fish";

/// Arguments of `weir completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

/// Writes the completions of a shell.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "weir", &mut text);
    Ok(std::io::stdout().write_all(&text)?)
}

/// Writes the manual page.
pub(crate) fn man() -> anyhow::Result<()> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut text)?;
    Ok(std::io::stdout().write_all(&text)?)
}
