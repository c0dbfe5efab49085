//! One module per command: it parses, wires and reports.

pub(crate) mod backtest;
pub(crate) mod simulate;
