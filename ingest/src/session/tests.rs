use super::*;
use engine::{Client, Headers, Response};

const KEY: [u8; 32] = [7; 32];

fn naming() -> Naming {
    Naming::new(Identities::defaults(), &KEY)
}

fn exchange(headers: &[(&'static str, &'static str)], status: Option<u16>) -> Exchange<'static> {
    let mut all = Headers::new();
    headers.iter().for_each(|(name, value)| all.push(*name, *value));
    let mut exchange = Exchange {
        client: Client { ip: Some("203.0.113.7".into()), user_agent: None },
        response: Response { status, ..Response::default() },
        ..Exchange::default()
    };
    exchange.request.headers = Some(all);
    exchange
}

fn named(naming: &Naming, headers: &[(&'static str, &'static str)], status: Option<u16>) -> (Option<String>, Option<String>) {
    let mut exchange = exchange(headers, status);
    naming.name(&mut exchange, &GatewayFields::default());
    (exchange.session.map(|s| s.to_string()), exchange.subject.map(|s| s.to_string()))
}

/// `{"sub":"ann"}` under two signatures.
const ANN: &str = "Bearer e30.eyJzdWIiOiJhbm4ifQ.good";
const FORGED_ANN: &str = "Bearer e30.eyJzdWIiOiJhbm4ifQ.forged";

#[test]
fn a_session_is_128_bits_of_hex_and_depends_on_the_key() {
    let (session, _) = named(&naming(), &[("authorization", "Bearer abc")], Some(200));
    let session = session.unwrap();
    assert!(session.len() == 32 && session.bytes().all(|b| b.is_ascii_hexdigit()));
    let other = Naming::new(Identities::defaults(), &[8; 32]);
    assert_ne!(named(&other, &[("authorization", "Bearer abc")], Some(200)).0, Some(session));
}

/// What `printf 'session\0authorization\0bearer abc\0' | openssl dgst -sha256 -mac HMAC -macopt hexkey:KEY` prints, its first half.
#[test]
fn a_gateway_can_compute_the_name_of_a_session() {
    let key = hex::encode(gateway_key(&KEY));
    let (session, _) = named(&naming(), &[("authorization", "Bearer abc")], Some(200));
    assert_eq!(
        (key.as_str(), session.as_deref()),
        ("3f1cf5bcdaf6d99c436b8e53a0df4e7d91007fbace8d24208f532f7dac44e542", Some("fa8e0bd77285fefdea49663658e0ef11"))
    );
}

#[test]
fn order_is_authorization_then_cookies_then_client() {
    let naming = naming();
    let by_client = named(&naming, &[("user-agent", "x")], Some(200)).0;
    let by_cookie = named(&naming, &[("user-agent", "x"), ("cookie", "a=1; JSESSIONID=k")], Some(200)).0;
    let by_token = named(&naming, &[("user-agent", "x"), ("cookie", "JSESSIONID=k"), ("authorization", "Bearer t")], Some(200)).0;
    assert!(by_client.is_some() && by_client != by_cookie && by_cookie != by_token && by_client != by_token);
    assert_eq!(by_cookie, named(&naming, &[("cookie", "JSESSIONID=k; b=2")], Some(200)).0);
    assert_eq!(by_token, named(&naming, &[("authorization", "bearer t")], Some(404)).0);
    assert_ne!(by_client, named(&naming, &[("user-agent", "y")], Some(200)).0);
}

#[test]
fn a_token_that_was_only_refused_names_no_session_until_it_is_accepted() {
    let naming = naming();
    let client = named(&naming, &[], Some(200)).0;
    for status in [401, 403] {
        assert_eq!(named(&naming, &[("authorization", "Bearer t")], Some(status)).0, client);
        assert_eq!(named(&naming, &[("cookie", "sid=k")], Some(status)).0, client);
    }
    let session = named(&naming, &[("authorization", "Bearer t")], Some(200)).0;
    assert_ne!(session, client);
    assert_eq!(named(&naming, &[("authorization", "Bearer t")], Some(403)).0, session);
    assert_eq!(named(&naming, &[("authorization", "Bearer t"), ("cookie", "sid=k")], Some(403)).0, session);
}

#[test]
fn a_refused_token_gives_way_to_a_proven_cookie() {
    let naming = naming();
    let session = named(&naming, &[("cookie", "sid=k")], Some(200)).0;
    assert_eq!(named(&naming, &[("authorization", "Bearer forged"), ("cookie", "sid=k")], Some(401)).0, session);
}

#[test]
fn an_unknown_status_believes() {
    let naming = naming();
    assert_eq!(named(&naming, &[("cookie", "sid=k")], None).0, named(&naming, &[("cookie", "sid=k")], Some(200)).0);
}

#[test]
fn a_forged_claim_names_no_subject_though_the_real_one_is_known() {
    let naming = naming();
    let ann = named(&naming, &[("authorization", ANN)], Some(200)).1;
    assert!(ann.is_some());
    assert_eq!(named(&naming, &[("authorization", FORGED_ANN)], Some(401)).1, None);
    assert_eq!(named(&naming, &[("authorization", FORGED_ANN)], Some(403)).1, None);
    assert_eq!(named(&naming, &[("authorization", ANN)], Some(403)).0, named(&naming, &[("authorization", ANN)], Some(200)).0);
}

#[test]
fn what_the_gateway_says_comes_first_and_what_the_record_brings_stays() {
    let naming = naming();
    let gateway = GatewayFields { session: Some("s".into()), subject: Some("ann".into()), ..GatewayFields::default() };
    let mut from_gateway = exchange(&[("authorization", "Bearer t")], Some(200));
    naming.name(&mut from_gateway, &gateway);
    assert_eq!(from_gateway.subject.as_deref(), named(&naming, &[("authorization", ANN)], Some(200)).1.as_deref());
    assert_ne!(from_gateway.session.as_deref(), named(&naming, &[("authorization", "Bearer t")], Some(200)).0.as_deref());
    let mut own = Exchange { session: Some("mine".into()), subject: Some("me".into()), ..exchange(&[], Some(200)) };
    naming.name(&mut own, &gateway);
    assert_eq!((own.session.as_deref(), own.subject.as_deref()), (Some("mine"), Some("me")));
    let mut refused = exchange(&[], Some(401));
    naming.name(&mut refused, &gateway);
    assert_eq!(refused.subject, None);
}

#[test]
fn without_an_address_nothing_names_the_session() {
    let mut nobody = exchange(&[("user-agent", "x")], Some(200));
    nobody.client.ip = None;
    naming().name(&mut nobody, &GatewayFields::default());
    assert_eq!(nobody.session, None);
}
