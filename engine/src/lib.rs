//! The judge: an exchange goes in, a verdict with reasons comes out; what is learned, and how, stands here too.
//!
//! It *never* reads a clock, a file, the environment or the network, starts no thread, and knows neither Kafka nor ONNX Runtime.
//! Time is an argument, randomness is seeded from data: the same records with the same effects at the same offsets give the same
//! verdicts, byte for byte.

pub mod ablation;
pub mod access;
mod admitted;
pub mod api;
pub mod assets;
pub mod calibrate;
pub mod content;
pub mod detect;
pub mod drift;
pub mod facts;
pub mod features;
pub mod fuse;
pub mod history;
pub mod learn;
pub mod links;
pub mod model;
pub mod neural;
pub mod newcomer;
pub mod partition;
pub mod paths;
pub mod probe;
pub mod rate;
pub mod record;
pub mod replay;
pub mod response;
pub mod rooms;
pub mod sequence;
pub mod source;
pub mod suspicion;
pub mod time;
pub mod trial;
pub mod volume;

pub use ablation::{Ablation, Step};
pub use admitted::Admission;
pub use facts::{BadFact, Fact, FactStage, Note, To};
pub use features::Features;
pub use history::{History, HistoryLimits};
pub use learn::{LearnConfig, LearnError, Progress, learn, learn_ablated, learn_with};
pub use model::{Model, ModelError};
pub use partition::{
    ClientIp, Effect, Incident, IncidentLife, Incoming, Judged, Limits, Partition, RecordPosition, STATE_FORMAT, StateEntry, StateError,
};
pub use record::*;
