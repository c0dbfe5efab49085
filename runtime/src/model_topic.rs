//! How model versions stand on `weir.models` (compacted, one partition), for those who write there and those who read.
//!
//! | key | value |
//! | --- | --- |
//! | `version/<id>/<n>` | part n of the model file, at most [`PART_BYTES`] |
//! | `version/<id>` | its manifest, JSON; header `parts`: how many parts there are |
//! | `pointer` | which version is active, signed |
//!
//! Nothing here is trusted: a file is whole or refused ([`crate::model_file`]), a pointer is signed ([`crate::keys`]).

use crate::format;
use crate::log::{Log, LogError, Output, Record, Start, read_to_end};
use crate::model_file::{self, ModelFile, ModelFileError};
use bytes::Bytes;
use engine::{Offset, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Key of the pointer.
pub const POINTER: &str = "pointer";
/// Most bytes of one part.
pub const PART_BYTES: usize = 512 << 10;
/// Header of a manifest: number of parts.
pub const PARTS_HEADER: &str = "parts";

/// The beginning of an id names a version from this length on: a number that was meant as a label is shorter.
const SHORTEST: usize = 4;
/// Most parts that a file is put together from: a model file is never larger.
const MOST_PARTS: u32 = 2_048;

/// Why a version cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelTopicError {
    /// No such version, or not all of its parts.
    #[error("model version {id} is not on the topic, or not all of it")]
    Missing {
        /// Its id.
        id: String,
    },
    /// It is there, and not what its id says.
    #[error("model version {id}: {why}")]
    Unusable {
        /// Its id.
        id: String,
        /// What is wrong.
        why: ModelFileError,
    },
    /// The topic cannot be read.
    #[error("reading model versions: {0}")]
    Log(#[from] LogError),
}

/// Why a name is not that of one version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Of none.
    #[error("there is no model version `{}`; `weir models list` lists them", .0.escape_debug())]
    Unknown(String),
    /// Of several.
    #[error("`{}` names {} model versions; name one by its id, or by the beginning of it: {}", name.escape_debug(), ids.len(), ids.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// Their ids, oldest first.
        ids: Vec<String>,
    },
}

/// Key of a version's manifest.
#[must_use]
pub fn manifest_key(id: &str) -> String {
    format!("version/{id}")
}

/// Key of part `n` of a version.
#[must_use]
pub fn part_key(id: &str, n: u32) -> String {
    format!("version/{id}/{n}")
}

/// The records of a version: its parts, then its manifest.
///
/// # Errors
/// The file cannot be written.
pub fn version_records(topic: &Arc<str>, file: &ModelFile) -> Result<Vec<Output>, ModelFileError> {
    let id = &file.manifest().id;
    let bytes = Bytes::from(model_file::write(file)?);
    let record = |key: String, value: Bytes, headers| Output {
        topic: Arc::clone(topic),
        partition: Some(0),
        key: Some(key.into()),
        value: Some(value),
        headers,
    };
    let count = bytes.len().div_ceil(PART_BYTES);
    let mut records = Vec::with_capacity(count + 1);
    for n in 0..count {
        let part = bytes.slice(n * PART_BYTES..bytes.len().min((n + 1) * PART_BYTES));
        records.push(record(part_key(id, n as u32), part, vec![format::header()]));
    }
    let manifest = Bytes::copy_from_slice(file.manifest_json());
    records.push(record(manifest_key(id), manifest, vec![(PARTS_HEADER, count.to_string().into()), format::header()]));
    Ok(records)
}

/// One version as its manifest record names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// Content hash, hex.
    pub id: String,
    /// Running number for people: `v12`.
    pub label: String,
    /// Number of parts.
    pub parts: u32,
    /// The manifest, JSON.
    pub manifest: serde_json::Value,
}

/// Everything that stands on the topic, without the parts.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Versions, oldest first.
    pub versions: Vec<Version>,
    /// Pointer records, oldest first: compaction leaves the newest only.
    pub pointers: Vec<Vec<u8>>,
    /// After the last record that was read.
    next: Option<Offset>,
}

impl Catalogue {
    /// Reads the topic to its end.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub fn read(log: &dyn Log, topic: &str) -> Result<Self, LogError> {
        let mut catalogue = Self::default();
        catalogue.read_on(log, topic)?;
        Ok(catalogue)
    }

    /// Reads what came since.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub fn read_on(&mut self, log: &dyn Log, topic: &str) -> Result<(), LogError> {
        let start = self.next.map_or(Start::Oldest, Start::At);
        let mut read = |start| read_to_end(log, &[(TopicPartition::new(topic, 0), start)], |record| self.take(&record));
        match read(start) {
            // Compaction has taken what stood there; what is left says everything again.
            Err(LogError::OffsetGone { .. }) => read(Start::Oldest),
            done => done,
        }
    }

    /// The version of a name: its id, its label, or the beginning of its id. Labels may come twice, by files from elsewhere.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn find(&self, name: &str) -> Result<&Version, NameError> {
        let all = |is: &dyn Fn(&Version) -> bool| self.versions.iter().filter(|version| is(version)).collect::<Vec<_>>();
        let labelled = all(&|version| version.id == name || version.label == name);
        let found = if labelled.is_empty() && name.len() >= SHORTEST { all(&|version| version.id.starts_with(name)) } else { labelled };
        match found[..] {
            [] => Err(NameError::Unknown(name.to_owned())),
            [version] => Ok(version),
            _ => Err(NameError::Ambiguous { name: name.to_owned(), ids: found.iter().map(|version| version.id.clone()).collect() }),
        }
    }

    fn take(&mut self, record: &Record) {
        self.next = Some(record.offset.next());
        let Some(key) = record.key.as_deref().and_then(|k| std::str::from_utf8(k).ok()) else { return };
        if key == POINTER {
            self.pointers.extend(record.value.as_deref().map(<[u8]>::to_vec));
            return;
        }
        let Some(id) = key.strip_prefix("version/").filter(|id| !id.contains('/')) else { return };
        self.versions.retain(|v| v.id != id);
        self.versions.extend(version(id, record));
    }
}

fn version(id: &str, record: &Record) -> Option<Version> {
    let manifest: serde_json::Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
    let label = manifest.get("label")?.as_str()?.to_owned();
    Some(Version { id: id.to_owned(), label, parts: parts_of(record)?, manifest })
}

fn parts_of(record: &Record) -> Option<u32> {
    std::str::from_utf8(record.header(PARTS_HEADER)?).ok()?.parse().ok().filter(|n| *n <= MOST_PARTS)
}

/// Puts a version's file together from its parts and checks it.
///
/// # Errors
/// See [`ModelTopicError`].
pub fn fetch(log: &dyn Log, topic: &str, id: &str) -> Result<ModelFile, ModelTopicError> {
    let prefix = format!("{}/", manifest_key(id));
    let mut parts: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut count = None;
    read_to_end(log, &whole(topic), |record| {
        let Some(key) = record.key.as_deref().and_then(|k| std::str::from_utf8(k).ok()) else { return };
        if key == manifest_key(id) {
            count = record.value.as_ref().and_then(|_| parts_of(&record));
        } else if let Some(n) = key.strip_prefix(&prefix).and_then(|n| n.parse::<u32>().ok()).filter(|n| *n < MOST_PARTS) {
            match &record.value {
                Some(bytes) => parts.insert(n, bytes.to_vec()),
                None => parts.remove(&n),
            };
        }
    })?;
    let missing = || ModelTopicError::Missing { id: id.to_owned() };
    let count = count.ok_or_else(missing)?;
    let mut bytes = Vec::new();
    for n in 0..count {
        bytes.extend(parts.remove(&n).ok_or_else(missing)?);
    }
    let unusable = |why| ModelTopicError::Unusable { id: id.to_owned(), why };
    let file = model_file::read(&bytes).map_err(unusable)?;
    if file.manifest().id == id { Ok(file) } else { Err(missing()) }
}

fn whole(topic: &str) -> [(TopicPartition, Start); 1] {
    [(TopicPartition::new(topic, 0), Start::Oldest)]
}
