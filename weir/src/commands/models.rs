//! `weir models`: versions on the models topic, and which one is active.

use super::look::{Source, find_to_post};
use crate::catalogue::{self, Action};
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use runtime::config::Config;
use runtime::model_file;
use std::io::Write as _;
use std::path::PathBuf;

/// What to do with models. A version is named by its label (`v12`), its id, or the beginning of its id.
///
/// Importing, promoting and rolling back need the signing key. A trainer that runs goes on from there: its next training (`training.every`)
/// learns from the same history, and what comes of it takes over by itself unless the gates find it worse than the model that judges. So
/// long a rollback lasts.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Lists the versions, newest last.
    #[command(after_help = "Example:\n  weir models list")]
    List,
    /// Prints the manifest of a version.
    #[command(after_help = "Example:\n  weir models show v12")]
    Show(Named),
    /// Lets two versions judge the recent history, and says whether the second may take over from the first.
    #[command(after_help = "Example:\n  weir models compare v11 v12")]
    Compare {
        /// Label or id of the champion.
        champion: String,
        /// Label or id of the challenger.
        challenger: String,
    },
    /// Writes a version to a file.
    #[command(after_help = "Example:\n  weir models export v12 --out v12.weir")]
    Export(Export),
    /// Publishes a version from a file and makes it active.
    #[command(after_help = "Example:\n  weir models import v12.weir")]
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Makes a version active.
    #[command(after_help = "Example:\n  weir models promote v12")]
    Promote(Named),
    /// Makes the version before the active one active again, or the one that is named; until the next training brings one that may take over.
    ///
    /// Each time it goes one version further back, never to one that was published after the active one.
    #[command(after_help = "Example:\n  weir models rollback")]
    Rollback {
        /// Label or id [default: the version before the active one].
        version: Option<String>,
    },
}

/// A version by name.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// Label or id.
    version: String,
}

/// Arguments of `weir models export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Label or id.
    version: String,
    /// The file [default: LABEL.weir].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Does it: asks the `weir up` that holds the data directory, or opens the log itself.
pub(crate) async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let (action, file) = command.action()?;
    let done = match find_to_post(config, "/v1/models", serde_json::to_vec(&action)?).await? {
        Source::Running(answer) => answer.bytes().await?.to_vec(),
        Source::Log { log, .. } => tokio::task::block_in_place(|| catalogue::perform(&action, &log, config))?,
    };
    let mut out = std::io::stdout().lock();
    match file {
        None => out.write_all(&done)?,
        Some(path) => {
            let path = match path {
                Some(path) => path,
                None => default_name(&done)?,
            };
            std::fs::write(&path, done).with_context(|| format!("writing {}", path.display()))?;
            writeln!(out, "{}", path.display())?;
        }
    }
    Ok(())
}

impl Command {
    /// What is to be done; and for an export, the file that it goes to, if one is named.
    fn action(self) -> anyhow::Result<(Action, Option<Option<PathBuf>>)> {
        Ok(match self {
            Self::List => (Action::List, None),
            Self::Show(Named { version }) => (Action::Show(version), None),
            Self::Compare { champion, challenger } => (Action::Compare(champion, challenger), None),
            Self::Export(Export { version, out }) => (Action::Export(version), Some(out)),
            Self::Import { file } => {
                let bytes = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
                model_file::read(&bytes).with_context(|| format!("reading {}", file.display()))?;
                (Action::Import(BASE64.encode(bytes)), None)
            }
            Self::Promote(Named { version }) => (Action::Promote(version), None),
            Self::Rollback { version } => (Action::Rollback(version), None),
        })
    }
}

/// A file's name from its label, which comes from the topic: it names a file here, never a path.
fn default_name(bytes: &[u8]) -> anyhow::Result<PathBuf> {
    let file = model_file::read(bytes).context("reading the version")?;
    let manifest = file.manifest();
    let is_plain = manifest.label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    Ok(PathBuf::from(format!("{}.weir", if is_plain { &manifest.label } else { &manifest.id })))
}
