//! The model file, `.weir`: a zip with a readable `manifest.json` first, then the parts of the model.
//!
//! The same model with the same words about it is the same file, byte for byte. The manifest names every part with its length and
//! SHA-256, and the file's id is the SHA-256 of the manifest (with the id itself as zeros): who trusts an id, because a signed pointer
//! names it, can trust everything in the file.

mod archive;
#[cfg(test)]
mod tests;

use engine::{Model, ModelError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the file's own format that is written, and the only one that is read so far.
pub const FORMAT: u32 = 1;

/// Length of an id: SHA-256 in lower-case hex.
const ID_LENGTH: usize = 64;

/// Why a file is no model file that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// Something else altogether.
    #[error("this is no model file: it is not a zip archive")]
    NotAZip,
    /// It was changed or cut after it was written.
    #[error("the model file is damaged: {what}: {why}")]
    Damaged {
        /// Which part.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// It was written by another version of Weir.
    #[error("the model file has {what} {found}; this version of Weir reads {supported}")]
    UnknownFormat {
        /// `format` (of the file) or `model format` (of the parts).
        what: &'static str,
        /// What it has.
        found: u32,
        /// What can be read.
        supported: u32,
    },
    /// A part that the manifest names is not there, or the manifest itself.
    #[error("the model file has no `{0}`")]
    Missing(String),
    /// There is more in it than the manifest says.
    #[error("the model file holds `{0}`, which its manifest does not name")]
    Unexpected(String),
    /// It would take more memory than a model may.
    #[error("{what} of the model file is over {limit} bytes")]
    TooLarge {
        /// Which part, or all.
        what: String,
        /// Bytes allowed.
        limit: u64,
    },
    /// A name that could lead out of a directory, or is none at all.
    #[error("`{0}` cannot be the name of a part: allowed are a-z, 0-9, `-`, `_`, `.` and `/` between names")]
    BadName(String),
    /// The parts are no model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It could not be written.
    #[error("writing the model file: {0}")]
    Write(String),
}

/// What is said of a model besides what it says itself.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Id of the model it was learned after.
    pub parent: Option<String>,
    /// When it was made, epoch milliseconds.
    pub created_ms: i64,
    /// What it was learned from.
    pub training: TrainingRange,
    /// How it compared with the model before, where there was one.
    pub contest: Option<serde_json::Value>,
}

/// What a model was learned from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrainingRange {
    /// Time of the first exchange, RFC 3339, where exchanges have times.
    pub from: Option<String>,
    /// Time of the last exchange.
    pub until: Option<String>,
    /// Number of exchanges.
    pub exchanges: u64,
    /// Offsets by partition, where exchanges came from a log.
    #[serde(default)]
    pub offsets: Vec<OffsetRange>,
}

/// A stretch of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetRange {
    /// Topic, prefix included.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// First offset.
    pub from: u64,
    /// Offset after the last one.
    pub until: u64,
}

/// One part as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Name, a relative path.
    pub name: String,
    /// Length, not compressed.
    pub bytes: u64,
    /// SHA-256, hex.
    pub sha256: String,
}

/// The manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`] of the file.
    pub format: u32,
    /// [`Model::FORMAT`] of the parts.
    pub model_format: u32,
    /// Identity: SHA-256 of the manifest's text with 64 zeros in the id's place, hex.
    pub id: String,
    /// Running number for people: `v12`.
    pub label: String,
    /// Id of the model it was learned after.
    pub parent: Option<String>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Version of Weir that made it.
    pub weir: String,
    /// What it was learned from.
    pub training: TrainingRange,
    /// Per API: counts, alpha, metrics.
    pub apis: serde_json::Value,
    /// How it compared with the model before on recent history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contest: Option<serde_json::Value>,
    /// The parts in their order in the file.
    pub parts: Vec<Part>,
}

/// A model file that is whole: manifest and parts fit together.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    manifest: Manifest,
    /// The manifest's text: what the id is computed from.
    text: Vec<u8>,
    parts: Vec<(String, Vec<u8>)>,
}

impl ModelFile {
    /// A file of a model.
    ///
    /// # Errors
    /// The model cannot be encoded, or is larger than a file may be.
    pub fn of(model: &Model, about: About) -> Result<Self, ModelFileError> {
        Self::assemble(model.label.clone(), model.summary(), model.to_parts()?, about)
    }

    fn assemble(label: String, apis: serde_json::Value, parts: Vec<(String, Vec<u8>)>, about: About) -> Result<Self, ModelFileError> {
        let named = |(name, bytes): &(String, Vec<u8>)| Part { name: name.clone(), bytes: bytes.len() as u64, sha256: sha256(bytes) };
        let mut manifest = Manifest {
            format: FORMAT,
            model_format: Model::FORMAT,
            id: "0".repeat(ID_LENGTH),
            label,
            parent: about.parent,
            created: engine::time::rfc3339(about.created_ms),
            weir: env!("CARGO_PKG_VERSION").to_owned(),
            training: about.training,
            apis,
            contest: about.contest,
            parts: parts.iter().map(named).collect(),
        };
        archive::check_parts(&manifest.parts)?;
        let text = |m: &Manifest| serde_json::to_vec_pretty(m).map_err(|e| ModelFileError::Write(e.to_string()));
        manifest.id = sha256(&text(&manifest)?);
        Ok(Self { text: text(&manifest)?, manifest, parts })
    }

    /// A file from a manifest's text and the parts it names, once everything fits together.
    fn verified(text: Vec<u8>, manifest: Manifest, parts: Vec<(String, Vec<u8>)>) -> Result<Self, ModelFileError> {
        let is_id = manifest.id.len() == ID_LENGTH && manifest.id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let place = text.windows(ID_LENGTH).position(|w| w == manifest.id.as_bytes());
        let (true, Some(place)) = (is_id, place) else { return Err(damaged("manifest.json", "it has no proper id")) };
        let mut without_id = text.clone();
        without_id[place..place + ID_LENGTH].fill(b'0');
        if sha256(&without_id) != manifest.id {
            return Err(damaged("manifest.json", "it is not what its id was computed from"));
        }
        for (part, (name, bytes)) in manifest.parts.iter().zip(&parts) {
            if sha256(bytes) != part.sha256 {
                return Err(damaged(name, "its SHA-256 is not the manifest's"));
            }
        }
        Ok(Self { manifest, text, parts })
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest as it stands in the file: JSON for people.
    #[must_use]
    pub fn manifest_json(&self) -> &[u8] {
        &self.text
    }

    /// The model in it.
    ///
    /// # Errors
    /// The parts, though whole, are no model.
    pub fn model(&self) -> Result<Model, ModelFileError> {
        let model = Model::from_parts(&self.parts)?;
        if model.label != self.manifest.label {
            return Err(damaged("manifest.json", &format!("it says `{}`, the model `{}`", self.manifest.label, model.label)));
        }
        Ok(model)
    }
}

/// Bytes of a model file; the same file gives the same bytes.
///
/// # Errors
/// [`ModelFileError::Write`].
pub fn write(file: &ModelFile) -> Result<Vec<u8>, ModelFileError> {
    archive::write(&file.text, &file.parts)
}

/// Reads a model file that anybody may have written: bounded in memory, and whole or refused.
///
/// # Errors
/// See [`ModelFileError`].
pub fn read(bytes: &[u8]) -> Result<ModelFile, ModelFileError> {
    let mut archive = archive::Archive::open(bytes)?;
    let text = archive.manifest()?;
    let manifest = manifest(&text)?;
    let parts = archive.parts(&manifest.parts)?;
    ModelFile::verified(text, manifest, parts)
}

/// Parses a manifest; formats come first, so that a later version's file is named as such whatever else has changed in it.
fn manifest(text: &[u8]) -> Result<Manifest, ModelFileError> {
    #[derive(Deserialize)]
    struct Formats {
        format: u32,
        model_format: Option<u32>,
    }
    let unreadable = |e: serde_json::Error| damaged("manifest.json", &e.to_string());
    let formats: Formats = serde_json::from_slice(text).map_err(unreadable)?;
    if formats.format != FORMAT {
        return Err(ModelFileError::UnknownFormat { what: "format", found: formats.format, supported: FORMAT });
    }
    if let Some(found) = formats.model_format.filter(|f| *f != Model::FORMAT) {
        return Err(ModelFileError::UnknownFormat { what: "model format", found, supported: Model::FORMAT });
    }
    serde_json::from_slice(text).map_err(unreadable)
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn damaged(what: &str, why: &str) -> ModelFileError {
    ModelFileError::Damaged { what: what.to_owned(), why: why.to_owned() }
}
