//! From the body of one request to records of the traffic topic.

use super::problem::{BadRecord, NAMED, Refusal};
use crate::decode::{BadLine, Element, Elements, Fault, GatewayFields, Line, Lines, Reader, Reason, canonical, is_array};
use crate::{Preparer, traffic};
use bytes::Bytes;
use engine::Exchange;
use runtime::log::Output;
use std::io::Read;
use std::sync::Arc;

/// How a body is encoded on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    /// By the value of `Content-Encoding`.
    pub(super) fn named(name: Option<&str>) -> Result<Self, Refusal> {
        match name.map(|name| name.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "identity") => Ok(Self::Identity),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip),
            Some("zstd") => Ok(Self::Zstd),
            Some(other) => Err(Refusal::UnknownEncoding(other.chars().take(32).collect())),
        }
    }

    /// The body in clear, of at most `limit` bytes.
    pub(super) fn decoded(self, body: Bytes, limit: usize) -> Result<Bytes, Refusal> {
        match self {
            Self::Identity => Ok(body),
            Self::Gzip => bounded(flate2::bufread::MultiGzDecoder::new(&body[..]), limit),
            Self::Zstd => {
                let mut frames = zstd::stream::read::Decoder::with_buffer(&body[..])?;
                // A window beyond the limit is memory that no body within the limit needs.
                frames.window_log_max(limit.next_power_of_two().ilog2().clamp(20, 27))?;
                bounded(frames, limit)
            }
        }
    }
}

fn bounded(input: impl Read, limit: usize) -> Result<Bytes, Refusal> {
    let mut body = Vec::new();
    input.take(limit as u64 + 1).read_to_end(&mut body)?;
    if body.len() > limit { Err(Refusal::TooLarge { limit }) } else { Ok(body.into()) }
}

/// Records of a body, and what of it is left out.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) outputs: Vec<Output>,
    /// Number of what could not be read, where the rest is taken all the same.
    pub(super) rejected: u64,
    /// Why the first of it could not.
    pub(super) why: String,
}

/// Makes the records of a body in a gateway's own format. What cannot be read of it is left out: a gateway that is answered 400 sends the same
/// again, or drops all of it.
pub(super) fn foreign(body: &Bytes, reader: &Reader, topic: &Arc<str>, preparer: &Preparer) -> Taken {
    let mut taken = Taken::default();
    for decoded in reader.read(&"body".into(), body.clone()) {
        let output = match decoded {
            Ok(decoded) => traffic::record(&preparer.prepared(decoded), topic),
            Err(BadLine { fault, .. }) => Err(fault),
        };
        match output {
            Ok(output) => taken.outputs.push(output),
            Err(fault) => taken.reject(&fault),
        }
    }
    taken
}

impl Taken {
    /// Leaves something out.
    pub(super) fn reject(&mut self, fault: &Fault) {
        if self.rejected == 0 {
            self.why = fault.to_string();
        }
        self.rejected += 1;
    }
}

/// Makes the records of a body: prepared, canonical, keyed by session. All of them, or none: a sender that is told of a bad record can send the
/// rest again without anything having been written twice.
pub(super) fn exchanges(body: &[u8], topic: &Arc<str>, preparer: &Preparer) -> Result<Taken, Refusal> {
    let mut intake = Intake { topic, preparer, outputs: Vec::new(), index: 0, bad: 0, first: Vec::new() };
    let mut record = Vec::new();
    if is_array(body) {
        let mut elements = Elements::new(body, &[], Exchange::MAX_BYTES);
        loop {
            match elements.next_into(&mut record)? {
                Element::End => break,
                Element::Whole => intake.take(&record, elements.start_line()),
                Element::TooLong(size) => intake.refuse(Fault::too_long(size, Exchange::MAX_BYTES), elements.start_line()),
                Element::Broken => {
                    intake.refuse(Fault::new(Reason::NotJson, "the array does not end"), elements.start_line());
                    break;
                }
            }
        }
    } else if is_one_object(body) {
        intake.take(body, 1);
    } else {
        let mut lines = Lines::new(body, Exchange::MAX_BYTES);
        loop {
            match lines.next_into(&mut record)? {
                Line::End => break,
                Line::Whole if record.iter().all(u8::is_ascii_whitespace) => {}
                Line::Whole => intake.take(&record, lines.number()),
                Line::TooLong(size) => intake.refuse(Fault::too_long(size, Exchange::MAX_BYTES), lines.number()),
            }
        }
    }
    intake.finish()
}

/// Whether the body is an object over several lines instead of an object a line: the first line does not close it.
fn is_one_object(body: &[u8]) -> bool {
    let text = body.trim_ascii();
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    text.starts_with(b"{") && !first.trim_ascii_end().ends_with(b"}")
}

/// Records so far.
struct Intake<'i> {
    topic: &'i Arc<str>,
    preparer: &'i Preparer,
    outputs: Vec<Output>,
    index: u64,
    bad: u64,
    first: Vec<BadRecord>,
}

impl Intake<'_> {
    fn take(&mut self, record: &[u8], line: u64) {
        match self.output(record) {
            Ok(output) => {
                self.outputs.push(output);
                self.index += 1;
            }
            Err(fault) => self.refuse(fault, line),
        }
    }

    fn output(&self, record: &[u8]) -> Result<Output, Fault> {
        let mut exchange = canonical(record)?;
        self.preparer.prepare(&mut exchange, &GatewayFields::default());
        traffic::record(&exchange, self.topic)
    }

    fn refuse(&mut self, fault: Fault, line: u64) {
        if self.first.len() < NAMED {
            let (reason, detail) = (fault.reason.name(), fault.detail.into_owned());
            self.first.push(BadRecord { index: self.index, line, reason, detail });
        }
        self.bad += 1;
        self.index += 1;
    }

    fn finish(self) -> Result<Taken, Refusal> {
        if self.bad > 0 {
            return Err(Refusal::BadRecords { count: self.bad, first: self.first });
        }
        if self.outputs.is_empty() {
            return Err(Refusal::NoRecords);
        }
        Ok(Taken { outputs: self.outputs, ..Taken::default() })
    }
}
