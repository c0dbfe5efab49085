//! The zip around a manifest and its parts.

use super::{ModelFileError, Part, damaged};
use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

const MANIFEST: &str = "manifest.json";
/// Bytes of a manifest: thousands of APIs fit.
const MANIFEST_LIMIT: u64 = 4 << 20;
/// Bytes of all parts together, not compressed: what a reader's memory must hold.
const PARTS_LIMIT: u64 = 512 << 20;
/// Number of parts.
const COUNT_LIMIT: usize = 10_000;
/// How every zip archive with something in it begins.
const ZIP_START: &[u8] = b"PK\x03\x04";

/// Writes a zip that depends on nothing but what is in it.
pub(super) fn write(manifest: &[u8], parts: &[(String, Vec<u8>)]) -> Result<Vec<u8>, ModelFileError> {
    let failed = |e: ZipError| ModelFileError::Write(e.to_string());
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(6))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let named = parts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    for (name, bytes) in std::iter::once((MANIFEST, manifest)).chain(named) {
        zip.start_file(name, options).map_err(failed)?;
        zip.write_all(bytes).map_err(|e| ModelFileError::Write(e.to_string()))?;
    }
    Ok(zip.finish().map_err(failed)?.into_inner())
}

/// Whether a manifest's list of parts can be one: plain names, each once, and no more than memory may hold.
pub(super) fn check_parts(parts: &[Part]) -> Result<(), ModelFileError> {
    let mut names = BTreeSet::from([MANIFEST]);
    let mut bytes = 0u64;
    if parts.len() > COUNT_LIMIT {
        return Err(ModelFileError::TooLarge { what: format!("the list of {} parts", parts.len()), limit: COUNT_LIMIT as u64 });
    }
    for part in parts {
        if !is_plain(&part.name) || !names.insert(&part.name) {
            return Err(ModelFileError::BadName(shown(&part.name)));
        }
        bytes = bytes.saturating_add(part.bytes);
    }
    if bytes > PARTS_LIMIT {
        return Err(ModelFileError::TooLarge { what: "the content".to_owned(), limit: PARTS_LIMIT });
    }
    Ok(())
}

/// Names that stay within a directory on every system.
fn is_plain(name: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    name.len() <= 100 && name.split('/').all(|step| !step.is_empty() && !step.starts_with('.') && step.bytes().all(is_allowed))
}

/// The beginning of somebody else's text, without what a terminal would act on.
fn shown(text: &str) -> String {
    text.escape_debug().take(100).collect()
}

/// A zip that somebody wrote.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Archive<'a> {
    /// Reads the list of what is in it.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ModelFileError> {
        if !bytes.starts_with(ZIP_START) {
            return Err(ModelFileError::NotAZip);
        }
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged("the archive", &e.to_string()))?;
        Ok(Self { zip })
    }

    /// The manifest's text.
    pub(super) fn manifest(&mut self) -> Result<Vec<u8>, ModelFileError> {
        self.file(MANIFEST, MANIFEST_LIMIT)
    }

    /// The parts that a manifest names, all of what is in the archive, each of the length it says.
    pub(super) fn parts(&mut self, parts: &[Part]) -> Result<Vec<(String, Vec<u8>)>, ModelFileError> {
        check_parts(parts)?;
        let named: BTreeSet<&str> = parts.iter().map(|p| p.name.as_str()).chain([MANIFEST]).collect();
        for name in self.zip.file_names_raw() {
            let name = String::from_utf8_lossy(name);
            if !named.contains(&*name) {
                let error = if is_plain(&name) { ModelFileError::Unexpected } else { ModelFileError::BadName };
                return Err(error(shown(&name)));
            }
        }
        let mut read = Vec::with_capacity(parts.len());
        for part in parts {
            let bytes = self.file(&part.name, part.bytes)?;
            if bytes.len() as u64 != part.bytes {
                return Err(damaged(&part.name, &format!("{} bytes, the manifest says {}", bytes.len(), part.bytes)));
            }
            read.push((part.name.clone(), bytes));
        }
        Ok(read)
    }

    /// Content of one file, checked against the archive's own checksum; never more than `limit` bytes are unpacked.
    fn file(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, ModelFileError> {
        let file = match self.zip.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Err(ModelFileError::Missing(name.to_owned())),
            Err(e) => return Err(damaged(name, &e.to_string())),
        };
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| damaged(name, &e.to_string()))?;
        if bytes.len() as u64 > limit {
            return Err(ModelFileError::TooLarge { what: format!("`{name}`"), limit });
        }
        Ok(bytes)
    }
}
