//! Elastic Common Schema.

use crate::event::{Event, Kind};
use engine::{IncidentLife, Label};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Version of the schema.
const ECS: &str = "8.17.0";

/// The event as a document. What the schema has no field for stands under `weir`.
pub(crate) fn document(event: &Event) -> Value {
    let mut document = Map::from_iter([
        ("ecs".to_owned(), json!({"version": ECS})),
        ("message".to_owned(), json!(event.summary())),
        ("event".to_owned(), about(event)),
        ("observer".to_owned(), json!({"vendor": "Weir", "product": "Weir", "version": env!("CARGO_PKG_VERSION")})),
        ("service".to_owned(), json!({"name": event.api})),
        ("weir".to_owned(), own(event)),
    ]);
    let mut put = |name: &str, value: Value| drop(document.insert(name.to_owned(), value));
    if let Some(time) = &event.time {
        put("@timestamp", json!(time));
    }
    if let Some(family) = event.families.first() {
        let mut rule = json!({"name": family, "ruleset": "weir"});
        rule["version"] = event.model.as_ref().map_or(Value::Null, |model| json!(model));
        rule["reference"] = event.owasp.as_ref().map_or(Value::Null, |owasp| json!(owasp));
        put("rule", without_nulls(rule));
    }
    let (method, status) = (event.method(), event.status);
    put(
        "http",
        without_nulls(json!({"request": method.map(|m| json!({"method": m})), "response": status.map(|s| json!({"status_code": s}))})),
    );
    put("url", without_nulls(json!({"domain": event.host(), "path": event.path})));
    let address = event.client.as_deref().filter(|client| client.parse::<IpAddr>().is_ok());
    if let Some(client) = &event.client {
        put("source", without_nulls(json!({"address": client, "ip": address})));
    }
    if let Some(subject) = &event.subject {
        put("user", json!({"hash": subject}));
    }
    let hashes: Vec<&String> = event.session.iter().chain(&event.subject).collect();
    put("related", without_nulls(json!({"ip": address.map(|a| vec![a]), "hash": (!hashes.is_empty()).then_some(hashes)})));
    Value::Object(document)
}

fn about(event: &Event) -> Value {
    let is_odd = !matches!(event.kind, Kind::Verdict(Label::Benign | Label::Insufficient));
    let mut about = json!({
        "kind": if is_odd { "alert" } else { "event" },
        "category": if is_odd { json!(["api", "intrusion_detection"]) } else { json!(["api"]) },
        "type": [if is_odd { "indicator" } else { "info" }],
        "id": event.id,
        "module": "weir",
        "provider": "weir",
        "severity": event.score.round() as i64,
        "risk_score": event.score,
        "risk_score_norm": event.score.min(100.0),
        "reason": event.reasons.first().map(|why| format!("{} {}; expected {}", why.place, why.observed, why.expected)),
    });
    match event.kind {
        Kind::Verdict(label) => {
            about["dataset"] = json!("weir.verdicts");
            about["action"] = json!(format!("verdict-{}", label.name()));
        }
        Kind::Alert { life, first_ms, last_ms, .. } => {
            about["dataset"] = json!("weir.alerts");
            about["action"] = json!(match life {
                IncidentLife::Created => "incident-created",
                IncidentLife::Updated => "incident-updated",
                IncidentLife::Closed => "incident-closed",
            });
            about["start"] = json!(engine::time::rfc3339(first_ms));
            about["end"] = json!(engine::time::rfc3339(last_ms));
        }
    }
    without_nulls(about)
}

fn own(event: &Event) -> Value {
    let reason =
        |why: &crate::event::Why| json!({"detector": why.detector, "where": why.place, "observed": why.observed, "expected": why.expected});
    let verdicts = match event.kind {
        Kind::Alert { verdicts, .. } => Some(verdicts),
        Kind::Verdict(_) => None,
    };
    without_nulls(json!({
        "endpoint": event.endpoint,
        "families": event.families,
        "session": event.session,
        "p": event.p,
        "alpha": event.alpha,
        "verdicts": verdicts,
        "reasons": event.reasons.iter().map(reason).collect::<Vec<_>>(),
    }))
}

/// An object without the members that are unknown.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::{alert, verdict};

    #[test]
    fn an_alert_as_a_document() {
        let document = document(&Event::of_alert(&alert()).unwrap());
        let expected = json!({
            "@timestamp": "2026-01-06T17:58:21.879Z",
            "ecs": {"version": ECS},
            "message": "mass_assignment on PATCH api.shop.example/v2/users/me: request.body.is_admin field never sent to this endpoint (bool)",
            "event": {
                "kind": "alert", "category": ["api", "intrusion_detection"], "type": ["indicator"], "action": "incident-updated",
                "id": "weir.traffic-0-18791-mass_assignment", "module": "weir", "provider": "weir", "dataset": "weir.alerts",
                "severity": 102, "risk_score": 102.12, "risk_score_norm": 100.0,
                "reason": "request.body.is_admin field never sent to this endpoint (bool); expected one of 7 known fields",
                "start": "2026-01-06T17:56:41.879Z", "end": "2026-01-06T17:58:21.879Z",
            },
            "rule": {"name": "mass_assignment", "ruleset": "weir", "version": "v1", "reference": "API3:2023"},
            "http": {"request": {"method": "PATCH"}, "response": {"status_code": 200}},
            "url": {"domain": "api.shop.example", "path": "/v2/users/me"},
            "source": {"address": "203.0.113.7", "ip": "203.0.113.7"},
            "user": {"hash": "7fc6"},
            "related": {"ip": ["203.0.113.7"], "hash": ["ab48", "7fc6"]},
            "observer": {"vendor": "Weir", "product": "Weir", "version": env!("CARGO_PKG_VERSION")},
            "service": {"name": "api.shop.example"},
            "weir": {
                "endpoint": "PATCH api.shop.example/v2/users/me", "families": ["mass_assignment"], "session": "ab48",
                "p": 6.14e-11, "alpha": 1e-4, "verdicts": 3,
                "reasons": [{
                    "detector": "content", "where": "request.body.is_admin", "observed": "field never sent to this endpoint (bool)",
                    "expected": "one of 7 known fields",
                }],
            },
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn a_benign_verdict_is_no_alert_and_what_is_unknown_is_absent() {
        let mut event = Event::of_verdict(&verdict()).unwrap();
        (event.kind, event.client, event.status, event.session) = (Kind::Verdict(Label::Benign), None, None, None);
        event.families.clear();
        let document = document(&event);
        assert_eq!(document["event"]["kind"], "event");
        assert!(document.get("source").is_none() && document.get("rule").is_none() && document["http"].get("response").is_none());
        event.client = Some("203.0.113.0/24".to_owned());
        let document = super::document(&event);
        assert_eq!(document["source"], json!({"address": "203.0.113.0/24"}));
    }
}
