//! What integration tests of several crates need: a real Apache Kafka broker. Only with the feature `testkit`, never in a release.
//!
//! A test kit panics: a test that cannot have its broker has failed, and says why.

#![allow(clippy::expect_used, clippy::panic, reason = "a test without its broker has failed")]

mod broker;
mod tls;

pub use broker::Broker;
