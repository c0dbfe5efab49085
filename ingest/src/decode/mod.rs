//! From bytes to exchanges: files and streams in the formats that gateways write, read with bounded memory.
//!
//! Reading order: [`Source`] opens an input and is an iterator; the other modules are what it is made of.
//!
//! **Invariant:** nothing that stands in an input ends the process, panics, or makes memory grow: a record larger than the limit is skipped
//! as it streams by, nesting is counted before any parse, and each thing that could not be read comes out as a [`BadLine`].

mod access_log;
mod bad;
mod detect;
mod elements;
pub(crate) mod ext_proc;
mod har;
mod input;
mod json_log;
mod lines;
mod merge;
pub(crate) mod otlp;
mod source;
mod tap;
mod target;
mod watched;

pub use bad::{BadLine, Fault, Position, Reason};
pub use detect::Format;
pub use input::{OpenError, Progress, open_text};
pub use merge::{REORDER_RECORDS, ReorderBuffer, Tally};
pub use source::{Decoded, GatewayFields, Options, Source};

pub(crate) use bad::canonical;
pub(crate) use detect::{is_array, string_end};
pub(crate) use elements::{Element, Elements};
pub(crate) use lines::{Line, Lines};
pub(crate) use source::Reader;
pub(crate) use target::push_percent;
