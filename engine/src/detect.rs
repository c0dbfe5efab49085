//! What the rooms share: what they are shown, what they answer, how they are listed.

use crate::features::Features;
use crate::paths::{EndpointIndex, Route};
use crate::probe;
use crate::record::{DetectorKind, EndpointId, Family};
use serde::{Deserialize, Serialize};

/// What a step, and an object of somebody else's, may be rarer than the score alone says, nats.
const RARE_STEP: f64 = 2.0;
/// The same of counts, amounts, changes of client, and of what is left out: a credential, a step before. Nats.
const RARE_EVENT: f64 = 3.0;
const RARE_OBJECT: f64 = 5.0;
/// The same of what everybody may come to now and then, failures and paths that lead nowhere: once in ninety requests.
const COMMON_FAILURES: f64 = 4.5;

/// One question that a detector answers with a score of its own. A new detector adds its questions here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Aspect {
    /// `assets`: an endpoint that never succeeded in training does.
    Unseen,
    /// `assets`: an endpoint used without the authentication it always had.
    Unauthenticated,
    /// `assets`: a server that tells or allows too much.
    Leak,
    /// `sequence`: this step after those.
    Step,
    /// `sequence`: a step without the one that always comes before it.
    Skipped,
    /// `volume`: so many in so short a time.
    Count,
    /// `content`: values of fields.
    Values,
    /// `content`: values of headers and cookies.
    Headers,
    /// `content`: which fields there are.
    Structure,
    /// `content`: personal data in a field that never carried it.
    Sensitive,
    /// `response`: more records or bytes than this endpoint gives.
    Amount,
    /// `response`: members or personal data that this endpoint never gave.
    Members,
    /// `access`: somebody else's object.
    Foreign,
    /// `access`: very many objects.
    Enumeration,
    /// `access`: a function that such callers do not call.
    Function,
    /// `access`: a function that sessions which do what this one did do not call.
    Role,
    /// `replay`: a repeat of what never repeats.
    Repeat,
    /// `replay`: a session continued from elsewhere.
    Takeover,
    /// `probe`: a session or source that tries things out.
    Probing,
    /// `source`: log-ins on many accounts, or on one from many sessions.
    Accounts,
    /// `sequence`: this step after all that the session did, by its network.
    Foreseen,
    /// `content`: values of fields, by its network.
    Likeness,
    /// `sequence`: another step than the one that its network was sure of.
    Certain,
    /// `content`: names of a caller's software and language.
    Client,
    /// `content`: the same of a session that began under another name.
    Renamed,
}

impl Aspect {
    /// Whether it is about what a caller does, or leaves out, and nearly nobody ever does: where one or two of many did it while a model was
    /// learned, they may have been attackers.
    pub(crate) fn is_deed(self) -> bool {
        use Aspect::{Foreign, Function, Leak, Repeat, Role, Skipped};
        matches!(self, Leak | Foreign | Function | Role | Repeat | Skipped)
    }

    /// All, in the order of their slots.
    pub const ALL: [Self; 25] = [
        Self::Unseen,
        Self::Unauthenticated,
        Self::Leak,
        Self::Step,
        Self::Skipped,
        Self::Count,
        Self::Values,
        Self::Headers,
        Self::Structure,
        Self::Sensitive,
        Self::Amount,
        Self::Members,
        Self::Foreign,
        Self::Enumeration,
        Self::Function,
        Self::Role,
        Self::Repeat,
        Self::Takeover,
        Self::Probing,
        Self::Accounts,
        Self::Foreseen,
        Self::Likeness,
        Self::Certain,
        Self::Client,
        Self::Renamed,
    ];

    /// Name for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unseen => "unseen endpoint",
            Self::Unauthenticated => "missing authentication",
            Self::Leak => "telling server",
            Self::Step => "step, by the Markov chain",
            Self::Skipped => "skipped step",
            Self::Count => "count",
            Self::Values => "values",
            Self::Headers => "headers",
            Self::Structure => "structure",
            Self::Sensitive => "personal data",
            Self::Amount => "amount returned",
            Self::Members => "members returned",
            Self::Foreign => "foreign object",
            Self::Enumeration => "enumeration",
            Self::Function => "function of others",
            Self::Role => "role",
            Self::Repeat => "repeat",
            Self::Takeover => "takeover",
            Self::Probing => "probing",
            Self::Accounts => "accounts",
            Self::Foreseen => "step, by the network",
            Self::Likeness => "values, by the network",
            Self::Certain => "step, where the network is sure",
            Self::Client => "names of clients",
            Self::Renamed => "another client's name",
        }
    }

    /// Whether all endpoints are one sample: what the question is about is where a caller comes from, not what is called.
    #[must_use]
    pub fn is_pooled(self) -> bool {
        matches!(self, Self::Certain | Self::Repeat)
    }

    /// Whether an oddity of this sort is about who calls, whatever is called.
    #[must_use]
    pub fn is_about_caller(self) -> bool {
        matches!(
            self,
            Self::Unauthenticated
                | Self::Headers
                | Self::Client
                | Self::Renamed
                | Self::Enumeration
                | Self::Function
                | Self::Takeover
                | Self::Probing
                | Self::Accounts
        )
    }

    /// The largest −ln p that an answer with a score may have by itself: new versions and devices come every day, whatever was seen
    /// before. A step's score is a likelihood ratio, of which at least x nats come in e^−x of all cases at most (Markov's inequality):
    /// how rarely any step is odd at an endpoint adds little to that. So it is with a value; with a count and an amount, whose score is by
    /// their own tails; with a session that changes its client, by the sessions that did; and with what is left out, by the callers and
    /// the cases that did not. A few failures are what everybody comes to. How often callers reached what is not theirs rests on the cases
    /// of one parameter, however rare it is elsewhere.
    #[must_use]
    pub fn at_most(self, score: f64) -> f64 {
        match self {
            Self::Client => 6.0,
            Self::Members => 10.0,
            Self::Step | Self::Foreseen => 10f64.min(score + RARE_STEP),
            Self::Foreign => score + RARE_OBJECT,
            Self::Probing if score <= f64::from(probe::SPARED) => COMMON_FAILURES,
            Self::Values => score,
            Self::Unauthenticated | Self::Skipped | Self::Count | Self::Amount | Self::Takeover => score + RARE_EVENT,
            _ => f64::INFINITY,
        }
    }

    /// The question whose answers on benign traffic it is measured by.
    #[must_use]
    pub fn measured_by(self) -> Self {
        if self == Self::Renamed { Self::Client } else { self }
    }

    /// The room that asks it.
    #[must_use]
    pub fn detector(self) -> DetectorKind {
        match self {
            Self::Unseen | Self::Unauthenticated | Self::Leak => DetectorKind::Assets,
            Self::Step | Self::Skipped | Self::Foreseen | Self::Certain => DetectorKind::Sequence,
            Self::Count => DetectorKind::Volume,
            Self::Values | Self::Headers | Self::Client | Self::Renamed | Self::Structure | Self::Sensitive | Self::Likeness => {
                DetectorKind::Content
            }
            Self::Amount | Self::Members => DetectorKind::Response,
            Self::Foreign | Self::Enumeration | Self::Function | Self::Role => DetectorKind::Access,
            Self::Repeat | Self::Takeover => DetectorKind::Replay,
            Self::Probing => DetectorKind::Probe,
            Self::Accounts => DetectorKind::Source,
        }
    }
}

/// How specific the knowledge is that a score rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Of this endpoint or field.
    Own,
    /// Of endpoints or fields like it.
    Parent,
    /// Of the whole API.
    Global,
}

/// What kind of endpoint: calibration pools rare endpoints by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Class {
    /// GET, HEAD, OPTIONS.
    Read,
    /// Everything that changes something.
    Write,
    /// Log-in and the like: a password-like field in, a credential out.
    Authentication,
}

impl Class {
    /// Number of classes.
    pub const COUNT: usize = 3;
    /// All, in order.
    pub const ALL: [Self; Self::COUNT] = [Self::Read, Self::Write, Self::Authentication];
}

/// What a room is shown of one exchange.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'s> {
    /// The exchange, digested.
    pub features: &'s Features,
    /// Where its path leads.
    pub route: &'s Route,
    /// The endpoint, where it is known well enough to be judged by.
    pub endpoint: Option<EndpointIndex>,
    /// Identity of the endpoint, known or not.
    pub id: EndpointId,
    /// Kind of endpoint.
    pub class: Class,
    /// Partition clock, epoch milliseconds; 0 when no record had a time yet.
    pub now: i64,
    /// Whether the record has a time near the partition clock, so that time means something.
    pub is_timely: bool,
}

/// A room's answer to one question: raw, not yet a p-value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// The question.
    pub aspect: Aspect,
    /// Oddness: rises, 0 is nothing; near −ln p where the room can say so.
    pub score: f32,
    /// What it rests on.
    pub level: Level,
    /// What the oddity is about: the same again is no new evidence against a session.
    pub bet: u64,
}

/// A reason before calibration: the room's part of [`crate::Reason`].
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What the room takes it for.
    pub family: Family,
    /// Part of the exchange.
    pub place: String,
    /// What was observed, masked.
    pub observed: String,
    /// What was expected.
    pub expected: String,
    /// Observations behind the expectation.
    pub support: u64,
}
