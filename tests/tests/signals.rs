//! Signals, and a reader of standard output that goes away.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use graphtag_tests::broker::Broker;
use graphtag_tests::service::{FAREWELL, Service, Signal, has, viewer};
use graphtag_tests::{graphtag, repository};

const AVAILABILITY: &str = "graphtag/porch/availability";

#[test]
fn every_signal_ends_it_with_viewers_and_a_broker() {
    if !has("mosquitto") || !has("mosquitto_sub") {
        return;
    }
    for signal in [Signal::TERM, Signal::INT] {
        let broker = Broker::start();
        let mut service = Service::watch(&[
            "--http=127.0.0.1:0",
            "--name=porch",
            "--mqtt",
            &broker.address(),
        ]);
        let listener = broker.listen();
        listener.hears(AVAILABILITY, "online");
        let address = service.socket_address();
        let _viewers = ["/live.mjpg", "/api/events"].map(|path| viewer(address, path).unwrap());
        service.goes_on(3);
        service.end_by(signal);
        listener.hears(AVAILABILITY, "offline");
    }
}

#[test]
fn a_signal_ends_it_from_the_first_moment() {
    for _ in 0..5 {
        let mut service = Service::watch(&["--http=127.0.0.1:0"]);
        service.signal(Signal::TERM);
        let (status, time) = service.end();
        assert!(time < FAREWELL, "{time:?}");
        // Before a program can hear of signals, the system ends it.
        assert!(matches!(status, Some(0) | None), "{}", service.stderr());
    }
    let mut service = Service::watch(&["--http=127.0.0.1:0"]);
    service.address();
    service.end_by(Signal::TERM);
}

#[test]
fn many_sighups_and_a_sigpipe_end_nothing() {
    let mut service = Service::watch(&[]);
    service.goes_on(2);
    service.signal(Signal::PIPE);
    for _ in 0..20 {
        service.signal(Signal::HUP);
    }
    service.says("configuration read again");
    service.goes_on(5);
    service.end_by(Signal::TERM);
}

#[test]
fn a_reader_that_goes_away_is_a_quiet_end_and_offline() {
    if !has("mosquitto") || !has("mosquitto_sub") {
        return;
    }
    let broker = Broker::start();
    let mut command = graphtag();
    command
        .args([
            "run",
            "--source=tests/photos",
            "--loop",
            "--rate=10",
            "--output=frames",
        ])
        .args(["--name=porch", "--mqtt", &broker.address()])
        .current_dir(repository())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let listener = broker.listen();
    listener.hears(AVAILABILITY, "online");
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).as_ref()
        ),
        (Some(0), "")
    );
    listener.hears(AVAILABILITY, "offline");
}
