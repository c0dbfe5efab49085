//! Every alert is what the published schema of OCSF 1.5.0 allows, down to the attributes of its objects.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

use engine::{DetectorKind, Family, Incident, IncidentLife, Label, Reason, Stage, Verdict};
use scorer::alert::finding;
use serde_json::{Value, json};

/// JSON Schema as far as the published schema uses it. A keyword that is not known here fails the test.
struct Schema(Value);

impl Schema {
    fn published() -> Self {
        Self(serde_json::from_str(include_str!("../testdata/ocsf/detection_finding-1.5.0.json")).unwrap())
    }

    /// What is wrong with a value, as `place: why`.
    fn faults(&self, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(&self.0, value, "finding", &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
        for (keyword, wanted) in schema.as_object().unwrap() {
            let holds = match keyword.as_str() {
                "$schema" | "$id" | "$defs" => true,
                "$ref" => {
                    let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    self.check(&self.0["$defs"][name], value, place, faults);
                    true
                }
                "type" => wanted.as_array().map_or_else(|| is_of(wanted, value), |any| any.iter().any(|one| is_of(one, value))),
                "properties" => {
                    for (name, schema) in wanted.as_object().unwrap() {
                        if let Some(value) = value.get(name) {
                            self.check(schema, value, &format!("{place}.{name}"), faults);
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    let is_known = |name: &&String| schema["properties"].get(name.as_str()).is_some();
                    let foreign = value.as_object().unwrap().keys().filter(|name| wanted == &json!(false) && !is_known(name));
                    faults.extend(foreign.map(|name| format!("{place}.{name}: not in the schema")));
                    true
                }
                "required" => wanted.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
                "anyOf" => self.fitting(wanted, value) >= 1,
                "oneOf" => self.fitting(wanted, value) == 1,
                "items" => {
                    for (n, item) in value.as_array().unwrap().iter().enumerate() {
                        self.check(wanted, item, &format!("{place}[{n}]"), faults);
                    }
                    true
                }
                "enum" => wanted.as_array().unwrap().contains(value),
                "const" => wanted == value,
                "minimum" => value.as_f64() >= wanted.as_f64(),
                "maximum" => value.as_f64() <= wanted.as_f64(),
                "maxLength" => value.as_str().unwrap().chars().count() as u64 <= wanted.as_u64().unwrap(),
                "pattern" => regex::Regex::new(wanted.as_str().unwrap()).unwrap().is_match(value.as_str().unwrap()),
                other => panic!("the schema has the keyword `{other}`, which this test does not know"),
            };
            if !holds {
                faults.push(format!("{place}: {keyword}"));
            }
        }
    }

    fn fitting(&self, schemas: &Value, value: &Value) -> usize {
        let fits = |schema: &&Value| {
            let mut faults = Vec::new();
            self.check(schema, value, "", &mut faults);
            faults.is_empty()
        };
        schemas.as_array().unwrap().iter().filter(fits).count()
    }
}

fn is_of(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("no type of JSON: {other}"),
    }
}

fn verdict() -> Verdict {
    let reason = Reason {
        detector: DetectorKind::Content,
        family: Family::MassAssignment,
        owasp: Some("API3:2023".to_owned()),
        p: 6e-11,
        place: "request.body.is_admin".to_owned(),
        observed: "field never sent to this endpoint (bool)".to_owned(),
        expected: "one of 7 known fields".to_owned(),
        support: 49,
    };
    Verdict {
        id: "weir.traffic-0-18791".to_owned(),
        exchange_id: Some("a1".to_owned()),
        time: Some("2026-01-06T17:56:41.879Z".to_owned()),
        stage: Stage::Evaluating,
        model: Some("v1".to_owned()),
        label: Label::Anomalous,
        score: 102.12,
        p: 6.14e-11,
        alpha: 1e-4,
        api: "api.shop.example".to_owned(),
        endpoint: "PATCH api.shop.example/v2/users/me".to_owned(),
        path: "/v2/users/me".to_owned(),
        status: Some(200),
        session: Some("ab48".to_owned()),
        subject: Some("7fc6".to_owned()),
        client: Some("2001:db8::17".to_owned()),
        families: vec![Family::MassAssignment],
        reasons: vec![reason.clone(), reason],
        blind: Vec::new(),
    }
}

fn incident(life: IncidentLife, family: Family, worst: Verdict) -> Incident {
    Incident {
        uid: format!("{}-{}", worst.id, family.name()),
        life,
        family,
        api: worst.api.clone(),
        session: worst.session.clone(),
        subject: worst.subject.clone(),
        client: worst.client.clone(),
        first_ms: 1_767_722_201_879,
        last_ms: 1_767_722_301_879,
        verdicts: 3,
        verdict_ids: vec![worst.id.clone(), "weir.traffic-0-18799".to_owned()],
        worst,
    }
}

/// A verdict of which hardly anything is known.
fn sparse() -> Verdict {
    let full = verdict();
    let reasons = Vec::new();
    Verdict { exchange_id: None, time: None, model: None, status: None, session: None, subject: None, client: None, reasons, ..full }
}

#[test]
fn every_alert_is_a_detection_finding_of_the_published_schema() {
    let schema = Schema::published();
    for life in [IncidentLife::Created, IncidentLife::Updated, IncidentLife::Closed] {
        for family in Family::ALL {
            for client in ["203.0.113.7", "2001:db8::17", "203.0.113.0/24", "9f3c0a"] {
                let worst = Verdict { client: Some(client.to_owned()), ..verdict() };
                assert_eq!(schema.faults(&finding(&incident(life, family, worst))), [""; 0], "{life:?} {family:?} {client}");
            }
            assert_eq!(schema.faults(&finding(&incident(life, family, sparse()))), [""; 0], "{life:?} {family:?}");
        }
    }
}

#[test]
fn the_schema_refuses_what_is_no_finding() {
    let schema = Schema::published();
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut finding = finding(&incident(IncidentLife::Created, Family::Replay, verdict()));
        change(&mut finding);
        schema.faults(&finding)
    };
    assert_eq!(broken(&|f| drop(f.as_object_mut().unwrap().remove("time"))), ["finding: required"]);
    assert_eq!(broken(&|f| f["severity_id"] = json!(17)), ["finding.severity_id: enum"]);
    assert_eq!(broken(&|f| f["finding_info"]["kind"] = json!("x")), ["finding.finding_info.kind: not in the schema"]);
    assert_eq!(broken(&|f| f["evidences"][0]["src_endpoint"]["ip"] = json!("nowhere")), ["finding.evidences[0].src_endpoint.ip: pattern"]);
    assert_eq!(broken(&|f| f["count"] = json!("3")), ["finding.count: type"]);
    assert_eq!(broken(&|f| f["anomaly_analyses"][0]["anomalies"][0]["observations"][0] = json!({})).len(), 1);
}
