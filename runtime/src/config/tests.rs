use super::*;

fn sources(toml: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
    Sources {
        file: Some((PathBuf::from("weir.toml"), toml.to_owned())),
        environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        flags: flags.iter().map(|(key, value)| FlagValue { key: (*key).to_owned(), value: (*value).to_owned() }).collect(),
        host_name: "host-1".to_owned(),
    }
}

fn config(toml: &str) -> Config {
    Config::resolve(&sources(toml, &[], &[])).unwrap()
}

/// The problems of a configuration, each as it is printed.
fn problems(toml: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Vec<String> {
    Config::resolve(&sources(toml, environment, flags)).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_need_be_set() {
    assert_eq!(Config::resolve(&Sources::default()).unwrap().instance, "weir");
    let config = config("");
    assert_eq!(config.data, Path::new("./weir-data"));
    assert_eq!(config.instance, "host-1");
    assert_eq!(config.delivery, Delivery::ExactlyOnce);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8088");
    assert_eq!((config.topics.prefix.as_str(), config.topics.partitions, config.topics.replication), ("weir.", 24, 1));
    assert_eq!((config.learning.requests, config.learning.min_requests), (16_000, 2_000));
    assert_eq!(config.learning.max_wait, Duration::from_secs(30 * 60));
    assert_eq!((config.training.every, config.training.full_every), (Duration::from_secs(3_600), Duration::from_secs(86_400)));
    assert_eq!((config.history.keep, config.history.max_exchanges), (Duration::from_secs(30 * 86_400), 2_000_000));
    assert_eq!(config.alerts, AlertLevel::Alpha(1e-4));
    assert_eq!(config.state.checkpoint, Duration::from_secs(10));
    assert_eq!(config.state.limits, engine::Limits::default());
    assert_eq!(config.session.extractors.last(), Some(&Extractor::ClientAddressAndAgent));
    assert_eq!(config.privacy.client_ip, ClientIp::Full);
    assert!(!config.deadletter.keep);
    assert!(config.kafka.brokers.is_none() && config.token.is_none());
}

#[test]
fn a_service_without_brokers_is_told_what_to_set() {
    let error = config("").brokers().unwrap_err().to_string();
    assert!(error.contains("WEIR_KAFKA__BROKERS") && error.contains("weir up"), "{error}");
    assert_eq!(config("kafka.brokers = \"a:9092\"").brokers().unwrap(), "a:9092");
}

#[test]
fn keys_are_in_the_data_directory_unless_they_are_given() {
    let files = config("data = \"d\"\nsession.key_file = \"/run/secrets/session\"").key_files();
    assert_eq!(files, KeyFiles { session: "/run/secrets/session".into(), ..KeyFiles::in_directory(Path::new("d")) });
    let files = config("model.public_keys = [\"a.pem\", \"b.pem\"]").key_files();
    assert_eq!(files.public, [Path::new("a.pem"), Path::new("b.pem")]);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let config = Config::resolve(&sources("token = \"t0ken\"", &[("WEIR_TOKEN", ""), ("WEIR_DATA", "")], &[])).unwrap();
    assert_eq!((config.token.as_ref().map(Secret::expose), config.data.to_str()), (Some("t0ken"), Some("./weir-data")));
}

#[test]
fn later_sources_win() {
    let toml = "data = \"file\"\ninstance = \"file\"\nlearning.requests = 5000";
    let environment = [("WEIR_INSTANCE", "environment"), ("WEIR_LEARNING__REQUESTS", "6000")];
    let config = Config::resolve(&sources(toml, &environment, &[("learning.requests", "7000")])).unwrap();
    assert_eq!((config.data.to_str(), config.instance.as_str(), config.learning.requests), (Some("file"), "environment", 7_000));
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_origin() {
    let toml = "\
[learning]
request = 100
max_wait = \"soon\"

[topics]
partitions = 0
";
    let found = problems(toml, &[("WEIR_DELIVERY", "maybe"), ("WEIR_KAFKA__BROKER", "a:9092")], &[("listen", "here")]);
    let expected = [
        "weir.toml:2: `learning.request`: there is no such key (did you mean `learning.requests`?)",
        "weir.toml:3: `learning.max_wait`: `soon` is no duration: write a number and a unit, like `250ms`, `10s`, `30m`, `24h` or `30d`",
        "weir.toml:6: `topics.partitions`: `0` is not a whole number from 1 to 10000",
        "environment variable WEIR_DELIVERY: `delivery`: `maybe` is not `exactly-once` or `at-least-once`",
        "environment variable WEIR_KAFKA__BROKER: `kafka.broker`: there is no such key (did you mean `kafka.brokers`?)",
        "flag --listen: `listen`: `here` is not an address with a port, like `127.0.0.1:8088` or `[::]:8088`",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_mistake_inside_a_list_is_found_on_its_own_line() {
    let toml = "\
[[ingest.topics]]
name = \"edge\"

[[ingest.topics]]
name = \"other\"
formt = \"json\"
";
    let found = problems(toml, &[], &[]);
    assert!(found[0].starts_with("weir.toml:6: `ingest.topics`: unknown field `formt`"), "{found:?}");
}

#[test]
fn a_file_that_is_no_toml_is_named_with_its_line() {
    let found = problems("data = \"x\"\nlisten = = 3\n", &[], &[]);
    assert!(found[0].starts_with("weir.toml:2: "), "{found:?}");
    let found = problems("[kafka]\nbrokers = \"a:1\"\n[kafka]\nbrokers = \"b:1\"", &[], &[]);
    assert_eq!(found[0], "weir.toml:3: duplicate key `kafka`: join what stands under both");
}

#[test]
fn outputs_are_read_by_name_and_their_mistakes_have_lines() {
    let config = config("[outputs.siem]\nto = \"syslog+tcp://siem.example:601\"\n[outputs.chat]\nto = \"https://chat.example/\"");
    assert_eq!(config.outputs.keys().collect::<Vec<_>>(), ["chat", "siem"]);
    let toml = "[outputs.siem]\nto = \"syslog://siem.example:601\"\n[outputs.\"a/b\"]\nto = \"file:///x\"";
    let found = problems(toml, &[("WEIR_OUTPUTS__CHAT", "{ to = \"https://chat.example/\", batch = 0 }")], &[]);
    assert!(found[0].starts_with("weir.toml:1: `outputs.siem`: `syslog://siem.example:601` is no receiver"), "{found:?}");
    assert!(found[1].starts_with("weir.toml:3: `outputs.a/b`: `a/b` cannot be part"), "{found:?}");
    assert!(found[2].starts_with("environment variable WEIR_OUTPUTS__CHAT: `outputs.chat`: `batch` is 0"), "{found:?}");
    let found = problems("privacy.client_ip = \"hash\"\nblocklist.addresses = true", &[], &[]);
    assert!(found[0].starts_with("weir.toml:2: `blocklist.addresses`: alerts show no addresses"), "{found:?}");
}

#[test]
fn a_raw_topic_is_none_of_weirs_own_and_stands_there_once() {
    let topic = |name: &str| format!("[[ingest.topics]]\nname = \"{name}\"\n");
    let found = problems(&[topic("kong-log"), topic("weir.traffic"), topic("kong-log")].concat(), &[], &[]);
    assert!(found.len() == 2 && found[0].contains("`weir.traffic` is a topic of Weir's own") && found[1].contains("twice"), "{found:?}");
    let found = problems(&format!("topics.prefix = \"a.\"\n{}", topic("a.alerts")), &[], &[]);
    assert!(found.len() == 1 && found[0].contains("`a.alerts`"), "{found:?}");
    assert_eq!(config(&[topic("kong-log"), topic("traffic")].concat()).ingest.topics.len(), 2);
}

#[test]
fn a_listener_that_others_reach_needs_a_token() {
    let found = problems("listen = \"0.0.0.0:8088\"", &[], &[]);
    assert!(found[0].starts_with("weir.toml:1: `listen`: 0.0.0.0:8088 can be reached") && found[0].contains("token_file"), "{found:?}");
    assert!(config("listen = \"0.0.0.0:8088\"\ntoken = \"t0ken\"").token.is_some());
    assert!(config("listen = \"[::1]:9000\"").token.is_none());
}

#[test]
fn secrets_are_never_shown() {
    let toml = "token = \"hunter2\"\n[kafka.properties]\nsasl.password = \"hunter2\"\nsasl.username = \"weir\"";
    let sources = sources(toml, &[], &[]);
    let config = Config::resolve(&sources).unwrap();
    let shown = format!("{config:?} {:?}", show(&sources).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("sasl.username"), "{shown}");
    assert_eq!(config.token.as_ref().map(Secret::expose), Some("hunter2"));
    assert!(config.kafka.properties.expose().any(|property| property == ("sasl.password", "hunter2")));

    let wrong = format!("{toml}\ngroup.id = \"x\"\n");
    let found = problems(&wrong, &[("WEIR_TOKEN_FILE", "/nowhere")], &[]).join("\n");
    assert!(!found.contains("hunter2"), "{found}");
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "hunter2\n").unwrap();
    let path = path.to_str().unwrap();
    let environment = [("WEIR_TOKEN_FILE", path), ("WEIR_KAFKA__PROPERTIES__SASL_PASSWORD_FILE", path)];
    let config = Config::resolve(&sources("", &environment, &[])).unwrap();
    assert_eq!(config.token.as_ref().map(Secret::expose), Some("hunter2"));
    assert_eq!(config.kafka.properties.expose().collect::<Vec<_>>(), [("sasl.password", "hunter2")]);

    let found = problems("token = \"x\"", &[("WEIR_TOKEN_FILE", path)], &[]);
    assert!(found[0].contains("`token` is set too (weir.toml:1)"), "{found:?}");
    let found = problems("", &[("WEIR_TOKEN_FILE", "/nowhere/at/all")], &[]);
    assert!(found[0].starts_with("environment variable WEIR_TOKEN_FILE: `token_file`: /nowhere/at/all cannot be read"), "{found:?}");
}

#[test]
fn properties_that_guarantees_rest_on_are_refused() {
    let toml = "[kafka.properties]\nisolation.level = \"read_uncommitted\"\n\"enable.auto.commit\" = true\nlinger.ms = 5\n";
    let found = problems(toml, &[], &[]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().any(|p| p.starts_with("weir.toml:2: `kafka.properties.isolation.level`: this property cannot be set: ")),
        "{found:?}"
    );
    assert!(found.iter().any(|p| p.starts_with("weir.toml:3: `kafka.properties.enable.auto.commit`: ")), "{found:?}");
}

#[test]
fn the_example_of_the_documentation_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    let page = markdown();
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let example = example
        .replace("/run/secrets/weir-token", secret.to_str().unwrap())
        .replace("/run/secrets/kafka-password", secret.to_str().unwrap());

    let config = config(&example);
    assert_eq!(config.kafka.properties.expose().count(), 4);
    assert_eq!(config.apis[0].hosts, ["api.shop.example", "*.shop.example"]);
    assert_eq!(config.ingest.topics[0].format, RecordFormat::Json);
    assert_eq!(config.ingest.field_maps["edge"].uri.as_deref(), Some("req.url"));
    assert_eq!(config.session.subjects[1], Extractor::Field("consumer.id".to_owned()));
    assert_eq!(config.privacy.rules[0].action, PrivacyAction::Mask);
}

#[test]
fn lists_in_variables_are_joined_by_commas_or_written_as_toml() {
    let environment = [
        ("WEIR_SESSION__EXTRACTORS", "jwt:x-token:sid, client"),
        ("WEIR_INGEST__TRUSTED_PROXIES", "192.0.2.7, 2001:db8::/32"),
        ("WEIR_APIS", "[{ name = \"shop\", hosts = [\"API.example\"] }]"),
        ("WEIR_INGEST__FIELD_MAPS__EDGE", "{ path = \"p\" }"),
    ];
    let config = Config::resolve(&sources("", &environment, &[])).unwrap();
    let jwt = Extractor::JwtClaim { header: "x-token".to_owned(), claim: "sid".to_owned() };
    assert_eq!(config.session.extractors, [jwt, Extractor::ClientAddressAndAgent]);
    assert_eq!(config.ingest.trusted_proxies, ["192.0.2.7/32".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
    assert_eq!(config.apis[0].hosts, ["api.example"]);
    assert_eq!(config.ingest.field_maps["edge"].path.as_deref(), Some("p"));

    let found = problems("", &[("WEIR_SESSION__EXTRACTORS", "client, biscuit:sid"), ("WEIR_INGEST__TRUSTED_PROXIES", "10.0.0.0/99")], &[]);
    assert!(found[0].contains("`10.0.0.0/99`") && found[1].contains("`biscuit:sid` is no extractor"), "{found:?}");
}

#[test]
fn keys_that_contradict_each_other_name_both() {
    let found = problems("alerts.alpha = 1e-3\nalerts.per_day = 5", &[], &[]);
    assert_eq!(
        found[0],
        "weir.toml:2: `alerts.per_day`: `alerts.alpha` is set too (weir.toml:1): set the level or the budget it is derived from, not both"
    );
    assert_eq!(config("alerts.per_day = 5").alerts, AlertLevel::PerDay(5.0));

    let found = problems("learning.requests = 100", &[], &[]);
    assert!(found[0].contains("`learning.min_requests` (2000) is more than `learning.requests` (100)"), "{found:?}");
    let found = problems("ingest.topics = [{ name = \"edge\", field_map = \"edge\" }]", &[], &[]);
    assert!(found[0].contains("there is no field map `edge`"), "{found:?}");
    let found = problems("topics.prefix = \"we ir/\"", &[], &[]);
    assert!(found[0].contains("cannot start the name of a topic"), "{found:?}");
}

#[test]
fn variables_that_container_platforms_set_are_no_mistakes() {
    let platform =
        ["WEIR_PORT", "WEIR_SERVICE_HOST", "WEIR_INGEST_SERVICE_PORT_HTTP", "WEIR_PORT_8088_TCP_ADDR", "WEIR_LOG", "WEIR_CONFIG"];
    let environment: Vec<_> = platform.map(|name| (name, "tcp://10.0.0.1:8088")).to_vec();
    assert!(Config::resolve(&sources("", &environment, &[])).is_ok());
    assert_eq!(problems("", &[("WEIR_TOKN", "x")], &[]).len(), 1);
}

#[test]
fn a_privacy_rule_speaks_of_a_field_of_a_name_or_of_a_kind() {
    let rules = |rules: &str| problems(&format!("privacy.rules = [{rules}]"), &[], &[]);
    for rule in
        ["{ kind = \"email\", action = \"hash\" }", "{ name = \"ssn\", action = \"drop\" }", "{ name = \"pin\", action = \"keep\" }"]
    {
        assert!(Config::resolve(&sources(&format!("privacy.rules = [{rule}]"), &[], &[])).is_ok(), "{rule}");
    }
    for (rule, why) in [
        ("{ kind = \"mail\", action = \"hash\" }", "`mail` is no kind of personal data: card, iban, email"),
        ("{ action = \"hash\" }", "of one of `field`, `name` and `kind`"),
        ("{ field = \"query.a\", kind = \"card\", action = \"hash\" }", "of one of `field`, `name` and `kind`"),
        ("{ field = \"query.a\", name = \"a\", action = \"hash\" }", "of one of `field`, `name` and `kind`"),
        ("{ name = \"\", action = \"hash\" }", "a `name` is not empty"),
        ("{ kind = \"card\", action = \"keep\" }", "`keep` is for a `field`"),
    ] {
        assert!(rules(rule)[0].contains(why), "{rule}: {:?}", rules(rule));
    }
}

#[test]
fn every_key_is_used() {
    let values = [
        ("data", "other"),
        ("instance", "other"),
        ("token", "other"),
        ("kafka.brokers", "other:1"),
        ("alerts.per_day", "3"),
        ("blocklist.families", "replay"),
    ];
    for key in keys::KEYS {
        let given = values.iter().find(|(path, _)| *path == key.path).map(|(_, value)| *value);
        let value = given.map_or_else(|| another_value(key), str::to_owned);
        if value.is_empty() {
            continue;
        }
        let changed = Config::resolve(&sources("", &[], &[(key.path, &value)])).unwrap_or_else(|e| panic!("{}: {e}", key.path));
        assert_ne!(format!("{changed:?}"), format!("{:?}", config("")), "{} changes nothing", key.path);
    }
}

/// A value that is not the default; empty for keys that other tests cover.
fn another_value(key: &keys::Key) -> String {
    use kind::Kind;
    match key.kind {
        Kind::Text => "other.".to_owned(),
        Kind::Path if key.path == "token_file" => String::new(),
        Kind::Path => "elsewhere".to_owned(),
        Kind::Address => "127.0.0.1:1".to_owned(),
        Kind::Count(_, most) if key.path == "learning.requests" => most.to_string(),
        Kind::Count(least, most) => if key.default == least.to_string() { most } else { least }.to_string(),
        Kind::Number(_) => "0.25".to_owned(),
        Kind::Flag => if key.default == "true" { "false" } else { "true" }.to_owned(),
        Kind::Duration(_) => "77d".to_owned(),
        Kind::Size(_) => "77GiB".to_owned(),
        Kind::Choice(words) => words[words.len() - 1].to_owned(),
        Kind::Texts => "key.pem".to_owned(),
        Kind::Networks => "192.0.2.0/24".to_owned(),
        Kind::Extractors => "header:x-key".to_owned(),
        Kind::HostGroups => "[{ name = \"shop\", hosts = [] }]".to_owned(),
        Kind::RawTopics => "[{ name = \"edge\" }]".to_owned(),
        Kind::LogFiles => "[{ path = \"access.log\" }]".to_owned(),
        Kind::PrivacyRules => "[{ field = \"query.token\", action = \"drop\" }]".to_owned(),
        Kind::NamedFieldMap | Kind::NamedReceiver | Kind::NamedText => String::new(),
    }
}

#[test]
fn the_documentation_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == markdown(), "docs/configuration.md is out of date: `make docs` writes it anew");
}
