//! What gateways saw becomes exchanges on `weir.traffic`: formats are decoded, sessions named, secrets masked, and then written.
//!
//! It *never* judges, never keeps a secret in clear once it has prepared a record, and never says "accepted" before the log has the record.

pub mod decode;

pub mod listener;
pub mod masking;
mod prepare;
pub mod session;

pub use prepare::Preparer;
