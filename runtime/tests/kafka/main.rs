//! The log on a real Apache Kafka broker: what the interface promises, with members that come and go, processes that are killed,
//! transactions that are aborted. Everything is asserted on what a reader of committed records sees.
//!
//! The broker's jars come by `make test` or scripts/fetch-kafka.sh; without them these tests fail and say so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod crash;
mod group;
mod log;
mod reading;
mod security;
mod setup;
mod topics;
