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

/// The rules, their places taken apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    places: Vec<(Vec<String>, Treatment)>,
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
                Private::Field(field) => all.places.push((steps(field), treatment(*action))),
                Private::Kind(kind) => all.kinds.push((*kind, treatment(*action))),
            }
        }
        all
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
        self.places.iter().any(|(rule, _)| rule.len() >= start.len() && start.iter().zip(rule).all(|(step, rule)| fits(rule, step)))
    }

    /// What the rules say of a place.
    pub(super) fn at<'s>(&self, place: &(impl Iterator<Item = &'s str> + Clone)) -> Option<Treatment> {
        self.places.iter().find(|(rule, _)| matches(rule, place.clone())).map(|(_, treatment)| *treatment)
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

fn matches<'s>(rule: &[String], mut place: impl Iterator<Item = &'s str>) -> bool {
    rule.iter().all(|step| place.next().is_some_and(|name| fits(step, name))) && place.next().is_none()
}

fn fits(rule: &str, step: &str) -> bool {
    rule == "*" || rule.eq_ignore_ascii_case(step)
}
