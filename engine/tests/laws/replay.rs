//! The same records with the same effects at the same offsets give the same bytes, however they are cut, interrupted or interleaved.

use crate::tape::{Said, State, Tape};
use crate::traffic::{SMALL_SHOP, Traffic, attacked, learned, partition};
use engine::record::{ApiName, Stage};
use engine::{Effect, Limits, Partition};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// Records of a shop under attack.
static RECORDS: LazyLock<Traffic> = LazyLock::new(|| attacked(12, 0.05, 12_000));

/// Tables so small that entries are evicted all the time.
const TIGHT: Limits = Limits { sessions: 24, sources: 24, objects: 64, tokens: 64, incidents: 6, endpoints: 8 };

/// A partition's life: no model, stages, a model, an hour of silence, another model.
fn tape(limits: Limits) -> Tape<'static> {
    static SECOND: LazyLock<Arc<engine::Model>> = LazyLock::new(|| Arc::new(learned(SMALL_SHOP.next_day.iter().take(1_500), "v2")));
    let records = &*RECORDS;
    let n = records.len();
    let host = records[0].host.as_deref().expect("a host").to_owned();
    let api = ApiName::new(host.as_str());
    let stages = Effect::Stages { hosts: BTreeMap::from([(host, api.clone())]), stages: BTreeMap::from([(api, Stage::Training)]) };
    let silence = records[n / 2].time.expect("a time");
    let effects = BTreeMap::from([
        (n / 16, vec![stages]),
        (n / 8, vec![Effect::Model(Arc::clone(&SMALL_SHOP.model))]),
        (n / 2, vec![Effect::Tick(silence), Effect::Tick(silence - 1)]),
        (5 * n / 8, vec![Effect::Model(Arc::clone(&SECOND))]),
    ]);
    Tape { records, effects, limits }
}

static TAPE: LazyLock<Tape<'static>> = LazyLock::new(|| tape(Limits::default()));
static TIGHT_TAPE: LazyLock<Tape<'static>> = LazyLock::new(|| tape(TIGHT));
static WHOLE: LazyLock<Said> = LazyLock::new(|| TAPE.whole());
static TIGHT_WHOLE: LazyLock<Said> = LazyLock::new(|| TIGHT_TAPE.whole());

/// The tape and what it says in one go, roomy or tight.
fn played(tight: bool) -> (&'static Tape<'static>, &'static Said) {
    if tight { (&TIGHT_TAPE, &TIGHT_WHOLE) } else { (&TAPE, &WHOLE) }
}

/// Fails at the first difference, readably.
fn same(said: &Said, expected: &Said) -> Result<(), TestCaseError> {
    for (at, (a, b)) in said.iter().zip(expected).enumerate() {
        prop_assert_eq!(a, b, "line {}", at);
    }
    prop_assert_eq!(said.len(), expected.len());
    Ok(())
}

#[test]
fn the_tape_shows_what_replay_could_get_wrong() {
    let count = |what: &str| WHOLE.iter().filter(|line| line.contains(what)).count();
    assert!(count("\"stage\":\"listening\"") > 0 && count("\"stage\":\"training\"") > 0, "stages");
    assert!(count("\"model\":\"v1\"") > 100 && count("\"model\":\"v2\"") > 100, "models");
    assert!(count("\"label\":\"anomalous\"") > 50, "{} anomalous", count("\"label\":\"anomalous\""));
    assert!(count("life: Closed") > 0 && count("life: Updated") > 0, "incidents");
    assert!(*WHOLE != *TIGHT_WHOLE, "tight tables forget");
}

/// The records by their sessions in three partitions, each with effects of its own.
fn split() -> &'static [Tape<'static>; 3] {
    static RECORDS_OF: LazyLock<[Traffic; 3]> = LazyLock::new(|| {
        let mut parts = [Traffic::new(), Traffic::new(), Traffic::new()];
        for record in RECORDS.iter() {
            let session = record.session.as_deref().unwrap_or_default();
            parts[session.bytes().map(usize::from).sum::<usize>() % 3].push(record.clone());
        }
        parts
    });
    static TAPES: LazyLock<[Tape<'static>; 3]> = LazyLock::new(|| {
        std::array::from_fn(|n| {
            let effects = BTreeMap::from([(n * 20, vec![Effect::Model(Arc::clone(&SMALL_SHOP.model))])]);
            Tape { records: &RECORDS_OF[n], effects, limits: if n == 1 { TIGHT } else { Limits::default() } }
        })
    });
    &TAPES
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn any_restores_between_batches_give_the_same_bytes(tight: bool, cuts in prop::collection::vec(any::<Index>(), 0..6), shuffle: u64) {
        let (tape, whole) = played(tight);
        let cuts: BTreeSet<usize> = cuts.iter().map(|cut| cut.index(tape.len())).chain([tape.len()]).collect();
        let (mut state, mut said, mut from) = (State::default(), Said::new(), 0);
        for cut in cuts {
            let mut owner = state.restore(tape, from, shuffle);
            tape.judge(&mut owner, from..cut, &mut said);
            state.take(owner.checkpoint(), cut);
            from = cut;
        }
        same(&said, whole)?;
    }

    #[test]
    fn aborts_give_the_same_bytes(tight: bool, batch in 40usize..160, every in 1usize..6, aborts in prop::collection::vec(any::<bool>(), 1..40), shuffle: u64) {
        let (tape, whole) = played(tight);
        let (mut state, mut said) = (State::default(), Said::new());
        let mut owner = partition(0, tape.limits);
        let (mut committed, mut turn) = (0, 0);
        while committed < tape.len() {
            let end = (committed + batch).min(tape.len());
            let mut batch_said = Said::new();
            tape.judge(&mut owner, committed..end, &mut batch_said);
            let checkpoint = (turn % every == 0).then(|| owner.checkpoint());
            if aborts[turn % aborts.len()] && turn % 2 == 0 {
                // The transaction is void, what the batch said and its checkpoint with it.
                owner = state.restore(tape, committed, shuffle);
            } else {
                if let Some(entries) = checkpoint {
                    state.take(entries, end);
                }
                said.append(&mut batch_said);
                committed = end;
            }
            turn += 1;
        }
        same(&said, whole)?;
    }

    #[test]
    fn partitions_do_not_know_of_each_other(turns in prop::collection::vec((0usize..3, 1usize..40), 1..60)) {
        let tapes = split();
        let mut playing: Vec<(Partition, Said, usize)> = tapes.iter().map(|tape| (partition(0, tape.limits), Said::new(), 0)).collect();
        for (which, steps) in turns.iter().cycle() {
            let is_done = |n: usize| playing[n].2 == tapes[n].len();
            let Some(n) = (0..3).map(|n| (n + which) % 3).find(|n| !is_done(*n)) else { break };
            let (partition, said, next) = &mut playing[n];
            let end = (*next + steps).min(tapes[n].len());
            tapes[n].judge(partition, *next..end, said);
            *next = end;
        }
        for ((_, said, _), tape) in playing.iter().zip(tapes) {
            same(said, &tape.whole())?;
        }
    }
}
