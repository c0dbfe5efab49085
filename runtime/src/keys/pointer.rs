//! The record that says which model is active: signed, and counting up, so that neither a stranger nor an old record can turn it back.
//!
//! `{"active":"…","previous":"…","pinned":["…"],"counter":7,"key":"…","signature":"…"}`: the signature is over the domain and the
//! JSON of the first four fields in this order without spaces, `key` names the public key it is to be checked with.

use super::{SigningKey, TrustedKeys};
use ed25519_dalek::{Signature, Signer};
use serde::{Deserialize, Serialize};

/// Stands before what is signed, so that a signature for anything else is never one for a pointer.
const DOMAIN: &[u8] = b"weir model pointer 1\n";
/// No pointer record is longer.
const LONGEST: usize = 64 << 10;

/// Which model is active. Models are named by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// The model that judges.
    pub active: String,
    /// The model before, kept ready to go back to.
    pub previous: Option<String>,
    /// Models that are kept however old they are.
    pub pinned: Vec<String>,
    /// Greater than that of every earlier pointer.
    pub counter: u64,
}

/// A pointer as it stands in a record.
#[derive(Debug, Serialize, Deserialize)]
struct Signed {
    #[serde(flatten)]
    pointer: Pointer,
    key: String,
    signature: String,
}

/// Why a pointer is not followed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PointerError {
    /// The record is no pointer.
    #[error("the model pointer cannot be read: {0}")]
    Unreadable(String),
    /// Signed with a key that is not among the trusted ones.
    #[error("the model pointer is signed with the key {key}, which is not one of model.public_keys")]
    UnknownKey {
        /// Short name of the key, as the record says.
        key: String,
    },
    /// The signature is not of this key over this pointer.
    #[error("the signature of the model pointer is wrong (key {key})")]
    WrongSignature {
        /// Short name of the key.
        key: String,
    },
    /// An older pointer, or another one with the same counter.
    #[error("the model pointer counts {counter}, after {newest} was seen: an old one comes again, or two sign at once")]
    Old {
        /// What it counts.
        counter: u64,
        /// The newest that was followed.
        newest: u64,
    },
}

impl SigningKey {
    /// The record of a pointer.
    ///
    /// # Errors
    /// [`PointerError::Unreadable`] when the pointer names no model: ids are hex.
    pub fn sign_pointer(&self, pointer: Pointer) -> Result<Vec<u8>, PointerError> {
        let signature = self.0.sign(&signed_bytes(&pointer)?);
        let signed = Signed { pointer, key: self.public().id(), signature: hex::encode(signature.to_bytes()) };
        serde_json::to_vec(&signed).map_err(|e| PointerError::Unreadable(e.to_string()))
    }
}

impl TrustedKeys {
    /// The pointer of a record, if it is to be followed after one that counted `newest`.
    ///
    /// # Errors
    /// See [`PointerError`].
    pub fn verify_pointer(&self, record: &[u8], newest: Option<u64>) -> Result<Pointer, PointerError> {
        if record.len() > LONGEST {
            return Err(PointerError::Unreadable(format!("{} bytes are too many", record.len())));
        }
        let Signed { pointer, key, signature } = serde_json::from_slice(record).map_err(|e| PointerError::Unreadable(e.to_string()))?;
        let Some(trusted) = self.get(&key) else {
            return Err(PointerError::UnknownKey { key: key.escape_debug().take(64).collect() });
        };
        let bytes = signed_bytes(&pointer)?;
        let is_signed = hex::decode(&signature)
            .ok()
            .and_then(|s| Signature::from_slice(&s).ok())
            .is_some_and(|s| trusted.0.verify_strict(&bytes, &s).is_ok());
        if !is_signed {
            return Err(PointerError::WrongSignature { key });
        }
        match newest {
            Some(newest) if pointer.counter <= newest => Err(PointerError::Old { counter: pointer.counter, newest }),
            _ => Ok(pointer),
        }
    }
}

/// What is signed.
fn signed_bytes(pointer: &Pointer) -> Result<Vec<u8>, PointerError> {
    let is_id = |id: &String| id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut ids = [&pointer.active].into_iter().chain(&pointer.previous).chain(&pointer.pinned);
    if let Some(other) = ids.find(|id| !is_id(id)) {
        let shown: String = other.escape_debug().take(64).collect();
        return Err(PointerError::Unreadable(format!("`{shown}` is no model's id")));
    }
    let json = serde_json::to_vec(pointer).map_err(|e| PointerError::Unreadable(e.to_string()))?;
    Ok([DOMAIN, &json].concat())
}
