//! A load balancer that hides all callers: one address, one client, one session.

use crate::traffic::{SHOP, Traffic, judging, learned, position};
use engine::DetectorKind;
use engine::record::{Client, Exchange, Label, Verdict};
use std::sync::Arc;

/// The same exchange as it looks behind the load balancer.
fn hidden(exchange: &Exchange<'static>) -> Exchange<'static> {
    let mut exchange = exchange.clone();
    exchange.client = Client { ip: Some("10.0.0.9".into()), user_agent: Some("proxy/2".into()) };
    exchange.session = Some("all".into());
    exchange.subject = None;
    exchange
}

fn day(of: &Traffic) -> Traffic {
    of.iter().filter(|e| e.host.as_ref().is_some_and(|host| host.starts_with("api."))).map(hidden).collect()
}

#[test]
fn what_a_load_balancer_hides_is_judged_by_the_request_alone() {
    let model = Arc::new(learned(&day(&SHOP.learned_day), "v1"));
    let mut partition = judging(&model);
    let next = day(&SHOP.next_day);
    let verdicts: Vec<Verdict> = next.iter().enumerate().map(|(at, e)| partition.judge(position(at), e).verdict).collect();
    let wrong = verdicts.iter().filter(|v| v.label == Label::Anomalous).count();
    assert!(wrong * 100 < verdicts.len(), "{wrong} of {} called anomalous", verdicts.len());
    assert!(verdicts.iter().all(|v| v.blind.contains(&DetectorKind::Volume) && v.blind.contains(&DetectorKind::Sequence)));

    let mut attack = next[0].clone();
    attack.method = "GET".into();
    attack.path = "/v2/products".into();
    attack.query = Some("q=lamp' UNION SELECT password FROM users--".into());
    let verdict = partition.judge(position(verdicts.len()), &attack).verdict;
    assert_eq!(verdict.label, Label::Anomalous, "{verdict:#?}");
}
