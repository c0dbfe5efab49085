//! What is left out of judging to see what it contributes: a detector, a network within one, or a step from scores to probabilities. Of calibration alone; a
//! model file never holds one.

use crate::calibrate::Shape;
use crate::detect::Aspect;
use crate::record::DetectorKind;

/// One thing left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ablation {
    /// A detector is not heard.
    Detector(DetectorKind),
    /// The network that foresees steps is not heard.
    StepNetwork,
    /// The network that rebuilds values is not heard.
    ValueNetwork,
    /// A step is not taken.
    Step(Step),
    /// Nothing is asked but this.
    AllBut(Aspect),
}

/// A step from scores to probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Each endpoint's own tails, where it has the support: its class's serve.
    Endpoints,
    /// Back-off to the class of an endpoint: where it has no tail of its own the whole API's serves.
    Classes,
    /// Scales of tails from the bulk of a sample: its top gives them.
    Bulk,
    /// Shrinkage of an endpoint's scale and rate towards its class's.
    Shrinkage,
    /// The second calibration, of combined p-values by class.
    Second,
    /// What a session's requests add up to.
    Sessions,
}

impl Step {
    /// All, in the order in which they are taken.
    pub const ALL: [Self; 6] = [Self::Endpoints, Self::Classes, Self::Bulk, Self::Shrinkage, Self::Second, Self::Sessions];

    /// Name for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Endpoints => "calibration by endpoint",
            Self::Classes => "back-off to the class",
            Self::Bulk => "tails fitted on the bulk",
            Self::Shrinkage => "shrinkage of tails",
            Self::Second => "second calibration by class",
            Self::Sessions => "session evidence",
        }
    }
}

impl Ablation {
    /// Each detector, each network, each step, then everything but each question.
    pub fn all() -> impl Iterator<Item = Self> {
        let networks = [Self::StepNetwork, Self::ValueNetwork];
        DetectorKind::ALL
            .into_iter()
            .map(Self::Detector)
            .chain(networks)
            .chain(Step::ALL.into_iter().map(Self::Step))
            .chain(Aspect::ALL.into_iter().map(Self::AllBut))
    }

    /// Name for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Detector(detector) => detector.name(),
            Self::StepNetwork => "network of steps",
            Self::ValueNetwork => "network of values",
            Self::Step(step) => step.name(),
            Self::AllBut(aspect) => aspect.name(),
        }
    }

    /// Whether a question is not asked.
    #[must_use]
    pub fn silences(self, aspect: Aspect) -> bool {
        match self {
            Self::Detector(detector) => aspect.detector() == detector,
            Self::StepNetwork => matches!(aspect, Aspect::Foreseen | Aspect::Certain),
            Self::ValueNetwork => aspect == Aspect::Likeness,
            Self::Step(_) => false,
            Self::AllBut(only) => aspect != only,
        }
    }
}

/// How calibration is fitted: in full, or with something left out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Plan(pub(crate) Option<Ablation>);

impl Plan {
    /// Whether a step is taken.
    pub(crate) fn takes(self, step: Step) -> bool {
        self.0 != Some(Ablation::Step(step))
    }

    /// How tails are fitted that would have this shape.
    pub(crate) fn shape(self, shape: Shape) -> Shape {
        if self.takes(Step::Bulk) { shape } else { Shape::OF_THE_TOP }
    }
}
