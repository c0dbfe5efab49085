//! Log files of gateways, followed as they grow: each line becomes an exchange on the traffic topic, or a dead letter.
//!
//! What was read and how far is one transaction: the place in the file stands on the status topic. So a restart, at whatever moment, loses no
//! line and repeats none. Files that are moved away, with their inode or by copy and truncation, are read to their end first.

mod place;
mod tail;

use crate::decode::{BadLine, Fault, Options, Reader};
use crate::metrics::Metrics;
use crate::report::Counts;
use crate::service::{Ingest, IngestError};
use crate::{Preparer, traffic};
use bytes::Bytes;
use engine::TopicPartition;
use place::Place;
use runtime::format;
use runtime::log::{Log, LogError, Output, Producer, Start, read_to_end};
use runtime::shutdown::Shutdown;
use runtime::topics::Topics;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tail::Tail;

/// Wait when no file has anything new, and before the log is tried again.
const IDLE: Duration = Duration::from_millis(250);
/// Keys of places on the status topic begin so.
const KEY: &str = "file/";

/// Follows the configured files until it is to stop; returns at once when there are none.
///
/// # Errors
/// The log fails for good, or masking cannot be set up. A file that is not there yet is waited for.
pub(crate) async fn run(ingest: &Ingest, shutdown: Shutdown) -> Result<(), IngestError> {
    if ingest.config.ingest.files.is_empty() {
        return Ok(());
    }
    let mut following = Following::open(ingest)?;
    let reading = tokio::task::spawn_blocking(move || {
        while !shutdown.is_cancelled() {
            if !following.turn()? {
                std::thread::sleep(IDLE);
            }
        }
        Ok(())
    });
    reading.await.unwrap_or(Err(IngestError::Files))
}

/// All files that are followed.
struct Following {
    files: Vec<Followed>,
    preparer: Preparer,
    log: Arc<dyn Log>,
    producer: Box<dyn Producer>,
    metrics: Metrics,
    topics: Topics,
    instance: String,
    keep_dead_letters: bool,
    counts: Counts,
}

/// One of them.
struct Followed {
    path: PathBuf,
    name: Arc<str>,
    reader: Reader,
    tail: Tail,
}

impl Following {
    fn open(ingest: &Ingest) -> Result<Self, IngestError> {
        let Ingest { config, key, log, counts } = ingest;
        let topics = Topics::new(config);
        let options = Options::configured(config);
        let file = |file: &runtime::config::LogFile| {
            let field_map = file.field_map.as_ref().and_then(|name| config.ingest.field_maps.get(name)).cloned();
            let reader = Reader::new(&Options { format: file.format, field_map, ..options.clone() });
            Followed { name: file.path.display().to_string().into(), tail: Tail::new(&file.path), path: file.path.clone(), reader }
        };
        let producer = log.producer(Some(&format!("{}files-{}", config.topics.prefix, config.instance)))?;
        let mut following = Self {
            files: config.ingest.files.iter().map(file).collect(),
            preparer: Preparer::configured(config, key)?,
            log: Arc::clone(log),
            producer,
            instance: config.instance.clone(),
            keep_dead_letters: config.deadletter.keep,
            metrics: Metrics::new("file", &topics.traffic, counts.clone()),
            counts: counts.clone(),
            topics,
        };
        following.stand_where_the_log_says()?;
        Ok(following)
    }

    /// Takes every file up where the last transaction left it.
    fn stand_where_the_log_says(&mut self) -> Result<(), LogError> {
        let mut places: Vec<Option<Place>> = self.files.iter().map(|_| None).collect();
        let keys: Vec<String> = self.files.iter().map(|file| self.key(&file.name)).collect();
        let from = [(TopicPartition::new(Arc::clone(&self.topics.status), 0), Start::Oldest)];
        read_to_end(&*self.log, &from, |record| {
            if let Some(n) = keys.iter().position(|key| record.key.as_deref() == Some(key.as_bytes())) {
                places[n] = record.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
            }
        })?;
        for (file, place) in self.files.iter_mut().zip(places) {
            file.tail = place.map_or_else(|| Tail::new(&file.path), |place| Tail::at(&file.path, place));
        }
        Ok(())
    }

    fn key(&self, name: &str) -> String {
        format!("{KEY}{}/{name}", self.instance)
    }

    /// Reads on in each file; returns whether there was anything.
    fn turn(&mut self) -> Result<bool, IngestError> {
        let mut is_busy = false;
        for n in 0..self.files.len() {
            let piece = match self.files[n].tail.read() {
                Ok(Some(piece)) => piece,
                Ok(None) => continue,
                Err(error) => {
                    self.files[n].tail.complain(&error);
                    continue;
                }
            };
            is_busy = true;
            let mut outputs = self.outputs(&self.files[n], &piece)?;
            let sent = self.metrics.sending(&mut outputs);
            match self.producer.append(outputs) {
                Ok(_) => {
                    sent.done();
                    self.files[n].tail.accept(&piece.place);
                }
                // Whether it was written is not known: the log says where to go on.
                Err(error @ LogError::Retriable { .. }) => {
                    sent.failed(&error);
                    tracing::warn!(%error, file = %self.files[n].name, "lines were not written; trying again");
                    std::thread::sleep(IDLE);
                    self.stand_where_the_log_says()?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let unread = |file: &Followed| Some(format!("file {}: {}", file.name, file.tail.complaint()?));
        self.counts.set_unread(self.files.iter().filter_map(unread).collect());
        Ok(is_busy)
    }

    /// Exchanges, dead letters and the place of one piece.
    fn outputs(&self, file: &Followed, piece: &tail::Piece) -> Result<Vec<Output>, IngestError> {
        let mut outputs = Vec::new();
        if let Some(size) = piece.skipped {
            outputs.push(self.dead_letter(file, piece, &Fault::too_long(size, engine::Exchange::MAX_BYTES)));
        }
        if !piece.lines.is_empty() {
            for decoded in file.reader.read(&file.name, piece.lines.clone()) {
                let output = match decoded {
                    Ok(decoded) => {
                        let mut exchange = self.preparer.prepared(decoded);
                        exchange.source.get_or_insert_with(|| file.name.to_string().into());
                        traffic::record(&exchange, &self.topics.traffic)
                    }
                    Err(BadLine { fault, .. }) => Err(fault),
                };
                outputs.push(output.unwrap_or_else(|fault| self.dead_letter(file, piece, &fault)));
            }
        }
        let place = runtime::status::record(&self.topics.status, self.key(&file.name), &piece.place);
        outputs.push(place.map_err(|e| IngestError::Place(e.to_string()))?);
        Ok(outputs)
    }

    /// `offset`: that of the piece in which the line stands.
    fn dead_letter(&self, file: &Followed, piece: &tail::Piece, fault: &Fault) -> Output {
        let headers = vec![
            format::header(),
            ("reason", Bytes::from_static(fault.reason.name().as_bytes())),
            ("detail", Bytes::copy_from_slice(fault.detail.as_bytes())),
            ("topic", Bytes::copy_from_slice(file.name.as_bytes())),
            ("partition", Bytes::from_static(b"0")),
            ("offset", Bytes::from(piece.start.to_string())),
        ];
        let value = self.keep_dead_letters.then(|| piece.lines.clone()).filter(|lines| lines.len() <= tail::PIECE);
        Output { topic: Arc::clone(&self.topics.deadletter), partition: None, key: None, value, headers }
    }
}

#[cfg(test)]
mod tests;
