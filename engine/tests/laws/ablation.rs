//! What is left out is not heard, and putting it back changes nothing.

use crate::traffic::{SMALL_SHOP, attacked, history, judging, position};
use engine::neural::NoTeacher;
use engine::record::{DetectorKind, Verdict};
use engine::{Ablation, LearnConfig, Model, Step, learn_ablated};
use std::sync::Arc;

fn judge(model: &Arc<Model>) -> Vec<Verdict> {
    let mut partition = judging(model);
    attacked(11, 0.1, 4_000).iter().enumerate().map(|(at, exchange)| partition.judge(position(at), exchange).verdict).collect()
}

fn gives_reasons(verdicts: &[Verdict], detector: DetectorKind) -> bool {
    verdicts.iter().flat_map(|v| &v.reasons).any(|r| r.detector == detector)
}

#[test]
fn what_is_left_out_gives_no_reason_and_all_else_does() {
    let left_out = [Ablation::Detector(DetectorKind::Content), Ablation::Step(Step::Second)];
    let (model, calibrations) =
        learn_ablated(&history(&SMALL_SHOP.learned_day), &LearnConfig::default(), &mut NoTeacher, &left_out, &mut |_| {})
            .expect("a history");
    let mut model = Arc::new(model);
    let whole = judge(&model);
    let mut without = Vec::new();
    for calibrations in calibrations {
        let own = Arc::get_mut(&mut model).expect("nobody else has it").recalibrate(calibrations);
        without.push(judge(&model));
        let _ = Arc::get_mut(&mut model).expect("nobody else has it").recalibrate(own);
    }
    assert!(gives_reasons(&whole, DetectorKind::Content));
    assert!(!gives_reasons(&without[0], DetectorKind::Content) && gives_reasons(&without[0], DetectorKind::Assets));
    assert!(gives_reasons(&without[1], DetectorKind::Content) && without[1] != whole);
    assert_eq!(judge(&model), whole);
}
