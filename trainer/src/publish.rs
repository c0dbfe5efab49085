//! The writer half of `weir.models`: a version, the pointer to it, and tombstones for what nobody needs any more, in one transaction.

use crate::Contest;
use engine::Model;
use runtime::format;
use runtime::keys::{Pointer, PointerError, SigningKey, TrustedKeys};
use runtime::log::{Log, LogError, Output, Producer};
use runtime::model_file::{About, ModelFile, ModelFileError, TrainingRange};
use runtime::model_topic::{Catalogue, ModelTopicError, NameError, POINTER, Version, fetch, manifest_key, part_key, version_records};
use runtime::topics::Topics;
use std::sync::Arc;

/// Versions that are kept besides the active, the previous and the pinned ones.
const KEPT: usize = 24;
/// Attempts to publish before it is given up.
const ATTEMPTS: usize = 3;

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
    /// The name that was given is not that of one version.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is nothing to go back to.
    #[error("there is no version before the active one; `weir models promote` makes any other active")]
    NoneBefore,
    /// The model that it was to follow does not judge any more.
    #[error("publishing a model: another one has become active meanwhile")]
    Overtaken,
    /// Others moved the pointer each time.
    #[error("publishing a model: others publish at the same time")]
    Contended,
}

/// Who publishes. Of each there is one at a time: a later one fences an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The trainer.
    Trainer,
    /// A person, beside a trainer that runs. Where both point at something at the same time, the first on the topic counts, and the other
    /// points anew.
    Operator,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Trainer => "models",
            Self::Operator => "models-operator",
        }
    }
}

/// Publishes.
pub struct Publisher {
    log: Arc<dyn Log>,
    topic: Arc<str>,
    key: Arc<SigningKey>,
    producer: Box<dyn Producer>,
    catalogue: Catalogue,
    pointer: Option<Pointer>,
}

impl Publisher {
    /// Takes over publishing, as of what stands on the topic.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub fn open(log: &Arc<dyn Log>, topics: &Topics, key: Arc<SigningKey>, role: Role) -> Result<Self, PublishError> {
        let topic = Arc::clone(&topics.models);
        let producer = log.producer(Some(&format!("{}-{}", topics.groups.trainer, role.name())))?;
        let mut publisher = Self { log: Arc::clone(log), topic, key, producer, catalogue: Catalogue::default(), pointer: None };
        publisher.look()?;
        Ok(publisher)
    }

    /// Takes in what was published since.
    pub(crate) fn look(&mut self) -> Result<(), LogError> {
        self.catalogue.read_on(&*self.log, &self.topic)?;
        let trusted = TrustedKeys::new(vec![self.key.public()]);
        for record in self.catalogue.pointers.drain(..) {
            match trusted.verify_pointer(&record, self.pointer.as_ref().map(|p| p.counter)) {
                Ok(next) => self.pointer = Some(next),
                Err(error) => tracing::warn!(%error, "a model pointer on the topic is passed over"),
            }
        }
        Ok(())
    }

    /// Versions on the topic, oldest first.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.catalogue.versions
    }

    /// Which version is active.
    #[must_use]
    pub fn pointer(&self) -> Option<&Pointer> {
        self.pointer.as_ref()
    }

    /// The model of a version; one that cannot be read is said and left out.
    pub(crate) fn model(&self, id: &str) -> Result<Option<Model>, LogError> {
        let model = match fetch(&*self.log, &self.topic, id) {
            Ok(file) => file.model().map_err(|e| e.to_string()),
            Err(ModelTopicError::Log(error)) => return Err(error),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = &model {
            tracing::error!(id, why, "a model cannot be read");
        }
        Ok(model.ok())
    }

    /// The label of the next version: one more than the highest so far.
    #[must_use]
    pub fn next_label(&self) -> String {
        let number = |v: &Version| v.label.strip_prefix('v').and_then(|n| n.parse::<u64>().ok());
        format!("v{}", self.versions().iter().filter_map(number).max().unwrap_or(0) + 1)
    }

    /// The file of a model that follows the active one.
    ///
    /// # Errors
    /// The model cannot be encoded.
    pub fn file(
        &self,
        model: &Model,
        created_ms: i64,
        training: TrainingRange,
        contest: Option<&Contest>,
    ) -> Result<ModelFile, ModelFileError> {
        let parent = self.active().map(str::to_owned);
        let contest = contest.map(serde_json::to_value).transpose().map_err(|e| ModelFileError::Write(e.to_string()))?;
        ModelFile::of(model, About { parent, created_ms, training, contest })
    }

    /// Publishes a file and makes it active. Returns its id.
    ///
    /// # Errors
    /// It cannot be written. Where the log did not answer it may stand there nevertheless: whole, and active.
    pub fn publish(&mut self, file: &ModelFile) -> Result<String, PublishError> {
        self.write(file, |_| Ok(()))
    }

    /// Publishes a file and makes it active, unless its parent is not what is active: whoever turned to another model wants that one.
    ///
    /// # Errors
    /// As with [`Self::publish`], and [`PublishError::Overtaken`].
    pub fn succeed(&mut self, file: &ModelFile) -> Result<String, PublishError> {
        let manifest = file.manifest();
        // It is active itself where the log did not answer and has written all the same.
        let may = |active: Option<&str>| active == manifest.parent.as_deref() || active == Some(&manifest.id);
        self.write(file, |this| if may(this.active()) { Ok(()) } else { Err(PublishError::Overtaken) })
    }

    fn write(&mut self, file: &ModelFile, may: impl Fn(&Self) -> Result<(), PublishError>) -> Result<String, PublishError> {
        let id = file.manifest().id.clone();
        let version = version_records(&self.topic, file)?;
        self.point(&id, |this, pointer| {
            may(this)?;
            let others = this.versions().iter().filter(|v| v.id != id);
            let gone = unneeded(others.collect(), pointer);
            let parts = gone.iter().flat_map(|v| (0..v.parts).map(|n| part_key(&v.id, n)));
            let tombstones = parts.chain(gone.iter().map(|v| manifest_key(&v.id))).map(|key| this.tombstone(key));
            Ok(version.iter().cloned().chain(tombstones).collect())
        })?;
        Ok(id)
    }

    /// Makes a version active that is on the topic, by name ([`Catalogue::find`]).
    ///
    /// # Errors
    /// The name is not that of one version, or the pointer cannot be written.
    pub fn promote(&mut self, version: &str) -> Result<String, PublishError> {
        let id = self.catalogue.find(version)?.id.clone();
        self.point(&id, |_, _| Ok(Vec::new()))?;
        Ok(id)
    }

    /// Makes the version before the active one active.
    ///
    /// # Errors
    /// [`PublishError::NoneBefore`], or the pointer cannot be written.
    pub fn roll_back(&mut self) -> Result<String, PublishError> {
        let id = self.before().ok_or(PublishError::NoneBefore)?.id.clone();
        self.point(&id, |_, _| Ok(Vec::new()))?;
        Ok(id)
    }

    /// The version to go back to, always one that was published earlier than the active one: what was active before it, unless somebody
    /// has turned back from that; else what it was learned after; else the newest.
    fn before(&self) -> Option<&Version> {
        let pointer = self.pointer.as_ref()?;
        let at = self.versions().iter().position(|version| version.id == pointer.active)?;
        let (earlier, from) = self.versions().split_at(at);
        let parent = from.first().and_then(|active| active.manifest.get("parent")?.as_str());
        let known = |id: &str| earlier.iter().find(|version| version.id == id);
        pointer.previous.as_deref().and_then(known).or_else(|| known(parent?)).or(earlier.last())
    }

    /// Id of the active version.
    pub(crate) fn active(&self) -> Option<&str> {
        self.pointer.as_ref().map(|pointer| pointer.active.as_str())
    }

    /// Points at a version, together with other records in one transaction, until the pointer is the one that counts.
    fn point(&mut self, active: &str, others: impl Fn(&Self, &Pointer) -> Result<Vec<Output>, PublishError>) -> Result<(), PublishError> {
        let mut failure = PublishError::Contended;
        for _ in 0..ATTEMPTS {
            self.look()?;
            let pointer = self.next_pointer(active.to_owned());
            let mut records = others(self, &pointer)?;
            records.push(self.pointer_record(&pointer)?);
            match self.producer.append(records) {
                Err(error @ LogError::Retriable { .. }) => {
                    tracing::warn!(%error, "publishing a model");
                    failure = error.into();
                    continue;
                }
                written => written?,
            };
            self.look()?;
            if self.pointer.as_ref() == Some(&pointer) {
                return Ok(());
            }
            failure = PublishError::Contended;
        }
        Err(failure)
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
        Ok(format::entry(&self.topic, POINTER.to_owned(), Some(self.key.sign_pointer(pointer.clone())?.into())))
    }

    fn tombstone(&self, key: String) -> Output {
        format::entry(&self.topic, key, None)
    }
}

/// Versions beyond the last [`KEPT`], with the new one, that are neither active nor previous nor pinned.
fn unneeded<'v>(mut versions: Vec<&'v Version>, pointer: &Pointer) -> Vec<&'v Version> {
    versions.truncate((versions.len() + 1).saturating_sub(KEPT));
    versions.retain(|v| v.id != pointer.active && pointer.previous.as_ref() != Some(&v.id) && !pointer.pinned.contains(&v.id));
    versions
}
