//! Elements of a long JSON array, one at a time: the entries of a HAR file, an array of exchanges; or JSON values one behind the other.

use std::io::{self, BufRead};

/// What comes next in the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    /// The buffer holds it.
    Whole,
    /// It was larger than the limit and has been skipped; the number of its bytes.
    TooLong(u64),
    /// The array is over.
    End,
    /// The input ended, or went wrong, before the array did.
    Broken,
}

/// Where the scanner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Looking for the array.
    Before,
    /// Between elements.
    Inside,
    /// Behind the array.
    Behind,
}

/// Cuts an array into the bytes of its elements without parsing them: brackets are counted, strings are skipped. Depth costs nothing, and no
/// more than `limit` bytes of one element are held.
#[derive(Debug)]
pub(crate) struct Elements<R> {
    input: R,
    limit: usize,
    /// Keys that lead to the array from the top; empty: the top is the array.
    path: &'static [&'static str],
    /// Whether the values stand one behind the other, in no array.
    is_bare: bool,
    state: State,
    line: u64,
    start_line: u64,
    number: u64,
}

impl<R: BufRead> Elements<R> {
    /// Elements of the array at `path` (object keys from the top), each of at most `limit` bytes.
    pub(crate) fn new(input: R, path: &'static [&'static str], limit: usize) -> Self {
        Self { input, limit, path, is_bare: false, state: State::Before, line: 1, start_line: 1, number: 0 }
    }

    /// Values that stand one behind the other, each of at most `limit` bytes.
    pub(crate) fn in_a_row(input: R, limit: usize) -> Self {
        Self { is_bare: true, state: State::Inside, ..Self::new(input, &[], limit) }
    }

    /// Line on which the element last read starts, from 1.
    pub(crate) fn start_line(&self) -> u64 {
        self.start_line
    }

    /// Number of the element last read, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next element into `element`.
    ///
    /// # Errors
    /// The input cannot be read.
    pub(crate) fn next_into(&mut self, element: &mut Vec<u8>) -> io::Result<Element> {
        element.clear();
        if self.state == State::Before {
            if !self.find_array()? {
                self.state = State::Behind;
                self.start_line = self.line;
                return Ok(Element::Broken);
            }
            self.state = State::Inside;
        }
        if self.state == State::Behind {
            return Ok(Element::End);
        }
        loop {
            let byte = match self.peek()? {
                Some(byte) => byte,
                None if self.is_bare => return Ok(Element::End),
                None => return Ok(self.broken()),
            };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' => self.bump(),
                b']' if !self.is_bare => {
                    self.bump();
                    self.state = State::Behind;
                    return Ok(Element::End);
                }
                b'}' | b']' | b':' => return Ok(self.broken()),
                _ => break,
            }
        }
        self.number += 1;
        self.start_line = self.line;
        match self.value(Some(element))? {
            None => Ok(self.broken()),
            Some(size) if size > self.limit as u64 => {
                element.clear();
                Ok(Element::TooLong(size))
            }
            Some(_) => Ok(Element::Whole),
        }
    }

    fn broken(&mut self) -> Element {
        self.state = State::Behind;
        self.start_line = self.line;
        Element::Broken
    }

    /// Reads up to the opening bracket of the array; whether it is there.
    fn find_array(&mut self) -> io::Result<bool> {
        for key in self.path {
            if !self.enter(b'{')? || !self.find_key(key)? {
                return Ok(false);
            }
        }
        self.enter(b'[')
    }

    fn enter(&mut self, bracket: u8) -> io::Result<bool> {
        self.skip(b" \t\r\n")?;
        let there = self.peek()? == Some(bracket);
        if there {
            self.bump();
        }
        Ok(there)
    }

    /// Inside an object: reads up to the value of a key; whether the key is there.
    fn find_key(&mut self, key: &str) -> io::Result<bool> {
        let mut text = Vec::new();
        loop {
            self.skip(b" \t\r\n,")?;
            if self.peek()? != Some(b'"') {
                return Ok(false);
            }
            text.clear();
            if self.value(Some(&mut text))?.is_none() {
                return Ok(false);
            }
            self.skip(b" \t\r\n")?;
            if self.peek()? != Some(b':') {
                return Ok(false);
            }
            self.bump();
            if text.get(1..text.len().saturating_sub(1)) == Some(key.as_bytes()) {
                return Ok(true);
            }
            self.skip(b" \t\r\n")?;
            if self.value(None)?.is_none() {
                return Ok(false);
            }
        }
    }

    /// Reads one value, keeping at most `limit` + 1 bytes of it; its size, or `None` when the input ended within.
    fn value(&mut self, mut keep: Option<&mut Vec<u8>>) -> io::Result<Option<u64>> {
        let limit = self.limit;
        let mut scan = Scan::default();
        let mut size = 0u64;
        loop {
            let Some(chunk) = fill(&mut self.input)? else {
                return Ok(scan.complete_at_end().then_some(size));
            };
            let (used, done) = scan.over(chunk);
            if let Some(kept) = keep.as_deref_mut() {
                let room = (limit + 1).saturating_sub(kept.len());
                kept.extend_from_slice(&chunk[..used.min(room)]);
            }
            size += used as u64;
            self.line += memchr::memchr_iter(b'\n', &chunk[..used]).count() as u64;
            self.input.consume(used);
            if done {
                return Ok(Some(size));
            }
        }
    }

    fn skip(&mut self, any_of: &[u8]) -> io::Result<()> {
        while self.peek()?.is_some_and(|byte| any_of.contains(&byte)) {
            self.bump();
        }
        Ok(())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        let next = fill(&mut self.input)?.and_then(|chunk| chunk.first().copied());
        Ok(next)
    }

    /// Takes the byte that `peek` showed.
    fn bump(&mut self) {
        if self.input.fill_buf().is_ok_and(|chunk| chunk.first() == Some(&b'\n')) {
            self.line += 1;
        }
        self.input.consume(1);
    }
}

/// The next bytes; `None` at the end.
fn fill(input: &mut impl BufRead) -> io::Result<Option<&[u8]>> {
    // Two steps, since a loop that returns the borrow does not pass the borrow checker.
    loop {
        match input.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let chunk = input.fill_buf()?;
    Ok((!chunk.is_empty()).then_some(chunk))
}

/// Finds the end of one JSON value, chunk by chunk.
#[derive(Debug, Default)]
struct Scan {
    depth: u64,
    in_string: bool,
    escaped: bool,
    started: bool,
}

impl Scan {
    /// Goes over a chunk: bytes that belong to the value, and whether it ends there.
    fn over(&mut self, chunk: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < chunk.len() {
            if self.in_string {
                if self.escaped {
                    self.escaped = false;
                    at += 1;
                    continue;
                }
                let Some(step) = memchr::memchr2(b'"', b'\\', &chunk[at..]) else { return (chunk.len(), false) };
                at += step + 1;
                if chunk[at - 1] == b'\\' {
                    self.escaped = true;
                    continue;
                }
                self.in_string = false;
                if self.depth == 0 {
                    return (at, true);
                }
                continue;
            }
            match chunk[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    if self.depth == 0 {
                        return (at, true);
                    }
                    self.depth -= 1;
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                b',' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 && self.started => return (at, true),
                _ => {}
            }
            self.started = true;
            at += 1;
        }
        (chunk.len(), false)
    }

    /// Whether a value that reaches the end of the input is whole (a number or a word may be).
    fn complete_at_end(&self) -> bool {
        self.started && self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    const HAR: &[&str] = &["log", "entries"];

    fn all(text: &[u8], path: &'static [&'static str], limit: usize, chunk: usize) -> Vec<(Element, u64, Vec<u8>)> {
        let mut elements = Elements::new(BufReader::with_capacity(chunk, text), path, limit);
        let mut element = Vec::new();
        let mut seen = Vec::new();
        loop {
            let kind = elements.next_into(&mut element).unwrap();
            seen.push((kind, elements.start_line(), element.clone()));
            if matches!(kind, Element::End | Element::Broken) {
                return seen;
            }
        }
    }

    #[test]
    fn entries_stand_where_har_puts_them() {
        let text =
            b"{\"log\": {\"pages\":[{\"entries\":[9]}],\n \"entries\" : [ {\"a\":\"]}\\\"\"} ,\n{\"b\":[[1]]}, 7 ] , \"comment\":\"x\"}}";
        for chunk in [1, 2, 3, 7, 64, 4096] {
            let seen = all(text, HAR, 1000, chunk);
            let bytes: Vec<&[u8]> = seen.iter().map(|(_, _, bytes)| &bytes[..]).collect();
            assert_eq!(bytes, [b"{\"a\":\"]}\\\"\"}".as_slice(), b"{\"b\":[[1]]}", b"7", b""]);
            assert_eq!(seen.iter().map(|(_, line, _)| *line).collect::<Vec<_>>()[..3], [2, 3, 3]);
            assert_eq!(seen[3].0, Element::End);
        }
    }

    #[test]
    fn a_file_cut_within_an_entry_is_broken() {
        let seen = all(b"{\"log\":{\"entries\":[{\"a\":1},{\"b\":", HAR, 1000, 5);
        assert_eq!(seen.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), [Element::Whole, Element::Broken]);
    }

    #[test]
    fn large_elements_are_skipped_and_the_next_is_read() {
        let text = format!("[\"{}\",{{}}]", "x".repeat(100));
        let seen = all(text.as_bytes(), &[], 10, 16);
        assert_eq!(seen.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), [Element::TooLong(102), Element::Whole, Element::End]);
    }

    #[test]
    fn values_in_a_row_need_no_array() {
        let row = |text: &'static [u8], chunk| {
            let mut elements = Elements::in_a_row(BufReader::with_capacity(chunk, text), 10);
            let mut element = Vec::new();
            let mut next = || (elements.next_into(&mut element).unwrap(), String::from_utf8(element.clone()).unwrap());
            [next(), next(), next(), next()]
        };
        let whole = |text: &str| (Element::Whole, text.to_owned());
        for chunk in [1, 2, 3, 64] {
            let seen = row(b"\n{\n\"a\":1}\n{\"b\":\"much too long\"}{}\n", chunk);
            assert_eq!(seen, [whole("{\n\"a\":1}"), (Element::TooLong(21), String::new()), whole("{}"), (Element::End, String::new())]);
            assert_eq!(row(b"{}]{}", chunk)[..3], [whole("{}"), (Element::Broken, String::new()), (Element::End, String::new())]);
        }
    }

    #[test]
    fn what_is_no_array_is_broken() {
        for text in ["", "{", "{\"log\":3}", "{\"log\":{\"entries\":{}}}", "{\"log\":{}}", "nonsense", "[1"] {
            assert_eq!(all(text.as_bytes(), HAR, 100, 8).last().unwrap().0, Element::Broken, "{text}");
        }
        assert_eq!(all(b"[1", &[], 100, 8).last().unwrap().0, Element::Broken);
        assert_eq!(all(b"[1}", &[], 100, 8).last().unwrap().0, Element::Broken);
    }
}
