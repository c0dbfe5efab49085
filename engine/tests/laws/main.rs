//! What holds of the engine whatever the traffic, and what it says of small cases written by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure is a failed test")]

mod ablation;
mod admitted;
mod arbitrary;
mod caps;
mod crowd;
mod damage;
mod drift;
mod explain;
mod golden;
mod grouping;
mod learning;
mod levels;
mod quarantine;
mod replay;
mod tape;
mod traffic;
