//! Exchanges of a made-up shop with 40 endpoints: 1 KB requests and 2 KB responses.

use std::fmt::Write as _;

const WORDS: [&str; 16] = [
    "river", "quiet", "orange", "delivery", "please", "thanks", "great", "broken", "colour", "small", "winter", "coffee", "garden",
    "paper", "north", "lamp",
];
const COLLECTIONS: [&str; 8] = ["orders", "users", "reviews", "carts", "items", "invoices", "messages", "payments"];
/// Sessions that take turns.
const SESSIONS: u64 = 3_000;
/// Time of the first record, epoch milliseconds, and between two.
const BEGIN: u64 = 1_770_000_000_000;
const STEP: u64 = 40;

/// Makes records, the same ones each time.
pub(super) struct Records {
    numbers: u64,
    made: u64,
}

/// A record and the session that it is keyed by.
pub(super) struct Made {
    pub(super) session: String,
    pub(super) value: String,
}

impl Records {
    pub(super) fn new() -> Self {
        Self { numbers: 7, made: 0 }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.numbers = self.numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.numbers >> 33) % n
    }

    fn word(&mut self) -> &'static str {
        let n = self.below(WORDS.len() as u64);
        WORDS.get(n as usize).copied().unwrap_or_default()
    }

    fn text(&mut self, words: usize) -> String {
        let mut text = String::with_capacity(words * 8);
        for _ in 0..words {
            text.push_str(self.word());
            text.push(' ');
        }
        text
    }

    /// The next record.
    pub(super) fn make(&mut self) -> Made {
        let n = self.below(COLLECTIONS.len() as u64);
        let collection = COLLECTIONS.get(n as usize).copied().unwrap_or_default();
        let id = self.below(50_000);
        let (method, path) = match self.below(5) {
            0 => ("GET", format!("/v1/{collection}")),
            1 => ("POST", format!("/v1/{collection}")),
            2 => ("PATCH", format!("/v1/{collection}/{id}")),
            3 => ("GET", format!("/v1/{collection}/{id}/history")),
            _ => ("GET", format!("/v1/{collection}/{id}")),
        };
        let session = format!("{:032x}", self.below(SESSIONS));
        let address = format!("10.{}.{}.7", self.below(200), self.below(200));
        let (time, page) = (BEGIN + self.made * STEP, self.below(30));
        let (request, response) = (quoted(&self.request(id)), quoted(&self.response()));
        let value = format!(
            r#"{{"id":"e{}","time":{time},"method":"{method}","host":"api.shop.example","path":"{path}","query":"page={page}&sort=name","client":{{"ip":"{address}","user_agent":"shop-app/3 (Android 14)"}},"session":"{session}","request":{{"headers":{{"accept":"application/json","content-type":"application/json","accept-language":"en"}},"body":{request}}},"response":{{"status":200,"headers":{{"content-type":"application/json"}},"body":{response}}},"duration_ms":12.5}}"#,
            self.made,
        );
        self.made += 1;
        Made { session, value }
    }

    fn request(&mut self, id: u64) -> String {
        let (name, note, street) = (self.text(2), self.text(110), self.text(4));
        let (quantity, price, zip) = (self.below(20), self.below(500), self.below(99_999));
        let (first, second) = (self.word(), self.word());
        format!(
            r#"{{"id":{id},"name":"{name}","note":"{note}","quantity":{quantity},"price":{price}.50,"tags":["{first}","{second}"],"address":{{"street":"{street}","zip":"{zip:05}"}}}}"#
        )
    }

    fn response(&mut self) -> String {
        let mut items = String::new();
        for n in 0..14 {
            let (id, title, total) = (self.below(50_000), self.text(13), self.below(900));
            let comma = if n > 0 { "," } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(items, r#"{comma}{{"id":{id},"state":"open","title":"{title}","total":{total}}}"#);
        }
        format!(r#"{{"data":[{items}],"next":{},"count":14}}"#, self.below(100))
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_exchanges_of_the_size_that_is_told() {
        let mut records = Records::new();
        for _ in 0..100 {
            let Made { session, value } = records.make();
            let exchange = engine::Exchange::from_json(value.as_bytes()).unwrap();
            assert_eq!(exchange.session.as_deref(), Some(session.as_str()));
            assert!((3_000..4_000).contains(&value.len()), "{}", value.len());
        }
    }
}
