//! Free text as people write it: languages, apostrophes, typing slips, words that look like code.

mod goods;
mod names;
mod phrases;

pub(crate) use goods::{CATEGORIES, COLOURS, DESCRIPTIONS, MAKES};
pub(crate) use names::{LOCALES, Locale};

use crate::chance::Chance;
use phrases::{PHRASES, Phrases, SEARCHES};

/// A review of a product, one to five sentences.
pub(crate) fn review(chance: &mut Chance, language: &str, product: &str) -> String {
    let count = chance.weighted(&[(1, 35), (2, 35), (3, 18), (4, 8), (5, 4)]);
    compose(chance, of_language(language), Of::Reviews, product, count)
}

/// A message to the shop, one to six sentences.
pub(crate) fn message(chance: &mut Chance, language: &str, product: &str) -> String {
    let count = chance.weighted(&[(1, 25), (2, 35), (3, 22), (4, 10), (6, 8)]);
    compose(chance, of_language(language), Of::Messages, product, count)
}

/// A title of a review or subject of a message.
pub(crate) fn title(chance: &mut Chance, language: &str, product: &str) -> String {
    compose(chance, of_language(language), Of::Titles, product, 1)
}

/// What somebody types into the search box.
pub(crate) fn search(chance: &mut Chance) -> String {
    let text = if chance.hit(0.18) {
        chance.pick(SEARCHES).to_owned()
    } else {
        let (_, _, nouns) = CATEGORIES[chance.rank(CATEGORIES.len())];
        let noun = chance.pick(nouns);
        match chance.below(5) {
            0 => format!("{} {noun}", chance.pick(COLOURS)),
            1 => format!("{} {noun}", chance.pick(MAKES).to_lowercase()),
            2 => noun.split(' ').next().unwrap_or(noun).to_owned(),
            _ => noun.to_owned(),
        }
    };
    if chance.hit(0.04) { slip(chance, &text) } else { text }
}

/// A street with its house number.
pub(crate) fn street(chance: &mut Chance, locale: &Locale) -> String {
    let number = chance.between(1, 180).to_string();
    chance.pick(locale.streets).replacen('#', &number, 1)
}

/// A postal code of the locale, fixed by `key`.
pub(crate) fn zip(locale: &Locale, key: u64) -> String {
    let mut key = key;
    let digit = |_: char| {
        key = key.rotate_right(7).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        char::from(b'0' + (key >> 60) as u8 % 10)
    };
    let mut digit = digit;
    locale.zip.chars().map(|c| if c == '#' { digit(c) } else { c }).collect()
}

/// A coupon code.
pub(crate) fn coupon(chance: &mut Chance) -> String {
    format!("{}{}", chance.pick(&["WELCOME", "SPRING", "THANKYOU", "FRIEND", "BDAY"]), chance.pick(&["5", "10", "15", "20"]))
}

#[derive(Clone, Copy)]
enum Of {
    Reviews,
    Messages,
    Titles,
}

fn of_language(tag: &str) -> &'static Phrases {
    let language = tag.split('-').next().unwrap_or(tag);
    PHRASES.iter().find(|p| p.language == language).unwrap_or(&PHRASES[0])
}

fn compose(chance: &mut Chance, own: &'static Phrases, of: Of, product: &str, count: usize) -> String {
    // One in ten writes English although the browser asks for another language.
    let phrases = if chance.hit(0.1) { &PHRASES[0] } else { own };
    let sentences = match of {
        Of::Reviews => phrases.reviews,
        Of::Messages => phrases.messages,
        Of::Titles => phrases.titles,
    };
    let mut text = String::with_capacity(96 * count);
    let mut at = chance.below(sentences.len());
    for i in 0..count.min(sentences.len()) {
        if i > 0 {
            text.push_str(if matches!(of, Of::Messages) && chance.hit(0.3) { "\n" } else { " " });
        }
        fill(chance, sentences[at], product, &mut text);
        at = (at + 1 + chance.below(3)) % sentences.len();
    }
    match chance.below(20) {
        0 => text.make_ascii_lowercase(),
        1 => text = slip(chance, &text),
        2 if matches!(of, Of::Reviews) => text.push_str([" 👍", " 😍", " 🙄", "!!", " (sorry for my english)"][chance.below(5)]),
        _ => {}
    }
    text
}

fn fill(chance: &mut Chance, sentence: &str, product: &str, out: &mut String) {
    let mut rest = sentence;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        match rest.as_bytes().get(open + 1) {
            Some(b'p') => out.push_str(product),
            Some(b'n') => out.push_str(&chance.between(2, 14).to_string()),
            Some(b'w') => {
                let locale = chance.pick(LOCALES);
                out.push_str(chance.pick(locale.first));
            }
            _ => {
                let locale = chance.pick(LOCALES);
                out.push_str(chance.pick(locale.cities));
            }
        }
        rest = &rest[open + 3..];
    }
    out.push_str(rest);
}

/// The text with one typing slip: a letter doubled, dropped or swapped with the next.
fn slip(chance: &mut Chance, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.len() < 4 {
        return text.to_owned();
    }
    let at = 1 + chance.below(letters.len() - 2);
    match chance.below(3) {
        0 => letters.insert(at, letters[at]),
        1 => {
            letters.remove(at);
        }
        _ => letters.swap(at, at + 1),
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_filled() {
        let mut chance = Chance::new(3, 0);
        for locale in LOCALES {
            for _ in 0..200 {
                let text = format!(
                    "{}{}{}",
                    review(&mut chance, locale.tag, "parka"),
                    message(&mut chance, locale.tag, "parka"),
                    title(&mut chance, locale.tag, "parka")
                );
                assert!(!text.contains("{p}") && !text.contains("{n}") && !text.contains("{w}") && !text.contains("{c}"), "{text}");
            }
            assert!(!street(&mut chance, locale).is_empty());
            assert!(!zip(locale, 5).contains('#'));
        }
    }

    #[test]
    fn texts_hold_words_that_look_like_code() {
        let mut chance = Chance::new(4, 0);
        let all: String = (0..2_000).map(|_| review(&mut chance, "en-GB", "tent").to_lowercase()).collect();
        for word in ["select", "union", "drop", "insert", "delete", "'"] {
            assert!(all.contains(word), "{word}");
        }
    }
}
