//! Networks of models, run by ONNX Runtime, whose shared library is loaded when the first network is.
//!
//! One thread, batches of a few fixed sizes, and no batch size that would change a single bit of an answer.

mod heads;
mod library;

use crate::config::Network;
use engine::Model;
use engine::neural::{HeadError, Heads, NoHeads};

pub use heads::{INPUTS, OUTPUTS, OnnxHeads};
pub use library::{Library, LibraryError, USUAL_PLACE};

/// Who runs networks, as configured.
#[must_use]
pub fn heads(network: &Network) -> Box<dyn Heads> {
    if network.enabled { Box::new(OnnxHeads::new(network.library.clone())) } else { Box::new(NoHeads) }
}

/// Whether all networks of a model can be run here, as configured.
///
/// # Errors
/// The library cannot be loaded, or a network is none that Weir writes.
pub fn check(model: &Model, network: &Network) -> Result<(), HeadError> {
    if !network.enabled {
        return Ok(());
    }
    let mut heads = OnnxHeads::new(network.library.clone());
    model.heads().try_for_each(|head| heads.prepare(head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::neural::Head;

    #[test]
    fn what_is_no_network_is_said_to_be_none() {
        let error = OnnxHeads::default().prepare(&Head::new(b"no network".to_vec())).unwrap_err();
        assert!(matches!(&error, HeadError::Unusable(_)), "{error}");
    }
}
