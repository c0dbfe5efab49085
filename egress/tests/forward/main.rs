//! Forwarding as it runs: records on an embedded log, receivers on this machine that come, go, refuse and break down.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

mod bench;
mod blocklist;
mod kafka;
mod syslog;
mod webhook;
