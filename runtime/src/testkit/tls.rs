//! The broker's listener with TLS, passwords and bearer tokens.

use std::path::Path;
use std::process::Command;

/// File of the authority that the broker's certificate is of: the certificate itself.
pub(super) const AUTHORITY: &str = "authority.pem";
/// Password of `weir`, by PLAIN and by SCRAM.
pub(super) const PASSWORD: &str = "hush-weir";
const STORE: &str = "broker.p12";
const STORE_PASSWORD: &str = "hush-store";

/// Makes a key and a certificate for 127.0.0.1.
pub(super) fn certify(directory: &Path) {
    let store = directory.join(STORE);
    // From an attempt on other ports.
    std::fs::remove_file(&store).ok();
    let at = ["-alias", "broker", "-storetype", "PKCS12", "-storepass", STORE_PASSWORD];
    let mut make = keytool("-genkeypair", &store);
    make.args(at).args(["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "2"]);
    make.args(["-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1", "-ext", "BC=ca:true"]);
    run(make);
    let mut export = keytool("-exportcert", &store);
    export.args(at).arg("-rfc").arg("-file").arg(directory.join(AUTHORITY));
    run(export);
}

fn keytool(command: &str, store: &Path) -> Command {
    let mut keytool = Command::new("keytool");
    keytool.arg(command).arg("-keystore").arg(store);
    keytool
}

fn run(mut command: Command) {
    let output = command.output().unwrap_or_else(|e| panic!("this test needs `keytool`, which comes with Java: {e}"));
    assert!(output.status.success(), "keytool: {}", String::from_utf8_lossy(&output.stdout));
}

/// Adds the listener to a broker's properties. Tokens are taken unsigned: whose they are is not what tests are about.
pub(super) fn listen(properties: &mut String, directory: &Path, port: u16) {
    let listener = format!(",SASL_SSL://127.0.0.1:{port}");
    *properties = properties
        .lines()
        .map(|line| match line.split_once('=') {
            Some(("listeners" | "advertised.listeners", _)) => format!("{line}{listener}\n"),
            Some(("listener.security.protocol.map", _)) => format!("{line},SASL_SSL:SASL_SSL\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let store = directory.join(STORE);
    let jaas = "org.apache.kafka.common.security";
    properties.push_str(&format!(
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl_ssl.plain.sasl.jaas.config={jaas}.plain.PlainLoginModule required user_weir=\"{PASSWORD}\";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={jaas}.scram.ScramLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config={jaas}.oauthbearer.OAuthBearerLoginModule required;
ssl.keystore.type=PKCS12
ssl.keystore.location={}
ssl.keystore.password={STORE_PASSWORD}
ssl.key.password={STORE_PASSWORD}
",
        store.display()
    ));
}
