//! Networks of models, run by ONNX Runtime, whose shared library is loaded when the first network is.
//!
//! One thread, batches of a few fixed sizes, and no batch size that would change a single bit of an answer.

mod heads;
mod library;
mod network;

use crate::config::Network;
use engine::Model;
use engine::model::ApiModel;
use engine::neural::values::{KINDS, Sketch};
use engine::neural::{Ask, GAPS, HeadError, Heads, NoHeads, STATE};

pub use heads::OnnxHeads;
pub use library::{Library, LibraryError, USUAL_PLACE};
pub use network::{FORESEEING_IN, FORESEEING_OUT, REBUILDING_IN, REBUILDING_OUT};

/// Who runs networks, as configured.
#[must_use]
pub fn heads(network: &Network) -> Box<dyn Heads> {
    if network.enabled { Box::new(OnnxHeads::new(network.library.clone())) } else { Box::new(NoHeads) }
}

/// Whether all networks of a model can be run here, as configured, and know every step and field that they are to know.
///
/// # Errors
/// The library cannot be loaded, or a network is none that Weir writes.
pub fn check(model: &Model, network: &Network) -> Result<(), HeadError> {
    let mut heads = heads(network);
    let mut answers = Vec::new();
    for foresight in model.apis().iter().filter_map(ApiModel::foresight) {
        let last = u16::try_from(foresight.slots().saturating_sub(1)).unwrap_or(u16::MAX);
        let farthest = Ask { previous: last, gap: (GAPS - 1) as u8, next: last, state: [0.0; STATE] };
        heads.foresee(&foresight.head, &[farthest], &mut answers)?;
        if answers.iter().any(|answer| !answer.nats.is_finite()) {
            return Err(HeadError::Unusable("it does not know all steps of its vocabulary".to_owned()));
        }
    }
    let mut answers = Vec::new();
    for likeness in model.apis().iter().filter_map(ApiModel::likeness) {
        let last = u16::try_from(likeness.fields().len().saturating_sub(1)).unwrap_or(u16::MAX);
        let farthest = Sketch { field: last, kind: (KINDS - 1) as u8, grams: u128::MAX };
        heads.rebuild(&likeness.head, &[farthest], &mut answers)?;
        if answers.iter().any(|answer| !answer.nats.is_finite()) {
            return Err(HeadError::Unusable("it does not know all of its fields".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::neural::Head;

    #[test]
    fn what_is_no_network_is_said_to_be_none() {
        let ask = Ask { previous: 0, gap: 0, next: 0, state: [0.0; STATE] };
        let error = OnnxHeads::default().foresee(&Head::new(b"no network".to_vec()), &[ask], &mut Vec::new()).unwrap_err();
        assert!(matches!(&error, HeadError::Unusable(_)), "{error}");
    }
}
