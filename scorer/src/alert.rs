//! An incident as an OCSF 1.5 Detection Finding (class 2004), for `weir.alerts`.

use engine::{Incident, IncidentLife, Reason};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Version of the schema.
const OCSF: &str = "1.5.0";
const CLASS: u64 = 2004;
const CATEGORY: u64 = 2;

/// The finding of an incident as it stands now: created, updated or closed under one `finding_info.uid`.
#[must_use]
pub fn finding(incident: &Incident) -> Value {
    let (activity_id, activity, status_id, status) = match incident.life {
        IncidentLife::Created => (1, "Create", 1, "New"),
        IncidentLife::Updated => (2, "Update", 2, "In Progress"),
        IncidentLife::Closed => (3, "Close", 4, "Resolved"),
    };
    let (severity_id, severity) = severity(incident.worst.score);
    let verdict = &incident.worst;
    let finding = Map::from_iter([
        ("class_uid".to_owned(), json!(CLASS)),
        ("class_name".to_owned(), json!("Detection Finding")),
        ("category_uid".to_owned(), json!(CATEGORY)),
        ("category_name".to_owned(), json!("Findings")),
        ("activity_id".to_owned(), json!(activity_id)),
        ("activity_name".to_owned(), json!(activity)),
        ("type_uid".to_owned(), json!(CLASS * 100 + activity_id)),
        ("type_name".to_owned(), json!(format!("Detection Finding: {activity}"))),
        ("status_id".to_owned(), json!(status_id)),
        ("status".to_owned(), json!(status)),
        ("severity_id".to_owned(), json!(severity_id)),
        ("severity".to_owned(), json!(severity)),
        ("time".to_owned(), json!(incident.last_ms)),
        ("start_time".to_owned(), json!(incident.first_ms)),
        ("end_time".to_owned(), json!(incident.last_ms)),
        ("count".to_owned(), json!(incident.verdicts)),
        ("message".to_owned(), json!(message(incident))),
        ("is_alert".to_owned(), json!(true)),
        ("metadata".to_owned(), metadata()),
        ("finding_info".to_owned(), finding_info(incident)),
        ("anomaly_analyses".to_owned(), json!([anomaly_analysis(&verdict.endpoint, &verdict.reasons)])),
        ("evidences".to_owned(), json!([evidence(incident)])),
        ("unmapped".to_owned(), unmapped(incident)),
    ]);
    Value::Object(finding)
}

/// 30 is once in a thousand, 60 once in a million.
fn severity(score: f64) -> (u64, &'static str) {
    match score {
        s if s >= 90.0 => (5, "Critical"),
        s if s >= 60.0 => (4, "High"),
        s if s >= 40.0 => (3, "Medium"),
        _ => (2, "Low"),
    }
}

fn message(incident: &Incident) -> String {
    let first = incident.worst.reasons.first();
    let why = first.map_or_else(String::new, |r| format!(": {} {}", r.place, r.observed));
    format!("{} on {}{why}", incident.family.name(), incident.worst.endpoint)
}

fn metadata() -> Value {
    json!({
        "version": OCSF,
        "profiles": ["security_control"],
        "product": {"name": "Weir", "vendor_name": "Weir", "version": env!("CARGO_PKG_VERSION")},
    })
}

fn finding_info(incident: &Incident) -> Value {
    let mut info = Map::from_iter([
        ("uid".to_owned(), json!(incident.uid)),
        ("title".to_owned(), json!(message(incident))),
        ("types".to_owned(), json!([incident.family.name()])),
        ("created_time".to_owned(), json!(incident.first_ms)),
        ("first_seen_time".to_owned(), json!(incident.first_ms)),
        ("last_seen_time".to_owned(), json!(incident.last_ms)),
        ("modified_time".to_owned(), json!(incident.last_ms)),
        ("related_events".to_owned(), incident.verdict_ids.iter().map(|id| json!({"uid": id, "type": "Weir verdict"})).collect()),
        ("data_sources".to_owned(), json!(["weir.traffic"])),
    ]);
    let mut analytic = json!({"type_id": 4, "type": "Learning (ML/DL)", "name": analytic_name(incident), "uid": incident.family.name()});
    if let Some(model) = &incident.worst.model {
        analytic["version"] = json!(model);
    }
    info.insert("analytic".to_owned(), analytic);
    if let Some(owasp) = incident.family.owasp() {
        info.insert("tags".to_owned(), json!([{"name": "owasp", "value": owasp}]));
    }
    Value::Object(info)
}

/// The detector that weighed most.
fn analytic_name(incident: &Incident) -> &'static str {
    incident.worst.reasons.first().map_or("weir", |r| r.detector.name())
}

/// What was observed next to what was expected.
fn anomaly_analysis(endpoint: &str, reasons: &[Reason]) -> Value {
    let point = |r: &Reason, observation: Value| json!({"observation_parameter": r.place, "observation_type": r.detector.name(), "observations": [observation]});
    let anomalies: Vec<Value> = reasons.iter().map(|r| point(r, json!({"value": r.observed}))).collect();
    let baselines: Vec<Value> = reasons.iter().map(|r| point(r, json!({"value": r.expected, "count": r.support}))).collect();
    json!({"analysis_targets": [{"name": endpoint, "type": "API endpoint"}], "anomalies": anomalies, "baselines": baselines})
}

fn evidence(incident: &Incident) -> Value {
    let verdict = &incident.worst;
    let mut evidence = Map::new();
    if let Some(client) = &incident.client {
        // A network or a keyed hash, which privacy settings may make of it, is no address.
        let attribute = if client.parse::<IpAddr>().is_ok() { "ip" } else { "uid" };
        evidence.insert("src_endpoint".to_owned(), json!({attribute: client}));
    }
    if let Some(actor) = actor(incident) {
        evidence.insert("actor".to_owned(), actor);
    }
    let mut api = json!({"operation": verdict.endpoint, "service": {"name": incident.api}});
    if let Some(status) = verdict.status {
        api["response"] = json!({"code": status});
    }
    evidence.insert("api".to_owned(), api);
    evidence.insert(
        "data".to_owned(),
        json!({"verdict": verdict.id, "exchange": verdict.exchange_id, "path": verdict.path, "score": verdict.score}),
    );
    Value::Object(evidence)
}

fn actor(incident: &Incident) -> Option<Value> {
    let mut actor = Map::new();
    if let Some(session) = &incident.session {
        actor.insert("session".to_owned(), json!({"uid": session}));
    }
    if let Some(subject) = &incident.subject {
        actor.insert("user".to_owned(), json!({"uid": subject}));
    }
    (!actor.is_empty()).then_some(Value::Object(actor))
}

/// What OCSF has no place for.
fn unmapped(incident: &Incident) -> Value {
    let verdict = &incident.worst;
    json!({"api": incident.api, "family": incident.family.name(), "p": verdict.p, "alpha": verdict.alpha, "score": verdict.score})
}
