//! The writer half of `weir.models`: a version, the pointer to it, and tombstones for what nobody needs any more, in one transaction.

use crate::FORMAT;
use bytes::Bytes;
use engine::Model;
use runtime::keys::{Pointer, PointerError, SigningKey, TrustedKeys};
use runtime::log::{Log, LogError, Output, Producer};
use runtime::model_file::{About, ModelFile, ModelFileError, TrainingRange};
use runtime::model_topic::{Catalogue, ModelTopicError, POINTER, Version, fetch, manifest_key, part_key, version_records};
use runtime::topics::Topics;
use std::sync::Arc;

/// Versions that are kept besides the active, the previous and the pinned ones.
const KEPT: usize = 24;

/// Why a model could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The log cannot be used.
    #[error("publishing a model: {0}")]
    Log(#[from] LogError),
    /// A file could not be made.
    #[error("publishing a model: {0}")]
    File(#[from] ModelFileError),
    /// The pointer could not be signed.
    #[error("publishing a model: {0}")]
    Pointer(#[from] PointerError),
    /// A version on the topic cannot be read.
    #[error("publishing a model: {0}")]
    Topic(#[from] ModelTopicError),
    /// A version that was named is not there.
    #[error("there is no model version `{0}`")]
    Unknown(String),
}

/// Publishes. One live publisher at a time: a later one fences an earlier one.
pub struct Publisher {
    topic: Arc<str>,
    key: Arc<SigningKey>,
    producer: Box<dyn Producer>,
    versions: Vec<Version>,
    pointer: Option<Pointer>,
}

impl Publisher {
    /// Takes over publishing, as of what stands on the topic.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub fn open(log: &dyn Log, topics: &Topics, key: Arc<SigningKey>) -> Result<Self, PublishError> {
        let topic = Arc::clone(&topics.models);
        let producer = log.producer(Some(&format!("{}-models", topics.groups.trainer)))?;
        let catalogue = Catalogue::read(log, &topic)?;
        let trusted = TrustedKeys::new(vec![key.public()]);
        let mut pointer: Option<Pointer> = None;
        for record in &catalogue.pointers {
            match trusted.verify_pointer(record, pointer.as_ref().map(|p| p.counter)) {
                Ok(next) => pointer = Some(next),
                Err(error) => tracing::warn!(%error, "a model pointer on the topic is passed over"),
            }
        }
        Ok(Self { topic, key, producer, versions: catalogue.versions, pointer })
    }

    /// Versions on the topic, oldest first.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// Which version is active.
    #[must_use]
    pub fn pointer(&self) -> Option<&Pointer> {
        self.pointer.as_ref()
    }

    /// The active model; one that cannot be read is said and left out.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub fn active_model(&self, log: &dyn Log) -> Result<Option<Model>, PublishError> {
        let Some(pointer) = &self.pointer else { return Ok(None) };
        let model = match fetch(log, &self.topic, &pointer.active) {
            Ok(file) => file.model().map_err(|e| e.to_string()),
            Err(ModelTopicError::Log(error)) => return Err(error.into()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = &model {
            tracing::error!(why, "the active model cannot be read");
        }
        Ok(model.ok())
    }

    /// The label of the next version: one more than the highest so far.
    #[must_use]
    pub fn next_label(&self) -> String {
        let number = |v: &Version| v.label.strip_prefix('v').and_then(|n| n.parse::<u64>().ok());
        format!("v{}", self.versions.iter().filter_map(number).max().unwrap_or(0) + 1)
    }

    /// The file of a model that follows the active one.
    ///
    /// # Errors
    /// The model cannot be encoded.
    pub fn file(&self, model: &Model, created_ms: i64, training: TrainingRange) -> Result<ModelFile, ModelFileError> {
        let parent = self.pointer.as_ref().map(|p| p.active.clone());
        ModelFile::of(model, About { parent, created_ms, training })
    }

    /// Publishes a file and makes it active. Returns its id.
    ///
    /// # Errors
    /// It cannot be written; then nothing was.
    pub fn publish(&mut self, file: &ModelFile) -> Result<String, PublishError> {
        let id = file.manifest().id.clone();
        let mut records = version_records(&self.topic, file, FORMAT)?;
        let manifest = serde_json::from_slice(file.manifest_json()).unwrap_or_default();
        let parts = u32::try_from(records.len() - 1).unwrap_or(u32::MAX);
        let version = Version { id: id.clone(), label: file.manifest().label.clone(), parts, manifest };
        let mut versions: Vec<Version> = self.versions.iter().filter(|v| v.id != id).cloned().collect();
        versions.push(version);
        let pointer = self.next_pointer(id.clone());
        records.push(self.pointer_record(&pointer)?);
        for gone in unneeded(&versions, &pointer) {
            records.extend((0..gone.parts).map(|n| self.tombstone(part_key(&gone.id, n))));
            records.push(self.tombstone(manifest_key(&gone.id)));
        }
        let gone: Vec<String> = unneeded(&versions, &pointer).map(|v| v.id.clone()).collect();
        self.producer.append(records)?;
        versions.retain(|v| !gone.contains(&v.id));
        self.versions = versions;
        self.pointer = Some(pointer);
        Ok(id)
    }

    /// Makes a version active that is on the topic, by id or label.
    ///
    /// # Errors
    /// There is no such version, or the pointer cannot be written.
    pub fn promote(&mut self, version: &str) -> Result<String, PublishError> {
        let found = self.versions.iter().rev().find(|v| v.id == version || v.label == version);
        let id = found.map(|v| v.id.clone()).ok_or_else(|| PublishError::Unknown(version.to_owned()))?;
        let pointer = self.next_pointer(id.clone());
        self.producer.append(vec![self.pointer_record(&pointer)?])?;
        self.pointer = Some(pointer);
        Ok(id)
    }

    fn next_pointer(&self, active: String) -> Pointer {
        match &self.pointer {
            None => Pointer { active, previous: None, pinned: Vec::new(), counter: 1 },
            Some(now) => {
                let previous = if now.active == active { now.previous.clone() } else { Some(now.active.clone()) };
                Pointer { active, previous, pinned: now.pinned.clone(), counter: now.counter + 1 }
            }
        }
    }

    fn pointer_record(&self, pointer: &Pointer) -> Result<Output, PointerError> {
        Ok(self.record(POINTER.to_owned(), Some(self.key.sign_pointer(pointer.clone())?.into())))
    }

    fn tombstone(&self, key: String) -> Output {
        self.record(key, None)
    }

    fn record(&self, key: String, value: Option<Bytes>) -> Output {
        Output { topic: Arc::clone(&self.topic), partition: Some(0), key: Some(key.into()), value, headers: vec![format_header(FORMAT)] }
    }
}

/// Versions beyond the last [`KEPT`] that are neither active nor previous nor pinned.
fn unneeded<'v>(versions: &'v [Version], pointer: &'v Pointer) -> impl Iterator<Item = &'v Version> {
    let old = versions.len().saturating_sub(KEPT);
    versions[..old].iter().filter(|v| v.id != pointer.active && pointer.previous.as_ref() != Some(&v.id) && !pointer.pinned.contains(&v.id))
}

/// The header that every record carries.
pub(crate) fn format_header(format: u32) -> (&'static str, Bytes) {
    ("weir-format", Bytes::from(format.to_string()))
}
