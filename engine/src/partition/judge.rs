//! From one exchange to its verdict.

use super::{ClientIp, Live, Partition, RecordPosition};
use crate::detect::{Explanation, Level, Seen, Signal};
use crate::features::sensitive;
use crate::features::{Features, ValueKind};
use crate::fuse::{self, Calibrated};
use crate::learn::{UNSEEN, class_of, session_of};
use crate::model::{ApiModel, Model};
use crate::record::{ApiName, DetectorKind, Exchange, Family, Label, PValue, Reason, SourceId, Stage, Verdict};
use crate::rooms::Rooms;
use std::net::IpAddr;
use std::sync::Arc;

/// Families this close to the strongest are listed, nats.
const FAMILY_REACH: f64 = 2.3;
/// Below this, p is extrapolated beyond what any calibration saw: detectors are not compared there.
const COMPARABLE: f64 = 1e-6;
/// Most reasons of a verdict.
const MAX_REASONS: usize = 5;
/// Reasons are given from this p on, anomalous or not: what was merely odd can be looked up.
const EXPLAIN_BELOW: f64 = 1e-2;
/// An aspect is a reason from this p on.
const REASON_NATS: f64 = 3.0;

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

impl Partition {
    pub(super) fn judge_features(
        &mut self,
        position: RecordPosition,
        exchange: &Exchange<'_>,
        features: &Features,
        is_timely: bool,
    ) -> Verdict {
        let model = self.model.clone();
        let (api, stage, outcome) = match model.as_deref().and_then(|m: &Model| m.api(&features.host)) {
            Some(api) => {
                let outcome = self.evaluate(api, features, is_timely);
                (api.name.clone(), Stage::Evaluating, outcome)
            }
            None => {
                let api = self.meta.hosts.get(&*features.host).cloned().unwrap_or_else(|| ApiName::new(ApiName::OTHER));
                let stage = match self.meta.stages.get(&api) {
                    Some(Stage::Training) => Stage::Training,
                    _ => Stage::Listening,
                };
                (api, stage, unjudged(features))
            }
        };
        Verdict {
            id: format!("{}-{}", self.at, position.offset),
            exchange_id: exchange.id.as_deref().map(str::to_owned),
            time: exchange.time.map(crate::time::rfc3339),
            stage,
            model: model.filter(|_| stage == Stage::Evaluating).map(|m: Arc<Model>| m.label.clone()),
            label: outcome.label,
            score: outcome.p.score(),
            p: rounded(outcome.p.probability()),
            alpha: rounded(outcome.alpha),
            api: api.to_string(),
            endpoint: outcome.endpoint,
            path: masked_path(features),
            status: exchange.response.status,
            session: exchange.session.as_deref().map(str::to_owned),
            subject: exchange.subject.as_deref().map(str::to_owned),
            client: exchange.client.ip.as_deref().map(|ip| client(ip, self.client_ip)),
            families: outcome.families,
            reasons: outcome.reasons,
            blind: outcome.blind,
        }
    }

    fn evaluate(&mut self, api: &ApiModel, features: &Features, is_timely: bool) -> Outcome {
        let route = api.paths.route(features);
        let facts = route.endpoint.map(|e| &api.facts[e.0 as usize]);
        let class = class_of(&features.method, facts);
        let endpoint = route.endpoint.filter(|_| facts.is_some_and(|f| f.is_known));
        let id = route.endpoint.map_or(UNSEEN, |e| api.paths.endpoint(e).id);
        let seen = Seen { features, route: &route, endpoint, id, class, now: self.meta.clock, is_timely };
        let has_free_text = endpoint.is_some_and(|e| api.free_text[e.0 as usize]);
        let session_key = session_of(features).map(|s| crate::features::hash::mix(s, crate::features::hash::hash(api.name.0.as_bytes())));
        let mut session = session_key.and_then(|key| self.sessions.take(&key)).unwrap_or_default();
        let mut live =
            Live { key: session_key.unwrap_or(0), has_session: session_key.is_some(), session: &mut session, shared: &mut self.shared };
        api.rooms.arrive(&seen, &mut live);
        let mut signals = Vec::with_capacity(16);
        api.rooms.score(&seen, &live, &mut self.scratch, &mut signals);
        let mut calibrated = Vec::with_capacity(signals.len());
        api.calibration.calibrate(endpoint, class, &signals, &mut calibrated);
        let request = api.calibration.request(class, has_free_text, fuse::combine(&calibrated));
        live.session.requests += 1;
        let grew = live.session.wealth.bet(endpoint, &signals, request, seen.now);
        // A session's past counts against a request only if the request itself adds to it.
        let past = if grew { api.calibration.session(live.session.requests, &live.session.wealth) } else { None };
        let p = fuse::verdict(request, past);
        let alpha = api.alpha.max(api.calibration.least_alpha(class, has_free_text));
        let reasons = if p.probability() < EXPLAIN_BELOW { reasons(api, &seen, &live, &calibrated, &mut self.scratch) } else { Vec::new() };
        api.rooms.observe(&seen, &mut live);
        let blind = Rooms::blind(&seen, live.has_session);
        if let Some(key) = session_key {
            self.sessions.put(key, self.meta.clock, session);
        }
        let label = if is_unsupported(&calibrated) {
            Label::Insufficient
        } else if p.probability() < alpha {
            Label::Anomalous
        } else {
            Label::Benign
        };
        Outcome { label, p, alpha, endpoint: api.paths.name(features, &route), families: families(&reasons), reasons, blind }
    }
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
    calibrated.iter().all(|c| c.signal.level == Level::Global)
}

/// The oddest aspects, explained, oddest first.
fn reasons(
    api: &ApiModel,
    seen: &Seen<'_>,
    live: &Live<'_>,
    calibrated: &[Calibrated],
    scratch: &mut crate::content::Scratch,
) -> Vec<Reason> {
    let mut odd: Vec<&Calibrated> = calibrated.iter().filter(|c| c.p.nats() >= REASON_NATS).collect();
    odd.sort_by(|a, b| b.p.nats().total_cmp(&a.p.nats()).then(a.signal.aspect.cmp(&b.signal.aspect)));
    odd.into_iter()
        .take(MAX_REASONS)
        .filter_map(|c| {
            let Signal { aspect, .. } = c.signal;
            let Explanation { family, place, observed, expected, support } = api.rooms.explain(seen, live, &api.paths, aspect, scratch)?;
            let owasp = family.owasp().map(str::to_owned);
            Some(Reason { detector: aspect.detector(), family, owasp, p: rounded(c.p.probability()), place, observed, expected, support })
        })
        .collect()
}

/// Families of the reasons within reach of the strongest.
fn families(reasons: &[Reason]) -> Vec<Family> {
    let Some(strongest) = reasons.first().map(|r| r.p.max(COMPARABLE)) else { return Vec::new() };
    let mut out = Vec::new();
    for reason in reasons.iter().filter(|r| r.p.max(COMPARABLE).ln() <= strongest.ln() + FAMILY_REACH) {
        if !out.contains(&reason.family) {
            out.push(reason.family);
        }
    }
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
