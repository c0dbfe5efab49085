//! From one exchange to its verdict.

use super::beforehand::session_key;
use super::breadth::{REACH, REASONS};
use super::{ClientIp, Incoming, Live, Partition, Session};
use crate::admitted::Admitted;
use crate::detect::{Explanation, Seen, Signal};
use crate::features::sensitive;
use crate::features::{Features, ValueKind};
use crate::fuse::{self, Calibrated, heard};
use crate::learn::{UNSEEN, source_of};
use crate::model::{ApiModel, Model};
use crate::neural::values::Appraisal;
use crate::neural::{Answer, Ask, HeadError, Heads};
use crate::record::{ApiName, DetectorKind, Family, Label, PValue, Reason, SourceId, Stage, Verdict};
use crate::rooms::Rooms;
use crate::sequence::token;
use std::net::IpAddr;
use std::sync::Arc;

/// Families this close to the strongest are listed, nats.
const FAMILY_REACH: f64 = 2.3;
/// Most reasons of a verdict.
const MAX_REASONS: usize = 5;
/// Longest text of a sender that a verdict carries, bytes.
const LONGEST_TEXT: usize = 8 << 10;
/// Reasons are given from this p on, anomalous or not: what was merely odd can be looked up.
const EXPLAIN_BELOW: f64 = 1e-2;
/// An aspect is a reason from this p on.
const REASON_NATS: f64 = 2.0;
/// What one of the twenty questions may claim beyond all of them together, nats.
const OF_MANY: f64 = 3.0;
/// A session that is first seen so soon after an API was without a model may have begun before, milliseconds.
const UNSEEN_FOR: i64 = 1_800_000;

/// What judging came to, before it is written down.
struct Outcome {
    label: Label,
    p: PValue,
    alpha: f64,
    endpoint: String,
    reasons: Vec<Reason>,
    families: Vec<Family>,
    blind: Vec<DetectorKind>,
}

/// What networks have to say at a record's turn.
pub(super) struct Turn<'t> {
    /// What was asked and answered with the rest of its batch.
    pub(super) beforehand: Option<(Ask, Answer)>,
    /// What was said of its values with those of its batch.
    pub(super) appraised: &'t [Appraisal],
    /// Who answers what was not asked then.
    pub(super) heads: &'t mut dyn Heads,
}

impl Partition {
    pub(super) fn judge_features(&mut self, record: Incoming<'_>, features: &Features, is_timely: bool, turn: Turn<'_>) -> Verdict {
        let Incoming { position, exchange } = record;
        let model = self.model.clone();
        let (api, stage, outcome) = match model.as_deref().and_then(|m: &Model| Some((m.api(&features.host)?, m.admitted()))) {
            Some((api, admitted)) => {
                let outcome = self.evaluate((api, admitted), features, is_timely, turn);
                (api.name.clone(), Stage::Evaluating, outcome)
            }
            None => {
                let api = self.meta.hosts.get(&*features.host).cloned().unwrap_or_else(|| ApiName::new(ApiName::OTHER));
                let stage = match self.meta.stages.get(&api) {
                    Some(Stage::Training) => Stage::Training,
                    _ => Stage::Listening,
                };
                self.meta.unjudged.insert(api.clone(), self.meta.clock);
                self.meta_changed = true;
                (api, stage, unjudged(features))
            }
        };
        Verdict {
            id: format!("{}-{}", self.at, position.offset),
            exchange_id: exchange.id.as_deref().map(bounded),
            time: exchange.time.map(crate::time::rfc3339),
            stage,
            model: model.filter(|_| stage == Stage::Evaluating).map(|m: Arc<Model>| m.label.clone()),
            label: outcome.label,
            score: outcome.p.score(),
            p: rounded(outcome.p.probability()),
            alpha: rounded(outcome.alpha),
            api: bounded(&api.0),
            endpoint: bounded(&outcome.endpoint),
            path: bounded(&masked_path(features)),
            status: exchange.response.status,
            session: exchange.session.as_deref().map(bounded),
            subject: exchange.subject.as_deref().map(bounded),
            client: exchange.client.ip.as_deref().map(|ip| bounded(&client(ip, self.client_ip))),
            families: outcome.families,
            reasons: outcome.reasons,
            blind: outcome.blind,
        }
    }

    fn evaluate(&mut self, (api, admitted): (&ApiModel, &Admitted), features: &Features, is_timely: bool, turn: Turn<'_>) -> Outcome {
        let route = api.paths.route(features);
        let peers = api.peers(features, &route);
        let class = peers.class;
        let endpoint = route.endpoint.filter(|_| peers.is_known);
        let id = route.endpoint.map_or(UNSEEN, |e| api.paths.endpoint(e).id);
        let seen = Seen { features, route: &route, endpoint, id, class, now: self.meta.clock, is_timely };
        let session_key = session_key(features, api);
        let mut session = session_key.and_then(|key| self.sessions.take(&key)).unwrap_or_default();
        if session.requests == 0 && self.meta.unjudged.get(&api.name).is_some_and(|last| self.meta.clock - last < UNSEEN_FOR) {
            session.sequence.begin_unseen();
        }
        let source_key = source_of(features);
        let mut source = self.shared.take_source(source_key);
        let mut live = Live {
            key: session_key.unwrap_or(0),
            has_session: session_key.is_some(),
            session: &mut session,
            source_key,
            source: &mut source,
            shared: &mut self.shared,
            foreseen: None,
            appraised: turn.appraised,
        };
        api.rooms.arrive(&seen, &mut live);
        match foresee(api, &seen, &live, turn) {
            Ok(foreseen) => live.foreseen = foreseen,
            Err(error) => drop(self.failure.get_or_insert(error)),
        }
        let mut signals = Vec::with_capacity(20);
        api.rooms.score(&seen, &live, &mut self.scratch, &mut signals);
        let mut calibrated = Vec::with_capacity(signals.len());
        api.calibration.calibrate(endpoint, class, &signals, &mut calibrated);
        admit(api, admitted, (&seen, &live), &mut calibrated, &mut self.scratch);
        let request = api.calibration.request(peers, fuse::combine(&calibrated));
        live.session.requests += 1;
        let grew = live.session.wealth.bet(fuse::bet_of(endpoint, &calibrated), request, seen.now);
        // A session's past counts against a request only if the request itself adds to it.
        let past = if grew { api.calibration.session(live.session.requests, &live.session.wealth) } else { None };
        let p = fuse::verdict(request, past, fuse::standing(&calibrated));
        let alpha = api.alpha.max(api.calibration.least_alpha(peers));
        let mut reasons = if p.probability() < EXPLAIN_BELOW {
            reasons(api, &seen, &live, (&calibrated, request), &mut self.scratch)
        } else {
            Vec::new()
        };
        if let Some(past) = past.filter(|past| past.nats() > request.nats() && p.probability() < EXPLAIN_BELOW) {
            adds_up(&mut reasons, &calibrated, past, live.session.requests);
        }
        api.rooms.observe(&seen, &mut live);
        let label = if is_unsupported(&calibrated) {
            Label::Insufficient
        } else if p.probability() < alpha {
            Label::Anomalous
        } else {
            Label::Benign
        };
        let given = || calibrated.iter().filter(|c| label == Label::Anomalous && c.p.probability() < alpha).map(|c| c.signal.aspect);
        live.session.breadth.add(id, given());
        live.source.breadth.add(id, given());
        let broad = [("client.ip", &live.source.breadth), ("session", &live.session.breadth)]
            .into_iter()
            .find(|(_, breadth)| label == Label::Anomalous && breadth.is_broad());
        if let Some((place, breadth)) = broad {
            tries_everything(&mut reasons, place, breadth.reasons(), p);
        }
        let blind = Rooms::blind(&seen, live.has_session);
        self.shared.put_source(source_key, self.meta.clock, source);
        if let Some(key) = session_key {
            self.sessions.put(key, self.meta.clock, session);
        }
        let families = families(&reasons, alpha);
        Outcome { label, p, alpha, endpoint: api.paths.name(features, &route), families, reasons, blind }
    }
}

/// What the network of the API says of a step: what it said beforehand if it was asked the same, else what it says now.
fn foresee(api: &ApiModel, seen: &Seen<'_>, live: &Live<'_>, turn: Turn<'_>) -> Result<Option<(Ask, Answer)>, HeadError> {
    let status = seen.features.status();
    let network = api.foresight().filter(|_| live.has_session && seen.endpoint.is_some());
    let Session { sequence, carried, .. } = &*live.session;
    let Some((head, ask)) = network.and_then(|f| Some((&f.head, f.ask(token(seen.id, status), seen.now, sequence, carried)?))) else {
        return Ok(None);
    };
    if let Some(known) = turn.beforehand.filter(|(asked, _)| *asked == ask) {
        return Ok(Some(known));
    }
    let mut answers = Vec::with_capacity(1);
    turn.heads.foresee(head, std::slice::from_ref(&ask), &mut answers)?;
    Ok(answers.pop().map(|answer| (ask, answer)))
}

/// What is said where no model is.
fn unjudged(features: &Features) -> Outcome {
    let paths = crate::paths::Paths::default();
    let route = paths.route(features);
    Outcome {
        label: Label::Insufficient,
        p: PValue::ONE,
        alpha: 0.0,
        endpoint: paths.name(features, &route),
        reasons: Vec::new(),
        families: Vec::new(),
        blind: DetectorKind::ALL.to_vec(),
    }
}

/// Whether every room that looked had only the whole API's habits to go by.
fn is_unsupported(calibrated: &[Calibrated]) -> bool {
    heard(calibrated).next().is_none()
}

/// Takes what analysts said to be nothing at this endpoint for as normal as anything.
fn admit(
    api: &ApiModel,
    admitted: &Admitted,
    (seen, live): (&Seen<'_>, &Live<'_>),
    calibrated: &mut [Calibrated],
    scratch: &mut crate::content::Scratch,
) {
    if admitted.all().is_empty() || calibrated.iter().all(|c| c.p.nats() < REASON_NATS) {
        return;
    }
    let name = api.paths.name(seen.features, seen.route);
    let here = admitted.at(&bounded(&name));
    if here.is_empty() {
        return;
    }
    for odd in calibrated.iter_mut().filter(|c| c.p.nats() >= REASON_NATS) {
        let explained = api.rooms.explain(seen, live, &api.paths, odd.signal.aspect, scratch);
        if explained.is_some_and(|e| here.iter().any(|admission| admission.admits(e.family, &e.place))) {
            odd.p = PValue::ONE;
        }
    }
}

/// The oddest aspects, explained, oddest first. None claims more than the request by more than the number of questions explains: where
/// harmless requests are as odd, the request's own p knows it. What the verdict does not rest on, for want of knowledge, claims no more.
fn reasons(
    api: &ApiModel,
    seen: &Seen<'_>,
    live: &Live<'_>,
    (calibrated, request): (&[Calibrated], PValue),
    scratch: &mut crate::content::Scratch,
) -> Vec<Reason> {
    let nats = |c: &Calibrated| c.p.nats().min(request.nats() + if fuse::is_heard(c) { OF_MANY } else { 0.0 });
    let mut odd: Vec<(f64, &Calibrated)> = calibrated.iter().map(|c| (nats(c), c)).filter(|(nats, _)| *nats >= REASON_NATS).collect();
    odd.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.signal.aspect.cmp(&y.signal.aspect)));
    odd.into_iter()
        .take(MAX_REASONS)
        .filter_map(|(nats, c)| {
            let Signal { aspect, .. } = c.signal;
            let Explanation { family, place, observed, expected, support } = api.rooms.explain(seen, live, &api.paths, aspect, scratch)?;
            let owasp = family.owasp().map(str::to_owned);
            Some(Reason {
                detector: aspect.detector(),
                family,
                owasp,
                p: rounded(PValue::from_nats(nats).probability()),
                place,
                observed,
                expected,
                support,
            })
        })
        .collect()
}

/// Says that it is the session's oddities together that decide, after what this request adds to them.
fn adds_up(reasons: &mut Vec<Reason>, calibrated: &[Calibrated], past: PValue, requests: u32) {
    reasons.truncate(MAX_REASONS - 1);
    let strongest = calibrated.iter().max_by(|a, b| a.p.nats().total_cmp(&b.p.nats()));
    let family = reasons.first().map_or(Family::Unknown, |r| r.family);
    reasons.push(Reason {
        detector: strongest.map_or(DetectorKind::Sequence, |c| c.signal.aspect.detector()),
        family,
        owasp: family.owasp().map(str::to_owned),
        p: rounded(past.probability()),
        place: "session".to_owned(),
        observed: format!("oddities of {requests} requests of this session add up"),
        expected: format!("so many in {} of sessions of this length", share(past.probability())),
        support: u64::from(requests),
    });
}

/// Says first that the caller tries everything, whatever this request is like.
fn tries_everything(reasons: &mut Vec<Reason>, place: &str, count: usize, p: PValue) {
    reasons.truncate(MAX_REASONS - 1);
    let strongest = reasons.iter().map(|r| r.p).fold(p.probability(), f64::min);
    let reason = Reason {
        detector: DetectorKind::Probe,
        family: Family::Fuzzing,
        owasp: Family::Fuzzing.owasp().map(str::to_owned),
        p: rounded(strongest),
        place: place.to_owned(),
        observed: format!("{count} different reasons for an alert within {REACH} requests"),
        expected: format!("fewer than {REASONS}"),
        support: count as u64,
    };
    reasons.insert(0, reason);
}

/// A small share for people: `0.1 %`, `1 in 20000`.
fn share(p: f64) -> String {
    if p >= 1e-3 {
        format!("{:.1} %", 100.0 * p)
    } else if p > 1e-9 {
        format!("1 in {:.0}", 1.0 / p)
    } else {
        "fewer than 1 in 10^9".to_owned()
    }
}

/// Families of the reasons within reach of the strongest, whose p counts for no less than alpha: beyond the level that the data can
/// support, an extrapolated tail does not tell which of two reasons is the stronger.
fn families(reasons: &[Reason], alpha: f64) -> Vec<Family> {
    let Some(strongest) = reasons.iter().min_by(|a, b| a.p.total_cmp(&b.p)) else { return Vec::new() };
    let mut reach = strongest.p.max(alpha) * FAMILY_REACH.exp();
    if strongest.family == Family::Unknown {
        // What was not classed says least: whatever is odd beside it and has a class may be what it is a part of.
        reach = reach.max(EXPLAIN_BELOW);
    }
    let mut out = Vec::new();
    for reason in reasons.iter().filter(|r| r.p <= reach) {
        if !out.contains(&reason.family) {
            out.push(reason.family);
        }
    }
    out.sort_by_key(|family| *family == Family::Unknown);
    out
}

/// A probability with three significant digits: what a person reads, and bytes that do not hang on the last bit.
fn rounded(p: f64) -> f64 {
    if p <= 0.0 {
        return 0.0;
    }
    let scale = 10f64.powi(2 - p.log10().floor() as i32);
    if scale.is_finite() { (p * scale).round() / scale } else { p }
}

/// A text of a sender, cut at a character: verdict and incident always fit into a record.
fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_TEXT)].to_owned()
}

/// The path with personal values and tokens left out.
fn masked_path(features: &Features) -> String {
    let mut out = String::with_capacity(features.path.len());
    for segment in features.segments() {
        out.push('/');
        let value = crate::features::decode::percent(segment, false);
        let found = sensitive::scan(&value);
        let is_token = matches!(ValueKind::of(&value), ValueKind::Jwt | ValueKind::Token)
            || (value.len() >= 32 && ValueKind::of(&value) == ValueKind::Hex);
        if found.is_empty() && !is_token {
            out.push_str(segment);
        } else {
            out.push_str("***");
        }
    }
    out
}

fn client(ip: &str, as_: ClientIp) -> String {
    match (as_, ip.parse::<IpAddr>()) {
        (ClientIp::Full, _) => ip.to_owned(),
        (ClientIp::Prefix, Ok(IpAddr::V4(v4))) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        (ClientIp::Prefix, Ok(IpAddr::V6(v6))) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
        (ClientIp::Prefix, Err(_)) | (ClientIp::Hash, _) => {
            let network = ip.parse().map(|a| SourceId(a).network().0).unwrap_or(0);
            format!("{:016x}", crate::features::hash::mix(crate::features::hash::hash(ip.as_bytes()), network))
        }
    }
}
