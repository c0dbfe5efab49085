//! Signals as a process gets them: the first asks to stop, a second Ctrl-C ends at once.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may panic and print like tests")]

use runtime::shutdown::Shutdown;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Set in the process that is to be stopped.
const STUBBORN: &str = "STUBBORN_PROCESS";

/// Not a test of its own: what the stubborn process does. It hears the wish to stop and goes on.
#[test]
fn stubborn_process() {
    if std::env::var_os(STUBBORN).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        shutdown.on_signals().unwrap();
        println!("\nrunning");
        shutdown.cancelled().await;
        println!("\nasked to stop");
        std::future::pending::<()>().await;
    });
}

/// The stubborn process; it goes when the test does.
struct Stubborn(Child);

impl Drop for Stubborn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it and waits until it listens to signals.
fn start() -> (Stubborn, Lines<BufReader<ChildStdout>>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "stubborn_process", "--nocapture"]).env(STUBBORN, "1").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Stubborn(command.spawn().unwrap());
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
    wait_for(&mut lines, "running");
    (process, lines)
}

fn wait_for(lines: &mut Lines<BufReader<ChildStdout>>, wanted: &str) {
    assert!(lines.any(|line| line.unwrap() == wanted), "the process ended before it said `{wanted}`");
}

fn signal(process: &Stubborn, name: &str) {
    assert!(Command::new("kill").args([name, &process.0.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let (mut process, mut lines) = start();
    signal(&process, "-INT");
    wait_for(&mut lines, "asked to stop");
    signal(&process, "-INT");
    assert_eq!(process.0.wait().unwrap().code(), Some(130));
}

#[test]
fn terminate_asks_and_only_an_interrupt_ends_at_once() {
    let (mut process, mut lines) = start();
    signal(&process, "-TERM");
    wait_for(&mut lines, "asked to stop");
    signal(&process, "-TERM");
    signal(&process, "-INT");
    assert_eq!(process.0.wait().unwrap().code(), Some(130));
}
