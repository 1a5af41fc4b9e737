//! What goes wrong around a camera, and what of it a user may notice.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use graphtag_tests::broker::Broker;
use graphtag_tests::service::{
    RECOVERY, Service, Signal, ask, first_of, get, has, wait_for, wait_within,
};
use graphtag_tests::{bad, fixture, graphtag, repository, run};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use tempfile::TempDir;

const AVAILABILITY: &str = "graphtag/porch/availability";

/// A service that looks at ten photos a second and writes a line for each.
fn watch(further: &[&str]) -> Service {
    let arguments = [
        "--source=tests/photos",
        "--loop",
        "--rate=10",
        "--output=frames",
    ];
    Service::start([&arguments, further].concat())
}

fn frames(service: &Service) -> usize {
    service.stdout().lines().count()
}

/// Waits for `count` frames more than there are now.
fn goes_on(service: &Service, count: usize) {
    let wanted = frames(service) + count;
    wait_for("further frames", || {
        (frames(service) >= wanted).then_some(())
    });
}

/// The address of the live page as a number.
fn address_of(service: &Service) -> SocketAddr {
    service
        .address()
        .trim_start_matches("http://")
        .parse()
        .unwrap()
}

/// A client that asks for `path` and reads nothing.
fn viewer(address: SocketAddr, path: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    Some(stream)
}

#[test]
fn a_thousand_slow_clients_do_not_slow_the_tagging() {
    const CLIENTS: usize = 1000;
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let mut service = watch(&["--http=127.0.0.1:0"]);
    let address = address_of(&service);
    goes_on(&service, 30);
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
    let begin = (Instant::now(), frames(&service));
    let clients: Vec<TcpStream> = connecting
        .into_iter()
        .flat_map(|group| group.join().unwrap())
        .collect();
    assert!(clients.len() >= CLIENTS / 2, "{} clients", clients.len());
    goes_on(&service, 30);
    let rate = (frames(&service) - begin.1) as f64 / begin.0.elapsed().as_secs_f64();
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
fn every_signal_ends_it_with_viewers_and_a_broker() {
    if !has("mosquitto") || !has("mosquitto_sub") {
        return;
    }
    for signal in [Signal::TERM, Signal::INT] {
        let broker = Broker::start();
        let mut service = watch(&[
            "--http=127.0.0.1:0",
            "--name=porch",
            "--mqtt",
            &broker.address(),
        ]);
        let listener = broker.listen();
        listener.hears(AVAILABILITY, "online");
        let address = address_of(&service);
        let _viewers = ["/live.mjpg", "/api/events"].map(|path| viewer(address, path).unwrap());
        goes_on(&service, 3);
        service.end_by(signal);
        listener.hears(AVAILABILITY, "offline");
    }
}

#[test]
fn a_signal_ends_it_from_the_first_moment() {
    for _ in 0..5 {
        let mut service = watch(&["--http=127.0.0.1:0"]);
        service.signal(Signal::TERM);
        let (status, time) = service.end();
        assert!(time < FAREWELL, "{time:?}");
        // Before a program can hear of signals, the system ends it.
        assert!(matches!(status, Some(0) | None), "{}", service.stderr());
    }
    let mut service = watch(&["--http=127.0.0.1:0"]);
    service.address();
    service.end_by(Signal::TERM);
}

#[test]
fn many_sighups_and_a_sigpipe_end_nothing() {
    let mut service = watch(&[]);
    goes_on(&service, 2);
    service.signal(Signal::PIPE);
    for _ in 0..20 {
        service.signal(Signal::HUP);
    }
    service.says("configuration read again");
    goes_on(&service, 5);
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
    let mut reader = std::process::Command::new("sleep");
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

/// A service whose model file may be replaced.
struct Swapping {
    service: Service,
    folder: TempDir,
}

impl Swapping {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let default = repository().join("models/zoo/coco80-lite0-int8.onnx");
        fs::copy(default, folder.path().join("model.onnx")).unwrap();
        let config = folder.path().join("graphtag.toml");
        fs::write(&config, "model = \"model.onnx\"\n").unwrap();
        let service = watch(&["--config", config.to_str().unwrap(), "--http=127.0.0.1:0"]);
        goes_on(&service, 1);
        Swapping { service, folder }
    }

    /// Puts another file in the place of the model, and says so.
    fn swap(&self, model: &[u8], answer: &str) {
        let said = self.service.stderr().len();
        let new = self.folder.path().join("new.onnx");
        fs::write(&new, model).unwrap();
        fs::rename(&new, self.folder.path().join("model.onnx")).unwrap();
        self.service.signal(Signal::HUP);
        wait_for(answer, || {
            self.service.stderr()[said..].contains(answer).then_some(())
        });
    }

    fn dropped(&self) -> u64 {
        self.service.state()["health"]["frames"]["dropped"]
            .as_u64()
            .unwrap()
    }
}

#[test]
fn a_model_that_can_not_be_used_is_not_swapped_in() {
    let mut swapping = Swapping::start();
    let whole = fs::read(repository().join("models/zoo/coco80-lite0-int8.onnx")).unwrap();
    let files = [
        "bomb_expand",
        "bomb_tensor",
        "cycle",
        "empty",
        "text",
        "no_labels",
        "negative_shape",
    ];
    let bad_files = files.map(|name| fs::read(bad(&format!("models/{name}.onnx"))).unwrap());
    let truncated = [
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 1],
        &whole[..100],
    ];
    let peak = swapping.service.memory();
    for model in truncated
        .into_iter()
        .chain(bad_files.iter().map(Vec::as_slice))
    {
        swapping.swap(model, "the old configuration goes on");
        goes_on(&swapping.service, 2);
    }
    assert!(swapping.service.memory() < peak + 128_000_000);
    let last: Value = swapping.service.lines().pop().unwrap();
    assert_eq!(
        (&last["error"], &last["inferred"]),
        (&Value::Null, &true.into())
    );
    swapping.service.end_by(Signal::TERM);
}

#[test]
fn a_good_model_is_swapped_in_while_frames_go_on() {
    let mut swapping = Swapping::start();
    let dropped = swapping.dropped();
    let colours = fs::read(fixture("colours.onnx")).unwrap();
    swapping.swap(&colours, "configuration read again");
    wait_within(RECOVERY, "the labels of the new model", || {
        let state = swapping.service.state();
        let labels = state["labels"].as_array().unwrap().len();
        (labels == 3 && state["model"] == "colours").then_some(())
    });
    goes_on(&swapping.service, 3);
    assert!(swapping.dropped() <= dropped + 1);
    assert!(
        swapping
            .service
            .lines()
            .iter()
            .all(|line| line["error"].is_null())
    );
    swapping.service.end_by(Signal::TERM);
}

#[test]
fn thresholds_are_those_of_the_configuration_that_was_last_read_whole() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("graphtag.toml");
    let write = |thresholds: &str| {
        fs::write(&config, format!("threshold = [{thresholds}]\n")).unwrap();
    };
    write("'cat=0.9'");
    let mut service = watch(&["--http=127.0.0.1:0", "--config", config.to_str().unwrap()]);
    goes_on(&service, 1);
    let address = service.address();
    let own = |label: &str, threshold: f64| {
        wait_for(&format!("{label} at {threshold}"), || {
            let state = service.state();
            let labels = state["labels"].as_array().unwrap();
            let found = labels.iter().find(|known| known["label"] == label)?;
            let now = found["threshold"].as_f64().unwrap();
            ((now - threshold).abs() < 1e-3).then_some(())
        });
    };
    own("cat", 0.9);
    for (label, threshold) in [("dog", 0.8), ("cat", 0.1)] {
        let body = format!("{{\"threshold\": {threshold}}}");
        let path = format!("{address}/api/thresholds/{label}");
        assert_eq!(ask("PUT", &path, &[], &body).status, 200);
        own(label, threshold);
    }

    write("'cow=0.7', 'unicorn=0.5'");
    service.signal(Signal::HUP);
    service.says("no label \"unicorn\"");
    goes_on(&service, 3);
    own("dog", 0.8);
    let state = service.state();
    let labels = state["labels"].as_array().unwrap();
    let cow = labels.iter().find(|known| known["label"] == "cow").unwrap();
    assert!(
        cow["threshold"].as_f64().unwrap() < 0.6,
        "half of a bad file was applied: {cow}"
    );

    write("'cow=0.7'");
    service.signal(Signal::HUP);
    own("cow", 0.7);
    own("cat", cat_of_the_model());
    service.end_by(Signal::TERM);
}

/// The calibrated threshold of `cat`.
fn cat_of_the_model() -> f64 {
    let run = run(["inspect", "--format", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let mut labels = report["labels"].as_array().unwrap().iter();
    let cat = labels.find(|label| label["label"] == "cat").unwrap();
    cat["threshold"].as_f64().unwrap()
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
    goes_on(&service, 4);
    let whole = fs::read(photo("dog.jpg")).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"", &[0xff; 5000]] {
        fs::write(photo("dog.jpg"), damaged).unwrap();
        let seen = frames(&service);
        wait_for("a damaged frame", || {
            let lines = service.lines();
            lines[seen..]
                .iter()
                .any(|line| line["error"].is_string())
                .then_some(())
        });
    }
    fs::remove_file(photo("dog.jpg")).unwrap();
    goes_on(&service, 4);
    fs::write(photo("dog.jpg"), &whole).unwrap();
    let seen = frames(&service);
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
    goes_on(&service, 5);
    for jump in ["-7200", "+864000", "+0"] {
        fs::write(&clock, format!("{jump}\n")).unwrap();
        goes_on(&service, 5);
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
