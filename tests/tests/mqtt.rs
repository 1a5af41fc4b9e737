//! MQTT with a real broker: what Home Assistant is told, and a broker that goes away.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use graphtag_tests::broker::{Broker, Listener};
use graphtag_tests::service::{RECOVERY, Service, Signal, has, wait_for, wait_within};
use tempfile::TempDir;

const AVAILABILITY: &str = "graphtag/porch/availability";
const CONFIG: &str = "homeassistant/device/graphtag_porch/config";
const HOME_ASSISTANT: &str = "homeassistant/status";
/// Labels of the embedded model.
const LABELS: usize = 80;

/// Whether there is a broker, and what listens to it.
fn has_broker() -> bool {
    has("mosquitto") && has("mosquitto_sub")
}

/// A service that sees one photo again and again, and publishes to `address`.
fn watch(photo: &str, address: &str, further: &[&str]) -> Service {
    let photo = format!("tests/photos/{photo}");
    let arguments = [
        &["--source", &photo, "--loop", "--rate", "10"][..],
        &["--output", "frames", "--name", "porch", "--mqtt", address],
        further,
    ];
    Service::start(arguments.concat())
}

/// Topics and payloads of the retained messages under `prefix`.
fn retained(listener: &Listener, prefix: &str) -> Vec<(String, String)> {
    let messages = listener.messages().into_iter();
    let retained = messages.filter(|m| m.retained && m.topic.starts_with(prefix));
    retained.map(|m| (m.topic, m.payload)).collect()
}

#[test]
fn home_assistant_is_told_one_device_with_a_sensor_per_label() {
    if !has_broker() {
        return;
    }
    let broker = Broker::start();
    let service = watch("cat.jpg", &broker.address(), &[]);
    let before = broker.listen();
    before.hears(AVAILABILITY, "online");
    before.hears("graphtag/porch/tags/cat", "ON");
    wait_for("the cat in the state", || {
        (before.last("graphtag/porch/state")?.json()["tags"][0]["label"] == "cat").then_some(())
    });

    // What a Home Assistant finds that starts now.
    let listener = broker.listen();
    wait_for("all that is retained", || {
        (retained(&listener, "").len() >= LABELS + 3).then_some(())
    });
    let config = listener.last(CONFIG).unwrap();
    assert!(config.retained);
    let config = config.json();
    assert_eq!(config["device"]["name"], "porch");
    assert_eq!(config["device"]["identifiers"][0], "graphtag_porch");
    assert!(config["origin"]["name"].is_string(), "{config}");
    assert_eq!(config["availability_topic"], AVAILABILITY);
    let sensors = config["components"].as_object().unwrap();
    assert_eq!(sensors.len(), LABELS);
    let ids: BTreeSet<_> = sensors
        .values()
        .map(|s| s["unique_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), LABELS);
    for (id, sensor) in sensors {
        // The characters that Home Assistant takes in an object id.
        assert!(
            id.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)),
            "{id}"
        );
        assert_eq!(sensor["platform"], "binary_sensor");
        let (on, off) = (&sensor["payload_on"], &sensor["payload_off"]);
        let state = listener
            .last(sensor["state_topic"].as_str().unwrap())
            .unwrap();
        assert!(state.retained, "{sensor}");
        let expected = if sensor["name"] == "cat" { on } else { off };
        assert_eq!(state.payload, expected.as_str().unwrap(), "{sensor}");
    }
    let state = listener.last("graphtag/porch/state").unwrap();
    assert!(state.retained);
    assert_eq!(state.json()["tags"][0]["label"], "cat");
    drop(service);
}

#[test]
fn tags_and_events_follow_the_photos() {
    if !has_broker() {
        return;
    }
    let broker = Broker::start();
    let listener = broker.listen();
    let _service = watch(
        "",
        &broker.address(),
        &["--smoothing=0", "--vanish-after=0"],
    );
    for payload in ["ON", "OFF", "ON"] {
        listener.hears("graphtag/porch/tags/sheep", payload);
    }
    let events = listener.messages().into_iter();
    let events = events
        .filter(|m| m.topic == "graphtag/porch/events")
        .map(|m| {
            assert!(!m.retained);
            m.json()
        });
    let sheep: Vec<_> = events.filter(|event| event["label"] == "sheep").collect();
    assert_eq!(sheep[0]["event"], "appeared");
    assert_eq!(sheep[1]["event"], "vanished");
    assert!(sheep[1]["seconds"].as_f64().unwrap() > 0.0);
    assert!(
        broker
            .listen()
            .messages()
            .iter()
            .all(|m| m.topic != "graphtag/porch/events")
    );
}

#[test]
fn home_assistant_that_starts_again_is_told_anew() {
    if !has_broker() {
        return;
    }
    let broker = Broker::start();
    let _service = watch("cat.jpg", &broker.address(), &[]);
    let listener = broker.listen();
    listener.hears("graphtag/porch/tags/cat", "ON");
    listener.hears(AVAILABILITY, "online");
    let told = |topic: &str| {
        let messages = listener.messages().into_iter();
        messages.filter(|m| m.topic == topic).count()
    };
    let topics = [
        CONFIG,
        AVAILABILITY,
        "graphtag/porch/tags/cat",
        "graphtag/porch/state",
    ];
    let before = topics.map(told);
    broker.publish(HOME_ASSISTANT, "online");
    wait_for("all of it once more", || {
        let now = topics.map(told);
        now.iter()
            .zip(before)
            .all(|(now, before)| *now > before)
            .then_some(())
    });
}

#[test]
fn offline_is_said_by_the_service_that_ends_and_by_the_will_of_one_that_is_killed() {
    if !has_broker() {
        return;
    }
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let broker = Broker::start();
        let mut service = watch("cat.jpg", &broker.address(), &[]);
        let listener = broker.listen();
        listener.hears(AVAILABILITY, "online");
        if signal == Signal::KILL {
            service.signal(signal);
            assert_eq!(service.end().0, None);
        } else {
            service.end_by(signal);
        }
        listener.hears(AVAILABILITY, "offline");
        let late = broker.listen();
        late.hears(AVAILABILITY, "offline");
        assert!(late.last(AVAILABILITY).unwrap().retained);
    }
}

#[test]
fn a_broker_that_was_away_is_told_everything_anew_and_holds_nothing_up() {
    if !has_broker() {
        return;
    }
    let mut broker = Broker::start();
    let mut service = watch("cat.jpg", &broker.address(), &[]);
    broker.listen().hears(AVAILABILITY, "online");
    broker.die();
    service.says("trying again");
    service.goes_on(20);
    broker.come_back();
    let listener = broker.listen();
    wait_within(RECOVERY, "everything anew", || {
        let topics: BTreeSet<_> = listener.messages().into_iter().map(|m| m.topic).collect();
        let tags = topics
            .iter()
            .filter(|t| t.starts_with("graphtag/porch/tags/"));
        let rest = [CONFIG, AVAILABILITY, "graphtag/porch/state"];
        (tags.count() == LABELS && rest.iter().all(|t| topics.contains(*t))).then_some(())
    });
    assert_eq!(listener.last(AVAILABILITY).unwrap().payload, "online");
    assert_eq!(
        listener.last("graphtag/porch/tags/cat").unwrap().payload,
        "ON"
    );
    service.says("is back");
    broker.die();
    service.goes_on(5);
    service.end_by(Signal::TERM);
}

#[test]
fn a_broker_that_hangs_or_never_was_holds_nothing_up() {
    if !has_broker() {
        return;
    }
    let broker = Broker::start();
    let mut service = watch("cat.jpg", &broker.address(), &[]);
    broker.listen().hears(AVAILABILITY, "online");
    broker.hang();
    service.goes_on(20);
    service.end_by(Signal::TERM);

    let mut nobody = Broker::start();
    nobody.die();
    let mut service = watch("cat.jpg", &nobody.address(), &[]);
    service.says("trying again");
    service.goes_on(5);
    service.end_by(Signal::TERM);
}

#[test]
fn a_password_comes_from_a_file_and_is_shown_nowhere() {
    if !has_broker() || !has("mosquitto_passwd") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let passwords = folder.path().join("passwords");
    let mut command = Command::new("mosquitto_passwd");
    command
        .args(["-b", "-c"])
        .arg(&passwords)
        .args(["pi", "open sesame"]);
    assert!(command.output().unwrap().status.success());
    let broker = Broker::with(&format!("password_file {}", passwords.display()));
    let address = format!("mqtt://pi@127.0.0.1:{}", broker.port);
    let file = folder.path().join("secret");
    let file_argument = file.to_str().unwrap();

    fs::write(&file, "wrong\n").unwrap();
    let refused = watch(
        "cat.jpg",
        &address,
        &["--mqtt-password-file", file_argument],
    );
    refused.says("it refused the connection");
    drop(refused);

    fs::write(&file, "open sesame\n").unwrap();
    let service = watch(
        "cat.jpg",
        &address,
        &["--mqtt-password-file", file_argument],
    );
    let listener = broker.listen_with(&["-u", "pi", "-P", "open sesame"]);
    listener.hears(AVAILABILITY, "online");
    let arguments = fs::read(format!("/proc/{}/cmdline", service.id())).unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains("sesame"));
    assert!(!service.stderr().contains("sesame"));
}

/// A certificate authority and a certificate of it for `localhost`, as PEM files in `folder`.
fn make_certificates(folder: &Path) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
            -subj /CN=authority -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -subj /CN=localhost -keyout broker.key -out broker.csr
        printf 'subjectAltName=DNS:localhost' > names
        openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile names -out broker.pem";
    let mut command = Command::new("sh");
    let output = command
        .args(["-ec", script])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn tls_is_for_a_broker_whose_authority_is_known_alone() {
    if !has_broker() || !has("openssl") {
        return;
    }
    let (ours, theirs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    make_certificates(ours.path());
    make_certificates(theirs.path());
    let file = |name: &str| ours.path().join(name).display().to_string();
    let broker = Broker::with(&format!(
        "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}",
        file("ca.pem"),
        file("broker.pem"),
        file("broker.key")
    ));
    let address = format!("mqtts://localhost:{}", broker.port);
    let wrong = theirs.path().join("ca.pem").display().to_string();

    let mut refused = watch("cat.jpg", &address, &["--mqtt-authority", &wrong]);
    refused.says("trying again");
    assert!(
        refused.stderr().contains("certificate"),
        "{}",
        refused.stderr()
    );
    refused.end_by(Signal::TERM);

    let authority = file("ca.pem");
    let mut service = watch("cat.jpg", &address, &["--mqtt-authority", &authority]);
    let listener = broker.listen_with(&["-h", "localhost", "--cafile", &authority]);
    listener.hears("graphtag/porch/tags/cat", "ON");
    let begin = Instant::now();
    service.end_by(Signal::TERM);
    listener.hears(AVAILABILITY, "offline");
    assert!(begin.elapsed() < Duration::from_secs(5));
}
