//! What a person is told about a field: where, a masked excerpt of the odd part, what was expected.

use super::basis::{Basis, Judge};
use super::field::{FieldProfile, Scratch};
use super::tails::{FIRST_OF_PARTS, SCORE_NAMES};
use super::text::tokens;
use super::{Content, OF_VALUES, Valued, What, is_renamed, valued};
use crate::detect::{Aspect, Explanation, Seen};
use crate::features::sensitive::{Sensitive, SensitiveKind};
use crate::features::{Field, Place};
use crate::learn::is_password;
use crate::partition::Live;
use crate::record::Family;

/// Characters shown around the odd part.
const EXCERPT: usize = 40;

impl Content {
    /// Explains one of this room's aspects.
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, live: &Live<'_>, aspect: Aspect, scratch: &mut Scratch) -> Option<Explanation> {
        match aspect {
            Aspect::Values | Aspect::Headers | Aspect::Client | Aspect::Renamed => self.explain_value(seen, live, aspect, scratch),
            Aspect::Structure => self.explain_structure(seen, live),
            Aspect::Sensitive => self.explain_sensitive(seen),
            _ => None,
        }
    }

    fn explain_value(&self, seen: &Seen<'_>, live: &Live<'_>, aspect: Aspect, scratch: &mut Scratch) -> Option<Explanation> {
        let mut worst: Option<(f32, Valued<'_>)> = None;
        let is_renamed = is_renamed(seen, Some(live));
        for v in valued(seen.features, seen.route).filter(|v| OF_VALUES[v.question(is_renamed)] == aspect) {
            let so_far = worst.as_ref().map_or(0.0, |(nats, _)| *nats);
            if let Some((nats, _)) = self.surprisal(seen, &v, so_far, scratch)
                && worst.as_ref().is_none_or(|(w, _)| nats > *w)
            {
                worst = Some((nats, v));
            }
        }
        let (_, v) = worst?;
        let Judge { profile, basis, .. } = self.judge(seen.endpoint, &v.field)?;
        let scores = profile.scores(&v.value, v.field.kind, self.pool(), scratch);
        let strongest = profile.tails()?.strongest(&scores);
        let unseen = profile.unseen_chars(&v.value);
        let (from, to) = profile.oddest_part(&v.value, self.pool(), scratch);
        let what = if unseen > 0 { format!("{unseen} characters never seen here") } else { format!("unusual {}", SCORE_NAMES[strongest]) };
        Some(explanation(&v, (profile, basis), strongest, (from, to), &what))
    }

    /// Explains a value in which another judge than its profile found a part odd that stands at a byte.
    pub(crate) fn explain_part(&self, seen: &Seen<'_>, v: &Valued<'_>, at: usize, scratch: &mut Scratch) -> Option<Explanation> {
        let Judge { profile, basis, .. } = self.judge(seen.endpoint, &v.field)?;
        let strongest = profile.tails()?.strongest(&profile.scores(&v.value, v.field.kind, self.pool(), scratch));
        Some(explanation(v, (profile, basis), strongest, (at, at), "a part unlike this field's values"))
    }

    fn explain_structure(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<Explanation> {
        let odd = self.structure(seen, Some(live)).into_iter().next()?;
        let known = seen.endpoint.and_then(|e| self.endpoints.get(e.0 as usize))?;
        let field = seen.features.fields.iter().find(|f| f.id == odd.id);
        let facts = field.map_or(Some(known), |f| self.fields_of(seen.endpoint, f.place)).unwrap_or(known);
        let place = match (field, facts.find(odd.id)) {
            (Some(f), _) => format!("{}.{}", f.place.prefix(), masked_name(seen.features.name(f))),
            (None, Some(k)) => format!("{}.{}", k.place.prefix(), k.name),
            (None, None) => "request".to_owned(),
        };
        let kind = field.map_or("", |f| f.kind.name());
        let count = facts.fields.iter().filter(|f| f.place != Place::Path).count();
        let is_write = seen.class != crate::detect::Class::Read;
        let n = facts.n as u64;
        let (family, observed, expected) = match odd.what {
            What::OnlyFromResponses => (
                Family::MassAssignment,
                format!("field never sent to this endpoint ({kind})"),
                format!("one of {count} known fields; this one is known only from responses"),
            ),
            What::NewSecret => {
                let kinds = field.map_or_else(String::new, |f| kinds_of(f.sensitive));
                (Family::SensitiveData, format!("field never sent to this endpoint, with {kinds}"), format!("one of {count} known fields"))
            }
            What::New if field.is_some_and(|f| facts.has_new_sign(seen.features.name(f))) => (
                Family::Injection,
                format!("field never sent to this endpoint ({kind})"),
                format!("one of {count} known fields, none with such a sign"),
            ),
            What::New if is_write && field.is_some_and(|f| f.place.is_of_endpoint()) => {
                (Family::MassAssignment, format!("field never sent to this endpoint ({kind})"), format!("one of {count} known fields"))
            }
            What::New => (Family::Unknown, format!("field never sent to this endpoint ({kind})"), format!("one of {count} known fields")),
            What::Rare => {
                let times = facts.find(odd.id).map_or(0.0, |f| f.n);
                (
                    Family::Unknown,
                    format!("field hardly ever sent ({kind})"),
                    format!("sent in {times:.0} of {n} requests, from fewer than three networks"),
                )
            }
            What::Repeated => {
                let most = facts.find(odd.id).map_or(1, |f| f.most);
                (Family::Injection, format!("field sent {} times in one request", most + 1), format!("at most {most} times"))
            }
            What::Missing => {
                let expected = format!("sent in {:.1} % of requests", 100.0 * facts.find(odd.id).map_or(0.0, |f| f.n) / known.n.max(1.0));
                // An operator instead of a value, `password[$ne]=`, makes of it what its sender wants (CWE-943).
                let missing = facts.find(odd.id).map_or("", |f| &f.name);
                let within = |f: &&Field| seen.features.name(f).strip_prefix(missing).is_some_and(|rest| rest.starts_with(['.', '[']));
                match seen.features.fields.iter().find(within) {
                    Some(f) => {
                        let (name, kind) = (masked_name(seen.features.name(f)), f.kind.name());
                        (Family::Injection, format!("{name} ({kind}) in place of a value"), format!("a value, {expected}"))
                    }
                    None => (Family::Unknown, "field is missing".to_owned(), expected),
                }
            }
        };
        Some(Explanation { family, place, observed, expected, support: n })
    }

    fn explain_sensitive(&self, seen: &Seen<'_>) -> Option<Explanation> {
        let (nats, v, n) = valued(seen.features, seen.route)
            .filter(|v| !v.field.sensitive.is_empty())
            .filter_map(|v| {
                let judge = self.judge(seen.endpoint, &v.field).filter(|judge| judge.basis.is_of_field())?;
                Some((judge.profile.sensitive_surprisal(v.field.sensitive, self.pool()), v, judge.profile.n))
            })
            .max_by(|a, b| a.0.total_cmp(&b.0))?;
        if nats <= 0.0 {
            return None;
        }
        Some(Explanation {
            family: Family::SensitiveData,
            place: place(&v),
            observed: kinds_of(v.field.sensitive),
            expected: "a field that never carried it".to_owned(),
            support: n as u64,
        })
    }
}

fn kinds_of(found: Sensitive) -> String {
    let kinds: Vec<&str> = found.iter().map(SensitiveKind::name).collect();
    kinds.join(", ")
}

/// What is odd about a value: by its profile, which score of it most, between which bytes.
fn explanation(
    v: &Valued<'_>,
    (profile, basis): (&FieldProfile, Basis),
    strongest: usize,
    (from, to): (usize, usize),
    what: &str,
) -> Explanation {
    let family = if is_code(v, profile, strongest) { Family::Injection } else { Family::Unknown };
    let odd = excerpt(v, from, to, family == Family::Injection, |t| profile.knows_token(t));
    let (observed, expected) = (format!("{what}: {odd}"), expected(profile, basis));
    Explanation { family, place: place(v), observed, expected, support: profile.n as u64 }
}

fn place(v: &Valued<'_>) -> String {
    format!("{}.{}", v.field.place.prefix(), masked_name(&v.name))
}

/// What a field's values are like, and by whose values that is known.
fn expected(profile: &FieldProfile, basis: Basis) -> String {
    match basis {
        Basis::Own => profile.expected(),
        Basis::Name => format!("{} (fields of this name)", profile.expected()),
        Basis::NameElsewhere | Basis::Kind | Basis::ValueKind => format!("{} (fields like it)", profile.expected()),
    }
}

/// Whether what is odd about a value is its signs: code has them, while another word, number or name is merely unknown. Headers are
/// full of signs: there, only such count as the header never had.
fn is_code(v: &Valued<'_>, profile: &FieldProfile, strongest: usize) -> bool {
    let is_sign = |c: &char| !c.is_alphanumeric() && !c.is_whitespace() && !matches!(c, '_' | '-' | '.');
    let mut signs = v.value.chars().filter(is_sign).peekable();
    let may_be = v.field.place.is_of_endpoint() && v.field.sensitive.is_empty() && signs.peek().is_some() && strongest >= FIRST_OF_PARTS;
    may_be || signs.any(|c| !profile.knows_char(c))
}

/// A field's name, cut and without control characters: names are written by callers, too.
fn masked_name(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() { '·' } else { c }).collect()
}

/// The odd part of a value. Digits become `0`; letters become `a`, but for short new words where the punctuation is what is odd: they are
/// the caller's code, and what a person has to see. So are the products that a user agent names.
fn excerpt(v: &Valued<'_>, from: usize, to: usize, show_words: bool, known: impl Fn(u64) -> bool) -> String {
    let names_products = v.field.place == Place::Header && &*v.name == "user-agent";
    let value: &str = &v.value;
    let middle = (from + to) / 2;
    let start = value.floor_char_boundary(middle.saturating_sub(EXCERPT / 2));
    let end = value.floor_char_boundary((start + EXCERPT).min(value.len()));
    let mut out = String::from(if start > 0 { "…" } else { "" });
    let mut at = start;
    let is_secret = !v.field.sensitive.is_empty() || is_password(&v.name);
    for (from, to, hash) in tokens(value).filter(|(f, t, _)| *t > start && *f < end) {
        let (from, to) = (from.max(start), to.min(end));
        if from > at {
            out.push_str(&" ".repeat(value[at..from].chars().count().min(3)));
        }
        let token = &value[from..to];
        let is_word = token.chars().all(char::is_alphabetic);
        let is_shown = if names_products { token.len() <= 20 } else { show_words && token.len() <= 10 && !known(hash) };
        if is_word && is_shown && !is_secret && token.is_ascii() {
            out.push_str(token);
        } else {
            out.extend(token.chars().map(|c| {
                if c.is_alphabetic() {
                    'a'
                } else if c.is_numeric() {
                    '0'
                } else if c.is_control() {
                    '·'
                } else {
                    c
                }
            }));
        }
        at = to;
    }
    if end < value.len() {
        out.push('…');
    }
    out
}
