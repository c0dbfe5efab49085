//! A record of the traffic topic.

use crate::decode::{Fault, Reason};
use bytes::Bytes;
use engine::Exchange;
use runtime::format;
use runtime::log::Output;
use std::sync::Arc;

/// A prepared exchange as a record: canonical JSON, keyed by session; without a session, of no key.
///
/// # Errors
/// Written out, it is over the limit of a record.
pub(crate) fn record(exchange: &Exchange<'_>, topic: &Arc<str>) -> Result<Output, Fault> {
    let key = exchange.session.as_ref().map(|session| Bytes::copy_from_slice(session.as_bytes()));
    let value = serde_json::to_vec(exchange).map_err(|error| Fault::new(Reason::WrongField, error.to_string()))?;
    if value.len() > Exchange::MAX_BYTES {
        return Err(Fault::too_long(value.len() as u64, Exchange::MAX_BYTES));
    }
    Ok(Output { topic: Arc::clone(topic), partition: None, key, value: Some(value.into()), headers: vec![format::header()] })
}
