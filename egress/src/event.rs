//! What a record of either topic says, in the terms that other systems know.

use engine::{IncidentLife, Label, Reason, Verdict};
use serde::Deserialize;

/// What a verdict or an alert says. All texts are as they stood: whoever writes them out escapes them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// Id of the verdict, or of the incident.
    pub(crate) id: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// Event time, RFC 3339, where known.
    pub(crate) time: Option<String>,
    /// Families by name, the strongest first.
    pub(crate) families: Vec<String>,
    /// OWASP class, where one fits.
    pub(crate) owasp: Option<String>,
    /// −10·log10 p.
    pub(crate) score: f64,
    /// How often benign traffic looks at least this odd.
    pub(crate) p: f64,
    /// Level of the API.
    pub(crate) alpha: f64,
    /// API.
    pub(crate) api: String,
    /// Method, host and template.
    pub(crate) endpoint: String,
    /// Path, masked.
    pub(crate) path: String,
    /// Response status.
    pub(crate) status: Option<u16>,
    /// Client address, as privacy settings allow.
    pub(crate) client: Option<String>,
    /// Keyed hash of the session.
    pub(crate) session: Option<String>,
    /// Keyed hash of the account.
    pub(crate) subject: Option<String>,
    /// Model version.
    pub(crate) model: Option<String>,
    /// Why, most surprising first.
    pub(crate) reasons: Vec<Why>,
}

/// What the record is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// One exchange.
    Verdict(Label),
    /// An incident that begins, grows or ends.
    Alert {
        /// What happens to it.
        life: IncidentLife,
        /// Anomalous verdicts so far.
        verdicts: u64,
        /// First and last of them, epoch milliseconds.
        first_ms: i64,
        /// See `first_ms`.
        last_ms: i64,
    },
}

/// One reason.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Why {
    /// Room that said it.
    pub(crate) detector: String,
    /// Part of the exchange.
    pub(crate) place: String,
    /// What was seen.
    pub(crate) observed: String,
    /// What was expected.
    pub(crate) expected: String,
}

impl Event {
    /// Of a record of the verdict topic.
    pub(crate) fn of_verdict(json: &[u8]) -> Result<Self, serde_json::Error> {
        let verdict: Verdict = serde_json::from_slice(json)?;
        let owasp = verdict.reasons.first().and_then(|reason| reason.owasp.clone());
        let why = |r: Reason| Why { detector: r.detector.name().to_owned(), place: r.place, observed: r.observed, expected: r.expected };
        Ok(Self {
            id: verdict.id,
            kind: Kind::Verdict(verdict.label),
            time: verdict.time,
            families: verdict.families.iter().map(|family| family.name().to_owned()).collect(),
            owasp,
            score: verdict.score,
            p: verdict.p,
            alpha: verdict.alpha,
            api: verdict.api,
            endpoint: verdict.endpoint,
            path: verdict.path,
            status: verdict.status,
            client: verdict.client,
            session: verdict.session,
            subject: verdict.subject,
            model: verdict.model,
            reasons: verdict.reasons.into_iter().map(why).collect(),
        })
    }

    /// Of a record of the alert topic: an OCSF Detection Finding.
    pub(crate) fn of_alert(json: &[u8]) -> Result<Self, serde_json::Error> {
        let finding: Finding = serde_json::from_slice(json)?;
        let evidence = finding.evidences.into_iter().next().unwrap_or_default();
        let analysis = finding.anomaly_analyses.into_iter().next().unwrap_or_default();
        let expected = analysis.baselines.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let reasons = analysis.anomalies.into_iter().zip(expected).map(|(seen, expected)| Why {
            observed: seen.value(),
            expected: expected.map(|point| point.value()).unwrap_or_default(),
            detector: seen.observation_type,
            place: seen.observation_parameter,
        });
        let life = match finding.activity_id {
            1 => IncidentLife::Created,
            3 => IncidentLife::Closed,
            _ => IncidentLife::Updated,
        };
        let source = evidence.src_endpoint.unwrap_or_default();
        Ok(Self {
            id: finding.finding_info.uid,
            kind: Kind::Alert { life, verdicts: finding.count, first_ms: finding.start_time, last_ms: finding.end_time },
            time: Some(engine::time::rfc3339(finding.time)),
            families: vec![finding.unmapped.family],
            owasp: finding.finding_info.tags.into_iter().find(|tag| tag.name == "owasp").map(|tag| tag.value),
            score: finding.unmapped.score,
            p: finding.unmapped.p,
            alpha: finding.unmapped.alpha,
            api: finding.unmapped.api,
            endpoint: evidence.api.operation,
            path: evidence.data.path,
            status: evidence.api.response.map(|response| response.code),
            client: source.ip.or(source.uid),
            session: evidence.actor.session.map(|session| session.uid),
            subject: evidence.actor.user.map(|user| user.uid),
            model: finding.finding_info.analytic.version,
            reasons: reasons.collect(),
        })
    }

    /// Method of the endpoint.
    pub(crate) fn method(&self) -> Option<&str> {
        self.endpoint.split_once(' ').map(|(method, _)| method)
    }

    /// Host of the endpoint.
    pub(crate) fn host(&self) -> Option<&str> {
        let (_, rest) = self.endpoint.split_once(' ')?;
        rest.split('/').next().filter(|host| !host.is_empty())
    }

    /// What it says, in one line.
    pub(crate) fn summary(&self) -> String {
        let what = match (self.families.first(), self.kind) {
            (Some(family), _) => family.as_str(),
            (None, Kind::Verdict(label)) => label.name(),
            (None, Kind::Alert { .. }) => "anomaly",
        };
        let why = self.reasons.first().map_or_else(String::new, |why| format!(": {} {}", why.place, why.observed));
        format!("{what} on {}{why}", self.endpoint)
    }

    /// Severity after RFC 5424: 2 critical, 3 error, 4 warning, 5 notice, 6 informational.
    pub(crate) fn syslog_severity(&self) -> u8 {
        match (self.kind, self.score) {
            (Kind::Verdict(Label::Benign | Label::Insufficient), _) => 6,
            (_, score) if score >= 90.0 => 2,
            (_, score) if score >= 60.0 => 3,
            (_, score) if score >= 40.0 => 4,
            _ => 5,
        }
    }
}

/// As much of an OCSF Detection Finding as is of use here.
#[derive(Debug, Deserialize)]
struct Finding {
    activity_id: u8,
    time: i64,
    start_time: i64,
    end_time: i64,
    count: u64,
    finding_info: FindingInfo,
    #[serde(default)]
    evidences: Vec<Evidence>,
    #[serde(default)]
    anomaly_analyses: Vec<Analysis>,
    unmapped: Unmapped,
}

#[derive(Debug, Deserialize)]
struct FindingInfo {
    uid: String,
    analytic: Analytic,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
struct Analytic {
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: String,
    value: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Evidence {
    src_endpoint: Option<Endpoint>,
    actor: Actor,
    api: Api,
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
struct Endpoint {
    ip: Option<String>,
    uid: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Actor {
    session: Option<Uid>,
    user: Option<Uid>,
}

#[derive(Debug, Deserialize)]
struct Uid {
    uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Api {
    operation: String,
    response: Option<Response>,
}

#[derive(Debug, Deserialize)]
struct Response {
    code: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    path: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Analysis {
    anomalies: Vec<Point>,
    baselines: Vec<Point>,
}

#[derive(Debug, Deserialize)]
struct Point {
    observation_parameter: String,
    #[serde(default)]
    observation_type: String,
    #[serde(default)]
    observations: Vec<Observation>,
}

impl Point {
    fn value(&self) -> String {
        self.observations.first().map(|observation| observation.value.clone()).unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
struct Observation {
    value: String,
}

#[derive(Debug, Deserialize)]
struct Unmapped {
    api: String,
    family: String,
    p: f64,
    alpha: f64,
    score: f64,
}
