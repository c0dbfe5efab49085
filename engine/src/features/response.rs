//! The response's side of [`Features`](super::Features).

use super::hash::{hash_folded, mix};
use super::json::{Leaf, ROOT, Visitor, Walker, member_path};
use super::kind::masked;
use super::sensitive::{self, Sensitive};
use super::{Scalar, ValueKind};
use aho_corasick::{AhoCorasick, MatchKind};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Most scalars kept of one body.
pub(super) const MAX_SCALARS: usize = 384;
/// Most distinct members kept of one body.
const MAX_MEMBERS: usize = 192;
/// Most strings kept that may be credentials.
const MAX_ISSUED: usize = 4;

/// A distinct member of the response body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// Hash of the way to it, array positions left out.
    pub path: u64,
    /// Hash of its own name.
    pub key: u64,
    /// Personal data and secrets among its values.
    pub sensitive: Sensitive,
    /// Way to it as text (`data.items[].id`).
    pub name: Box<str>,
}

/// Words that only servers with too much to say put into a body.
const SIGN_WORDS: [(u8, &str); 15] = [
    (Leaks::STACK_TRACE, "Traceback (most recent call last)"),
    (Leaks::STACK_TRACE, "\n\tat "),
    (Leaks::STACK_TRACE, "\\tat "),
    (Leaks::STACK_TRACE, "\\n    at "),
    (Leaks::STACK_TRACE, "\n    at "),
    (Leaks::STACK_TRACE, "Exception in thread"),
    (Leaks::STACK_TRACE, "goroutine 1 ["),
    (Leaks::STACK_TRACE, "panicked at"),
    (Leaks::LISTING, "<title>Index of /"),
    (Leaks::LISTING, "Directory listing for /"),
    (Leaks::DATABASE_ERROR, "SQLSTATE["),
    (Leaks::DATABASE_ERROR, "sqlite3."),
    (Leaks::DATABASE_ERROR, "ORA-0"),
    (Leaks::DATABASE_ERROR, "You have an error in your SQL syntax"),
    (Leaks::DATABASE_ERROR, "psycopg2."),
];

static SIGNS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(SIGN_WORDS.map(|(_, word)| word)).ok());

/// What came back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ResponseFeatures {
    /// Status; 0 when unknown.
    pub status: u16,
    /// Size of the body in bytes: as reported, else of what was mirrored; `None` when neither.
    pub bytes: Option<u64>,
    /// Elements of the largest array.
    pub records: u32,
    /// Hash of the set of member names that tells one kind of answer from another; 0 when there is no JSON.
    pub keys: u64,
    /// Distinct members, at most 192.
    pub members: Vec<Member>,
    /// Scalars by hash, at most 384.
    pub scalars: Vec<Scalar>,
    /// Personal data and secrets: number of values that hold any.
    pub sensitive_values: u32,
    /// Strings that may be credentials, by hash (case folded), at most 4: from members and from `set-cookie`.
    pub issued: Vec<u64>,
    /// Hash of media type; 0 when unknown.
    pub media: u64,
    /// Signs of a talkative server.
    pub leaks: Leaks,
    /// Hashes of the names of response headers, sorted.
    pub headers: Vec<u64>,
}

/// Signs of a server that tells or allows too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Leaks(pub u8);

impl Leaks {
    /// A stack trace in the body.
    pub const STACK_TRACE: u8 = 1;
    /// A directory listing.
    pub const LISTING: u8 = 2;
    /// Any origin allowed, with credentials.
    pub const OPEN_CORS: u8 = 4;
    /// A server banner with a version.
    pub const BANNER: u8 = 8;
    /// A database's own error text.
    pub const DATABASE_ERROR: u8 = 16;

    /// Names with their bits.
    pub const NAMES: [(u8, &'static str); 5] = [
        (Self::STACK_TRACE, "stack trace"),
        (Self::LISTING, "directory listing"),
        (Self::OPEN_CORS, "open CORS with credentials"),
        (Self::BANNER, "server banner with version"),
        (Self::DATABASE_ERROR, "database error text"),
    ];
}

impl ResponseFeatures {
    pub(super) fn size(&self) -> usize {
        self.members.iter().map(|m| size_of::<Member>() + m.name.len()).sum::<usize>()
            + (self.headers.capacity() + self.issued.capacity()) * 8
    }

    pub(super) fn shrink(&mut self) {
        self.scalars.shrink_to_fit();
        self.members.shrink_to_fit();
        self.headers.shrink_to_fit();
        self.issued.shrink_to_fit();
    }

    /// Takes the value of a `set-cookie` header in.
    pub(super) fn read_set_cookie(&mut self, header: &str) {
        let pair = header.split(';').next().unwrap_or(header);
        self.note_issued(pair.split_once('=').map_or("", |(_, value)| value.trim()));
    }

    /// Keeps a string that may be a credential.
    fn note_issued(&mut self, text: &str) {
        if self.issued.len() < MAX_ISSUED && may_be_credential(text) {
            self.issued.push(hash_folded(text));
        }
    }

    /// Takes a JSON body in.
    pub(super) fn read_json(&mut self, walker: &mut Walker, json: &str, max_depth: usize) {
        self.members.reserve(16);
        self.scalars.reserve(json.len().div_ceil(48).min(MAX_SCALARS));
        let data = member_path(ROOT, "data");
        let errors = member_path(ROOT, "errors");
        let mut reader = Reader {
            out: self,
            keys: 0,
            data,
            attributes: member_path(data, "attributes"),
            of_errors: [errors, member_path(errors, "path"), member_path(errors, "locations")],
            last: 0,
        };
        walker.walk(json, max_depth, &mut reader);
        let keys = reader.keys;
        self.keys = keys;
    }

    /// Looks at a body of any kind for signs of a talkative server.
    pub(super) fn read_leaks(&mut self, body: &str) {
        let Some(signs) = SIGNS.as_ref() else { return };
        let head = &body[..body.floor_char_boundary(16 << 10)];
        for found in signs.find_iter(head) {
            self.leaks.0 |= SIGN_WORDS[found.pattern().as_usize()].0;
        }
    }
}

struct Reader<'r> {
    out: &'r mut ResponseFeatures,
    keys: u64,
    data: u64,
    attributes: u64,
    /// Lists of errors, and those that GraphQL puts into each: no records.
    of_errors: [u64; 3],
    /// Index of the member met last: its value comes next.
    last: usize,
}

impl Visitor for Reader<'_> {
    fn leaf(&mut self, path: u64, key: u64, _name: &str, leaf: Leaf<'_>) {
        let text = match leaf {
            Leaf::Text(text) => text,
            Leaf::Number(digits) => digits,
            Leaf::Bool(_) | Leaf::Null => return,
        };
        if text.len() <= 100 && !text.is_empty() && self.out.scalars.len() < MAX_SCALARS {
            let value = hash_folded(text);
            self.out.scalars.push(Scalar { key, value });
            if let Leaf::Text(text) = leaf
                && let Some(tail) = path_tail(text)
            {
                self.out.scalars.push(Scalar { key, value: hash_folded(tail) });
            }
            if path == member_path(self.data, "type") {
                self.keys = self.keys.wrapping_add(mix(path, value));
            }
        }
        if let Leaf::Text(text) = leaf {
            self.out.note_issued(text);
        }
        // The digits of a UUID pass a checksum now and then, and mean nothing by it.
        let is_uuid = text.len() == 36 && ValueKind::of(text) == ValueKind::Uuid;
        if !is_uuid && (matches!(leaf, Leaf::Text(_)) || text.len() > 12) {
            let found = sensitive::scan(text);
            if !found.is_empty() {
                self.out.sensitive_values += 1;
                if let Some(member) = self.out.members.get_mut(self.last).filter(|m| m.path == path) {
                    member.sensitive = member.sensitive.union(found);
                }
            }
        }
    }

    fn array(&mut self, path: u64, length: u32) {
        if !self.of_errors.contains(&path) {
            self.out.records = self.out.records.max(length);
        }
    }

    fn member(&mut self, path: u64, depth: usize, name: &str) {
        // Members of array elements come in the same order again and again: look next to the last one first.
        let members = &mut self.out.members;
        if let Some(next) = members.get(self.last + 1).filter(|m| m.path == path) {
            debug_assert_eq!(next.path, path);
            self.last += 1;
            return;
        }
        if let Some(known) = members.iter().position(|m| m.path == path) {
            self.last = known;
            return;
        }
        if members.len() >= MAX_MEMBERS {
            self.last = usize::MAX - 1;
            return;
        }
        let key = super::hash::hash(name.rsplit(['.', ']']).next().unwrap_or(name).as_bytes());
        members.push(Member { path, key, sensitive: Sensitive::default(), name: name.into() });
        self.last = members.len() - 1;
        let under = depth == 0 || (depth == 1 && name.starts_with("data") || depth == 2 && name.contains("attributes."));
        if under && (depth == 0 || parent_is(path, self.data, name) || parent_is(path, self.attributes, name)) {
            self.keys = self.keys.wrapping_add(mix(path, 1));
        }
    }
}

/// Whether a string is long and random enough to name a session; masked ones are.
fn may_be_credential(text: &str) -> bool {
    let bytes = text.as_bytes();
    if !(16..=4096).contains(&bytes.len()) || bytes[..16].contains(&b' ') {
        return false;
    }
    let is_long_or_random = match ValueKind::of(text) {
        ValueKind::Jwt | ValueKind::Uuid | ValueKind::Token => true,
        ValueKind::Hex => bytes.len() >= 32,
        _ => false,
    };
    is_long_or_random || masked(bytes).is_some()
}

/// Whether `path` is the member `name` (last part) of `parent`.
fn parent_is(path: u64, parent: u64, name: &str) -> bool {
    member_path(parent, name.rsplit('.').next().unwrap_or(name)) == path
}

/// What follows the first slash of a value that looks like a path of its own: `users/7` in `/users/7`, `org/repo` in `host/org/repo`.
fn path_tail(text: &str) -> Option<&str> {
    let (head, tail) = text.split_once('/')?;
    (head.len() < 12 && tail.contains('/') && !text.contains([' ', ':'])).then_some(tail)
}

#[cfg(test)]
mod tests {
    use crate::features::Features;
    use crate::features::hash::hash_folded;
    use crate::record::Exchange;

    /// What an answer issues, by the hashes that requests present it by.
    fn issued(token: &str) -> Vec<u64> {
        let mut exchange = Exchange { method: "POST".into(), path: "/login".into(), ..Exchange::default() };
        exchange.response.status = Some(200);
        exchange.response.body = Some(format!(r#"{{"user":"anna","token":"{token}"}}"#).into());
        Features::of(&exchange).response.issued.clone()
    }

    #[test]
    fn a_token_is_issued_whether_it_is_masked_or_not() {
        for token in
            ["~h:0123456789abcdef", "~j:0123456789abcdef", "0123456789abcdef0123456789abcdef", "3f2b8c1e-7a5d-4c1b-9e2f-1a2b3c4d5e6f"]
        {
            assert_eq!(issued(token), [hash_folded(token)], "{token}");
        }
        assert!(issued("0123456789abcdef").is_empty() && issued("~h:0123").is_empty());
    }
}
