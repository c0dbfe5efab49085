//! What is true of an exchange.

/// Whether an exchange belongs to an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Harmless.
    Benign,
    /// Part of an attack.
    Attack,
}

impl Label {
    /// Name as it stands in label files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Benign => "benign",
            Self::Attack => "attack",
        }
    }
}

/// Which part of the simulation an exchange belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// To learn from.
    Train,
    /// To judge.
    Test,
}

impl Split {
    /// Name as it stands in label files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// The truth about one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrueLabel {
    /// Whether it belongs to an attack.
    pub label: Label,
    /// Of an attack: its family, as verdicts name it. Of a harmless exchange: what it looks like (`sale_peak`, `office_nat`, …), or empty.
    pub family: &'static str,
    /// Part of the simulation.
    pub split: Split,
    /// Method and path template (`GET /v2/products/{id}`); empty where no endpoint stands. GraphQL operations follow a `#`.
    pub template: &'static str,
    /// Visits of one client, or an attack from many clients, that belong together. An attack's group starts with its technique.
    pub group: String,
}

impl TrueLabel {
    /// The columns of a label file.
    pub const COLUMNS: &'static str = "id,label,family,split,template,group";

    /// The row of a label file for the exchange of this id, without line end. No column needs quotes.
    #[must_use]
    pub fn row(&self, id: &str) -> String {
        format!("{id},{},{},{},{},{}", self.label.name(), self.family, self.split.name(), self.template, self.group)
    }
}
