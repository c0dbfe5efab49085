//! The model that is active in an installation, as its models topic has it.

use anyhow::Context as _;
use runtime::config::Config;
use runtime::keys::{Pointer, TrustedKeys};
use runtime::log::Log;
use runtime::model_file::ModelFile;
use runtime::model_topic::{Catalogue, fetch};
use runtime::topics::Topics;

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
