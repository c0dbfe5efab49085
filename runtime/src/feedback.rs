//! Records of `weir.feedback`: what people say of verdicts. Scorers mute alerts by it, the trainer learns from it.

use engine::{Family, Incident, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What somebody says of a verdict. The newest record of a verdict holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Id of the verdict.
    pub verdict: String,
    /// What is said.
    pub say: Say,
    /// How far `benign` reaches.
    #[serde(default)]
    pub scope: Scope,
    /// Endpoint of the verdict.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// Its strongest family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Part of the exchange that its first reason names.
    #[serde(default, rename = "where", skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// Session of the verdict, keyed hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When muting ends, RFC 3339; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Who says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What is said of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Say {
    /// Nothing is wrong: alerts like it are muted.
    Benign,
    /// It is an attack: it is not to be learned as normal.
    Attack,
    /// What was said is taken back.
    Undo,
}

/// How far `benign` reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The incident of this verdict.
    Once,
    /// The same family at the same part of the same endpoint.
    #[default]
    EndpointField,
    /// The same family anywhere at the same endpoint.
    Endpoint,
}

impl Feedback {
    /// Fills in what the verdict says.
    #[must_use]
    pub fn of(verdict: &Verdict, say: Say, scope: Scope) -> Self {
        Self {
            verdict: verdict.id.clone(),
            say,
            scope,
            endpoint: verdict.endpoint.clone(),
            family: verdict.families.first().copied(),
            place: verdict.reasons.first().map(|reason| reason.place.clone()).unwrap_or_default(),
            session: verdict.session.clone(),
            until: None,
            by: None,
            note: None,
        }
    }

    /// When muting ends, epoch milliseconds. An end that cannot be read is none that has come.
    #[must_use]
    pub fn until_ms(&self) -> Option<i64> {
        self.until.as_deref().and_then(engine::time::parse)
    }
}

/// What holds of all that was said: bounded, the oldest goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    by_verdict: BTreeMap<String, Held>,
    /// Verdicts of what reaches further than one incident, by endpoint: alerts may come by the thousand.
    by_endpoint: BTreeMap<String, BTreeSet<String>>,
    arrivals: BTreeMap<u64, String>,
    arrived: u64,
}

/// One record that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    /// Number of arrival.
    number: u64,
    /// As in the record, epoch milliseconds.
    until_ms: Option<i64>,
    feedback: Feedback,
}

impl Held {
    /// Whether it mutes at that time, epoch milliseconds.
    fn mutes_at(&self, now: i64) -> bool {
        self.feedback.say == Say::Benign && self.until_ms.is_none_or(|until| now < until)
    }

    fn reaches_further(&self) -> bool {
        self.feedback.say == Say::Benign && self.feedback.scope != Scope::Once
    }
}

/// Most verdicts of which something is said at one time.
const MOST: usize = 10_000;

impl Said {
    /// Takes the value of a record.
    ///
    /// # Errors
    /// It is no feedback.
    pub fn take(&mut self, value: &[u8]) -> Result<(), serde_json::Error> {
        let feedback: Feedback = serde_json::from_slice(value)?;
        self.forget(&feedback.verdict);
        if feedback.say != Say::Undo {
            self.hold(feedback);
        }
        if self.arrivals.len() > MOST
            && let Some(oldest) = self.arrivals.values().next().cloned()
        {
            self.forget(&oldest);
        }
        Ok(())
    }

    fn hold(&mut self, feedback: Feedback) {
        self.arrived += 1;
        self.arrivals.insert(self.arrived, feedback.verdict.clone());
        let held = Held { number: self.arrived, until_ms: feedback.until_ms(), feedback };
        let Feedback { endpoint, verdict, .. } = &held.feedback;
        if held.reaches_further() {
            self.by_endpoint.entry(endpoint.clone()).or_default().insert(verdict.clone());
        }
        self.by_verdict.insert(verdict.clone(), held);
    }

    fn forget(&mut self, verdict: &str) {
        let Some(held) = self.by_verdict.remove(verdict) else { return };
        self.arrivals.remove(&held.number);
        if let Some(verdicts) = self.by_endpoint.get_mut(&held.feedback.endpoint) {
            verdicts.remove(verdict);
            if verdicts.is_empty() {
                self.by_endpoint.remove(&held.feedback.endpoint);
            }
        }
    }

    /// Whether alerts of an incident are muted; `now`: epoch milliseconds.
    #[must_use]
    pub fn mutes(&self, incident: &Incident, now: i64) -> bool {
        let find = |verdict: &String| self.by_verdict.get(verdict).filter(|held| held.mutes_at(now)).map(|held| &held.feedback);
        let mut once = incident.verdict_ids.iter().filter_map(find).filter(|feedback| feedback.scope == Scope::Once);
        let mut further = self.by_endpoint.get(&incident.worst.endpoint).into_iter().flatten().filter_map(find);
        once.next().is_some()
            || further.any(|feedback| {
                let is_family = feedback.family.is_none_or(|family| family == incident.family);
                let is_place = incident.worst.reasons.first().is_some_and(|reason| reason.place == feedback.place);
                is_family && (feedback.scope == Scope::Endpoint || is_place)
            })
    }

    /// What mutes now.
    pub fn benign(&self, now: i64) -> impl Iterator<Item = &Feedback> {
        self.by_verdict.values().filter(move |held| held.mutes_at(now)).map(|held| &held.feedback)
    }

    /// Sessions of verdicts that are said to be attacks.
    #[must_use]
    pub fn attackers(&self) -> HashSet<&str> {
        let attacks = self.by_verdict.values().map(|held| &held.feedback).filter(|feedback| feedback.say == Say::Attack);
        attacks.filter_map(|feedback| feedback.session.as_deref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::IncidentLife;

    fn verdict(id: &str, endpoint: &str, place: &str) -> Verdict {
        serde_json::from_value(serde_json::json!({
            "id": id, "stage": "evaluating", "label": "anomalous", "score": 90.0, "p": 1e-9, "alpha": 1e-4, "api": "a", "endpoint": endpoint,
            "path": "/", "session": "s1", "families": ["injection"], "blind": [],
            "reasons": [{"detector": "content", "family": "injection", "p": 1e-9, "where": place, "observed": "", "expected": "", "support": 1}],
        }))
        .unwrap()
    }

    fn incident(id: &str, endpoint: &str, place: &str, family: Family) -> Incident {
        let worst = verdict(id, endpoint, place);
        Incident {
            uid: format!("{id}-x"),
            life: IncidentLife::Created,
            family,
            api: worst.api.clone(),
            session: None,
            subject: None,
            client: None,
            first_ms: 0,
            last_ms: 0,
            verdicts: 1,
            verdict_ids: vec![worst.id.clone()],
            worst,
        }
    }

    fn said(feedback: &[&Feedback]) -> Said {
        let mut said = Said::default();
        feedback.iter().for_each(|feedback| said.take(&serde_json::to_vec(feedback).unwrap()).unwrap());
        said
    }

    #[test]
    fn each_scope_mutes_what_it_names() {
        let of = verdict("v-0-1", "GET a/x", "query.q");
        let mutes = |scope: Scope| {
            let said = said(&[&Feedback::of(&of, Say::Benign, scope)]);
            let alike = [
                incident("v-0-1", "GET a/x", "query.q", Family::Injection),
                incident("v-0-2", "GET a/x", "query.q", Family::Injection),
                incident("v-0-2", "GET a/x", "query.other", Family::Injection),
                incident("v-0-2", "GET a/x", "query.q", Family::Volume),
                incident("v-0-2", "GET a/y", "query.q", Family::Injection),
            ];
            alike.map(|incident| said.mutes(&incident, 0))
        };
        assert_eq!(mutes(Scope::Once), [true, false, false, false, false]);
        assert_eq!(mutes(Scope::EndpointField), [true, true, false, false, false]);
        assert_eq!(mutes(Scope::Endpoint), [true, true, true, false, false]);
    }

    #[test]
    fn muting_ends_with_its_time_or_when_it_is_taken_back() {
        let incident = incident("v-0-1", "GET a/x", "query.q", Family::Injection);
        let of = verdict("v-0-1", "GET a/x", "query.q");
        let benign = Feedback { until: Some("2026-01-05T10:00:00Z".to_owned()), ..Feedback::of(&of, Say::Benign, Scope::Endpoint) };
        let until = benign.until_ms().unwrap();
        let said_once = said(&[&benign]);
        assert!(said_once.mutes(&incident, until - 1) && !said_once.mutes(&incident, until));
        let undo = Feedback { verdict: "v-0-1".to_owned(), ..Feedback::of(&of, Say::Undo, Scope::Once) };
        assert!(!said(&[&benign, &undo]).mutes(&incident, 0));
        assert_eq!(said(&[&benign, &undo]), Said { arrived: 1, ..Said::default() }, "nothing is left of it");
        let attack = Feedback::of(&of, Say::Attack, Scope::Once);
        let said = said(&[&benign, &attack]);
        assert!(!said.mutes(&incident, 0) && said.attackers().contains("s1"));
    }

    #[test]
    fn what_is_no_feedback_is_an_error_and_the_number_is_bounded() {
        let mut said = Said::default();
        assert!(said.take(b"{\"verdict\":\"x\",\"say\":\"maybe\"}").is_err());
        for n in 0..MOST + 10 {
            said.take(format!("{{\"verdict\":\"v-0-{n}\",\"say\":\"benign\"}}").as_bytes()).unwrap();
        }
        assert_eq!((said.by_verdict.len(), said.arrivals.len()), (MOST, MOST));
        assert!(!said.by_verdict.contains_key("v-0-0") && said.by_verdict.contains_key(&format!("v-0-{}", MOST + 9)));
    }
}
