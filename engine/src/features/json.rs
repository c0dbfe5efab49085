//! JSON as bytes: a depth check that stands before any parse, and a walk over the leaves of a body that builds no tree.

use super::decode::hex;
use super::hash::{hash, mix};

/// Whether brackets outside strings nest deeper than `limit`. One pass, no memory; wrong JSON gives some answer and is the parser's to refuse.
#[must_use]
pub fn deeper_than(json: &[u8], limit: usize) -> bool {
    // So few brackets, in strings and outside, nest no deeper: a count that runs at memory speed spares most texts the walk.
    let in_chunk = |chunk: &[u8]| chunk.iter().fold(0u8, |n, b| n + u8::from((b | 0x20) == b'{'));
    if json.chunks(128).map(|chunk| usize::from(in_chunk(chunk))).sum::<usize>() <= limit {
        return false;
    }
    let mut depth = 0usize;
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => match string_end(json, at + 1) {
                Some((end, _)) => at = end,
                None => return false,
            },
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    false
}

/// Index of the closing quote of a string whose content starts at `at`, and whether it holds escapes.
fn string_end(json: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    while at < json.len() {
        let step = memchr::memchr2(b'"', b'\\', &json[at..])?;
        at += step;
        if json[at] == b'"' {
            return Some((at, escaped));
        }
        escaped = true;
        at += 2;
    }
    None
}

/// A leaf as the walk meets it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Leaf<'w> {
    /// A string, unescaped.
    Text(&'w str),
    /// A number, as written.
    Number(&'w str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
}

/// Receives what the walk meets.
pub trait Visitor {
    /// A leaf. `path` hashes the way to it (array positions left out), `key` the last name on it; `name` spells the way (`a.b[].c`).
    fn leaf(&mut self, path: u64, key: u64, name: &str, leaf: Leaf<'_>);
    /// An array ended with this many elements.
    fn array(&mut self, path: u64, length: u32);
    /// An object has this member. `depth` counts the objects around it, 0 at the top.
    fn member(&mut self, path: u64, depth: usize, name: &str);
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    /// One whole JSON value.
    Whole,
    /// Cut off, too deep, or wrong from some place on: what came before was visited.
    Part,
    /// Not JSON from the first byte on.
    Nothing,
}

/// Hash of the way to the top.
pub const ROOT: u64 = 0x5eed;

/// Hash of a member's way, from its parent's and its name.
#[must_use]
pub fn member_path(parent: u64, name: &str) -> u64 {
    mix(parent, hash(name.as_bytes()))
}

struct Frame {
    path: u64,
    key: u64,
    name_length: usize,
    is_array: bool,
    count: u32,
}

/// Reusable buffers of a walk.
#[derive(Debug, Default)]
pub struct Walker {
    name: String,
    text: String,
}

impl Walker {
    /// Visits all leaves and members of a JSON text, at most `max_depth` levels deep. Memory: the depth and the longest string.
    pub fn walk(&mut self, json: &str, max_depth: usize, visitor: &mut impl Visitor) -> Walked {
        self.name.clear();
        let mut walk = Walk {
            text: json,
            json: json.as_bytes(),
            at: 0,
            stack: Vec::with_capacity(16),
            name: &mut self.name,
            plain: &mut self.text,
            max_depth,
        };
        match walk.run(visitor) {
            Some(()) => Walked::Whole,
            None if walk.at == 0 => Walked::Nothing,
            None => Walked::Part,
        }
    }
}

struct Walk<'w> {
    text: &'w str,
    /// The same as bytes.
    json: &'w [u8],
    at: usize,
    stack: Vec<Frame>,
    name: &'w mut String,
    /// Room for a string without its escapes.
    plain: &'w mut String,
    max_depth: usize,
}

impl<'w> Walk<'w> {
    fn run(&mut self, visitor: &mut impl Visitor) -> Option<()> {
        self.value(ROOT, ROOT, visitor)?;
        while let Some(frame) = self.stack.last() {
            let is_array = frame.is_array;
            self.space();
            let first = frame_is_fresh(self.stack.last()?);
            match *self.json.get(self.at)? {
                b']' if is_array => self.close(visitor)?,
                b'}' if !is_array => self.close(visitor)?,
                b',' if !first => {
                    self.at += 1;
                    self.next(visitor)?;
                }
                _ if first => self.next(visitor)?,
                _ => return None,
            }
        }
        self.space();
        (self.at == self.json.len()).then_some(())
    }

    /// The next element of the innermost container.
    fn next(&mut self, visitor: &mut impl Visitor) -> Option<()> {
        let depth = self.stack.len();
        let frame = self.stack.last_mut()?;
        frame.count += 1;
        if frame.is_array {
            let (path, key) = (frame.path, frame.key);
            return self.value(path, key, visitor);
        }
        let (parent, length) = (frame.path, frame.name_length);
        self.space();
        if *self.json.get(self.at)? != b'"' {
            return None;
        }
        self.name.truncate(length);
        if length > 0 {
            self.name.push('.');
        }
        let start = self.name.len();
        let (raw, is_escaped) = self.string()?;
        if is_escaped {
            unescape(raw, self.plain);
        }
        let plain = if is_escaped { &*self.plain } else { raw };
        self.name.push_str(&plain[..plain.floor_char_boundary(128)]);
        let key = hash(&self.name.as_bytes()[start..]);
        let path = mix(parent, key);
        visitor.member(path, depth - 1, self.name);
        self.space();
        if *self.json.get(self.at)? != b':' {
            return None;
        }
        self.at += 1;
        self.value(path, key, visitor)
    }

    fn value(&mut self, path: u64, key: u64, visitor: &mut impl Visitor) -> Option<()> {
        self.space();
        match *self.json.get(self.at)? {
            open @ (b'{' | b'[') => {
                if self.stack.len() >= self.max_depth {
                    return None;
                }
                self.at += 1;
                let is_array = open == b'[';
                if is_array {
                    self.name.push_str("[]");
                }
                self.stack.push(Frame { path, key, name_length: self.name.len(), is_array, count: 0 });
            }
            b'"' => {
                let (raw, is_escaped) = self.string()?;
                if is_escaped {
                    unescape(raw, self.plain);
                }
                let text = if is_escaped { &*self.plain } else { raw };
                visitor.leaf(path, key, self.name, Leaf::Text(text));
            }
            b't' => self.literal(b"true").map(|()| visitor.leaf(path, key, self.name, Leaf::Bool(true)))?,
            b'f' => self.literal(b"false").map(|()| visitor.leaf(path, key, self.name, Leaf::Bool(false)))?,
            b'n' => self.literal(b"null").map(|()| visitor.leaf(path, key, self.name, Leaf::Null))?,
            b'-' | b'0'..=b'9' => {
                let start = self.at;
                while self.json.get(self.at).is_some_and(|c| matches!(c, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
                    self.at += 1;
                }
                let digits = self.text.get(start..self.at)?;
                visitor.leaf(path, key, self.name, Leaf::Number(digits));
            }
            _ => return None,
        }
        Some(())
    }

    fn close(&mut self, visitor: &mut impl Visitor) -> Option<()> {
        let frame = self.stack.pop()?;
        self.at += 1;
        if frame.is_array {
            visitor.array(frame.path, frame.count);
        }
        let outer = self.stack.last().map_or(0, |f| f.name_length);
        self.name.truncate(outer);
        Some(())
    }

    fn literal(&mut self, word: &[u8]) -> Option<()> {
        if self.json[self.at..].starts_with(word) {
            self.at += word.len();
            return Some(());
        }
        None
    }

    fn space(&mut self) {
        while self.json.get(self.at).is_some_and(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The string at the cursor as it is written, and whether it holds escapes.
    fn string(&mut self) -> Option<(&'w str, bool)> {
        let start = self.at + 1;
        let (end, is_escaped) = string_end(self.json, start)?;
        self.at = end + 1;
        Some((self.text.get(start..end)?, is_escaped))
    }
}

/// A string without its escapes, into `out`.
fn unescape(raw: &str, out: &mut String) {
    out.clear();
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let length = escape(&rest.as_bytes()[at..], out);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
}

/// One escape sequence; returns its length.
fn escape(raw: &[u8], out: &mut String) -> usize {
    let unit = |at: usize| -> Option<u32> { raw.get(at..at + 4)?.iter().try_fold(0u32, |n, d| Some(n << 4 | u32::from(hex(*d)?))) };
    match raw.get(1) {
        Some(b'n') => out.push('\n'),
        Some(b't') => out.push('\t'),
        Some(b'r') => out.push('\r'),
        Some(b'b') => out.push('\u{8}'),
        Some(b'f') => out.push('\u{c}'),
        Some(b'u') => {
            let Some(high) = unit(2) else {
                out.push('\u{fffd}');
                return 2;
            };
            if (0xd800..0xdc00).contains(&high)
                && raw.get(6..8) == Some(b"\\u")
                && let Some(low) = unit(8).filter(|l| (0xdc00..0xe000).contains(l))
            {
                out.push(char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).unwrap_or('\u{fffd}'));
                return 12;
            }
            out.push(char::from_u32(high).unwrap_or('\u{fffd}'));
            return 6;
        }
        Some(other) if other.is_ascii() => out.push(char::from(*other)),
        _ => {
            out.push('\u{fffd}');
            return 1;
        }
    }
    2
}

fn frame_is_fresh(frame: &Frame) -> bool {
    frame.count == 0
}

#[cfg(test)]
mod tests {
    use super::{Leaf, Visitor, Walked, Walker, deeper_than};

    #[derive(Default)]
    struct Log(Vec<String>);
    impl Visitor for Log {
        fn leaf(&mut self, _path: u64, _key: u64, name: &str, leaf: Leaf<'_>) {
            self.0.push(format!("{name}={leaf:?}"));
        }
        fn array(&mut self, _path: u64, length: u32) {
            self.0.push(format!("#{length}"));
        }
        fn member(&mut self, _path: u64, _depth: usize, _name: &str) {}
    }

    fn leaves(json: &str) -> (Walked, Vec<String>) {
        let mut log = Log::default();
        let walked = Walker::default().walk(json, 64, &mut log);
        (walked, log.0)
    }

    #[test]
    fn leaves_have_their_way_and_value() {
        let (walked, seen) = leaves(r#" {"a":[{"b":1,"c":"x\u00e9\n"},{"b":-2.5e3}],"d":{"e":[true,null]},"f":"g"} "#);
        assert_eq!(walked, Walked::Whole);
        assert_eq!(
            seen,
            [
                "a[].b=Number(\"1\")",
                "a[].c=Text(\"xé\\n\")",
                "a[].b=Number(\"-2.5e3\")",
                "#2",
                "d.e[]=Bool(true)",
                "d.e[]=Null",
                "#2",
                "f=Text(\"g\")"
            ]
        );
    }

    #[test]
    fn a_cut_body_gives_what_came_before() {
        let (walked, seen) = leaves(r#"{"a":1,"b":[2,"#);
        assert_eq!((walked, seen.len()), (Walked::Part, 2));
        assert_eq!(leaves("hello").0, Walked::Nothing);
        assert_eq!(leaves(&"[".repeat(100_000)).0, Walked::Part);
    }

    #[test]
    fn depth_is_known_before_parsing() {
        assert!(deeper_than("[".repeat(65).as_bytes(), 64));
        assert!(!deeper_than("[".repeat(64).as_bytes(), 64));
        assert!(!deeper_than(format!("\"{}\"", "[".repeat(100)).as_bytes(), 64));
        assert!(!deeper_than(br#""\"[[["#, 2));
    }
}
