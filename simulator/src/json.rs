//! Writes JSON bodies straight into a string, in the order in which a server's serialiser would.

use std::fmt::Write;

/// A JSON document under construction. Keys inside objects; none inside lists.
#[derive(Debug)]
pub(crate) struct Json {
    out: String,
    comma: bool,
}

impl Json {
    /// An object, filled in by `fill`.
    pub(crate) fn object(fill: impl FnOnce(&mut Self)) -> String {
        let mut json = Self { out: String::with_capacity(512), comma: false };
        json.braces(fill);
        json.out
    }

    /// A list of objects, one for each item.
    pub(crate) fn array<T>(items: impl IntoIterator<Item = T>, fill: impl FnMut(&mut Self, T)) -> String {
        let mut json = Self { out: String::with_capacity(1024), comma: false };
        json.brackets(items, fill);
        json.out
    }

    /// A text.
    pub(crate) fn str(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        quote(&mut self.out, value);
        self
    }

    /// Anything that prints, as a text.
    pub(crate) fn show(&mut self, key: &str, value: impl std::fmt::Display) -> &mut Self {
        self.str(key, &value.to_string())
    }

    /// A whole number.
    pub(crate) fn int(&mut self, key: &str, value: impl Into<i64>) -> &mut Self {
        self.key(key);
        let _ = write!(self.out, "{}", value.into());
        self
    }

    /// An amount of cents, as a decimal number.
    pub(crate) fn money(&mut self, key: &str, cents: i64) -> &mut Self {
        self.key(key);
        let _ = write!(self.out, "{}.{:02}", cents / 100, cents.rem_euclid(100));
        self
    }

    /// A boolean.
    pub(crate) fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key);
        self.out.push_str(if value { "true" } else { "false" });
        self
    }

    /// A null.
    pub(crate) fn null(&mut self, key: &str) -> &mut Self {
        self.key(key);
        self.out.push_str("null");
        self
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        self.out.push_str(value);
        self
    }

    /// An object inside.
    pub(crate) fn nested(&mut self, key: &str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.key(key);
        self.braces(fill);
        self
    }

    /// A list of objects inside, one for each item.
    pub(crate) fn list<T>(&mut self, key: &str, items: impl IntoIterator<Item = T>, fill: impl FnMut(&mut Self, T)) -> &mut Self {
        self.key(key);
        self.brackets(items, fill);
        self
    }

    /// A list of texts inside.
    pub(crate) fn strs<'t>(&mut self, key: &str, items: impl IntoIterator<Item = &'t str>) -> &mut Self {
        self.key(key);
        self.out.push('[');
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            quote(&mut self.out, item);
        }
        self.out.push(']');
        self
    }

    fn key(&mut self, key: &str) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
        quote(&mut self.out, key);
        self.out.push(':');
    }

    fn braces(&mut self, fill: impl FnOnce(&mut Self)) {
        self.out.push('{');
        self.comma = false;
        fill(self);
        self.out.push('}');
        self.comma = true;
    }

    fn brackets<T>(&mut self, items: impl IntoIterator<Item = T>, mut fill: impl FnMut(&mut Self, T)) {
        self.out.push('[');
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.braces(|json| fill(json, item));
        }
        self.out.push(']');
        self.comma = true;
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (i, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[from..i]);
        from = i + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_nested_documents() {
        let text = Json::object(|j| {
            j.int("id", 4).money("price", 1905).bool("live", true).null("end").strs("tags", ["a", "b"]);
            j.nested("by", |j| {
                j.str("name", "O'Hara \"Joe\"\n");
            });
            j.list("rows", [1, 2], |j, n| {
                j.int("n", n);
            });
            j.raw("more", "[]");
        });
        assert_eq!(
            text,
            "{\"id\":4,\"price\":19.05,\"live\":true,\"end\":null,\"tags\":[\"a\",\"b\"],\"by\":{\"name\":\"O'Hara \\\"Joe\\\"\\n\"},\"rows\":[{\"n\":1},{\"n\":2}],\"more\":[]}"
        );
    }

    proptest! {
        #[test]
        fn any_text_reads_back(key in any::<String>(), value in any::<String>()) {
            let text = Json::object(|j| { j.str(&key, &value); });
            let back: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(back.get(&key).and_then(|v| v.as_str()), Some(value.as_str()));
        }
    }
}
