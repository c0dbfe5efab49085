//! A value as symbols and words: what its letters, its shape and its tokens are counted by.

use crate::features::hash::hash;
use rustc_hash::FxHashSet;

/// Characters of a value that n-grams look at.
pub(super) const SCORE_CHARS: usize = 1_000;

/// Length in characters, with long ones in steps of 1/16 so that few distinct ones occur.
pub(super) fn length_of(value: &str) -> u16 {
    let n = value.chars().count();
    if n < 64 { n as u16 } else { (n / (1 << (n.ilog2() - 4)) * (1 << (n.ilog2() - 4))).min(usize::from(u16::MAX)) as u16 }
}

/// Slot of a character; all digits share one: numbers go on, their digits say nothing.
pub(super) fn char_slot(c: char) -> usize {
    match c as usize {
        _ if c.is_ascii_digit() => usize::from(b'0'),
        c if c < 128 => c,
        c => 128 + c % 128,
    }
}

pub(super) fn text_symbols(value: &str, most: usize) -> impl Iterator<Item = u8> + '_ {
    value.as_bytes()[..value.floor_char_boundary(most)].iter().copied().map(letter)
}

/// Case folded; all digits are one.
pub(crate) fn letter(byte: u8) -> u8 {
    if byte.is_ascii_digit() { b'0' } else { byte.to_ascii_lowercase() }
}

/// Symbols of a value's shape.
pub(super) fn shape_symbols(value: &str) -> impl Iterator<Item = u8> + '_ {
    let end =
        if value.len() <= SCORE_CHARS { value.len() } else { value.char_indices().nth(SCORE_CHARS).map_or(value.len(), |(at, _)| at) };
    shape(&value[..end]).map(|(_, symbol)| symbol)
}

/// Letter runs as `w`, digit runs as `0`, white space as one space, all else as it is; with the byte where each begins.
pub(crate) fn shape(value: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let mut last = 0u8;
    let mut next = 0;
    std::iter::from_fn(move || {
        loop {
            let at = next;
            let byte = *value.as_bytes().get(at)?;
            let symbol = if byte.is_ascii() {
                next += 1;
                SHAPE_OF_ASCII[usize::from(byte)]
            } else {
                let c = value[at..].chars().next()?;
                next += c.len_utf8();
                match class_of(c) {
                    0 => b'w',
                    2 => b' ',
                    _ => 128 + (c as u32 % 100) as u8,
                }
            };
            let is_run = matches!(symbol, b'w' | b'0' | b' ') && symbol == last;
            last = symbol;
            if !is_run {
                return Some((at, symbol));
            }
        }
    })
}

/// Symbols of ASCII in shapes, by byte.
static SHAPE_OF_ASCII: [u8; 128] = {
    let mut symbols = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        symbols[byte as usize] = match OF_ASCII[byte as usize] {
            0 => b'w',
            1 => b'0',
            2 => b' ',
            _ if byte < 4 => 4,
            _ => byte,
        };
        byte += 1;
    }
    symbols
};

/// Hashes of the distinct letter runs and other characters, case folded; digit runs of one length are one.
pub(super) fn distinct_tokens(value: &str) -> FxHashSet<u64> {
    tokens(value).map(|(_, _, h)| h).collect()
}

/// Tokens with their byte ranges; white space is none.
pub(super) fn tokens(value: &str) -> impl Iterator<Item = (usize, usize, u64)> + '_ {
    let mut rest = 0;
    std::iter::from_fn(move || {
        loop {
            let (class, bytes) = class_at(value, rest)?;
            let start = rest;
            rest += bytes;
            if class < 3 {
                while let Some((_, bytes)) = class_at(value, rest).filter(|(c, _)| *c == class) {
                    rest += bytes;
                }
            }
            if class != 2 {
                let token = &value[start..rest];
                if class == 1 {
                    return Some((start, rest, (rest - start) as u64));
                }
                let folded =
                    if token.is_ascii() { crate::features::hash::hash_folded(token) } else { hash(token.to_lowercase().as_bytes()) };
                return Some((start, rest, folded));
            }
        }
    })
}

/// Class of the character that begins at a byte, and its bytes.
fn class_at(value: &str, at: usize) -> Option<(u8, usize)> {
    let byte = *value.as_bytes().get(at)?;
    if byte.is_ascii() {
        return Some((OF_ASCII[usize::from(byte)], 1));
    }
    let c = value[at..].chars().next()?;
    Some((class_of(c), c.len_utf8()))
}

/// Classes of ASCII, by byte.
static OF_ASCII: [u8; 128] = {
    let mut classes = [3; 128];
    let mut byte = 0;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => 0,
            b'0'..=b'9' => 1,
            b' ' | 9..=13 => 2,
            _ => 3,
        };
        byte += 1;
    }
    classes
};

fn class_of(c: char) -> u8 {
    match c {
        _ if c.is_alphabetic() => 0,
        '0'..='9' => 1,
        _ if c.is_whitespace() => 2,
        _ => 3,
    }
}
