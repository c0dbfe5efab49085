//! What a field is judged by: its own values, else those of its name, else those of its kind; and how surprising a value is by that.

use super::field::{FieldProfile, Scratch};
use super::{Content, Valued};
use crate::detect::{Level, Seen};
use crate::features::hash::mix;
use crate::features::{Field, Place, ValueKind};
use crate::paths::EndpointIndex;

/// Nats up to which what other fields hold counts in full against a value, and what each nat beyond counts.
const CHECKED: f32 = 6.0;
const BEYOND: f32 = 0.25;

/// What a field is judged by.
pub(super) struct Judge<'c> {
    pub(super) key: u64,
    pub(super) profile: &'c FieldProfile,
    pub(super) basis: Basis,
}

/// Whose values a field is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// Its own.
    Own,
    /// Those of the fields of its name.
    Name,
    /// The same at an endpoint that nobody knows: what fields of this name hold elsewhere is no measure for it.
    NameElsewhere,
    /// Those of the fields that hold what it held so far: a field that held nothing but numbers is one of numbers, whatever it is sent.
    Kind,
    /// Those of the kind that the value itself is of.
    ValueKind,
}

impl Basis {
    /// The level that a surprisal rests on.
    pub(super) fn level(self) -> Level {
        match self {
            Self::Own => Level::Own,
            Self::Name | Self::Kind => Level::Parent,
            Self::NameElsewhere | Self::ValueKind => Level::Global,
        }
    }

    /// Surprisal of a value by a profile of this basis, nats. Fields of a kind differ by more than the values of one do, and no API has so
    /// many fields that the rest could be checked.
    pub(super) fn tempered(self, nats: f32) -> f32 {
        match self {
            Self::Kind if nats > CHECKED => CHECKED + BEYOND * (nats - CHECKED),
            _ => nats,
        }
    }

    /// Whether it tells what this very field holds.
    pub(super) fn is_of_field(self) -> bool {
        matches!(self, Self::Own | Self::Name)
    }
}

impl Judge<'_> {
    /// The kind of a value, if it is another than the field's, of which little is known but what others hold: those of its name or its kind.
    pub(super) fn other_kind(&self, field: &Field) -> Option<ValueKind> {
        let is_other = matches!(self.basis, Basis::Name | Basis::Kind) && field.kind != self.profile.main_kind;
        is_other.then_some(field.kind)
    }
}

/// Key of a field of one endpoint; headers and cookies have one for the whole API.
pub(super) fn own_key(endpoint: EndpointIndex, field: &Field) -> u64 {
    if field.place.is_of_endpoint() { mix(u64::from(endpoint.0) + 0x1000, field.id) } else { name_key(field) }
}

/// Key of a field by its place and name over all endpoints. Path variables have no name to share.
pub(super) fn name_key(field: &Field) -> u64 {
    mix(0x2, field.id)
}

/// Key of all values of fields of a kind.
pub(super) fn kind_key(kind: ValueKind, place: Place) -> u64 {
    mix(0x3 + u64::from(!place.is_of_endpoint()), kind as u64)
}

impl Content {
    /// The profile to judge a field by, most specific first.
    pub(super) fn judge(&self, endpoint: Option<EndpointIndex>, field: &Field) -> Option<Judge<'_>> {
        let by = |key, basis| self.profile(key).map(|profile| Judge { key, profile, basis });
        if !field.place.is_of_endpoint() {
            return by(name_key(field), Basis::Own).or_else(|| by(kind_key(field.kind, field.place), Basis::ValueKind));
        }
        let own = endpoint.and_then(|e| by(own_key(e, field), Basis::Own));
        own.or_else(|| {
            let basis = if endpoint.is_none() { Basis::NameElsewhere } else { Basis::Name };
            (field.place != Place::Path).then(|| by(name_key(field), basis)).flatten()
        })
        .or_else(|| {
            let usual = self.fields_of(endpoint, field.place).and_then(|known| known.find(field.id)?.kind);
            usual.and_then(|kind| by(kind_key(kind, field.place), Basis::Kind))
        })
        .or_else(|| by(kind_key(field.kind, field.place), Basis::ValueKind))
    }

    /// Surprisal of a value in nats, with the level it rests on; `None` when nothing is known to judge it by. Who looks for the
    /// largest of several tells the largest `so_far`: of what is no larger only that is said, which is most of the work.
    pub(super) fn surprisal(&self, seen: &Seen<'_>, valued: &Valued<'_>, so_far: f32, scratch: &mut Scratch) -> Option<(f32, Level)> {
        let judge = self.judge(seen.endpoint, &valued.field)?;
        let (profile, basis) = (judge.profile, judge.basis);
        if let Some(nats) = profile.remembered(valued.field.value_hash) {
            return Some((nats, basis.level()));
        }
        if !profile.is_calibrated() {
            return None;
        }
        let most = profile.most_surprising(&valued.value, valued.field.kind, valued.field.value_hash);
        if most <= so_far {
            return Some((most, basis.level()));
        }
        let own = basis.tempered(profile.nats(&valued.value, valued.field.kind, self.pool(), scratch)?);
        if own <= so_far {
            return Some((own, basis.level()));
        }
        let of_kind = self
            .second_opinion(&judge, &valued.field)
            .and_then(|(_, kind)| kind.nats(&valued.value, valued.field.kind, self.pool(), scratch));
        let nats = self.agree(profile, judge.other_kind(&valued.field), own, of_kind).min(most);
        Some((nats, basis.level()))
    }

    /// The profile of all values of a value's kind, where the one that the field is judged by is not to be trusted alone.
    pub(super) fn second_opinion(&self, judge: &Judge<'_>, field: &Field) -> Option<(u64, &FieldProfile)> {
        let key = kind_key(field.kind, field.place);
        let is_asked = key != judge.key && (judge.other_kind(field).is_some() || judge.profile.is_small());
        is_asked.then(|| self.profile(key)).flatten().map(|kind| (key, kind))
    }

    /// Surprisal of a value by the profile that its field is judged by and, if known, by that of its own kind, nats: a few values have not
    /// shown all their forms, and what others hold is not all that a field may hold. `other_kind`: see [`Judge::other_kind`].
    pub(super) fn agree(&self, profile: &FieldProfile, other_kind: Option<ValueKind>, own: f32, of_kind: Option<f32>) -> f32 {
        match (other_kind, of_kind) {
            (Some(_), Some(of_kind)) => own.min(of_kind + self.other_kind),
            // Nothing of the kind was ever seen: a number or a date is one all the same.
            (Some(kind), None) if kind.has_form() => own.min(self.other_kind),
            (None, Some(of_kind)) => profile.drawn_to(own, of_kind),
            (_, None) => own,
        }
    }
}
