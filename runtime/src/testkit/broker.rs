//! One Apache Kafka broker (KRaft, one node) on free loopback ports, as a child process.
//!
//! The JVM runs under a small shell that waits for the end of its standard input. So the broker goes, and its data with it, whenever the
//! test process goes: at the end, on a panic, on kill -9.

use super::tls;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Longest time for a broker to come up, on a machine that is busy with something else.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Runs a command until told on standard input how to end it (`term`, `kill`), or until that closes: then `$DIR` goes as well.
const KEEPER: &str = r#"
"$@" >>"$DIR/broker.log" 2>&1 </dev/null &
broker=$!
echo "$broker"
read -r how
case "$how" in
  term) kill -TERM "$broker" ;;
  *) kill -KILL "$broker" ;;
esac 2>/dev/null
wait "$broker" 2>/dev/null
[ -n "$how" ] || rm -rf "$DIR"
"#;

/// A running broker. It is killed and its data removed when this is dropped or the process ends, however it ends.
pub struct Broker {
    directory: PathBuf,
    port: u16,
    secured: Option<u16>,
    process: Mutex<Option<Process>>,
}

struct Process {
    keeper: Child,
    pid: String,
}

impl Broker {
    /// The broker that the tests of this process share. Use topic names of your own.
    ///
    /// # Panics
    /// See [`Broker::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a broker of its own and waits until it answers.
    ///
    /// # Panics
    /// The jars or Java are missing, or the broker does not come up.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// Starts a broker that also listens where clients need TLS and a password: `weir` with `hush-weir`, by SASL PLAIN or, once
    /// [`Self::admit`] has told it, SCRAM. Its certificate is for 127.0.0.1 and of an authority of its own.
    ///
    /// # Panics
    /// See [`Broker::start`]; `keytool` is missing.
    #[must_use]
    pub fn start_secured() -> Self {
        Self::start_with(true)
    }

    fn start_with(is_secured: bool) -> Self {
        let directory = tempfile::Builder::new().prefix("weir-broker-").tempdir().expect("a temporary directory").keep();
        let port = (0..3).find_map(|_| {
            let [port, controller, secured] = free_ports();
            let mut properties = properties(&directory, port, controller);
            if is_secured {
                tls::certify(&directory);
                tls::listen(&mut properties, &directory, secured);
            }
            std::fs::write(directory.join("server.properties"), properties).expect("the temporary directory");
            format_storage(&directory);
            let process = launch(&directory);
            is_ready(port, &process.pid).then_some((port, secured, process))
        });
        let Some((port, secured, process)) = port else { panic!("the test broker does not come up:\n{}", tail(&directory)) };
        Self { directory, port, secured: is_secured.then_some(secured), process: Mutex::new(Some(process)) }
    }

    /// Bootstrap servers of the listener with TLS and passwords, and the PEM file of the authority of its certificate.
    ///
    /// # Panics
    /// The broker was not started with [`Self::start_secured`].
    #[must_use]
    pub fn secured(&self) -> (String, PathBuf) {
        let port = self.secured.expect("a broker that was started secured");
        (format!("127.0.0.1:{port}"), self.directory.join(tls::AUTHORITY))
    }

    /// Admits `weir` with its password by SCRAM-SHA-512.
    ///
    /// # Panics
    /// The tool cannot be run or fails.
    pub fn admit(&self) {
        let add = format!("SCRAM-SHA-512=[password={}]", tls::PASSWORD);
        let _told =
            self.tool("kafka.admin.ConfigCommand", &["--alter", "--entity-type", "users", "--entity-name", "weir", "--add-config", &add]);
    }

    /// Bootstrap servers.
    #[must_use]
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops the broker as an operator would, keeping its data.
    pub fn stop(&self) {
        self.end("term\n");
    }

    /// kill -9, keeping the data.
    pub fn kill(&self) {
        self.end("kill\n");
    }

    /// Has the broker hang: it neither answers nor closes a connection until [`Self::resume`].
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        if let Some(process) = &*self.process() {
            Command::new("kill").args([signal, &process.pid]).status().ok();
        }
    }

    /// Starts the broker again on the same ports and data, and waits until it answers.
    ///
    /// # Panics
    /// It does not come up.
    pub fn restart(&self) {
        self.stop();
        let process = launch(&self.directory);
        assert!(is_ready(self.port, &process.pid), "the test broker does not come up again:\n{}", tail(&self.directory));
        *self.process() = Some(process);
    }

    /// Changes properties of a topic (`name=value,…`), as an operator does.
    ///
    /// # Panics
    /// The tool cannot be run or fails.
    pub fn alter_topic(&self, topic: &str, properties: &str) {
        let arguments = ["--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", properties];
        let _told = self.tool("kafka.admin.ConfigCommand", &arguments);
    }

    /// Deletes the records of a partition before an offset, as retention does in its time.
    ///
    /// # Panics
    /// The tool cannot be run or fails.
    pub fn delete_before(&self, topic: &str, partition: u32, offset: u64) {
        let offsets = format!(r#"{{"partitions":[{{"topic":"{topic}","partition":{partition},"offset":{offset}}}],"version":1}}"#);
        let file = self.directory.join(format!("delete-{topic}-{partition}.json"));
        std::fs::write(&file, offsets).expect("the broker's directory can be written to");
        let told = self.tool("org.apache.kafka.tools.DeleteRecordsCommand", &["--offset-json-file", &file.to_string_lossy()]);
        assert!(told.contains(&format!("low_watermark: {offset}")), "{told}");
    }

    /// Runs one of Kafka's own tools (`org.apache.kafka.tools.…`) against this broker and returns what it printed.
    ///
    /// # Panics
    /// The tool cannot be run or fails.
    #[must_use]
    pub fn tool(&self, class: &str, arguments: &[&str]) -> String {
        let output = java().arg(class).args(["--bootstrap-server", &self.brokers()]).args(arguments).output().expect("java runs");
        assert!(output.status.success(), "{class}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, how: &str) {
        let Some(mut process) = self.process().take() else { return };
        if let Some(stdin) = &mut process.keeper.stdin {
            stdin.write_all(how.as_bytes()).ok();
        }
        process.keeper.wait().ok();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn jars() -> PathBuf {
    let jars = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/kafka/lib");
    assert!(
        jars.join("pom.xml").is_file(),
        "this test needs Apache Kafka's jars, which are not in {}: run `make test`, or scripts/fetch-kafka.sh and then this again",
        jars.display()
    );
    jars
}

fn java() -> Command {
    let mut java = Command::new("java");
    java.args(["-Xmx384m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-cp"]);
    java.arg(jars().join("*"));
    java
}

fn format_storage(directory: &Path) {
    let output = java()
        .args(["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", "V2VpcidzIHRlc3Qga2l0Lg", "-c"])
        .arg(directory.join("server.properties"))
        .output()
        .unwrap_or_else(|e| panic!("this test needs Java 17 or newer for its Kafka broker: {e}"));
    assert!(output.status.success(), "formatting the broker's storage: {}", String::from_utf8_lossy(&output.stderr));
}

fn launch(directory: &Path) -> Process {
    let java = java();
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER, "broker"])
        .arg(java.get_program())
        .args(java.get_args())
        .arg("kafka.Kafka")
        .arg(directory.join("server.properties"))
        .env("DIR", directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh runs");
    let mut pid = String::new();
    BufReader::new(keeper.stdout.take().expect("standard output is a pipe")).read_line(&mut pid).expect("the broker's process id");
    Process { keeper, pid: pid.trim().to_owned() }
}

/// Asks until the broker answers; false when it has ended or takes too long.
fn is_ready(port: u16, pid: &str) -> bool {
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", format!("127.0.0.1:{port}")).create().expect("a client without options");
    let began = Instant::now();
    while began.elapsed() < START_LIMIT {
        if client.fetch_metadata(None, Duration::from_millis(500)).is_ok_and(|answer| !answer.brokers().is_empty()) {
            return true;
        }
        let alive = Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !alive {
            return false;
        }
    }
    false
}

fn tail(directory: &Path) -> String {
    let log = std::fs::read_to_string(directory.join("broker.log")).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Ports that were free a moment ago; [`Broker::start`] tries others when one was taken since.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|l| l.local_addr().expect("a bound address").port())
}

fn properties(directory: &Path, port: u16, controller: u16) -> String {
    let data = directory.join("data");
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.index.size.max.bytes=262144
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.io.buffer.size=262144
log.cleaner.backoff.ms=200
num.network.threads=2
num.io.threads=4
background.threads=2
",
        data.display()
    )
}
