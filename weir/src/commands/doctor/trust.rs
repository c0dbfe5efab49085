//! Whether the scorers here would follow the trainer: the newest model pointer against the keys that are trusted.

use super::finding::Finding;
use runtime::config::Config;
use runtime::keys::TrustedKeys;
use runtime::log::{Log, LogError};
use runtime::model_topic::Catalogue;
use runtime::topics::Topics;

/// What is wrong with the newest pointer; `None`: nothing, or there is none, or nothing to check it with (`machine::keys` tells of that).
pub(super) fn pointer(log: &dyn Log, topics: &Topics, config: &Config) -> Result<Option<Finding>, LogError> {
    let Ok(trusted) = TrustedKeys::load(&config.key_files().public) else { return Ok(None) };
    let catalogue = Catalogue::read(log, &topics.models)?;
    let error = catalogue.pointers.last().and_then(|newest| trusted.verify_pointer(newest, None).err());
    Ok(error.map(|error| {
        let todo = "put the trainer's public key (`weir keys create` wrote it there) into `model.public_keys` of every scorer; \
                    if nobody here signed it, somebody else writes to the topic";
        Finding::wrong("keys", error.to_string(), todo)
    }))
}
