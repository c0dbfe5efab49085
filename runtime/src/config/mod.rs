//! Configuration: one file, the environment and flags become one checked [`Config`].

mod ingest;

pub use ingest::{BadExtractor, Extractor, FieldMap, PrivacyAction, PrivacyRule, RawTopic, RecordFormat};
