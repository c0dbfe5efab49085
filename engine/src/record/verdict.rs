//! The verdict: what Weir says of one exchange, as it stands on `weir.verdicts`.

use serde::{Deserialize, Serialize};

/// What is wrong, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Family {
    /// Code or commands in a value.
    Injection,
    /// A field that clients never send.
    MassAssignment,
    /// More records or fields than this endpoint gives.
    ExcessiveData,
    /// Personal data or secrets where they never were.
    SensitiveData,
    /// An endpoint that should not be there, or is not used any more.
    ImproperAsset,
    /// Other people's objects, or enumeration of objects.
    ObjectAccess,
    /// A repeat of what never repeats.
    Replay,
    /// Steps in an order that does not occur.
    Sequence,
    /// More than anybody does.
    Volume,
    /// Many log-ins from one source, or on one account.
    AccountTakeover,
    /// A function that this kind of caller never calls.
    FunctionAccess,
    /// A server that tells too much or allows too much.
    Misconfiguration,
    /// A fuzzer or scanner.
    Fuzzing,
    /// Odd, not classed.
    Unknown,
}

impl Family {
    /// All, in the order of records.
    pub const ALL: [Self; 14] = [
        Self::Injection,
        Self::MassAssignment,
        Self::ExcessiveData,
        Self::SensitiveData,
        Self::ImproperAsset,
        Self::ObjectAccess,
        Self::Replay,
        Self::Sequence,
        Self::Volume,
        Self::AccountTakeover,
        Self::FunctionAccess,
        Self::Misconfiguration,
        Self::Fuzzing,
        Self::Unknown,
    ];

    /// Name as it stands in verdicts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Injection => "injection",
            Self::MassAssignment => "mass_assignment",
            Self::ExcessiveData => "excessive_data",
            Self::SensitiveData => "sensitive_data",
            Self::ImproperAsset => "improper_asset",
            Self::ObjectAccess => "object_access",
            Self::Replay => "replay",
            Self::Sequence => "sequence",
            Self::Volume => "volume",
            Self::AccountTakeover => "account_takeover",
            Self::FunctionAccess => "function_access",
            Self::Misconfiguration => "misconfiguration",
            Self::Fuzzing => "fuzzing",
            Self::Unknown => "unknown",
        }
    }

    /// Class of the OWASP API Security Top 10 2023, where one fits.
    #[must_use]
    pub fn owasp(self) -> Option<&'static str> {
        match self {
            Self::ObjectAccess => Some("API1:2023"),
            Self::AccountTakeover | Self::Replay => Some("API2:2023"),
            Self::MassAssignment | Self::ExcessiveData | Self::SensitiveData => Some("API3:2023"),
            Self::Volume => Some("API4:2023"),
            Self::FunctionAccess => Some("API5:2023"),
            Self::Sequence => Some("API6:2023"),
            Self::Misconfiguration | Self::Fuzzing | Self::Injection => Some("API8:2023"),
            Self::ImproperAsset => Some("API9:2023"),
            Self::Unknown => None,
        }
    }
}

/// Which room said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum DetectorKind {
    /// Which endpoints are live and how they answer.
    Assets,
    /// What comes after what.
    Sequence,
    /// How often.
    Volume,
    /// Which fields and values.
    Content,
    /// What comes back.
    Response,
    /// Whose objects.
    Access,
    /// What never repeats.
    Replay,
    /// Fuzzers and scanners.
    Probe,
    /// Accounts and network sources across sessions.
    Source,
}

impl DetectorKind {
    /// All, in the order of their slots.
    pub const ALL: [Self; 9] =
        [Self::Assets, Self::Sequence, Self::Volume, Self::Content, Self::Response, Self::Access, Self::Replay, Self::Probe, Self::Source];

    /// Name as it stands in verdicts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Assets => "assets",
            Self::Sequence => "sequence",
            Self::Volume => "volume",
            Self::Content => "content",
            Self::Response => "response",
            Self::Access => "access",
            Self::Replay => "replay",
            Self::Probe => "probe",
            Self::Source => "source",
        }
    }
}

/// What a verdict says in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Fits what is normal.
    Benign,
    /// p is below alpha.
    Anomalous,
    /// No model yet, or too little support to say.
    Insufficient,
}

impl Label {
    /// Name as it stands in verdicts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Benign => "benign",
            Self::Anomalous => "anomalous",
            Self::Insufficient => "insufficient",
        }
    }
}

/// Where the API stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Collecting until there is enough to learn from.
    Listening,
    /// The first model is being made.
    Training,
    /// A model judges.
    Evaluating,
}

impl Stage {
    /// Name as it stands in verdicts and status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Training => "training",
            Self::Evaluating => "evaluating",
        }
    }
}

/// Why: checkable against the traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Which room.
    pub detector: DetectorKind,
    /// What it takes it for.
    pub family: Family,
    /// OWASP API Security Top 10 2023 class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owasp: Option<String>,
    /// Calibrated p of this reason alone.
    pub p: f64,
    /// Part of the exchange (`request.body.is_admin`, `path.id`, `session`, …).
    #[serde(rename = "where")]
    pub place: String,
    /// What was observed (masked).
    pub observed: String,
    /// What was expected.
    pub expected: String,
    /// On how many observations the expectation rests.
    pub support: u64,
}

/// One verdict. Fields stand in the order of the record format; bytes are stable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// `<topic>-<partition>-<offset>` of the exchange.
    pub id: String,
    /// Identifier that the sender gave the exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange_id: Option<String>,
    /// Event time, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Stage of the API.
    pub stage: Stage,
    /// Label of the model version that judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The verdict in one word.
    pub label: Label,
    /// −10·log10 p, two decimals, at most 300.
    pub score: f64,
    /// Probability that benign traffic of this API looks at least this odd.
    pub p: f64,
    /// Level below which a verdict is anomalous.
    pub alpha: f64,
    /// The API.
    pub api: String,
    /// Endpoint: method, host and template.
    pub endpoint: String,
    /// Path, masked where it holds personal values or tokens.
    pub path: String,
    /// Response status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Client address, as privacy settings allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Families within 2.3 nats of the strongest.
    pub families: Vec<Family>,
    /// At most five, most surprising first.
    pub reasons: Vec<Reason>,
    /// Detectors that could not look.
    pub blind: Vec<DetectorKind>,
}

impl Verdict {
    /// The record's bytes: one JSON object, no line end.
    ///
    /// # Errors
    /// Never in practice: every field is representable.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}
