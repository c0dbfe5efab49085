//! The models topic of an installation: which versions there are, which one is active, and what an operator may do about it.
//!
//! [`perform`] runs where the log is open: in `weir models` itself, or in the `weir up` that holds the data directory.

use crate::terminal::clean;
use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use engine::trial::Decision;
use runtime::config::Config;
use runtime::keys::{Pointer, SigningKey, TrustedKeys};
use runtime::log::Log;
use runtime::model_file::{self, ModelFile};
use runtime::model_topic::{Catalogue, fetch};
use runtime::topics::Topics;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::sync::Arc;
use trainer::Contest;
use trainer::publish::{Publisher, Role};

/// What an operator wants. A version is named by its label, its id, or the beginning of its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Say which versions there are.
    List,
    /// Say what a version is.
    Show(String),
    /// Let two versions judge the recent history: champion, challenger.
    Compare(String, String),
    /// Hand out a version's file.
    Export(String),
    /// Publish a file, base64, and make it active.
    Import(String),
    /// Make a version active.
    Promote(String),
    /// Make a version active again: the one before the active one, unless one is named.
    Rollback(Option<String>),
}

/// Does it; returns a version's file for [`Action::Export`], else lines for a person.
pub(crate) fn perform(action: &Action, log: &Arc<dyn Log>, config: &Config) -> anyhow::Result<Vec<u8>> {
    let topics = Topics::new(config);
    let catalogue = || Catalogue::read(&**log, &topics.models).context("reading the models topic");
    let publisher = || -> anyhow::Result<Publisher> {
        Ok(Publisher::open(log, &topics, Arc::new(SigningKey::load(&config.key_files().sign)?), Role::Operator)?)
    };
    match action {
        Action::List => list(&catalogue()?, config),
        Action::Show(version) => Ok(format!("{}\n", serde_json::to_string_pretty(&catalogue()?.find(version)?.manifest)?).into_bytes()),
        Action::Compare(champion, challenger) => {
            let catalogue = catalogue()?;
            let model = |version: &str| anyhow::Ok(Arc::new(fetch(&**log, &topics.models, &catalogue.find(version)?.id)?.model()?));
            let (champion, challenger) = (model(champion)?, model(challenger)?);
            let history = trainer::remembered(&**log, &topics, trainer::history_limits(config)).context("reading the history")?;
            if history.is_empty() {
                bail!("there is no history to judge");
            }
            Ok(report(&Contest::hold(&champion, &challenger, &history, &config.network)?)?)
        }
        Action::Export(version) => Ok(model_file::write(&fetch(&**log, &topics.models, &catalogue()?.find(version)?.id)?)?),
        Action::Import(file) => {
            let model = model_file::read(&BASE64.decode(file).context("the file is not base64")?)?;
            let mut publisher = publisher()?;
            let id = publisher.publish(&model)?;
            activated(&publisher, &id)
        }
        Action::Promote(version) | Action::Rollback(Some(version)) => {
            let mut publisher = publisher()?;
            let id = publisher.promote(version)?;
            activated(&publisher, &id)
        }
        Action::Rollback(None) => {
            let mut publisher = publisher()?;
            let id = publisher.roll_back()?;
            activated(&publisher, &id)
        }
    }
}

/// Says which version is active now.
fn activated(publisher: &Publisher, id: &str) -> anyhow::Result<Vec<u8>> {
    let label = publisher.versions().iter().find(|version| version.id == id).map_or("", |version| &version.label);
    Ok(format!("active: {} ({id})\n", clean(label)).into_bytes())
}

/// Endpoints that a comparison names, at most.
const NAMED: usize = 10;

/// A comparison for a person: what each found, the endpoints that differ most, and what would come of it.
fn report(contest: &Contest) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let Contest { champion, challenger, decision } = contest;
    for trial in [champion, challenger] {
        writeln!(
            out,
            "{:<8}  {} of {} known requests called anomalous, {} with p at or below 1 %; found {} of {} sessions in disorder, {} of {} requests with code in a typed field",
            clean(&trial.model),
            trial.anomalous,
            trial.exchanges,
            trial.below[0],
            trial.found,
            trial.disordered,
            trial.caught,
            trial.injected
        )?;
    }
    let before = |endpoint: &String| champion.endpoints.get(endpoint).map_or(0, |counts| counts.1);
    let mut differing: Vec<(&String, u64, u64)> =
        challenger.endpoints.iter().map(|(e, counts)| (e, before(e), counts.1)).filter(|(_, a, b)| a != b).collect();
    differing.sort_by_key(|(endpoint, a, b)| (std::cmp::Reverse(a.abs_diff(*b)), *endpoint));
    for (endpoint, a, b) in differing.iter().take(NAMED) {
        writeln!(out, "          {}: {a} anomalous, now {b}", clean(endpoint))?;
    }
    match decision {
        Decision::Promote => writeln!(out, "{} may take over", clean(&challenger.model))?,
        Decision::Refuse(why) => writeln!(out, "{} is refused: {}", clean(&challenger.model), clean(why))?,
    }
    Ok(out)
}

fn list(catalogue: &Catalogue, config: &Config) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    let pointer = pointer(catalogue, config)?;
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
    Ok(out)
}

/// The newest pointer that those who are trusted have signed.
pub(crate) fn pointer(catalogue: &Catalogue, config: &Config) -> anyhow::Result<Option<Pointer>> {
    let trusted = TrustedKeys::load(&config.key_files().public)?;
    let mut pointer: Option<Pointer> = None;
    for record in &catalogue.pointers {
        match trusted.verify_pointer(record, pointer.as_ref().map(|p| p.counter)) {
            Ok(next) => pointer = Some(next),
            Err(error) => tracing::warn!(%error, "a model pointer on the topic is not to be trusted"),
        }
    }
    Ok(pointer)
}

/// Reads the active model; `None`: none has been published yet.
pub(crate) fn model(log: &dyn Log, config: &Config) -> anyhow::Result<Option<ModelFile>> {
    let topic = Topics::new(config).models;
    let catalogue = Catalogue::read(log, &topic).context("reading the models topic")?;
    let Some(pointer) = pointer(&catalogue, config)? else { return Ok(None) };
    Ok(Some(fetch(log, &topic, &pointer.active)?))
}
