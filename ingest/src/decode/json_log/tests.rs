use super::*;

fn decoded(json: &str) -> Result<Decoded, Fault> {
    JsonLog::new(None, &[]).decode(json.as_bytes(), Position { file: "t".into(), line: 1, entry: None })
}

#[test]
fn a_status_page_is_no_request() {
    let fault = decoded(r#"{"version":6,"nginx_version":"1.9.4","requests":{"total":18853899,"current":2},"timestamp":1446249499322}"#)
        .unwrap_err();
    assert_eq!((fault.reason, &*fault.detail), (Reason::NotARequest, "no field names a method"));
}

#[test]
fn keys_with_dots_and_nested_keys_are_the_same() {
    let flat = decoded(r#"{"http.request.method":"GET","url.path":"/a","http.response.status_code":200}"#).unwrap();
    let nested = decoded(r#"{"http":{"request":{"method":"GET"},"response":{"status_code":200}},"url":{"path":"/a"}}"#).unwrap();
    let mixed = decoded(r#"{"http":{"request.method":"GET","response":{"status_code":"200"}},"url.path":"/a"}"#).unwrap();
    assert_eq!(flat.exchange, nested.exchange);
    assert_eq!(flat.exchange, mixed.exchange);
    assert_eq!(flat.exchange.response.status, Some(200));
}

#[test]
fn a_configured_map_comes_before_the_known_names() {
    let map = FieldMap {
        method: Some("op.verb".into()),
        uri: Some("op.target".into()),
        duration_s: Some("took".into()),
        session: Some("sid".into()),
        ..FieldMap::default()
    };
    let record =
        br#"{"op":{"verb":"PUT","target":"https://h/x?y=1"},"method":"GET","took":"0.25","sid":"s1","who":{"name":"ann"},"status":204}"#;
    let log = JsonLog::new(Some(&map), &["who.name".to_owned(), "who.none".to_owned()]);
    let d = log.decode(record, Position { file: "t".into(), line: 1, entry: None }).unwrap();
    assert_eq!((&*d.exchange.method, &*d.exchange.path, d.exchange.query.as_deref()), ("PUT", "/x", Some("y=1")));
    assert_eq!((d.exchange.duration_ms, d.exchange.response.status), (Some(250.0), Some(204)));
    assert_eq!(d.gateway.session.as_deref(), Some("s1"));
    assert_eq!(d.gateway.named, [("who.name".to_owned(), "ann".to_owned())]);
}

#[test]
fn bytes_that_are_not_utf8_do_not_hide_a_line() {
    let line = b"{\"request_method\":\"GET\",\"request_uri\":\"/a\xff\",\"status\":200}";
    let d = JsonLog::new(None, &[]).decode(line, Position { file: "t".into(), line: 1, entry: None }).unwrap();
    assert_eq!(&*d.exchange.path, "/a\u{fffd}");
}

#[test]
fn times_in_every_form() {
    for time in [
        "\"2026-01-05T10:00:00Z\"",
        "\"2026-01-05T11:00:00+01:00\"",
        "\"05/Jan/2026:10:00:00 +0000\"",
        "\"2026-01-05 10:00:00\"",
        "1767607200",
        "1767607200.0",
        "\"1767607200.000\"",
        "1767607200000",
        "1767607200000000",
        "1767607200000000000",
    ] {
        let d = decoded(&format!("{{\"method\":\"GET\",\"path\":\"/\",\"time\":{time}}}")).unwrap();
        assert_eq!(d.exchange.time, Some(1_767_607_200_000), "{time}");
    }
    assert_eq!(decoded(r#"{"method":"GET","path":"/","time":"soon"}"#).unwrap_err().reason, Reason::WrongField);
    assert_eq!(decoded(r#"{"method":"GET","path":"/","time":"-"}"#).unwrap().exchange.time, None);
}

#[test]
fn values_that_cannot_be_are_faults() {
    for (record, reason) in [
        (r#"{"method":"GET","path":"/","status":42}"#, Reason::WrongField),
        (r#"{"method":"G T","path":"/"}"#, Reason::NotARequest),
        (r#"{"method":"GET"}"#, Reason::NotARequest),
        (r#"{"request":"-","status":400}"#, Reason::NotARequest),
        (r#"{"request":"\\u0016\\u0003","status":400}"#, Reason::NotARequest),
        ("[1,2]", Reason::NotARequest),
        ("{\"method\":", Reason::NotJson),
    ] {
        assert_eq!(decoded(record).unwrap_err().reason, reason, "{record}");
    }
}
