use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn masking() -> Masking {
    Masking::new(&[], &[1; 32]).unwrap()
}

fn ruled(rules: &str) -> Masking {
    let rules: Vec<PrivacyRule> = serde_json::from_str(rules).unwrap();
    Masking::new(&rules, &[1; 32]).unwrap()
}

fn body(masking: &Masking, body: &str) -> String {
    let mut exchange = Exchange::default();
    exchange.request.body = Some(body.to_owned().into());
    masking.mask(&mut exchange);
    exchange.request.body.unwrap().to_string()
}

fn header(name: &'static str, value: &str) -> String {
    let mut headers = Headers::new();
    headers.push(name, value.to_owned());
    let mut exchange = Exchange::default();
    exchange.request.headers = Some(headers);
    masking().mask(&mut exchange);
    exchange.request.headers.unwrap().get(name).unwrap().to_owned()
}

fn mask(secret: &str) -> String {
    masking().hasher.mask(secret)
}

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";

#[test]
fn every_secret_name_holds_a_stem() {
    for name in names::all() {
        assert!(masking().stems.is_match(name), "{}", name.escape_ascii());
    }
}

#[test]
fn headers_keep_scheme_and_names() {
    assert_eq!(header("authorization", &format!("Bearer {JWT}")), format!("Bearer {}", mask(JWT)));
    assert_eq!(header("proxy-authorization", "Basic YTpi"), format!("Basic {}", mask("YTpi")));
    assert_eq!(header("authorization", "correct horse"), mask("correct horse"));
    assert_eq!(header("x-api-key", "k1"), mask("k1"));
    assert_eq!(header("cookie", "a=1; sid=\"k;2\"; b"), format!("a={}; sid={};{};{}", mask("1"), mask("k"), mask("2\""), mask("b")));
    assert_eq!(header("set-cookie", "sid=k; Path=/; HttpOnly"), format!("sid={}; Path=/; HttpOnly", mask("k")));
    assert_eq!(header("referer", "https://h/p?a=1&token=k#t"), format!("https://h/p?a=1&token={}#t", mask("k")));
    assert_eq!(header("location", "/cb#access_token=k&x=1"), format!("/cb#access_token={}&x=1", mask("k")));
    assert_eq!(header("x-user", JWT), mask(JWT));
    for (name, value) in [("accept", "*/*"), ("content-type", "application/json"), ("x-request-id", "4711"), ("referer", "https://h/p?a=1")]
    {
        assert_eq!(header(name, value), value);
    }
}

#[test]
fn a_token_is_the_same_in_the_answer_that_issues_it_and_in_the_request_that_uses_it() {
    let issued = body(&masking(), &json!({ "auth_token": JWT }).to_string());
    let used = header("authorization", &format!("Bearer {JWT}"));
    assert_eq!(serde_json::from_str::<Value>(&issued).unwrap()["auth_token"], used.strip_prefix("Bearer ").unwrap());
}

#[test]
fn json_values_under_secret_names() {
    let text = r#"{ "user" : "ann", "password":"p\"w", "pin": 1234, "n":{"clientSecret":["a",{"x":5,"y":null}],"ok":[1,"b"]},"token":"","max_tokens":5 }"#;
    let expected = format!(
        r#"{{ "user" : "ann", "password":{}, "pin": "{}", "n":{{"clientSecret":["{}",{{"x":"{}","y":null}}],"ok":[1,"b"]}},"token":"","max_tokens":5 }}"#,
        Value::from(mask("p\"w")),
        mask("1234"),
        mask("a"),
        mask("5")
    );
    assert_eq!(body(&masking(), text), expected);
}

#[test]
fn escapes_hide_no_name() {
    assert_eq!(body(&masking(), r#"{"p\u0061ssword":"p"}"#), format!(r#"{{"p\u0061ssword":"{}"}}"#, mask("p")));
    assert_eq!(body(&masking(), "p%61ssword=p"), format!("p%61ssword={}", mask("p")));
}

#[test]
fn attacks_in_a_password_stay_visible_by_shape() {
    let masked: Value = serde_json::from_str(&body(&masking(), r#"{"password":"' OR 'a'='a"}"#)).unwrap();
    assert!(masked["password"].as_str().unwrap().ends_with(" ' w 'w'='w"), "{masked}");
}

#[test]
fn texts_within_texts() {
    let inner = json!({"password": "k\"1"}).to_string();
    let masked: Value = serde_json::from_str(&body(&masking(), &json!({ "payload": inner, "t": JWT }).to_string())).unwrap();
    let inner: Value = serde_json::from_str(masked["payload"].as_str().unwrap()).unwrap();
    assert_eq!(inner["password"], mask("k\"1"));
    assert_eq!(masked["t"], mask(JWT));
    let graphql = r#"{"query":"mutation { login(user: \"ann\", password: \"hunter2\") { token } }"}"#;
    let masked: Value = serde_json::from_str(&body(&masking(), graphql)).unwrap();
    assert_eq!(masked["query"], format!("mutation {{ login(user: \"ann\", password: \"{}\") {{ token }} }}", mask("hunter2")));
}

#[test]
fn cut_json_is_masked_to_its_end() {
    assert_eq!(body(&masking(), r#"{"a":1,"password":"hunt"#), format!("{{\"a\":1,\"password\":\"{}", mask("hunt")));
    assert_eq!(body(&masking(), r#"{"pin":12"#), format!("{{\"pin\":\"{}\"", mask("12")));
}

#[test]
fn forms_and_queries() {
    assert_eq!(body(&masking(), "user=ann&password=a%26b+c&x"), format!("user=ann&password={}", encode(&mask("a&b c"))) + "&x");
    assert_eq!(body(&masking(), "payload=%7B%22pin%22%3A1%7D"), format!("payload=%7B%22pin%22:%22{}%22%7D", mask("1")));
    let mut exchange =
        Exchange { query: Some("q=1&api_key=k&user[password]=p".into()), path: "/cart;jsessionid=k;v=1/x".into(), ..Exchange::default() };
    masking().mask(&mut exchange);
    assert_eq!(exchange.query.as_deref(), Some(&*format!("q=1&api_key={}&user[password]={}", mask("k"), mask("p"))));
    assert_eq!(&*exchange.path, format!("/cart;jsessionid={};v=1/x", mask("k")));
}

fn encode(mask: &str) -> String {
    mask.replace('&', "%26").replace(' ', "+")
}

#[test]
fn other_texts() {
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2 x\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--b--";
    assert_eq!(body(&masking(), multipart), multipart.replace("hunter2 x", mask("hunter2 x").split(' ').next().unwrap()));
    for (text, secret) in [
        ("<login><user>ann</user><password>hunter2</password></login>", "hunter2"),
        ("<login user=\"ann\" password='hunter2'/>", "hunter2"),
        ("user: ann\npassword: hunter2\n", "hunter2"),
        ("see eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl there", JWT),
    ] {
        assert_eq!(body(&masking(), text), text.replace(secret, &mask(secret)));
    }
    for text in ["", "hello", "<html><body>Enter your password</body></html>", "a b c"] {
        assert_eq!(body(&masking(), text), text);
    }
}

#[test]
fn binary_bodies_stay_binary() {
    let bytes = b"--b\r\nname=\"token\"\r\n\r\nhunter2\r\n--b\r\n\xff\xfe\x00".as_slice();
    let mut exchange = Exchange::default();
    exchange.request.body = Some(STANDARD.encode(bytes).into());
    exchange.request.body_encoding = BodyEncoding::Base64;
    masking().mask(&mut exchange);
    let masked = STANDARD.decode(&*exchange.request.body.unwrap()).unwrap();
    assert!(masked.ends_with(b"\xff\xfe\x00") && memchr::memmem::find(&masked, b"hunter2").is_none());
}

#[test]
fn rules_come_first() {
    let masking = ruled(
        r#"[{"field":"request.body.password","action":"keep"},{"field":"request.body.card.number","action":"mask"},
            {"field":"request.body.*.ssn","action":"hash"},{"field":"request.body.note","action":"drop"},
            {"field":"query.token","action":"keep"},{"field":"cookie.lang","action":"keep"},{"field":"request.headers.x.y","action":"drop"}]"#,
    );
    let text = r#"{"password":"p","card":{"number":"4111 1111"},"u":[{"ssn":"12"}],"note":"n","ssn":"1"}"#;
    let expected = format!(r#"{{"password":"p","card":{{"number":"0000 0000"}},"u":[{{"ssn":"{}"}}],"note":"","ssn":"1"}}"#, mask("12"));
    assert_eq!(body(&masking, text), expected);
    let mut headers = Headers::new();
    headers.push("cookie", "lang=de; sid=k");
    headers.push("x.y", "z");
    let mut exchange = Exchange { query: Some("token=k".into()), ..Exchange::default() };
    exchange.request.headers = Some(headers);
    masking.mask(&mut exchange);
    assert_eq!(exchange.query.as_deref(), Some("token=k"));
    let headers = exchange.request.headers.unwrap();
    assert_eq!((headers.get("cookie"), headers.get("x.y")), (Some(&*format!("lang=de; sid={}", mask("k"))), Some("")));
}

#[test]
fn nesting_has_an_end() {
    let mut text = json!({"password": "p"}).to_string();
    for _ in 0..12 {
        text = json!({ "in": text }).to_string();
    }
    serde_json::from_str::<Value>(&body(&masking(), &text)).unwrap();
    let deep = "[".repeat(100_000);
    assert_eq!(body(&masking(), &deep), deep);
}

/// Any JSON, with names of secrets among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::from),
        ".*".prop_map(Value::from),
        "(password|token|a)[=:]\"?[a-z]{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let key = prop_oneof![Just("password".to_owned()), Just("token".to_owned()), Just("pins".to_owned()), ".{0,6}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// The same JSON without what masking may change: texts and numbers.
fn skeleton(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(skeleton).collect(),
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), skeleton(value))).collect()),
        Value::String(_) | Value::Number(_) => Value::from(0),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn json_stays_json(value in any_json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let once = body(&masking(), &text);
        if matches!(value, Value::Array(_) | Value::Object(_)) {
            let masked: Value = serde_json::from_str(&once).unwrap();
            prop_assert_eq!(skeleton(&masked), skeleton(&value));
        }
        prop_assert_eq!(body(&masking(), &once), once);
    }

    #[test]
    fn any_text_is_survived(text in ".*", glue in "(\\{\"|password\": ?\"|token=|&|<pwd>|name=\"pin\"\r\n\r\n|\\\\){0,6}") {
        let text = format!("{glue}{text}{glue}");
        body(&masking(), &text);
        let mut exchange = Exchange { path: text.clone().into(), query: Some(text.clone().into()), ..Exchange::default() };
        masking().mask(&mut exchange);
        for name in ["cookie", "set-cookie", "authorization", "referer"] {
            header(name, &text);
        }
    }

    #[test]
    fn no_planted_secret_survives(secret in "[A-Za-z0-9]{8,24}", place in 0usize..12) {
        let mut exchange = Exchange::default();
        let mut headers = Headers::new();
        let json = |value: Value| Some(Text::from(value.to_string()));
        match place {
            0 => headers.push("authorization", format!("Bearer {secret}")),
            1 => headers.push("cookie", format!("a=b; c={secret}")),
            2 => headers.push("set-cookie", format!("c={secret}; Secure")),
            3 => headers.push("x-api-key", secret.clone()),
            4 => exchange.query = Some(format!("a=b&access_token={secret}").into()),
            5 => exchange.request.body = json(json!({"a": [{"newPassword": secret}]})),
            6 => exchange.response.body = json(json!({"credentials": {"a": {"b": [secret]}}})),
            7 => exchange.request.body = Some(format!("user=a&passwd={secret}").into()),
            8 => exchange.request.body = json(json!({"variables": json!({"password": secret}).to_string()})),
            9 => exchange.request.body = Some(format!("<x><secret>{secret}</secret></x>").into()),
            10 => exchange.path = format!("/a;jsessionid={secret}").into(),
            _ => {
                exchange.request.body = Some(STANDARD.encode(json!({"password": secret}).to_string()).into());
                exchange.request.body_encoding = BodyEncoding::Base64;
            }
        }
        exchange.request.headers = Some(headers);
        masking().mask(&mut exchange);
        let written = serde_json::to_string(&exchange).unwrap();
        prop_assert!(!written.contains(&secret), "{}", written);
        if let (11, Some(body)) = (place, &exchange.request.body) {
            prop_assert!(!String::from_utf8(STANDARD.decode(&**body).unwrap()).unwrap().contains(&secret));
        }
    }
}

#[test]
fn personal_data_goes_by_its_kind_wherever_it_stands() {
    let masking = ruled(r#"[{"kind":"email","action":"hash"},{"kind":"card","action":"drop"},{"field":"query.contact","action":"keep"}]"#);
    let exchange: Exchange<'_> = serde_json::from_str(
        r#"{"method":"POST","path":"/users/anna@mail.example/cards","query":"to=anna%40mail.example&contact=anna%40mail.example&q=shoes",
            "request":{"headers":{"x-from":"Anna <anna@mail.example>","accept":"*/*"},
                       "body":"{\"note\":\"write to anna@mail.example\",\"card\":\"4111 1111 1111 1111\",\"pan\":4111111111111111,\"n\":41}"},
            "response":{"body":"{\"email\":\"anna@mail.example\",\"name\":\"Anna\"}"}}"#,
    )
    .unwrap();
    let mut masked = exchange.clone();
    masking.mask(&mut masked);
    let written = serde_json::to_string(&masked).unwrap();
    assert_eq!(written.matches("anna@mail.example").count() + written.matches("anna%40mail.example").count(), 1, "{written}");
    assert!(masked.query.as_deref().unwrap().contains("contact=anna%40mail.example"), "{written}");
    assert!(!written.contains("4111"), "{written}");
    assert!(written.contains("q=shoes") && written.contains(r#"\"n\":41"#) && written.contains("Anna"), "{written}");
    assert!(serde_json::from_str::<Value>(masked.request.body.as_deref().unwrap()).is_ok());
    let mut again = masked.clone();
    masking.mask(&mut again);
    assert_eq!(again, masked);
    let mut open = exchange.clone();
    ruled("[]").mask(&mut open);
    assert!(serde_json::to_string(&open).unwrap().contains("anna@mail.example"));
}

#[test]
fn a_name_is_treated_at_any_depth_and_wherever_it_stands() {
    let masking = ruled(
        r#"[{"name":"dob","action":"drop"},{"name":"Kto","action":"hash"},{"name":"pin","action":"keep"},{"name":"ref","action":"mask"}]"#,
    );
    for (text, expected) in [
        (
            r#"{"dob":"1.2.03","a":{"DOB":["4.5.06",7],"b":[{"dob":{"y":2003,"m":"May"}}]},"adobe":"x"}"#.to_owned(),
            r#"{"dob":"","a":{"DOB":["",0],"b":[{"dob":{"y":0,"m":""}}]},"adobe":"x"}"#.to_owned(),
        ),
        (
            r#"[{"k\u0074o":12,"pin":"1234","ref":"Ab-12"}]"#.to_owned(),
            format!(r#"[{{"k\u0074o":"{}","pin":"1234","ref":"Xx-00"}}]"#, mask("12")),
        ),
        (r#"{"in":"{\"kto\":\"DE1\"}"}"#.to_owned(), format!(r#"{{"in":"{{\"kto\":\"{}\"}}"}}"#, mask("DE1"))),
        (
            "a=1&user[dob]=4.5.06&user.kto=DE1&kto[]=DE2&pin=1234".to_owned(),
            format!("a=1&user[dob]=&user.kto={}&kto[]={}&pin=1234", mask("DE1"), mask("DE2")),
        ),
        (
            "<p><dob>4.5.06</dob><x kto='DE1'/><pin>1234</pin><ref>Ab-12</ref></p>".to_owned(),
            format!("<p><dob></dob><x kto='{}'/><pin>1234</pin><ref>Xx-00</ref></p>", mask("DE1")),
        ),
    ] {
        let masked = body(&masking, &text);
        assert_eq!(masked, expected, "{text}");
        assert_eq!(body(&masking, &masked), masked, "masking twice is masking once");
    }
    let mut exchange: Exchange<'_> = serde_json::from_str(
        r#"{"method":"GET","path":"/a;kto=DE1/b","query":"kto=DE1&q=kto","request":{"headers":{"kto":"DE1","cookie":"KTO=DE1; pin=1234","referer":"/x?dob=1"}},
            "response":{"headers":{"x-kto":"DE1"},"body":"[\"DE1\"]"}}"#,
    )
    .unwrap();
    masking.mask(&mut exchange);
    let kto = mask("DE1");
    assert_eq!((&*exchange.path, exchange.query.as_deref()), (&*format!("/a;kto={kto}/b"), Some(&*format!("kto={kto}&q=kto"))));
    let headers = exchange.request.headers.unwrap();
    assert_eq!((headers.get("kto"), headers.get("referer")), (Some(&*kto), Some("/x?dob=")));
    assert_eq!(headers.get("cookie").unwrap(), format!("KTO={kto}; pin=1234"));
    assert_eq!(exchange.response.headers.unwrap().get("x-kto"), Some("DE1"), "another name");
    assert_eq!(exchange.response.body.as_deref(), Some("[\"DE1\"]"));
}

#[test]
fn the_place_of_a_body_is_no_name_and_the_first_rule_wins() {
    let text = r#"["x",{"body":"y","request":"z"}]"#;
    assert_eq!(body(&ruled(r#"[{"name":"body","action":"drop"}]"#), text), r#"["x",{"body":"","request":"z"}]"#);
    let rules =
        r#"[{"field":"request.body.a.id","action":"keep"},{"name":"id","action":"hash"},{"field":"request.body.b.id","action":"drop"}]"#;
    let expected = format!(r#"{{"a":{{"id":"1"}},"b":{{"id":"{}"}}}}"#, mask("2"));
    assert_eq!(body(&ruled(rules), r#"{"a":{"id":"1"},"b":{"id":"2"}}"#), expected);
}
