//! A record as a receiver gets it.

use crate::event::Event;
use crate::{cef, ecs};
use engine::Label;
use runtime::config::{OutputFormat, Receiver, Stream};
use runtime::log::Record;

/// What is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// `<topic>-<partition>-<offset>`: the same however often it is sent.
    pub(crate) id: String,
    /// When the log took it, epoch milliseconds.
    pub(crate) time_ms: i64,
    /// Severity after RFC 5424.
    pub(crate) severity: u8,
    /// What it is, in one word.
    pub(crate) kind: &'static str,
    /// One line, without line end; JSON or CEF.
    pub(crate) body: Vec<u8>,
}

/// What a receiver wants of a topic, and how it wants it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoder {
    of: Stream,
    format: OutputFormat,
    label: Option<Label>,
}

impl Encoder {
    pub(crate) fn new(receiver: &Receiver) -> Self {
        Self { of: receiver.of, format: receiver.format, label: receiver.label }
    }

    /// The message of a record; `None`: this receiver does not want it.
    ///
    /// # Errors
    /// The record is no verdict, or no alert.
    pub(crate) fn message(&self, record: &Record) -> Result<Option<Message>, serde_json::Error> {
        let Some(value) = record.value.as_deref() else { return Ok(None) };
        if self.label.is_some_and(|wanted| record.header("label") != Some(wanted.name().as_bytes())) {
            return Ok(None);
        }
        let (event, kind) = match self.of {
            Stream::Alerts => (Event::of_alert(value)?, "alert"),
            Stream::Verdicts => (Event::of_verdict(value)?, "verdict"),
        };
        let body = match self.format {
            OutputFormat::Json => value.to_vec(),
            OutputFormat::Ecs => serde_json::to_vec(&ecs::document(&event))?,
            OutputFormat::Cef => cef::line(&event).into_bytes(),
        };
        let id = format!("{}-{}", record.at, record.offset);
        Ok(Some(Message { id, time_ms: record.timestamp_ms, severity: event.syslog_severity(), kind, body }))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use engine::{Offset, TopicPartition};
    use serde_json::json;

    /// An alert as it stands on its topic.
    pub(crate) fn alert() -> Vec<u8> {
        let point = |key: &str, value: &str| json!({"observation_parameter": "request.body.is_admin", "observation_type": "content", key: [{"value": value}]});
        let finding = json!({
            "activity_id": 2, "time": 1_767_722_301_879_i64, "start_time": 1_767_722_201_879_i64, "end_time": 1_767_722_301_879_i64, "count": 3,
            "finding_info": {
                "uid": "weir.traffic-0-18791-mass_assignment", "analytic": {"type_id": 4, "version": "v1"},
                "tags": [{"name": "owasp", "value": "API3:2023"}],
            },
            "anomaly_analyses": [{
                "anomalies": [point("observations", "field never sent to this endpoint (bool)")],
                "baselines": [point("observations", "one of 7 known fields")],
            }],
            "evidences": [{
                "src_endpoint": {"ip": "203.0.113.7"}, "actor": {"session": {"uid": "ab48"}, "user": {"uid": "7fc6"}},
                "api": {"operation": "PATCH api.shop.example/v2/users/me", "response": {"code": 200}}, "data": {"path": "/v2/users/me"},
            }],
            "unmapped": {"api": "api.shop.example", "family": "mass_assignment", "p": 6.14e-11, "alpha": 1e-4, "score": 102.12},
        });
        serde_json::to_vec(&finding).unwrap()
    }

    /// A verdict as it stands on its topic.
    pub(crate) fn verdict() -> Vec<u8> {
        let verdict = json!({
            "id": "weir.traffic-0-18791", "time": "2026-01-06T17:56:41.879Z", "stage": "evaluating", "model": "v1", "label": "anomalous",
            "score": 102.12, "p": 6.14e-11, "alpha": 1e-4, "api": "api.shop.example", "endpoint": "PATCH api.shop.example/v2/users/me",
            "path": "/v2/users/me", "status": 200, "session": "ab48", "client": "203.0.113.7", "families": ["mass_assignment"],
            "reasons": [{
                "detector": "content", "family": "mass_assignment", "p": 6e-11, "where": "request.body.is_admin",
                "observed": "field never sent to this endpoint (bool)", "expected": "one of 7 known fields", "support": 49,
            }],
            "blind": [],
        });
        serde_json::to_vec(&verdict).unwrap()
    }

    fn record(value: Option<Vec<u8>>, label: &'static str) -> Record {
        Record {
            at: TopicPartition::new("weir.verdicts", 3),
            offset: Offset(17),
            timestamp_ms: 5,
            key: None,
            value: value.map(Into::into),
            headers: vec![("label".to_owned(), label.into())],
        }
    }

    fn encoder(of: Stream, format: OutputFormat, label: Option<Label>) -> Encoder {
        Encoder { of, format, label }
    }

    #[test]
    fn json_is_the_record_itself_and_the_id_is_its_place() {
        let encoder = encoder(Stream::Verdicts, OutputFormat::Json, None);
        let message = encoder.message(&record(Some(verdict()), "anomalous")).unwrap().unwrap();
        assert_eq!((message.body, message.id.as_str(), message.severity), (verdict(), "weir.verdicts-3-17", 2));
    }

    #[test]
    fn only_wanted_labels_pass_and_tombstones_do_not() {
        let encoder = encoder(Stream::Verdicts, OutputFormat::Cef, Some(Label::Anomalous));
        assert!(encoder.message(&record(Some(verdict()), "anomalous")).unwrap().is_some());
        assert!(encoder.message(&record(Some(verdict()), "benign")).unwrap().is_none());
        assert!(encoder.message(&record(None, "anomalous")).unwrap().is_none());
    }

    #[test]
    fn a_record_that_is_something_else_is_an_error() {
        let encoder = encoder(Stream::Alerts, OutputFormat::Ecs, None);
        for value in [&b"{"[..], b"[]", b"{\"class_uid\":2004}", &verdict()] {
            assert!(encoder.message(&record(Some(value.to_vec()), "")).is_err());
        }
    }

    #[test]
    fn no_format_holds_a_line_end() {
        let hostile = String::from_utf8(alert()).unwrap().replace("/v2/users/me", "/v2\\n\\r\\u2028|=");
        for format in [OutputFormat::Json, OutputFormat::Ecs, OutputFormat::Cef] {
            let message = encoder(Stream::Alerts, format, None).message(&record(Some(hostile.clone().into_bytes()), "")).unwrap().unwrap();
            assert!(!message.body.iter().any(|byte| *byte < b' '), "{}", String::from_utf8_lossy(&message.body));
        }
    }
}
