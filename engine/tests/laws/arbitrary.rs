//! Exchanges as nobody would send them but attackers and fuzzers.

use engine::record::{BodyEncoding, Client, Exchange, Headers, Request, Response, Text};
use proptest::option::weighted;
use proptest::prelude::*;

/// Text of any kind: printable, Unicode of every plane, percent signs, quotes, very long.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ".{0,24}",
        2 => "[%&=;/?#\\[\\]{}.\"'\\\\u0-9a-fA-F\u{0}\u{7f}é\u{301}\u{1f600}]{0,40}",
        2 => "[0-9a-z/_.-]{0,40}",
        1 => (any::<char>(), 0usize..6_000).prop_map(|(c, n)| c.to_string().repeat(n)),
    ]
}

/// JSON of any shape, then perhaps cut off or with something else behind it.
pub(crate) fn json() -> impl Strategy<Value = String> {
    (value(), any::<prop::sample::Index>(), prop::bool::weighted(0.2), prop::bool::weighted(0.1)).prop_map(
        |(value, at, is_cut, has_more)| {
            let mut text = value.to_string();
            if is_cut {
                text.truncate(text.floor_char_boundary(at.index(text.len() + 1)));
            }
            if has_more {
                text.push_str("]x");
            }
            text
        },
    )
}

/// A JSON value of any shape.
pub(crate) fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::vec((".{0,12}", inner), 0..8).prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn body() -> impl Strategy<Value = (String, BodyEncoding)> {
    let text = prop_oneof![
        3 => json(),
        1 => text(),
        1 => (text(), text()).prop_map(|(a, b)| format!("{a}={b}&{b}=%{a}&&=")),
        1 => (text(), text()).prop_map(|(a, b)| format!("--x\r\nContent-Disposition: form-data; name=\"{a}\"; filename={b}\r\n\r\n{b}\r\n--x--")),
        1 => text().prop_map(|q| serde_json::json!({ "query": format!("mutation {q} {{ a }}"), "operationName": q, "variables": { "a": q } }).to_string()),
        1 => text().prop_map(|m| serde_json::json!([{ "jsonrpc": "2.0", "method": m, "params": [m], "id": 1 }]).to_string()),
    ];
    (text, prop::bool::weighted(0.15))
        .prop_map(|(text, is_base64)| (text, if is_base64 { BodyEncoding::Base64 } else { BodyEncoding::Utf8 }))
}

fn headers() -> impl Strategy<Value = Headers<'static>> {
    let content_type = prop::sample::select(vec![
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=",
        "application/graphql",
        "application/xml",
        "application/grpc",
        ";;;",
    ]);
    let name = prop_oneof![
        prop::sample::select(vec!["cookie", "authorization", "host", "user-agent", "x-api-key", "set-cookie", "server"])
            .prop_map(str::to_owned),
        text(),
    ];
    (weighted(0.8, content_type), prop::collection::vec((name, text()), 0..8)).prop_map(|(content_type, others)| {
        let mut headers = Headers::new();
        if let Some(content_type) = content_type {
            headers.push("content-type", content_type);
        }
        for (name, value) in others {
            headers.push(name, value);
        }
        headers
    })
}

fn time() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        3 => weighted(0.9, 1_767_571_200_000i64..1_767_744_000_000),
        1 => any::<i64>().prop_map(Some),
        1 => prop::sample::select(vec![i64::MIN, -1, 0, 1, i64::MAX]).prop_map(Some),
    ]
}

/// An exchange of any content.
pub(crate) fn exchange() -> impl Strategy<Value = Exchange<'static>> {
    let who = (weighted(0.7, "[a-e]".prop_map(Text::from)), weighted(0.5, "[a-c]".prop_map(Text::from)));
    let from =
        (weighted(0.7, prop_oneof!["10\\.0\\.[0-3]\\.[0-9]", text()].prop_map(Text::from)), weighted(0.6, text().prop_map(Text::from)));
    let what = (
        prop_oneof!["GET|POST|PUT|DELETE|get|\u{df}", text()].prop_map(Text::from),
        path().prop_map(Text::from),
        weighted(0.5, text().prop_map(Text::from)),
    );
    let asked = (weighted(0.8, headers()), weighted(0.7, body()), weighted(0.5, any::<u64>()));
    let answered = (weighted(0.9, any::<u16>()), weighted(0.8, headers()), weighted(0.7, body()), weighted(0.5, any::<u64>()));
    let rest = (
        time(),
        weighted(0.5, prop_oneof!["shop\\.example", text()].prop_map(Text::from)),
        weighted(0.1, text().prop_map(Text::from)),
        weighted(0.5, any::<f64>()),
    );
    (who, from, what, asked, answered, rest).prop_map(
        |((session, subject), (ip, user_agent), (method, path, query), asked, answered, (time, host, route, duration_ms))| {
            let (body, body_encoding) = asked.1.map_or((None, BodyEncoding::Utf8), |(text, encoding)| (Some(Text::from(text)), encoding));
            let request = Request { headers: asked.0, body, body_encoding, bytes: asked.2, truncated: false };
            let (body, body_encoding) =
                answered.2.map_or((None, BodyEncoding::Utf8), |(text, encoding)| (Some(Text::from(text)), encoding));
            let response = Response { status: answered.0, headers: answered.1, body, body_encoding, bytes: answered.3, truncated: true };
            let client = Client { ip, user_agent };
            Exchange {
                time,
                method,
                path,
                query,
                host,
                route,
                client,
                session,
                subject,
                request,
                response,
                duration_ms,
                ..Exchange::default()
            }
        },
    )
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => prop::collection::vec(text(), 0..6).prop_map(|segments| format!("/{}", segments.join("/"))),
        2 => "/[a-c]/[0-9a-f]{1,12}",
        1 => text(),
        1 => (0usize..3_000).prop_map(|n| "/a".repeat(n)),
    ]
}
