//! Lines of bounded length from a stream.

use std::io::{self, BufRead};

/// What the next line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// The buffer holds it, without its line end.
    Whole,
    /// It was longer than the limit and has been skipped; the number of its bytes.
    TooLong(u64),
    /// There is none.
    End,
}

/// Reads lines, never holding more than `limit` bytes of one.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    limit: usize,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Lines of an input, of at most `limit` bytes each.
    pub(crate) fn new(input: R, limit: usize) -> Self {
        Self { input, limit, number: 0 }
    }

    /// Number of the line last read, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line into `line`. A `\r` before the line end belongs to the line end.
    ///
    /// # Errors
    /// The input cannot be read.
    pub(crate) fn next_into(&mut self, line: &mut Vec<u8>) -> io::Result<Line> {
        line.clear();
        let mut size = 0u64;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                if size == 0 {
                    return Ok(Line::End);
                }
                break;
            }
            let (part, used, ended) = match memchr::memchr(b'\n', chunk) {
                Some(end) => (&chunk[..end], end + 1, true),
                None => (chunk, chunk.len(), false),
            };
            let room = self.limit.saturating_add(1).saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            size += used as u64;
            self.input.consume(used);
            if ended {
                break;
            }
        }
        self.number += 1;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.len() > self.limit {
            line.clear();
            return Ok(Line::TooLong(size));
        }
        Ok(Line::Whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Read};

    fn all(input: impl BufRead, limit: usize) -> Vec<(Line, Vec<u8>)> {
        let mut lines = Lines::new(input, limit);
        let mut line = Vec::new();
        let mut seen = Vec::new();
        while let Ok(kind) = lines.next_into(&mut line) {
            if kind == Line::End {
                break;
            }
            seen.push((kind, line.clone()));
        }
        seen
    }

    #[test]
    fn line_ends_of_either_kind_and_a_last_line_without_one() {
        let seen = all(&b"a\r\n\nbc\nd"[..], 8);
        let texts: Vec<&[u8]> = seen.iter().map(|(_, text)| &text[..]).collect();
        assert_eq!(texts, [b"a".as_slice(), b"", b"bc", b"d"]);
    }

    #[test]
    fn a_line_of_a_gigabyte_is_skipped_without_being_held() {
        let giant = io::repeat(b'x').take(1 << 30).chain(&b"\nnext\n"[..]);
        let mut lines = Lines::new(BufReader::with_capacity(1 << 16, giant), 1 << 10);
        let mut line = Vec::new();
        assert_eq!(lines.next_into(&mut line).unwrap(), Line::TooLong((1 << 30) + 1));
        assert!(line.capacity() <= 1 << 12);
        assert_eq!(lines.next_into(&mut line).unwrap(), Line::Whole);
        assert_eq!((&line[..], lines.number()), (&b"next"[..], 2));
    }

    #[test]
    fn the_limit_is_inclusive() {
        assert_eq!(all(&b"1234\n12345\n"[..], 4), [(Line::Whole, b"1234".to_vec()), (Line::TooLong(6), Vec::new())]);
    }
}
