//! What gateways saw becomes exchanges on `weir.traffic`: formats are decoded, sessions named, secrets masked, and then written.
//!
//! It *never* judges, never writes a secret that it knows as one, and never says "accepted" before the log has the record.

pub mod decode;
mod files;
mod in_time;
pub mod listener;
pub mod masking;
mod metrics;
mod prepare;
mod raw;
mod report;
mod service;
pub mod session;
pub mod survey;
mod traffic;

pub use prepare::Preparer;
pub use report::Counts;
pub use service::{Ingest, IngestError, listen, serve};
