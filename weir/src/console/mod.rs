//! What people ask a running installation: is it well, where is it, what did it find.

pub(crate) mod board;
mod routes;
pub(crate) mod verdicts;

pub(crate) use routes::routes;
