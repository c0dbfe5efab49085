//! The loop of one receiver: poll, encode, deliver, commit.
//!
//! While a receiver is down its partitions are paused and the log is polled on, so that we stay in the group; what was read waits in memory,
//! one batch of it, and the rest on its topic.

use crate::EgressError;
use crate::backoff::Backoff;
use crate::message::{Encoder, Message};
use crate::metrics::Shared;
use crate::receiver::{Delivery, Receiver, Trouble};
use crate::settings::Settings;
use engine::{Offset, TopicPartition};
use runtime::clock::now_ms;
use runtime::config::{Receiver as Declared, Stream};
use runtime::format;
use runtime::log::{Batch, CommitError, Event, Log, Output, Polled, Producer, Record, Worker, WorkerSpec, poll_on};
use runtime::shutdown::Shutdown;
use runtime::status::{OUTPUT, OutputStatus, record};
use runtime::telemetry::trace::{Handling, handling};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Most records of one batch.
const BATCH: usize = 500;
/// Longest wait for a batch.
const POLL: Duration = Duration::from_millis(100);
/// How long a delivery that is under way may take when we are to stop.
const GRACE: Duration = Duration::from_secs(3);
/// Time between two status records.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// A record that waits for its receiver.
struct Waiting {
    record: Record,
    message: Encoded,
    /// If the exchange behind it is traced: until the receiver has it.
    traced: Option<Handling>,
}

/// What became of a record.
enum Encoded {
    /// To be delivered.
    Wanted(Message),
    /// The receiver does not want it.
    Unwanted,
    /// It is no verdict, or no alert.
    Unreadable(String),
}

/// Brings the records of a topic to one receiver.
pub(crate) struct Forwarder {
    encoder: Encoder,
    receiver: Receiver,
    worker: Box<dyn Worker>,
    /// Partitions that are ours, with the next offset to be delivered.
    owned: BTreeMap<TopicPartition, Offset>,
    /// In the order in which they were read.
    waiting: Vec<Waiting>,
    is_paused: bool,
    backoff: Backoff,
    not_before: Instant,
    letters: Letters,
    report: Report,
}

impl Forwarder {
    pub(crate) fn open(settings: &Settings, name: &str, declared: &Declared, log: &dyn Log) -> Result<Self, EgressError> {
        let receiver = Receiver::open(settings, declared).map_err(|why| EgressError::Open { name: name.to_owned(), why })?;
        let topics = &settings.topics;
        let topic = match declared.of {
            Stream::Alerts => &topics.alerts,
            Stream::Verdicts => &topics.verdicts,
        };
        let spec = WorkerSpec {
            group: format!("{}.{name}", topics.groups.egress),
            topics: vec![Arc::clone(topic)],
            instance: settings.instance.clone(),
            number: 0,
            of: 1,
        };
        let status = OutputStatus { instance: settings.instance.clone(), output: name.to_owned(), ..OutputStatus::default() };
        Ok(Self {
            encoder: Encoder::new(declared),
            receiver,
            worker: log.worker(&spec)?,
            owned: BTreeMap::new(),
            waiting: Vec::new(),
            is_paused: false,
            backoff: Backoff::new(settings.first_pause),
            not_before: Instant::now(),
            letters: Letters { topic: Arc::clone(&topics.deadletter), output: name.to_owned(), keep: settings.keep_dead_letters },
            report: Report {
                observed: Shared::observed(status.clone()),
                status,
                told: None,
                at: None,
                topic: Arc::clone(&topics.status),
                producer: log.producer(None)?,
            },
        })
    }

    /// Forwards until asked to stop.
    pub(crate) fn run(mut self, handle: &Handle, shutdown: &Shutdown) -> Result<(), EgressError> {
        while !shutdown.is_cancelled() {
            self.poll()?;
            if !self.waiting.is_empty() && Instant::now() >= self.not_before {
                let Some(delivery) = self.deliver(handle, shutdown) else { break };
                self.settle(delivery)?;
            }
            self.hold()?;
            if self.report.at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
                self.tell()?;
            }
        }
        self.report.status.life.ended = true;
        self.tell()
    }

    /// Reads what there is; while records wait, only stays in the group.
    fn poll(&mut self) -> Result<(), EgressError> {
        let Polled { events, lost } = poll_on(&mut *self.worker, BATCH, POLL)?;
        self.report.status.lost += lost;
        for event in events {
            match event {
                Event::Assigned(partitions) => {
                    self.owned.extend(partitions);
                    self.is_paused = false;
                }
                Event::Revoked(partitions) => {
                    self.owned.retain(|at, _| !partitions.contains(at));
                    self.waiting.retain(|waiting| !partitions.contains(&waiting.record.at));
                }
                Event::Records(records) => {
                    for record in records {
                        let message = match self.encoder.message(&record) {
                            Ok(Some(message)) => Encoded::Wanted(message),
                            Ok(None) => Encoded::Unwanted,
                            Err(error) => Encoded::Unreadable(error.to_string()),
                        };
                        let mut traced = handling(&record);
                        if let Some(span) = &mut traced {
                            span.say("weir.output", self.report.status.output.clone());
                        }
                        self.waiting.push(Waiting { record, message, traced });
                    }
                }
            }
        }
        Ok(())
    }

    /// Pauses the topic while records wait, resumes it when none do.
    fn hold(&mut self) -> Result<(), EgressError> {
        let wanted = !self.waiting.is_empty();
        if wanted != self.is_paused {
            let owned: Vec<TopicPartition> = self.owned.keys().cloned().collect();
            if wanted {
                self.worker.pause(&owned)?;
            } else {
                self.worker.resume(&owned)?;
            }
            self.is_paused = wanted;
        }
        Ok(())
    }

    /// Hands over what waits; `None`: we are to stop and it takes too long.
    fn deliver(&mut self, handle: &Handle, shutdown: &Shutdown) -> Option<Delivery> {
        let wanted = |waiting: &Waiting| match &waiting.message {
            Encoded::Wanted(message) => Some(message.clone()),
            Encoded::Unwanted | Encoded::Unreadable(_) => None,
        };
        let messages: Vec<Message> = self.waiting.iter().filter_map(wanted).collect();
        if messages.is_empty() {
            return Some(Delivery::default());
        }
        let stopped = async {
            shutdown.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        handle.block_on(async {
            tokio::select! {
                delivery = self.receiver.deliver(&messages) => Some(delivery),
                () = stopped => None,
            }
        })
    }

    /// Commits the positions of what has come to its end, with the dead letters of what was refused, and says what went wrong.
    fn settle(&mut self, delivery: Delivery) -> Result<(), EgressError> {
        let Delivery { done, refused, trouble } = delivery;
        let mut refusals: BTreeMap<usize, String> = refused.into_iter().map(|refused| (refused.index, refused.why)).collect();
        let mut batch = Batch::default();
        let mut positions: BTreeMap<TopicPartition, Offset> = BTreeMap::new();
        let (mut settled, mut messages, mut taken) = (0, 0, 0);
        for waiting in &mut self.waiting {
            match &waiting.message {
                Encoded::Wanted(_) if messages == done => break,
                Encoded::Wanted(_) => {
                    match refusals.remove(&messages) {
                        Some(why) => {
                            if let Some(span) = &mut waiting.traced {
                                span.failed(&why);
                            }
                            batch.outputs.push(self.letters.of(&waiting.record, "refused", &why));
                        }
                        None => taken += 1,
                    }
                    messages += 1;
                }
                Encoded::Unwanted => {}
                Encoded::Unreadable(why) => batch.outputs.push(self.letters.of(&waiting.record, "unreadable", why)),
            }
            positions.insert(waiting.record.at.clone(), waiting.record.offset.next());
            settled += 1;
        }
        let letters = batch.outputs.len() as u64;
        batch.positions = positions.clone().into_iter().collect();
        if settled > 0 && self.commit(batch)? {
            self.owned.extend(positions);
            self.waiting.drain(..settled);
            self.report.status.delivered += taken;
            self.report.status.refused += letters;
        }
        self.note(trouble, done);
        Ok(())
    }

    /// Commits; `false`: it was aborted, and all that waits is read again from the committed positions.
    fn commit(&mut self, batch: Batch) -> Result<bool, EgressError> {
        match self.worker.commit(batch) {
            Ok(()) => Ok(true),
            Err(CommitError::Aborted(why)) => {
                tracing::warn!(output = self.report.status.output, why, "a transaction was aborted: its records are delivered again");
                self.waiting.iter_mut().filter_map(|waiting| waiting.traced.as_mut()).for_each(|span| span.failed(&why));
                self.waiting.clear();
                Ok(false)
            }
            Err(CommitError::Fenced(why)) => Err(EgressError::Fenced(why)),
            Err(CommitError::Fatal(error)) => Err(error.into()),
        }
    }

    /// When the next delivery may be tried, and what people are to know of it.
    fn note(&mut self, trouble: Option<Trouble>, done: usize) {
        let status = &mut self.report.status;
        let was_failing = status.failing.take().is_some();
        if done > 0 || trouble.is_none() {
            self.backoff.reset();
        }
        match trouble {
            None if was_failing => tracing::info!(output = status.output, "the receiver takes records again"),
            None => {}
            Some(Trouble { why, wait }) => {
                self.not_before = Instant::now() + self.backoff.pause(wait);
                if !was_failing {
                    tracing::warn!(output = status.output, why, "the receiver does not take records; it is tried again until it does");
                }
                status.failing = Some(why);
            }
        }
    }

    /// Tells how things stand, with how far it is behind.
    fn tell(&mut self) -> Result<(), EgressError> {
        self.report.at = Some(Instant::now());
        match self.worker.ends() {
            Ok(ends) => {
                let behind = |(at, end): &(TopicPartition, Offset)| Some(end.0.saturating_sub(self.owned.get(at)?.0));
                self.report.status.lag = ends.iter().filter_map(behind).sum();
            }
            Err(error) => tracing::debug!(%error, output = self.report.status.output, "the lag is not known"),
        }
        self.report.tell()
    }
}

/// What is left of records that the receiver does not take.
struct Letters {
    topic: Arc<str>,
    /// Name of the output.
    output: String,
    /// Whether they hold the bytes.
    keep: bool,
}

impl Letters {
    fn of(&self, record: &Record, reason: &'static str, why: &str) -> Output {
        let detail: String = format!("output {}: {why}", self.output).chars().take(300).collect();
        Output {
            topic: Arc::clone(&self.topic),
            partition: None,
            key: None,
            value: record.value.clone().filter(|_| self.keep),
            headers: vec![
                ("reason", reason.into()),
                ("detail", detail.into()),
                ("topic", record.at.topic.to_string().into()),
                ("partition", record.at.partition.to_string().into()),
                ("offset", record.offset.to_string().into()),
                format::header(),
            ],
        }
    }
}

/// What people are told of an output: a record of `weir.status`, now and then.
struct Report {
    status: OutputStatus,
    observed: Shared,
    told: Option<OutputStatus>,
    at: Option<Instant>,
    topic: Arc<str>,
    producer: Box<dyn Producer>,
}

impl Report {
    /// Tells what changed, and now and then that it lives. A status that cannot be written is no reason to stop.
    fn tell(&mut self) -> Result<(), EgressError> {
        let now = now_ms();
        if self.told.as_ref() == Some(&self.status) && !self.status.life.is_due(now) {
            return Ok(());
        }
        self.status.life.said_ms = now;
        self.observed.set(&self.status);
        let output = record(&self.topic, format!("{OUTPUT}{}/{}", self.status.instance, self.status.output), &self.status)?;
        match self.producer.append(vec![output]) {
            Ok(_) => self.told = Some(self.status.clone()),
            Err(error) => tracing::warn!(%error, output = self.status.output, "the status of an output could not be written"),
        }
        Ok(())
    }
}
