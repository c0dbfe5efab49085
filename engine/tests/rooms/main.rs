//! Rooms at work: hand-made traffic is learned, then an attack and its harmless look-alike are judged.

#![allow(clippy::expect_used, reason = "a test that cannot prepare its data fails")]

mod clients;
mod facts;
mod first_time;
mod little;
mod objects;
mod probe;
mod public;
mod replay;
mod response;
mod shared;
mod sole;
mod source;
mod steps;
mod trial;
mod volume;

use engine::{
    Effect, Exchange, Family, Features, History, HistoryLimits, Judged, LearnConfig, Limits, Model, Offset, Partition, RecordPosition,
    Text, TopicPartition, Verdict, learn,
};
use std::sync::Arc;

/// 2026-01-05T00:00:00Z.
const START: i64 = 1_767_571_200_000;

/// One call with its answer, written down shortly.
#[derive(Debug, Clone)]
struct Call {
    /// Milliseconds since the start.
    at: i64,
    session: String,
    subject: Option<String>,
    ip: String,
    agent: String,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    status: u16,
    answer: String,
}

impl Call {
    fn new(at: i64, session: &str, method: &'static str, path: &str) -> Self {
        Self {
            at,
            session: session.to_owned(),
            subject: None,
            ip: "192.0.2.10".to_owned(),
            agent: "shop-app/1.0 (Android)".to_owned(),
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: String::new(),
            status: 200,
            answer: r#"{"ok":true}"#.to_owned(),
        }
    }

    fn from(mut self, ip: &str, agent: &str) -> Self {
        ip.clone_into(&mut self.ip);
        agent.clone_into(&mut self.agent);
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn of(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }

    fn sends(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    fn answered(mut self, status: u16, answer: &str) -> Self {
        self.status = status;
        answer.clone_into(&mut self.answer);
        self
    }

    fn exchange(&self) -> Exchange<'_> {
        let body = |text: &str| (!text.is_empty()).then(|| Text::from(text.to_owned()));
        let mut e = Exchange {
            method: self.method.into(),
            host: Some("api.example".into()),
            path: Text::from(self.path.clone()),
            session: Some(Text::from(self.session.clone())),
            subject: self.subject.clone().map(Text::from),
            ..Exchange::default()
        };
        e.time = Some(START + self.at);
        e.client.ip = Some(Text::from(self.ip.clone()));
        e.client.user_agent = Some(Text::from(self.agent.clone()));
        let headers = e.request.headers.get_or_insert_default();
        headers.push("content-type", "application/json");
        for (name, value) in &self.headers {
            headers.push(*name, value.clone());
        }
        e.request.body = body(&self.body);
        e.response.status = Some(self.status);
        e.response.body = body(&self.answer);
        e
    }
}

/// Learns from calls, which stand in time order.
fn learned(calls: &[Call]) -> Arc<Model> {
    let mut history = History::new(HistoryLimits::default());
    for call in calls {
        history.add(Features::of(&call.exchange()));
    }
    Arc::new(learn(&history, &LearnConfig::default(), &mut |_| {}).expect("a model"))
}

/// A partition that judges by a model.
struct Judge {
    partition: Partition,
    next: u64,
}

impl Judge {
    fn new(model: &Arc<Model>) -> Self {
        Self::of_partition(0, model)
    }

    fn of_partition(number: u32, model: &Arc<Model>) -> Self {
        let mut judge = Self::untaught(number);
        judge.learn(model);
        judge
    }

    /// One that has no model yet.
    fn untaught(number: u32) -> Self {
        Self { partition: Partition::new(TopicPartition::new("weir.traffic", number), Limits::default()), next: 0 }
    }

    fn learn(&mut self, model: &Arc<Model>) {
        self.partition.apply(Effect::Model(Arc::clone(model)));
    }

    fn judge(&mut self, call: &Call) -> Verdict {
        self.judged(call).verdict
    }

    fn judged(&mut self, call: &Call) -> Judged {
        self.next += 1;
        self.partition.judge(RecordPosition { offset: Offset(self.next), appended_ms: None }, &call.exchange())
    }
}

/// Smallest p among the reasons of a family; 1 where there is none.
fn p_of(verdict: &Verdict, family: Family) -> f64 {
    verdict.reasons.iter().filter(|r| r.family == family).map(|r| r.p).fold(1.0, f64::min)
}

/// Fails unless the verdict blames a family with p below 1e-3 at a place.
fn assert_blamed(verdict: &Verdict, family: Family, place: &str) {
    let blamed = verdict.reasons.iter().any(|r| r.family == family && r.place == place && r.p < 1e-3);
    assert!(blamed, "{family:?} at {place} expected: {verdict:#?}");
}

/// Fails if the verdict blames a family.
fn assert_not_blamed(verdict: &Verdict, family: Family) {
    assert!(p_of(verdict, family) > 0.01, "no {family:?} expected: {verdict:#?}");
}
