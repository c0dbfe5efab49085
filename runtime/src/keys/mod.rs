//! Keys in files: the ed25519 key that signs which model is active, the public keys that are trusted for it, and the 32 bytes that
//! sessions are hashed with.
//!
//! Files of secrets are made with mode 0600, whole or not at all, and never over one that is there.

mod file;
mod pointer;
#[cfg(test)]
mod tests;

pub use pointer::{Pointer, PointerError};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use ed25519_dalek::{SigningKey as Ed25519, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is not there.
    #[error("{what} {}: there is no such file; `weir keys create` makes one", path.display())]
    Missing {
        /// Which key.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A key was to be made where there is one.
    #[error("{what} {}: the file is there already and stays as it is", path.display())]
    Exists {
        /// Which key.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("{what} {}: {why}", path.display())]
    Unreadable {
        /// Which key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never its content.
        why: String,
    },
    /// The file system said no.
    #[error("{what} {}: {error}", path.display())]
    File {
        /// Which key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What it said.
        error: std::io::Error,
    },
    /// The operating system gives no random numbers.
    #[error("making {what}: the operating system gives no random numbers: {why}")]
    NoRandomness {
        /// Which key.
        what: &'static str,
        /// What it said.
        why: String,
    },
}

/// Signs model pointers. Only the trainer, and who promotes by hand, has one.
pub struct SigningKey(Ed25519);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

impl SigningKey {
    const WHAT: &'static str = "signing key";

    /// Reads a key: PKCS#8 in PEM.
    ///
    /// # Errors
    /// The file is missing, cannot be read, or holds no such key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let pem = file::text(Self::WHAT, path)?;
        let key = Ed25519::from_pkcs8_pem(&pem).map_err(|_| unreadable(Self::WHAT, path, "no ed25519 private key (PKCS#8, PEM)"))?;
        file::warn_if_others_may_read(Self::WHAT, path);
        Ok(Self(key))
    }

    /// Makes a key and its file.
    ///
    /// # Errors
    /// [`KeyError::Exists`] when there is a file; or it cannot be written.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let key = Self(Ed25519::from_bytes(&random(Self::WHAT)?));
        let pem = key.0.to_pkcs8_pem(LineEnding::LF).map_err(|e| unreadable(Self::WHAT, path, &e.to_string()))?;
        file::create(Self::WHAT, path, pem.as_bytes(), file::SECRET)?;
        Ok(key)
    }

    /// Reads a key, or makes one if there is no file.
    ///
    /// # Errors
    /// See [`Self::load`] and [`Self::create`].
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        file::load_or_create(path, Self::load, Self::create)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }
}

/// A key that is trusted to say which model is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    const WHAT: &'static str = "public key";

    /// Reads a key: SubjectPublicKeyInfo in PEM.
    ///
    /// # Errors
    /// The file is missing, cannot be read, or holds no such key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let pem = file::text(Self::WHAT, path)?;
        let key = VerifyingKey::from_public_key_pem(&pem).map_err(|_| unreadable(Self::WHAT, path, "no ed25519 public key (SPKI, PEM)"))?;
        // Anything verifies under some keys of small order.
        if key.is_weak() { Err(unreadable(Self::WHAT, path, "the key is weak")) } else { Ok(Self(key)) }
    }

    /// Writes the key to a new file that anybody may read.
    ///
    /// # Errors
    /// [`KeyError::Exists`] when there is a file; or it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        let pem = self.0.to_public_key_pem(LineEnding::LF).map_err(|e| unreadable(Self::WHAT, path, &e.to_string()))?;
        file::create(Self::WHAT, path, pem.as_bytes(), file::PUBLIC)
    }

    /// Short name of the key: 16 hex digits of its SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&Sha256::digest(self.0.as_bytes())[..8])
    }
}

/// The keys that are trusted to say which model is active.
#[derive(Debug, Clone, Default)]
pub struct TrustedKeys(Vec<PublicKey>);

impl TrustedKeys {
    /// These keys.
    #[must_use]
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self(keys)
    }

    /// Reads public keys, a file each.
    ///
    /// # Errors
    /// See [`PublicKey::load`].
    pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Self, KeyError> {
        paths.iter().map(|p| PublicKey::load(p.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    fn get(&self, id: &str) -> Option<&PublicKey> {
        self.0.iter().find(|k| k.id() == id)
    }
}

/// The 32 bytes that sessions and subjects are hashed with; every ingest of an installation shares them.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey([u8; 32]);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

impl SessionKey {
    const WHAT: &'static str = "session key";

    /// Reads a key: a file of exactly 32 bytes.
    ///
    /// # Errors
    /// The file is missing, cannot be read, or has another length.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let bytes = file::bytes(Self::WHAT, path)?;
        let wrong = || unreadable(Self::WHAT, path, &format!("{} bytes, a session key has 32", bytes.len()));
        let key = bytes.as_slice().try_into().map_err(|_| wrong())?;
        file::warn_if_others_may_read(Self::WHAT, path);
        Ok(Self(key))
    }

    /// Makes a key and its file.
    ///
    /// # Errors
    /// [`KeyError::Exists`] when there is a file; or it cannot be written.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let key = random(Self::WHAT)?;
        file::create(Self::WHAT, path, &key, file::SECRET)?;
        Ok(Self(key))
    }

    /// Reads a key, or makes one if there is no file.
    ///
    /// # Errors
    /// See [`Self::load`] and [`Self::create`].
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        file::load_or_create(path, Self::load, Self::create)
    }

    /// The bytes, for the keyed hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn random(what: &'static str) -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| KeyError::NoRandomness { what, why: e.to_string() })?;
    Ok(bytes)
}

fn unreadable(what: &'static str, path: &Path, why: &str) -> KeyError {
    KeyError::Unreadable { what, path: path.to_owned(), why: why.to_owned() }
}
