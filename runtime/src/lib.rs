//! Every effect: the log (embedded and Kafka), configuration, model files, telemetry, shutdown. It *never* decides anything about traffic.

pub mod config;
pub mod log;
#[cfg(feature = "testkit")]
pub mod testkit;
