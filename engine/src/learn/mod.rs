//! From history to a model: templates, rows, rooms, held-out scores, calibration — one API after the other.

mod breadth;
mod play;
mod quarantine;
mod rows;

pub(crate) use breadth::{Breadth, Census, MANY, remember};
pub(crate) use play::Play;
pub use rows::EndpointFacts;
pub(crate) use rows::{
    FAMILIAR, FOLDS, NOVELTIES, Row, Sole, UNIT_SHARE, UNSEEN, class_of, has_password, is_password, session_of, source_of,
};

use crate::ablation::{Ablation, Plan};
use crate::access::Access;
use crate::admitted::{Admission, Admitted};
use crate::api::{Directory, HostGroup};
use crate::assets::Assets;
use crate::content;
use crate::detect::{Aspect, Signal};
use crate::features::Features;
use crate::fuse::{Calibration, Held};
use crate::history::History;
use crate::links::Links;
use crate::model::{ApiModel, Calibrations, Knowledge, Model};
use crate::neural::{self, Epoch, NoTeacher, Teacher, values};
use crate::paths::{self, EndpointIndex, Paths, Pins};
use crate::probe::Probe;
use crate::record::ApiName;
use crate::replay::Replay;
use crate::response::Responses;
use crate::rooms::Rooms;
use crate::sequence::Sequence;
use crate::source::Accounts;
use crate::volume::Volume;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What training is told.
#[derive(Debug, Clone)]
pub struct LearnConfig {
    /// Level below which a verdict is anomalous (configured; the model may have to raise it).
    pub alpha: f64,
    /// Alert budget a day from which `alpha` is derived instead.
    pub alerts_per_day: Option<f64>,
    /// Declared host groups.
    pub groups: Vec<HostGroup>,
    /// Templates that discovery of endpoints keeps to (`/v2/categories/{slug}`).
    pub pins: Vec<String>,
    /// APIs to learn; `None`: all that the history holds.
    pub apis: Option<Vec<ApiName>>,
    /// Label of the model (`v12`).
    pub label: String,
    /// Findings that analysts said to be nothing.
    pub admitted: Vec<Admission>,
    /// The model before, by which endpoints that merged are known.
    pub before: Option<Arc<Model>>,
}

impl Default for LearnConfig {
    fn default() -> Self {
        Self {
            alpha: 1e-4,
            alerts_per_day: None,
            groups: Vec::new(),
            pins: Vec::new(),
            apis: None,
            label: "v1".to_owned(),
            admitted: Vec::new(),
            before: None,
        }
    }
}

/// How far training is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done.
    pub phase: &'static str,
    /// 0 to 1 over the whole training.
    pub done: f64,
    /// How far the network is that is being taught.
    pub epoch: Option<Epoch>,
}

/// Why training made no model.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// Nothing to learn from.
    #[error("nothing to learn from: the history is empty")]
    Empty,
}

/// Learns a model without networks from a history. Deterministic: the same history in the same order gives the same model bytes.
///
/// # Errors
/// The history is empty.
pub fn learn(history: &History, config: &LearnConfig, progress: &mut dyn FnMut(Progress)) -> Result<Model, LearnError> {
    learn_with(history, config, &mut NoTeacher, progress)
}

/// Learns a model, with those networks that the teacher can teach and that help. As deterministic as the teacher.
///
/// # Errors
/// The history is empty.
pub fn learn_with(
    history: &History,
    config: &LearnConfig,
    teacher: &mut dyn Teacher,
    progress: &mut dyn FnMut(Progress),
) -> Result<Model, LearnError> {
    Ok(learn_ablated(history, config, teacher, &[], progress)?.0)
}

/// The same, with the calibrations that the model would have with each of these things left out: [`Model::recalibrate`] takes them.
///
/// # Errors
/// The history is empty.
pub fn learn_ablated(
    history: &History,
    config: &LearnConfig,
    teacher: &mut dyn Teacher,
    ablations: &[Ablation],
    progress: &mut dyn FnMut(Progress),
) -> Result<(Model, Vec<Calibrations>), LearnError> {
    if history.is_empty() {
        return Err(LearnError::Empty);
    }
    let mut directory = Directory::new(config.groups.clone());
    for features in history.iter() {
        directory.add(features);
    }
    let hosts = directory.map();
    let pins = Pins::new(&config.pins);
    let mut by_api: BTreeMap<ApiName, Vec<&Features>> = BTreeMap::new();
    for features in history.iter() {
        by_api.entry(hosts.api(&features.host)).or_default().push(features);
    }
    by_api.retain(|api, _| config.apis.as_ref().is_none_or(|wanted| wanted.contains(api)));
    let total: usize = by_api.values().map(Vec::len).sum();
    let mut done = 0;
    let mut apis = Vec::with_capacity(by_api.len());
    let mut ablated = vec![Calibrations::default(); ablations.len()];
    for (name, rows) in by_api {
        let count = rows.len();
        let mut report = |phase, part: f64, epoch| {
            progress(Progress { phase, done: (done as f64 + part * count as f64) / total.max(1) as f64, epoch });
        };
        let calibrate = |held: &[Held<'_>]| {
            for (calibrations, ablation) in ablated.iter_mut().zip(ablations) {
                calibrations.0.push(Calibration::fit(held, Plan(Some(*ablation))));
            }
            Calibration::fit(held, Plan::default())
        };
        let before = config.before.as_ref().and_then(|model| model.api_named(&name)).map(|api| &api.paths);
        let told = Told { alpha: alpha(config, &rows), pins: &pins, before, calibrate, teacher: &mut *teacher };
        apis.push(learn_api(name, &rows, told, &mut report));
        done += count;
    }
    let admitted = config.admitted.iter().map(|admission| admission.renamed(&apis)).collect();
    Ok((Model::new(config.label.clone(), hosts, apis, Admitted::new(admitted)), ablated))
}

/// Is told the phase, how much of the API is done, and how far a network is.
type Report<'r> = dyn FnMut(&'static str, f64, Option<Epoch>) + 'r;

/// What learning of one API is told.
struct Told<'t, C> {
    alpha: f64,
    pins: &'t Pins,
    before: Option<&'t Paths>,
    calibrate: C,
    teacher: &'t mut dyn Teacher,
}

fn learn_api<C: FnOnce(&[Held<'_>]) -> Calibration>(
    name: ApiName,
    history: &[&Features],
    told: Told<'_, C>,
    report: &mut Report<'_>,
) -> ApiModel {
    let Told { alpha, pins, before, calibrate, teacher } = told;
    let mut in_time: Vec<&Features> = history.to_vec();
    in_time.sort_by_key(|f| f.time.unwrap_or(i64::MIN));
    let mut draft = Draft::new(&in_time, pins, &mut |phase, part| report(phase, 0.3 * part, None));
    let most = quarantine::most(in_time.len());
    let mut set_aside = 0;
    for pass in 0..quarantine::PASSES {
        let odd = quarantine::odd(&draft.rows, &draft.held(), alpha, most - set_aside);
        let more = odd.iter().filter(|odd| **odd).count();
        if more == 0 {
            break;
        }
        set_aside += more;
        drop(draft);
        let mut odd = odd.into_iter();
        in_time.retain(|_| !odd.next().unwrap_or(false));
        let begun = 0.3 + 0.15 * pass as f64;
        draft = Draft::new(&in_time, pins, &mut |phase, part| report(phase, begun + 0.15 * part, None));
    }
    let Draft { mut paths, rows, facts, soles, crowd, content, mut signals, ties, networks_known } = draft;
    if let Some(before) = before {
        paths.follow(before);
    }
    let endpoints = facts.len();
    report("teaching a network", 0.6, None);
    let mut taught = |epoch: Epoch| report("teaching the network of steps", 0.6 + 0.2 * epoch.done, Some(epoch));
    let neural::Learned { foresight, report: network, signals: foreseen } = neural::learn(&rows, &name.0, teacher, &mut taught);
    for (at, signal) in foreseen {
        signals[at].push(signal);
    }
    let mut taught = |epoch: Epoch| report("teaching the network of values", 0.8 + 0.1 * epoch.done, Some(epoch));
    let values::Learned { likeness, report: value_network, signals: appraised } =
        values::learn(&rows, (endpoints, networks_known), &name.0, teacher, &mut taught);
    for (at, signal) in appraised {
        signals[at].push(signal);
    }
    let rooms = Rooms { content, foresight, likeness, ..stateful(&rows, None, &soles, &ties) };
    report("calibrating", 0.9, None);
    let held = held(&rows, &signals, &rooms.content);
    let calibration = calibrate(&held);
    report("done", 1.0, None);
    let set_aside = set_aside as u64;
    ApiModel::new(name, alpha, paths, Knowledge { facts, crowd, rooms, calibration, network, value_network, set_aside }, &rows)
}

/// What is learned before networks are taught, with what each row's fold would have said of it.
struct Draft<'h> {
    paths: Paths,
    rows: Vec<Row<'h>>,
    facts: Vec<EndpointFacts>,
    soles: Vec<Option<Sole>>,
    crowd: Option<u64>,
    content: content::Content,
    /// By row: what the rooms say that were learned without its fold.
    signals: Vec<Vec<Signal>>,
    ties: Ties,
    networks_known: bool,
}

impl<'h> Draft<'h> {
    fn new(in_time: &[&'h Features], pins: &Pins, report: &mut dyn FnMut(&'static str, f64)) -> Self {
        report("finding endpoints", 0.0);
        let paths = paths::learn(in_time, pins);
        report("arranging rows", 0.2);
        let rows::Arranged { rows, facts, soles, crowd } = rows::rows(in_time, &paths);
        let endpoints = facts.len();
        let networks_known = rows.iter().filter(|r| r.network.is_some()).count() * 2 > rows.len();
        report("learning fields", 0.3);
        let content::Learned { content, held_out: mut signals } = content::learn(&rows, endpoints, networks_known);
        report("learning sessions", 0.7);
        let all: Vec<&Row<'_>> = rows.iter().collect();
        let links = Links::learn(all.iter().copied());
        let ties = Ties { access: Access::learn(&all, &paths, &links), links };
        let without: Vec<Rooms> = (0..FOLDS).map(|fold| stateful(&rows, Some(fold), &soles, &ties)).collect();
        replay(&without, &rows, &mut signals);
        Self { paths, rows, facts, soles, crowd, content, signals, ties, networks_known }
    }

    fn held(&self) -> Vec<Held<'_>> {
        held(&self.rows, &self.signals, &self.content)
    }
}

/// Rows as calibration sees them.
fn held<'r>(rows: &[Row<'_>], signals: &'r [Vec<Signal>], content: &content::Content) -> Vec<Held<'r>> {
    rows.iter()
        .zip(signals)
        .map(|(row, signals)| Held {
            endpoint: row.endpoint,
            class: row.class,
            has_free_text: content.has_free_text(row.endpoint),
            session: row.session,
            time: row.features.time.unwrap_or(0),
            counts: row.counts,
            is_sole: row.is_sole,
            unit: row.unit,
            network: row.network,
            signals,
        })
        .collect()
}

/// What is learned once, from all rows: which fields name callers and objects, and a few counts of each. Learned anew without each
/// fold, a habit at the edge of its threshold would hold in the model and not in its calibration.
struct Ties {
    links: Links,
    access: Access,
}

/// All rooms but `content`, learned from every fold but one.
fn stateful(rows: &[Row<'_>], without: Option<u8>, soles: &[Option<Sole>], ties: &Ties) -> Rooms {
    let endpoints = soles.len();
    let kept: Vec<&Row<'_>> = rows.iter().filter(|r| Some(r.fold) != without).collect();
    let rows = || kept.iter().copied();
    Rooms {
        assets: Assets::learn(rows(), soles),
        sequence: Sequence::learn(rows()),
        foresight: None,
        likeness: None,
        volume: Volume::learn(rows(), endpoints),
        content: content::Content::default(),
        links: ties.links.clone(),
        replay: Replay::learn(rows()),
        access: ties.access.with_cohorts_of(&kept),
        responses: Responses::learn(rows()),
        probe: Probe::learn(rows(), endpoints),
        accounts: Accounts::learn(rows()),
    }
}

/// Plays all rows through live state and collects what the rooms say that were learned without each row's fold.
///
/// How often an endpoint comes that nobody called before is counted over the last quarter: before, everything was new. The first rows of
/// a known endpoint that one caller calls are judged as if it were new then; but what is of an older version than the one in use, and had
/// one caller, counts as if nobody had tried it.
fn replay(without: &[Rooms], rows: &[Row<'_>], signals: &mut [Vec<Signal>]) {
    let mut play = Play::default();
    let mut told: FxHashMap<EndpointIndex, u32> = FxHashMap::default();
    let settled = rows.len() * 3 / 4;
    let early: FxHashSet<EndpointIndex> = rows[..settled].iter().filter_map(|row| row.endpoint).collect();
    let repeats = Replay::of_repeats(rows.iter());
    let mut callers: FxHashMap<EndpointIndex, (u64, bool)> = FxHashMap::default();
    for row in rows {
        let Some(endpoint) = row.route.endpoint else { continue };
        let (first, has_others) = callers.entry(endpoint).or_insert((row.unit, false));
        *has_others |= *first != row.unit;
    }
    for (at, (row, out)) in rows.iter().zip(signals).enumerate() {
        let Some(rooms) = without.get(usize::from(row.fold)) else { continue };
        play.step(row, |seen, live| {
            rooms.arrive(seen, live);
            rooms.score_stateful(seen, live, out);
            rooms.observe(seen, live);
        });
        if repeats.are_of_few(row) {
            out.iter_mut().filter(|s| s.aspect == Aspect::Repeat).for_each(|s| s.score = 0.0);
        }
        let was_tried = row.route.endpoint.is_some_and(|e| !callers[&e].1) && rooms.assets.is_older(row.features);
        if at < settled || was_tried {
            out.retain(|signal| signal.aspect != Aspect::Unseen);
        } else if let Some(endpoint) = row.endpoint.filter(|e| row.is_sole && !early.contains(e)) {
            let times = told.entry(endpoint).or_default();
            for signal in out.iter_mut().filter(|s| s.aspect == Aspect::Unseen) {
                *times += 1;
                if *times <= NOVELTIES {
                    signal.score = rooms.assets.novelty(row.features);
                }
            }
        }
    }
}

/// The configured level, or the one that an alert budget allows at this history's rate.
fn alpha(config: &LearnConfig, history: &[&Features]) -> f64 {
    let Some(per_day) = config.alerts_per_day else { return config.alpha };
    let times = || history.iter().filter_map(|f| f.time);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return config.alpha };
    let days = ((last - first) as f64 / 86_400_000.0).max(1.0 / 24.0);
    (per_day * days / history.len().max(1) as f64).clamp(1e-9, 0.01)
}
