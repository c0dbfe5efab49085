//! What one field's values look like: counts compiled into a profile, which scores values by seven features.

use super::charset::Charset;
use super::counts::{FieldCounts, KINDS};
use super::ngram::Grams;
use super::tails::{SCORES, Scores, Tails, with_strange};
use super::text::{SCORE_CHARS, char_slot, length_of, shape_symbols, text_symbols, tokens};
use crate::features::ValueKind;
use crate::features::sensitive::Sensitive;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Values that a field's profile answers from memory.
const REMEMBERED: usize = 64;
/// Values that a profile knows by hash, the most frequent ones.
const MAX_KNOWN: usize = 512;

/// Values below which a field is not judged by its own profile alone, and that weigh as much as all values of a kind do.
const SMALL: f32 = 1_000.0;
const TRUSTED: f32 = 300.0;
/// What new words and addresses may claim beyond the rarest of a field's values, nats.
const OF_WORDS: f32 = 2.0;
/// Letters in a row that a part of a value is, and sums that are made side by side.
const WINDOW: usize = 6;
const LANES: usize = 8;
/// What stands between words, and the share of values that have it from which on several words are usual.
const GAPS: [char; 2] = [' ', '-'];
const SENTENCES: f32 = 0.3;
/// Values that the pool of free texts counts for beside a field's own.
const BACK_OFF: f32 = 30.0;

/// What a field's values look like, and how odd its benign values get.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FieldProfile {
    /// Weighted values learned.
    pub(super) n: f32,
    pub(super) is_free_text: bool,
    /// Whether values of several words are usual, be they the same ones again and again.
    has_sentences: bool,
    is_opaque: bool,
    is_password: bool,
    is_numeric: bool,
    pub(super) main_kind: ValueKind,
    kinds: Vec<f32>,
    sensitive: [f32; 8],
    /// (ln(1 + length), cumulative share) ascending.
    lengths: Vec<(f32, f32)>,
    chars: Charset,
    text: Grams,
    symbols: Grams,
    tokens: Tokens,
    new_token: f32,
    /// Tails of the scores and of their sum; none: not enough values were held out.
    tails: Option<Box<Tails>>,
    /// Values seen before: how surprising each can be at most, nats (−ln of the share of values as rare or rarer).
    known: Vec<(u64, f32)>,
    /// Frequent values with their surprisal in nats.
    remembered: Vec<(u64, f32)>,
}

/// Words that a field knows, by hash.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
struct Tokens(FxHashSet<u64>);

impl From<Vec<u64>> for Tokens {
    fn from(all: Vec<u64>) -> Self {
        Self(all.into_iter().collect())
    }
}

impl From<Tokens> for Vec<u64> {
    fn from(tokens: Tokens) -> Self {
        let mut all: Self = tokens.0.into_iter().collect();
        all.sort_unstable();
        all
    }
}

/// Buffers of scoring.
#[derive(Debug, Default)]
pub struct Scratch {
    text: Vec<f32>,
    symbols: Vec<f32>,
}

impl FieldProfile {
    pub(super) fn compile(counts: &FieldCounts, pool: Option<&Self>) -> Self {
        let is_free_text = counts.is_free_text();
        let pool = pool.filter(|_| is_free_text);
        let n = counts.n.max(1e-3);
        let mut lengths: Vec<(u16, f32)> = counts.lengths.iter().map(|(l, c)| (*l, *c)).collect();
        lengths.sort_unstable_by_key(|(l, _)| *l);
        let mut below = 0.0;
        let lengths = lengths
            .into_iter()
            .map(|(l, c)| {
                below += c / n;
                ((1.0 + f32::from(l)).ln(), below)
            })
            .collect();
        let token_total: f32 = counts.tokens.values().sum();
        let once_tokens = counts.tokens.values().filter(|c| **c <= 1.0).count() as f32;
        Self {
            n: counts.n,
            is_free_text,
            has_sentences: counts.is_of_words() && GAPS.iter().any(|gap| counts.chars[char_slot(*gap)] > SENTENCES * counts.n),
            is_opaque: counts.is_opaque(),
            is_password: counts.is_password,
            is_numeric: counts.kinds[ValueKind::Int as usize] + counts.kinds[ValueKind::Float as usize] > 0.9 * counts.n,
            main_kind: counts.main_kind(),
            kinds: counts.kinds.to_vec(),
            sensitive: counts.sensitive,
            lengths,
            chars: Charset::compile(counts, pool.map(|p| &p.chars)),
            text: Grams::compile(counts.text.clone(), 3, 256.0, pool.map(|p| &p.text)),
            symbols: Grams::compile(counts.symbols.clone(), 4, 64.0, pool.map(|p| &p.symbols)),
            tokens: Tokens(counts.tokens.keys().copied().collect()),
            new_token: -((once_tokens + 0.5) / (token_total + 1.0)).ln().min(-0.01),
            tails: None,
            known: known_values(counts),
            remembered: Vec::new(),
        }
    }

    /// The scores of a value of a kind.
    pub(super) fn scores(&self, value: &str, kind: ValueKind, pool: Option<&Self>, scratch: &mut Scratch) -> Scores {
        let whole = self.scores_of(value, kind, pool, scratch);
        let plain = self.plain(value).map(|(plain, cost)| Box::new((self.scores_of(&plain, kind, pool, scratch), cost)));
        Scores { whole, plain }
    }

    /// Surprisal of a value of a kind by the profile's own tails, nats; see [`Tails::nats_of`]. A value that surprises less than any strange
    /// character costs is not looked at without it.
    pub(super) fn nats(&self, value: &str, kind: ValueKind, pool: Option<&Self>, scratch: &mut Scratch) -> Option<f32> {
        let tails = self.tails()?;
        let whole = tails.nats(&self.scores_of(value, kind, pool, scratch));
        if whole <= self.chars.least_cost() {
            return Some(whole);
        }
        let plain = self.plain(value).map(|(plain, cost)| with_strange(tails.nats(&self.scores_of(&plain, kind, pool, scratch)), cost));
        Some(plain.map_or(whole, |plain| whole.min(plain)))
    }

    fn scores_of(&self, value: &str, kind: ValueKind, pool: Option<&Self>, scratch: &mut Scratch) -> [f32; SCORES] {
        let pool = pool.filter(|_| self.is_free_text);
        let new_chars = self.chars.new_nats(self.unseen_chars(value).min(4));
        // Letter statistics say nothing of random identifiers, nor of numbers where numbers are usual.
        if self.is_opaque || (self.is_numeric && is_number(kind)) {
            return [self.length_score(value), new_chars, 0.0, 0.0, 0.0, 0.0, self.kind_surprisal(kind)];
        }
        if !self.is_password {
            self.text.surprisals(text_symbols(value, SCORE_CHARS), pool.map(|p| &p.text), &mut scratch.text);
        }
        self.symbols.surprisals(shape_symbols(value), pool.map(|p| &p.symbols), &mut scratch.symbols);
        // Letters of passwords are anybody's; their signs are not quite.
        let [mean_text, worst_text, new_tokens] = match self.is_password {
            true => [0.0; 3],
            false => [mean(&scratch.text) * 8.0, worst_sum(&scratch.text), self.new_token * self.new_tokens(value, pool) as f32],
        };
        [self.length_score(value), new_chars, mean_text, worst_text, mean(&scratch.symbols) * 8.0, new_tokens, self.kind_surprisal(kind)]
    }

    /// A value without the few characters that the field never had, and what it costs to have them, nats; see [`Charset::plain`].
    pub(super) fn plain(&self, value: &str) -> Option<(String, f32)> {
        self.chars.plain(value, self.kinds[ValueKind::Free as usize] > 0.3 * self.n, self.is_password)
    }

    /// Whether the field ever had a character.
    pub(super) fn knows_char(&self, c: char) -> bool {
        self.chars.has(c)
    }

    /// Distinct characters that the field never had; of a password, signs only.
    pub(super) fn unseen_chars(&self, value: &str) -> usize {
        self.chars.unseen(value, self.is_password)
    }

    /// Distinct words that neither the field nor the pool knows, at most 6.
    fn new_tokens(&self, value: &str, pool: Option<&Self>) -> usize {
        let mut new: SmallVec<[u64; 6]> = SmallVec::new();
        for (_, _, token) in tokens(value) {
            if !self.knows_token(token) && pool.is_none_or(|p| !p.knows_token(token)) && !new.contains(&token) {
                new.push(token);
                if new.len() == 6 {
                    break;
                }
            }
        }
        new.len()
    }

    fn length_score(&self, value: &str) -> f32 {
        let Some(last) = self.lengths.last() else { return 0.0 };
        let l = (1.0 + f32::from(length_of(value))).ln();
        let at_or_below = self.lengths.partition_point(|(x, _)| *x <= l + 1e-6);
        let below = self.lengths.partition_point(|(x, _)| *x < l - 1e-6);
        let share = |k: usize| if k == 0 { 0.0 } else { self.lengths[k - 1].1 };
        let upper = ((1.0 - share(below)).max(0.0) * self.n + 0.5) / (self.n + 1.0);
        let lower = (share(at_or_below) * self.n + 0.5) / (self.n + 1.0);
        -(2.0 * upper.min(lower)).min(1.0).ln() + (l - last.0).max(0.0) * 5.0
    }

    pub(super) fn knows_token(&self, token: u64) -> bool {
        self.tokens.0.contains(&token)
    }

    /// How surprising a value can be at most: less than anything, if it was seen before. Where several words are usual, words and numbers
    /// without any sign claim little more than the rarest of so many values, and so does a mail address among mail addresses.
    pub(super) fn most_surprising(&self, value: &str, kind: ValueKind, value_hash: u64) -> f32 {
        let is_usual = || self.has_sentences && !self.is_password && is_of_words(value);
        let is_mail = || kind == ValueKind::Email && self.main_kind == kind && is_plain_mail(value);
        match self.known.binary_search_by_key(&value_hash, |(v, _)| *v) {
            Ok(at) => self.known[at].1,
            Err(_) if (is_usual() || is_mail()) && self.unseen_chars(value) == 0 => (self.n + 1.0).ln() + OF_WORDS,
            Err(_) => f32::INFINITY,
        }
    }

    /// Fits the tails on scores of held-out values. Fewer than `least`: the profile stays without.
    pub(super) fn calibrate(&mut self, held_out: &[[f32; SCORES]], least: usize) {
        self.tails = Some(held_out).filter(|h| h.len() >= least).and_then(Tails::fit).map(Box::new);
    }

    /// Whether so few values were learned that others of a value's kind are asked, too.
    pub(super) fn is_small(&self) -> bool {
        self.n < SMALL
    }

    /// Surprisal of a value in nats, drawn to that among all values of its kind: a few values have not shown all their forms.
    pub(super) fn drawn_to(&self, own: f32, of_kind: f32) -> f32 {
        let weight = self.n / (self.n + TRUSTED);
        weight * own + (1.0 - weight) * own.min(of_kind)
    }

    pub(super) fn is_calibrated(&self) -> bool {
        self.tails.is_some()
    }

    pub(super) fn tails(&self) -> Option<&Tails> {
        self.tails.as_deref()
    }

    /// Remembers the surprisal of frequent values.
    pub(super) fn remember(&mut self, counts: &FieldCounts, nats: impl Fn(u64) -> Option<f32>) {
        let mut frequent: Vec<(u64, f32)> = counts.values.iter().filter(|(_, (c, _))| *c >= 2.0).map(|(v, (c, _))| (*v, *c)).collect();
        frequent.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        self.remembered = frequent.into_iter().take(REMEMBERED).filter_map(|(v, _)| Some((v, nats(v)?))).collect();
        self.remembered.sort_unstable_by_key(|(v, _)| *v);
    }

    pub(super) fn remembered(&self, value_hash: u64) -> Option<f32> {
        self.remembered.binary_search_by_key(&value_hash, |(v, _)| *v).ok().map(|at| self.remembered[at].1)
    }

    /// Surprisal of a kind of value: −ln of its share, Good–Turing for kinds never seen.
    pub(super) fn kind_surprisal(&self, kind: ValueKind) -> f32 {
        let count = self.kinds.get(kind as usize).copied().unwrap_or(0.0);
        -(count.max(0.5) / (self.n + 1.0)).min(1.0).ln()
    }

    /// Surprisal of personal data that the field hardly ever carries; 0 when it does carry it.
    pub(super) fn sensitive_surprisal(&self, found: Sensitive, pool: Option<&Self>) -> f32 {
        // One free text is like another: what none of them ever carried is rarer than the values of one field alone can tell.
        let pool = pool.filter(|_| self.is_free_text);
        let least = |k: usize| match pool {
            Some(pool) => BACK_OFF * pool.sensitive[k].max(0.5) / (pool.n + 1.0) / (self.n + BACK_OFF),
            None => 0.5 / (self.n + 1.0),
        };
        found
            .iter()
            .map(|kind| (kind as usize, self.sensitive[kind as usize] / self.n.max(1.0)))
            .filter(|(_, rate)| *rate < 1e-2)
            .map(|(k, rate)| -rate.max(least(k)).ln())
            .fold(0.0, f32::max)
    }

    /// Shares of kinds, most frequent first, for people.
    pub(super) fn expected(&self) -> String {
        let mut kinds: Vec<(ValueKind, f32)> = KINDS.into_iter().zip(self.kinds.iter().copied()).filter(|(_, c)| *c > 0.0).collect();
        kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
        let names: Vec<String> = kinds.iter().take(2).map(|(k, c)| format!("{} {:.0} %", k.name(), 100.0 * c / self.n.max(1e-3))).collect();
        let longest = self.lengths.last().map_or(0.0, |(l, _)| l.exp() - 1.0);
        format!("{}, at most {longest:.0} characters", names.join(", "))
    }

    /// The window of the value that surprises most, as a range of characters.
    pub(super) fn oddest_part(&self, value: &str, pool: Option<&Self>, scratch: &mut Scratch) -> (usize, usize) {
        self.text.surprisals(text_symbols(value, SCORE_CHARS), pool.filter(|_| self.is_free_text).map(|p| &p.text), &mut scratch.text);
        let worst = scratch.text.windows(WINDOW).map(|window| window.iter().sum::<f32>()).enumerate();
        let start = worst.fold((0, f32::MIN), |worst, (at, sum)| if sum > worst.1 { (at, sum) } else { worst }).0;
        (start, start + WINDOW)
    }
}

/// Values seen at least twice, and not of one or two of many callers alone, with −ln of the share of values as rare or rarer.
fn known_values(counts: &FieldCounts) -> Vec<(u64, f32)> {
    let mut by_count: Vec<(f32, u64, bool)> = counts.values.iter().map(|(v, (c, callers))| (*c, *v, counts.is_learned(*callers))).collect();
    by_count.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let n = counts.n.max(1e-3);
    let mut rarer = counts.more_values;
    let mut known = Vec::new();
    let mut at = 0;
    while at < by_count.len() {
        let same = by_count[at..].iter().take_while(|(c, ..)| *c == by_count[at].0).count();
        rarer += by_count[at].0 * same as f32;
        if by_count[at].0 >= 2.0 {
            let learned = by_count[at..at + same].iter().filter(|(.., is_learned)| *is_learned);
            known.extend(learned.map(|(_, v, _)| (*v, -(rarer / n).min(1.0).ln())));
        }
        at += same;
    }
    if known.len() > MAX_KNOWN {
        known.drain(..known.len() - MAX_KNOWN);
    }
    known.sort_unstable_by_key(|(v, _)| *v);
    known
}

/// Whether a value is blank, or words and numbers alone, one gap between each two.
fn is_of_words(value: &str) -> bool {
    let is_gap = |byte: u8| byte == b' ' || byte == b'-';
    if !value.is_ascii() {
        return value.trim().is_empty() || value.split(GAPS).all(|word| !word.is_empty() && word.chars().all(char::is_alphanumeric));
    }
    let bytes = value.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return true };
    // Without an early end within a chunk: that runs at memory speed.
    let is_plain = bytes.chunks(64).all(|chunk| chunk.iter().fold(true, |all, b| all & (b.is_ascii_alphanumeric() | is_gap(*b))));
    let two_gaps = || bytes.iter().zip(&bytes[1..]).fold(false, |any, (a, b)| any | (is_gap(*a) & is_gap(*b)));
    is_plain && !is_gap(*first) && !is_gap(*last) && !two_gaps() || value.trim().is_empty()
}

/// Whether a mail address has no sign that code needs, though some addresses may have it ("o'neill@mail.example").
fn is_plain_mail(value: &str) -> bool {
    !value.contains("--") && value.chars().all(|c| c.is_alphanumeric() || ".@_+-".contains(c))
}

fn is_number(kind: ValueKind) -> bool {
    matches!(kind, ValueKind::Int | ValueKind::Float)
}

/// Sums go side by side: one after the other, each would wait for the one before.
fn mean(x: &[f32]) -> f32 {
    let chunks = x.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
    }
    (sums.iter().sum::<f32>() + rest) / x.len().max(1) as f32
}

/// Largest sum of [`WINDOW`] in a row; of fewer, of all.
fn worst_sum(x: &[f32]) -> f32 {
    let Some(windows) = (x.len() + 1).checked_sub(WINDOW).filter(|n| *n > 0) else { return x.iter().sum() };
    let mut most = [f32::MIN; LANES];
    let mut at = 0;
    while at + LANES <= windows {
        let mut sums = [0.0; LANES];
        for shift in 0..WINDOW {
            sums.iter_mut().zip(&x[at + shift..at + shift + LANES]).for_each(|(sum, x)| *sum += x);
        }
        most.iter_mut().zip(sums).for_each(|(most, sum)| *most = most.max(sum));
        at += LANES;
    }
    let rest = x[at..].windows(WINDOW).map(|window| window.iter().sum());
    most.into_iter().chain(rest).fold(f32::MIN, f32::max)
}

#[cfg(test)]
mod tests {
    use super::{FieldCounts, FieldProfile, SCORES, Scratch, with_strange};
    use crate::features::{Field, ValueKind};

    /// A search field, calibrated on values of the kind that it learned.
    fn searched() -> FieldProfile {
        const WORDS: [&str; 8] = ["red", "shoes", "running", "book", "lamp", "green", "jacket", "garden"];
        let value = |n: usize| format!("{} {}", WORDS[n % 8], WORDS[n / 8 % 8]);
        let mut counts = FieldCounts::default();
        for n in 0..2_000 {
            counts.add(&Field::of_path(0, &value(n)), &value(n), 1.0, n as u64);
        }
        let mut profile = FieldProfile::compile(&counts, None);
        let mut scratch = Scratch::default();
        let held_out: Vec<[f32; SCORES]> =
            (0..200).map(|n| profile.scores(&value(n * 7), ValueKind::Free, None, &mut scratch).whole).collect();
        profile.calibrate(&held_out, 30);
        profile
    }

    fn nats(profile: &FieldProfile, value: &str) -> f32 {
        let mut scratch = Scratch::default();
        let nats = profile.nats(value, ValueKind::Free, None, &mut scratch).expect("tails");
        let scores = profile.scores(value, ValueKind::Free, None, &mut scratch);
        assert_eq!(profile.tails().map(|tails| tails.nats_of(&scores)), Some(nats), "{value}: what is left out changes nothing");
        nats
    }

    #[test]
    fn one_strange_sign_costs_what_a_new_sign_does_and_code_costs_more() {
        let profile = searched();
        let whole = profile.scores("red# book", ValueKind::Free, None, &mut Scratch::default()).whole;
        let (plain, strange) = (nats(&profile, "red book"), nats(&profile, "red# book"));
        assert!((strange - with_strange(plain, profile.chars.new_nats(1))).abs() < 0.01, "{plain} {strange} {}", profile.chars.new_nats(1));
        assert!(profile.tails().is_some_and(|tails| tails.nats(&whole) > strange));
        assert!(nats(&profile, "red' OR 1=1--") > strange + 10.0);
        assert!(nats(&profile, "red## book##") > strange);
    }

    #[test]
    fn a_sign_within_a_number_costs_less_than_elsewhere_in_text() {
        let mut counts = FieldCounts::default();
        for n in 0..2_000 {
            let value = format!("{} jeans {}", ["blue", "black"][n % 2], 25 + n % 20);
            counts.add(&Field::of_path(0, &value), &value, 1.0, n as u64);
        }
        let chars = FieldProfile::compile(&counts, None).chars;
        let cost = |value: &str, is_free| chars.plain(value, is_free, false).map(|(plain, nats)| (plain, nats < 4.0));
        assert_eq!(cost("blue 3/4 jeans", true), Some(("blue 34 jeans".to_owned(), true)));
        assert_eq!(cost("blue 34/ jeans", true), Some(("blue 34 jeans".to_owned(), false)));
        assert_eq!(cost("3/4", false), None);
    }

    #[test]
    fn strange_signs_and_an_odd_rest_are_no_independent_oddities() {
        let profile = searched();
        let [rest, whole, more] = ["gnnrb kdljr", "gnn#rb kdljr", "gnn#rb k!djlr"].map(|value| nats(&profile, value));
        assert!(rest > 10.0 && whole >= rest && whole < rest + 0.5 * profile.chars.new_nats(1), "{rest} {whole}");
        assert!(more >= whole, "{more} {whole}");
    }

    #[test]
    fn new_words_claim_little_more_than_the_rarest_of_a_field_of_words_and_what_has_a_form_claims_all() {
        let searched = searched();
        let most = |value: &str| searched.most_surprising(value, ValueKind::of(value), 1);
        let least = (2_001f32).ln();
        for value in ["lost bench", "sandals", " "] {
            assert!((least..least + 3.0).contains(&most(value)), "{value}: {}", most(value));
        }
        for value in ["lost  bench", "lost' or", "501", "lost;bench", "naïve"] {
            assert_eq!(most(value), f32::INFINITY, "{value}");
        }
        let mut counts = FieldCounts::default();
        for n in 0..2_000 {
            let value = format!("anna{}moore{n}@mail-box.example", if n % 10 == 0 { "'" } else { "-" });
            counts.add(&Field::of_path(0, &value), &value, 1.0, n as u64);
        }
        let mail = FieldProfile::compile(&counts, None);
        let most = |value: &str| mail.most_surprising(value, ValueKind::of(value), 1);
        assert!(most("moore77@mail.example") < least + 3.0);
        assert!(most("moore77@mail@example").is_infinite() && most("moore").is_infinite() && most("moore'@mail.example").is_infinite());
        assert!(most("moore--@mail.example").is_infinite());
        let mut counts = FieldCounts::default();
        for n in 0..2_000 {
            let value = format!("{n:08}X");
            counts.add(&Field::of_path(0, &value), &value, 1.0, n as u64);
        }
        assert_eq!(FieldProfile::compile(&counts, None).most_surprising("zebra", ValueKind::Ident, 1), f32::INFINITY);
    }

    #[test]
    fn a_rare_sign_within_a_word_of_a_free_text_is_let_pass_and_so_is_any_at_the_side_of_one() {
        let mut counts = FieldCounts::default();
        for n in 0..2_000 {
            let value = if n % 100 == 0 { "salt & pepper".to_owned() } else { format!("salt and pepper {n}") };
            counts.add(&Field::of_path(0, &value), &value, 1.0, n as u64);
        }
        let profile = FieldProfile::compile(&counts, None);
        assert_eq!(profile.plain("s&p").expect("within a word").0, "sp");
        for (value, plain) in [("salt & pepper", "salt pepper"), ("salt&", "salt"), ("& salt", "salt"), ("salt & > pepper", "salt pepper")]
        {
            assert_eq!(profile.plain(value).expect("at the side of a word").0, plain);
        }
        assert!(profile.plain("salt pepper").is_none() && profile.plain("salt; <b> | \"pepper\"").is_none());
    }

    #[test]
    fn a_sign_costs_no_more_where_it_is_known_from_elsewhere_than_where_it_is_not() {
        let mut counts = FieldCounts::default();
        for n in 0..2_000 {
            let value = format!("{} {}", ["wool-mix", "linen", "cotton"][n % 3], ["hat", "scarf", "coat", "sock"][n / 3 % 4]);
            counts.add(&Field::of_path(0, &value), &value, 1.0, n as u64);
        }
        let mut profile = FieldProfile::compile(&counts, None);
        profile.is_free_text = true;
        profile.kinds[ValueKind::Free as usize] = profile.n;
        let value = |n: usize| format!("{} {}", ["wool-mix", "linen", "cotton"][n % 3], ["hat", "scarf", "coat"][n / 3 % 3]);
        let mut scratch = Scratch::default();
        let held_out: Vec<[f32; SCORES]> = (0..200).map(|n| profile.scores(&value(n), ValueKind::Free, None, &mut scratch).whole).collect();
        profile.calibrate(&held_out, 30);
        assert_eq!(nats(&profile, "linen - hat"), nats(&profile, "linen > hat"));
        assert!(nats(&profile, "linen - hat") < nats(&profile, "linen > <hat>"));
    }

    #[test]
    fn a_character_that_one_or_two_of_many_callers_had_is_not_the_fields() {
        let with = |strange: u64, callers: u64| {
            let mut counts = FieldCounts::default();
            for caller in 0..callers {
                let value = if caller < strange { "{{7*7}}" } else { "linen hat" };
                for _ in 0..10 {
                    counts.add(&Field::of_path(0, value), value, 1.0, caller);
                }
            }
            let profile = FieldProfile::compile(&counts, None);
            let most = profile.most_surprising("{{7*7}}", ValueKind::Free, Field::of_path(0, "{{7*7}}").value_hash);
            (profile.unseen_chars("{{7*7}}"), most)
        };
        assert_eq!(with(2, 100), (4, f32::INFINITY));
        assert!(matches!(with(3, 100), (0, most) if most < 4.0), "{:?}", with(3, 100));
        assert!(matches!(with(2, 19), (0, most) if most < 4.0), "of few callers two are no exception");
    }

    #[test]
    fn letters_of_another_language_cost_what_one_new_letter_does_and_signs_pass_in_free_text_alone() {
        let searched = searched();
        let mut counts = FieldCounts::default();
        for n in 0..2_000 {
            let name = format!("anna.moore{n}@mail.example");
            counts.add(&Field::of_path(0, &name), &name, 1.0, n as u64);
        }
        let mail = FieldProfile::compile(&counts, None);
        for profile in [&searched, &mail] {
            let (plain, cost) = profile.plain("näöna").expect("two strange letters");
            assert_eq!((plain.as_str(), cost), ("nna", profile.chars.new_nats(1) + 1.0));
            assert!(profile.plain("anna").is_none());
        }
        assert_eq!(mail.plain("anna on mail").expect("spaces").0, "annaonmail");
        assert!(searched.plain("ann'a").is_some() && mail.plain("ann'a").is_none() && mail.plain("än'a").is_none());
    }
}
