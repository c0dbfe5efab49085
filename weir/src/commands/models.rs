//! `weir models`: versions on the models topic, and which one is active.

use crate::terminal::clean;
use crate::{active, installation};
use anyhow::{Context as _, bail};
use runtime::config::Config;
use runtime::keys::SigningKey;
use runtime::log::Log;
use runtime::model_file;
use runtime::model_topic::{Catalogue, Version, fetch};
use runtime::topics::Topics;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use trainer::publish::{Publisher, Role};

/// What to do with models. A version is named by its label (`v12`) or its id.
///
/// Importing, promoting and rolling back need the signing key. A trainer that runs goes on from there with its next model.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Lists the versions, newest last.
    #[command(after_help = "Example:\n  weir models list --brokers localhost:9092")]
    List,
    /// Prints the manifest of a version.
    #[command(after_help = "Example:\n  weir models show v12 --brokers localhost:9092")]
    Show(Named),
    /// Writes a version to a file.
    #[command(after_help = "Example:\n  weir models export v12 --out v12.weir --brokers localhost:9092")]
    Export(Export),
    /// Publishes a version from a file and makes it active.
    #[command(after_help = "Example:\n  weir models import v12.weir --brokers localhost:9092")]
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Makes a version active.
    #[command(after_help = "Example:\n  weir models promote v12 --brokers localhost:9092")]
    Promote(Named),
    /// Makes the version before the active one active again, or the one that is named.
    #[command(after_help = "Example:\n  weir models rollback --brokers localhost:9092")]
    Rollback {
        /// Label or id [default: the one that was active before].
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

/// Does it.
pub(crate) fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    let log = installation::log(config)?;
    let topics = Topics::new(config);
    let mut out = std::io::stdout().lock();
    let publisher = || -> anyhow::Result<Publisher> {
        Ok(Publisher::open(&log, &topics, Arc::new(SigningKey::load(&config.key_files().sign)?), Role::Operator)?)
    };
    let catalogue = || Catalogue::read(&*log, &topics.models).context("reading the models topic");
    match command {
        Command::List => list(&catalogue()?, config, &mut out),
        Command::Show(Named { version }) => {
            let catalogue = catalogue()?;
            let manifest = &find(&catalogue, version)?.manifest;
            Ok(writeln!(out, "{}", serde_json::to_string_pretty(manifest)?)?)
        }
        Command::Export(Export { version, out: path }) => {
            let catalogue = catalogue()?;
            let version = find(&catalogue, version)?;
            export(&*log, &topics, version, path.clone(), &mut out)
        }
        Command::Import { file } => {
            let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            let model = model_file::read(&bytes).with_context(|| format!("reading {}", file.display()))?;
            let id = publisher()?.publish(&model)?;
            Ok(writeln!(out, "active: {} ({id})", clean(&model.manifest().label))?)
        }
        Command::Promote(Named { version }) => {
            let id = publisher()?.promote(version)?;
            Ok(writeln!(out, "active: {} ({id})", clean(version))?)
        }
        Command::Rollback { version } => {
            let mut publisher = publisher()?;
            let before = publisher.pointer().and_then(|pointer| pointer.previous.clone());
            let Some(to) = version.clone().or(before) else { bail!("there is no version before the active one") };
            let id = publisher.promote(&to)?;
            let label = publisher.versions().iter().find(|v| v.id == id).map_or("", |v| &v.label);
            Ok(writeln!(out, "active: {} ({id})", clean(label))?)
        }
    }
}

fn list(catalogue: &Catalogue, config: &Config, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    let pointer = active::pointer(catalogue, config)?;
    for version in &catalogue.versions {
        let pointed = pointer.as_ref().map_or("", |pointer| match &version.id {
            id if *id == pointer.active => "active",
            id if pointer.previous.as_ref() == Some(id) => "previous",
            id if pointer.pinned.contains(id) => "pinned",
            _ => "",
        });
        writeln!(out, "{:<8}  {:<8}  {}", clean(&version.label), pointed, clean(&version.id))?;
    }
    if catalogue.versions.is_empty() {
        writeln!(out, "no version has been published yet")?;
    }
    Ok(())
}

fn find<'c>(catalogue: &'c Catalogue, name: &str) -> anyhow::Result<&'c Version> {
    let found = catalogue.versions.iter().rev().find(|v| v.id == name || v.label == name);
    found.with_context(|| format!("there is no model version `{}`; `weir models list` lists them", clean(name)))
}

fn export(log: &dyn Log, topics: &Topics, version: &Version, path: Option<PathBuf>, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    let file = fetch(log, &topics.models, &version.id)?;
    // The label comes from the topic: it names a file here, never a path.
    let is_plain = version.label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let name = if is_plain { &version.label } else { &version.id };
    let path = path.unwrap_or_else(|| PathBuf::from(format!("{name}.weir")));
    std::fs::write(&path, model_file::write(&file)?).with_context(|| format!("writing {}", path.display()))?;
    Ok(writeln!(out, "{}", path.display())?)
}
