//! On a real broker: positions are Kafka's, and a receiver may be away for longer than a consumer may be silent.

use crate::bench::Bench;
use crate::syslog::{collect, expected, paths, serve, tcp};
use runtime::testkit::Broker;
use std::net::TcpListener;

#[test]
fn a_receiver_that_comes_late_gets_all_once_and_so_does_one_after_a_restart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let prefix = ("topics.prefix", "forward.".to_owned());
    let mut bench = Bench::on_kafka(&[tcp(address.port()), prefix], &Broker::shared().brokers());
    bench.alerts(0, 300);
    bench.start();
    bench.wait_until("people are told", || bench.statuses().iter().any(|status| status.failing.is_some()));
    assert_eq!(bench.committed("siem"), 0);

    let receive = serve(TcpListener::bind(address).unwrap());
    assert_eq!(paths(&collect(&receive, 300)), expected(300));
    bench.wait_until("the last position", || bench.committed("siem") >= 300);
    bench.stop();
    bench.alerts(300, 50);
    bench.start();
    assert_eq!(paths(&collect(&receive, 50)), expected(350)[300..]);
    bench.stop();
}
