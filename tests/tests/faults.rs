//! What goes wrong around a service, and what of it a user may notice.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use graphtag_tests::service::{
    RECOVERY, Service, Signal, first_of, get, viewer, wait_for, wait_within,
};
use graphtag_tests::{fixture, graphtag, repository};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn a_thousand_slow_clients_do_not_slow_the_tagging() {
    const CLIENTS: usize = 1000;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let mut service = Service::watch(&["--http=127.0.0.1:0"]);
    let address = service.socket_address();
    service.goes_on(30);
    let memory = service.memory();

    let connecting = (0..20).map(|group| {
        thread::spawn(move || {
            let clients = (0..CLIENTS / 20).filter_map(|number| match (group + number) % 3 {
                0 => viewer(address, "/api/events"),
                1 => viewer(address, "/live.mjpg"),
                _ => {
                    let mut stream = TcpStream::connect_timeout(&address, RECOVERY).ok()?;
                    stream.write_all(b"GET / HTTP/1.1\r\nX-Never-").ok()?;
                    Some(stream)
                }
            });
            clients.collect::<Vec<TcpStream>>()
        })
    });
    let connecting: Vec<_> = connecting.collect();
    let begin = (Instant::now(), service.count());
    let clients: Vec<TcpStream> = connecting
        .into_iter()
        .flat_map(|group| group.join().unwrap())
        .collect();
    assert!(clients.len() >= CLIENTS / 2, "{} clients", clients.len());
    service.goes_on(30);
    let rate = (service.count() - begin.1) as f64 / begin.0.elapsed().as_secs_f64();
    assert!(rate > 7.0, "{rate} frames a second of 10");
    let grown = service.memory().saturating_sub(memory);
    assert!(
        grown < 64_000_000,
        "{grown} bytes for {} clients",
        clients.len()
    );

    drop(clients);
    let state = wait_within(RECOVERY + RECOVERY, "an answer", || {
        let answer = get(&format!("http://{address}/api/state"));
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(state["health"]["frames"]["failed"], 0);
    service.end_by(Signal::TERM);
}

#[test]
fn a_reader_that_reads_nothing_holds_nothing_up() {
    let mut command = graphtag();
    command
        .args([
            "run",
            "--source=tests/photos",
            "--loop",
            "--rate=200",
            "--output=frames",
        ])
        .args(["--http=127.0.0.1:0", "--model"])
        .arg(fixture("colours.onnx"))
        .current_dir(repository())
        .stdin(Stdio::null());
    // A pipe whose other end is held and never read.
    let mut reader = Command::new("sleep");
    let mut reader = reader.arg("1000").stdin(Stdio::piped()).spawn().unwrap();
    let pipe = reader.stdin.take().unwrap();
    let mut service = Service::spawn_to(&mut command, pipe.into());
    // Twice the lines that the pipe and the queue can hold.
    wait_for("frames beyond what the pipe holds", || {
        let inferred = &service.state()["health"]["frames"]["inferred"];
        (inferred.as_u64().unwrap() > 800).then_some(())
    });
    service.end_by(Signal::TERM);
    service.says("were not written: standard output was too slow");
    reader.kill().unwrap();
    reader.wait().unwrap();
}

#[test]
fn a_full_disk_behind_standard_output_is_told_in_one_line() {
    let mut command = graphtag();
    command
        .args(["run", "--source=tests/photos", "--output=frames", "--model"])
        .arg(fixture("colours.onnx"))
        .current_dir(repository())
        .stdin(Stdio::null());
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut service = Service::spawn_to(&mut command, full.into());
    let (status, _) = service.end();
    assert_eq!(status, Some(2));
    service.says("graphtag: standard output: No space left on device");
    assert_eq!(service.stderr().lines().count(), 1, "{}", service.stderr());
}

#[test]
fn photos_that_are_damaged_later_are_counted_and_those_after_them_tagged() {
    let folder = TempDir::new().unwrap();
    let photo = |name: &str| folder.path().join(name);
    for name in ["cat.jpg", "dog.jpg"] {
        fs::copy(repository().join("tests/photos").join(name), photo(name)).unwrap();
    }
    let source = folder.path().to_str().unwrap();
    let mut service =
        Service::start(["--source", source, "--loop", "--rate=10", "--output=frames"]);
    service.goes_on(4);
    let whole = fs::read(photo("dog.jpg")).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"", &[0xff; 5000]] {
        fs::write(photo("dog.jpg"), damaged).unwrap();
        let seen = service.count();
        wait_for("a damaged frame", || {
            let lines = service.lines();
            lines[seen..]
                .iter()
                .any(|line| line["error"].is_string())
                .then_some(())
        });
    }
    fs::remove_file(photo("dog.jpg")).unwrap();
    service.goes_on(4);
    fs::write(photo("dog.jpg"), &whole).unwrap();
    let seen = service.count();
    wait_within(RECOVERY, "the dog again", || {
        let lines = service.lines();
        lines[seen..]
            .iter()
            .any(|line| line["tags"][0]["label"] == "dog")
            .then_some(())
    });
    service.end_by(Signal::TERM);
}

/// A library that lies to a program about the wall clock.
const LIBFAKETIME: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

#[test]
fn a_clock_that_jumps_moves_the_times_that_are_told_and_nothing_else() {
    let Some(library) = first_of("libfaketime", &LIBFAKETIME) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let clock = folder.path().join("clock");
    fs::write(&clock, "+0\n").unwrap();
    let mut command = graphtag();
    command
        .args([
            "run",
            "--source=tests/photos/cat.jpg",
            "--loop",
            "--rate=10",
            "--output=frames",
        ])
        .current_dir(repository())
        .stdin(Stdio::null())
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut service = Service::spawn(&mut command);
    service.goes_on(5);
    for jump in ["-7200", "+864000", "+0"] {
        fs::write(&clock, format!("{jump}\n")).unwrap();
        service.goes_on(5);
    }
    service.end_by(Signal::TERM);
    let lines = service.lines();
    let times: Vec<f64> = lines
        .iter()
        .map(|line| line["time"].as_f64().unwrap())
        .collect();
    let jumps: Vec<f64> = times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|step| step.abs() > 3600.0)
        .collect();
    assert_eq!(jumps.len(), 3, "{jumps:?}");
    assert!(jumps[0] < 0.0 && jumps[1] > 0.0, "{jumps:?}");
    for pair in lines.windows(2) {
        let seconds = |line: &Value| line["tags"][0]["seconds"].as_f64().unwrap();
        let passed = seconds(&pair[1]) - seconds(&pair[0]);
        assert!(
            (0.0..10.0).contains(&passed),
            "{passed} s of presence in {}",
            pair[1]
        );
        assert!(
            pair[1]["age_ms"].as_f64().unwrap() < 10_000.0,
            "{}",
            pair[1]
        );
    }
    assert_eq!(service.stderr(), "");
}
