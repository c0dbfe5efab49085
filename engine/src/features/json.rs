//! JSON as bytes: the depth check that stands before any parse.

/// Whether brackets outside strings nest deeper than `limit`. One pass, no memory; wrong JSON gives some answer and is the parser's to refuse.
#[must_use]
pub fn deeper_than(json: &[u8], limit: usize) -> bool {
    let mut depth = 0usize;
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => {
                at += 1;
                while let Some(step) = memchr::memchr2(b'"', b'\\', &json[at.min(json.len())..]) {
                    at += step;
                    if json[at] == b'"' {
                        break;
                    }
                    at += 2;
                }
                if at >= json.len() || json[at] != b'"' {
                    return false;
                }
            }
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
