//! Forgetting a session: its name is not left in the saved state, and a scorer goes on without.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

mod common;

use common::{Bench, Plan, traffic};
use runtime::erase::Traces;
use runtime::log::Record;
use std::collections::BTreeMap;

/// The newest record of each key of the state.
fn state(bench: &Bench) -> BTreeMap<(u32, Vec<u8>), Record> {
    let all = bench.all(&bench.settings.topics.state).into_values().flatten();
    all.map(|record| ((record.at.partition, record.key.clone().unwrap().to_vec()), record)).collect()
}

#[test]
fn a_forgotten_session_has_left_the_state_and_the_others_have_not() {
    let mut bench = Bench::new(Plan { workers: 1, abort_every: 0, checkpoint: 0 });
    let (first, rest) = traffic().judged[..1_300].split_at(1_200);
    bench.publish("v1", 1);
    bench.start();
    bench.send(first);
    bench.stop();
    let live = |bench: &Bench| state(bench).into_values().filter(|r| r.value.is_some()).collect::<Vec<_>>();
    let sessions = first.iter().map(|(session, _)| Traces::of(session).unwrap());
    let (entries, mut named) = (live(&bench), sessions);
    let traces = named.find(|traces| entries.iter().any(|r| traces.are_in(r))).expect("a session with an open incident");
    let held = |bench: &Bench| live(bench).iter().filter(|r| traces.are_in(r)).count();
    let (entries, of_it) = (entries.len(), held(&bench));

    let erased = scorer::erase(&*bench.log, &bench.settings.topics, &traces).unwrap();
    assert_eq!((erased, held(&bench)), (of_it, 0));
    assert_eq!(live(&bench).len(), entries - of_it);
    assert_eq!(scorer::erase(&*bench.log, &bench.settings.topics, &traces).unwrap(), 0);

    bench.start();
    bench.send(rest);
    bench.stop();
    assert_eq!(bench.verdicts().values().map(Vec::len).sum::<usize>(), 1_300);
}
