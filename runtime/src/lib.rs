//! Every effect: the log (embedded and Kafka), configuration, model files, networks, telemetry, shutdown. It *never* decides anything about traffic.

pub mod clock;
pub mod config;
pub mod erase;
pub mod feedback;
pub mod format;
pub mod inference;
pub mod keys;
pub mod log;
pub mod model_file;
pub mod model_topic;
pub mod shutdown;
pub mod status;
pub mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod topics;
