//! `content`'s network: an autoencoder that rebuilds a value from what little of it fits through a narrow middle, knowing which field it
//! stands in. What it learned to be usual comes out as it went in; what does not is odd.

mod gate;
mod learn;
mod likeness;
mod sketch;

pub use gate::{Figures, Found, Mutation};
pub(crate) use learn::{Learned, learn};
pub use likeness::{Appraisal, Likeness};
pub use sketch::{BINS, Fields, KINDS, Sketch};

/// Values of one request that the network is asked of, at most: the longest.
pub const MOST: usize = 8;

/// How well a value came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rebuilt {
    /// −ln of the probability of its n-grams, nats.
    pub nats: f32,
    /// The n-gram that was least expected, below [`BINS`].
    pub odd: u8,
}
