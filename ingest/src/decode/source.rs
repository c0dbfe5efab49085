//! One input as an iterator of exchanges and of what could not be read.

use super::detect::{self, Detected, Layout};
use super::input::{self, Input, OpenError, PEEK, Progress};
use super::json_log::JsonLog;
use super::{BadLine, Element, Elements, Fault, Format, Line, Lines, Position, Reason, access_log, bad, har, otlp, tap};
use bytes::Bytes;
use engine::Exchange;
use runtime::config::{FieldMap, RecordFormat};
use std::collections::VecDeque;
use std::io::{BufRead, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

/// What the gateway's own record says of the caller, as it stands there: to be hashed, never to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GatewayFields {
    /// Session, by the field map.
    pub session: Option<String>,
    /// Authenticated account, by the field map, or the user of an access log.
    pub subject: Option<String>,
    /// Forwarding chain, as in `X-Forwarded-For`, where the record has it outside of the headers.
    pub forwarded_for: Option<String>,
    /// Fields that extractors ask for: dotted path and value.
    pub named: Vec<(String, String)>,
}

/// One exchange as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The exchange, as its record has it: no session made, nothing masked.
    pub exchange: Exchange<'static>,
    /// What else the record says of the caller.
    pub gateway: GatewayFields,
    /// Where it stood.
    pub at: Position,
}

/// How an input is read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Its format, or to detect it.
    pub format: RecordFormat,
    /// Field map of JSON logs; well-known names need none.
    pub field_map: Option<FieldMap>,
    /// Dotted paths of a JSON log's record that extractors ask for ([`GatewayFields::named`]).
    pub fields: Vec<String>,
}

/// Reads inputs that are alike; see [`Options`].
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    format: Option<Format>,
    json: Arc<JsonLog>,
}

impl Reader {
    /// A reader by these options.
    pub(crate) fn new(options: &Options) -> Self {
        let json = JsonLog::new(options.field_map.as_ref(), &options.fields);
        Self { format: Format::forced(options.format), json: Arc::new(json) }
    }

    /// Reads bytes that are in memory and not compressed.
    pub(crate) fn read(&self, name: &Arc<str>, bytes: Bytes) -> Source {
        let detected = self.detected(&bytes[..bytes.len().min(PEEK)]);
        self.source(Arc::clone(name), Box::new(Cursor::new(bytes)), detected, Progress::default())
    }

    fn detected(&self, peek: &[u8]) -> Detected {
        match self.format {
            Some(format) => Detected::of(format, peek),
            None => detect::detect(peek, true).unwrap_or_else(|| Detected::of(Format::Exchanges, peek)),
        }
    }

    fn source(&self, name: Arc<str>, bytes: Box<dyn BufRead + Send>, detected: Detected, progress: Progress) -> Source {
        let records = match detected {
            Detected { format: Format::Har, .. } => Records::Elements(Elements::new(bytes, har::PATH, har::MAX_ENTRY)),
            Detected { layout: Layout::Array, .. } => Records::Elements(Elements::new(bytes, &[], Exchange::MAX_BYTES)),
            Detected { layout: Layout::Values, .. } => Records::Elements(Elements::in_a_row(bytes, Exchange::MAX_BYTES)),
            Detected { layout: Layout::Lines, .. } => Records::Lines(Lines::new(bytes, Exchange::MAX_BYTES)),
        };
        let json = Arc::clone(&self.json);
        let (buffer, pending, traces) = (Vec::new(), VecDeque::new(), tap::Traces::default());
        Source { name, format: detected.format, records, json, traces, buffer, pending, progress, ended: false }
    }
}

/// One input, record by record, in the order in which they stand there.
///
/// ```no_run
/// use ingest::decode::{Options, Source};
/// let mut requests = 0;
/// for record in Source::open("monday.har".as_ref(), &Options::default())? {
///     match record {
///         Ok(_) => requests += 1,
///         Err(bad) => eprintln!("{bad}"),
///     }
/// }
/// # Ok::<(), ingest::decode::OpenError>(())
/// ```
pub struct Source {
    name: Arc<str>,
    format: Format,
    records: Records,
    json: Arc<JsonLog>,
    /// What of a tap is not whole yet.
    traces: tap::Traces,
    buffer: Vec<u8>,
    /// What the record that was read last came to, and has not been asked for yet.
    pending: VecDeque<Result<Decoded, BadLine>>,
    progress: Progress,
    ended: bool,
}

/// How records follow one another.
enum Records {
    Lines(Lines<Box<dyn BufRead + Send>>),
    Elements(Elements<Box<dyn BufRead + Send>>),
}

impl Source {
    /// Opens a file, or standard input for `-`. Compression (gzip, zstd) is told by its magic number, the format from the first bytes unless
    /// the options name one.
    ///
    /// # Errors
    /// The file cannot be opened, or its first bytes cannot be read.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let input = input::open(path, |peek, all| detect::detect(peek, all).is_some())?;
        Ok(Self::new(path.display().to_string().into(), input, options))
    }

    /// Reads any stream; `name` is what positions call it.
    ///
    /// # Errors
    /// Its first bytes cannot be read.
    pub fn from_reader(name: &str, stream: impl Read + Send + 'static, options: &Options) -> Result<Self, OpenError> {
        let input = input::from_reader(stream, None, |peek, all| detect::detect(peek, all).is_some())
            .map_err(|error| OpenError::Read { path: name.to_owned(), error })?;
        Ok(Self::new(name.into(), input, options))
    }

    fn new(name: Arc<str>, input: Input, options: &Options) -> Self {
        let reader = Reader::new(options);
        let detected = reader.detected(&input.peek);
        reader.source(name, input.bytes, detected, input.progress)
    }

    /// The format it is read as.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Its name, as positions have it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far it has been read; stays current while it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Reads the bytes of the next record into the buffer; where it stands, and why there are none, or `None` at the end.
    fn advance(&mut self) -> Option<(Position, Option<Fault>)> {
        let outcome = match &mut self.records {
            Records::Lines(lines) => loop {
                match lines.next_into(&mut self.buffer) {
                    Ok(Line::End) => return None,
                    Ok(Line::Whole) if self.buffer.iter().all(u8::is_ascii_whitespace) => {}
                    Ok(Line::Whole) => break Ok(None),
                    Ok(Line::TooLong(size)) => break Ok(Some(Fault::too_long(size, Exchange::MAX_BYTES))),
                    Err(error) => break Err(error),
                }
            },
            Records::Elements(elements) => match elements.next_into(&mut self.buffer) {
                Ok(Element::End) => return None,
                Ok(Element::Whole) => Ok(None),
                Ok(Element::TooLong(size)) => Ok(Some(Fault::too_long(size, self.format.limit()))),
                Ok(Element::Broken) => {
                    self.ended = true;
                    Ok(Some(Fault::new(Reason::NotJson, "the file ends, or its JSON is damaged, before the list of records does")))
                }
                Err(error) => Err(error),
            },
        };
        let fault = outcome.unwrap_or_else(|error| {
            self.ended = true;
            Some(Fault::new(Reason::ReadError, error.to_string()))
        });
        Some((self.standing(), fault))
    }

    fn standing(&self) -> Position {
        let (line, entry) = match &self.records {
            Records::Lines(lines) => (lines.number().max(1), None),
            Records::Elements(elements) => (elements.start_line(), Some(elements.number().max(1))),
        };
        Position { file: Arc::clone(&self.name), line, entry }
    }

    /// Reads what the buffer holds: one exchange; of OTLP one for each server span, of a tap what is whole with it.
    fn decode(&mut self, at: &Position) {
        let read = |decoded: Result<Decoded, Fault>| decoded.map_err(|fault| BadLine { at: at.clone(), fault });
        let pending = &mut self.pending;
        let decoded = match self.format {
            Format::Exchanges => bad::canonical(&self.buffer).map(|exchange| {
                let exchange = exchange.into_owned();
                Decoded { exchange, gateway: GatewayFields::default(), at: at.clone() }
            }),
            Format::Har => har::decode(&self.buffer, at.clone()),
            Format::AccessLog => access_log::decode(&self.buffer, at.clone()),
            Format::JsonLog => self.json.decode(&self.buffer, at.clone()),
            Format::Otlp => {
                let whole = otlp::json::spans(&self.buffer, |span, service| {
                    pending.extend(otlp::exchange(span, service, at).map(read));
                });
                pending.extend(whole.err().map(|fault| read(Err(fault))));
                return;
            }
            Format::Tap => return self.traces.take(&self.buffer, at, |told| pending.push_back(told)),
        };
        pending.push_back(read(decoded));
    }
}

impl Format {
    /// Most bytes of one record.
    fn limit(self) -> usize {
        if self == Self::Har { har::MAX_ENTRY } else { Exchange::MAX_BYTES }
    }
}

impl Iterator for Source {
    type Item = Result<Decoded, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.pending.is_empty() && !self.ended {
            match self.advance() {
                None => self.ended = true,
                Some((at, Some(fault))) => self.pending.push_back(Err(BadLine { at, fault })),
                Some((at, None)) => self.decode(&at),
            }
        }
        self.pending.pop_front().or_else(|| self.traces.oldest())
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("format", &self.format).finish_non_exhaustive()
    }
}
