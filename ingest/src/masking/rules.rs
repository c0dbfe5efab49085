//! Where a value stands, and what the configured rules say of the place.

use engine::features::sensitive::{self, SensitiveKind};
use runtime::config::{PrivacyAction, PrivacyRule, Private};

/// Values that are texts with names of their own (JSON in JSON, JSON in a form) are followed this far.
const MAX_NESTING: u8 = 3;

/// Where a text stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'p> {
    /// First steps of every place in it, as rules name them: `request`, `body`.
    pub(super) place: &'p [&'p str],
    /// How many texts it stands in that are values themselves.
    pub(super) nesting: u8,
}

impl<'p> Site<'p> {
    /// A text that is no value of another.
    pub(super) fn top(place: &'p [&'p str]) -> Self {
        Self { place, nesting: 0 }
    }

    /// A text that is a value of this one; `None` when that has gone too far.
    pub(super) fn within(self) -> Option<Self> {
        (self.nesting < MAX_NESTING).then_some(Self { nesting: self.nesting + 1, ..self })
    }
}

/// What is done with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Left as it is.
    Keep,
    /// Texts become their mask.
    SecretTexts,
    /// Texts and numbers become their mask.
    Secret,
    /// Replaced by an outline of its characters.
    Outline,
    /// Taken out.
    Drop,
}

impl From<super::names::Secrecy> for Treatment {
    fn from(secrecy: super::names::Secrecy) -> Self {
        match secrecy {
            super::names::Secrecy::Open => Self::Keep,
            super::names::Secrecy::Texts => Self::SecretTexts,
            super::names::Secrecy::All => Self::Secret,
        }
    }
}

/// What a rule for fields or names says of places.
#[derive(Debug, Clone)]
enum Place {
    /// One place, step by step; `*` is one step of any name.
    Steps(Vec<String>),
    /// Every place whose last step is called like this.
    Name(String),
}

/// The rules, their places taken apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    places: Vec<(Place, Treatment)>,
    kinds: Vec<(SensitiveKind, Treatment)>,
}

impl Rules {
    /// Rules as configured; the first that fits a place wins.
    pub(super) fn new(rules: &[PrivacyRule]) -> Self {
        let treatment = |action| match action {
            PrivacyAction::Mask => Treatment::Outline,
            PrivacyAction::Hash => Treatment::Secret,
            PrivacyAction::Drop => Treatment::Drop,
            PrivacyAction::Keep => Treatment::Keep,
        };
        let mut all = Self::default();
        for PrivacyRule { of, action } in rules {
            match of {
                Private::Field(field) => all.places.push((Place::Steps(steps(field)), treatment(*action))),
                Private::Name(name) => all.places.push((Place::Name(name.clone()), treatment(*action))),
                Private::Kind(kind) => all.kinds.push((*kind, treatment(*action))),
            }
        }
        all
    }

    /// Names that rules speak of, wherever they stand.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter_map(|(place, _)| match place {
            Place::Name(name) => Some(name.as_str()),
            Place::Steps(_) => None,
        })
    }

    /// What the rules for names say of one, in a text that has no places.
    pub(super) fn called(&self, name: &str) -> Option<Treatment> {
        self.places.iter().find(|(place, _)| matches!(place, Place::Name(rule) if is_called(rule, name))).map(|(_, treatment)| *treatment)
    }

    /// Whether some rule speaks of kinds of data.
    pub(super) fn has_kinds(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// What the rules say of a value by what it holds.
    pub(super) fn of(&self, value: &str) -> Option<Treatment> {
        if self.kinds.is_empty() {
            return None;
        }
        let found = sensitive::scan(value);
        self.kinds.iter().find(|(kind, _)| found.has(*kind)).map(|(_, treatment)| *treatment)
    }

    /// Whether some rule may fit a place that starts like this.
    pub(super) fn reach(&self, start: &[&str]) -> bool {
        self.places.iter().any(|(place, _)| match place {
            Place::Steps(rule) => rule.len() >= start.len() && start.iter().zip(rule).all(|(step, rule)| fits(rule, step)),
            Place::Name(_) => true,
        })
    }

    /// What the rules say of a place.
    pub(super) fn at<'s>(&self, place: &(impl Iterator<Item = &'s str> + Clone)) -> Option<Treatment> {
        self.places.iter().find(|(rule, _)| rule.covers(place.clone())).map(|(_, treatment)| *treatment)
    }
}

/// Steps of a rule's place. The name of a header, cookie or parameter may hold dots, so what follows `headers`, `cookie` and `query` is one step.
fn steps(field: &str) -> Vec<String> {
    let fixed = ["request.headers.", "response.headers.", "cookie.", "query."];
    match fixed.iter().find_map(|start| Some((start, field.strip_prefix(start)?))) {
        Some((start, name)) => start.trim_end_matches('.').split('.').chain([name]).map(str::to_ascii_lowercase).collect(),
        None => field.split('.').map(str::to_ascii_lowercase).collect(),
    }
}

impl Place {
    fn covers<'s>(&self, mut place: impl Iterator<Item = &'s str>) -> bool {
        match self {
            Self::Steps(rule) => rule.iter().all(|step| place.next().is_some_and(|name| fits(step, name))) && place.next().is_none(),
            Self::Name(rule) => {
                // `request.body`, `response.headers`, `query`, `cookie`: what a place begins with is no name of a sender's.
                if matches!(place.next(), Some("request" | "response")) {
                    place.next();
                }
                place.last().is_some_and(|name| is_called(rule, name))
            }
        }
    }
}

/// Whether a name is that of a rule; of `user[ssn]`, `user.ssn` and `ssn[]` it is `ssn`.
fn is_called(rule: &str, name: &str) -> bool {
    let own = name.strip_suffix("[]").unwrap_or(name);
    let last = own.strip_suffix(']').unwrap_or(own).rsplit(['.', '[']).next().unwrap_or_default();
    [name, own, last].into_iter().any(|name| rule.eq_ignore_ascii_case(name))
}

fn fits(rule: &str, step: &str) -> bool {
    rule == "*" || rule.eq_ignore_ascii_case(step)
}
