//! What a broker keeps of graphtag, and who else speaks on it.

use std::collections::BTreeSet;
use std::fs;

use graphtag_tests::broker::{Broker, Listener};
use graphtag_tests::service::{Service, Signal, has, wait_for};
use graphtag_tests::{repository, run};
use tempfile::TempDir;

const AVAILABILITY: &str = "graphtag/porch/availability";
const CONFIG: &str = "homeassistant/device/graphtag_porch/config";
const TAGS: &str = "graphtag/porch/tags/";
const STATE: &str = "graphtag/porch/state";
const COLOURS: &str = "tests/fixtures/colours.onnx";

fn has_broker() -> bool {
    has("mosquitto") && has("mosquitto_sub")
}

/// A service that sees a cat, and publishes to `broker` as `porch`.
fn watch(broker: &Broker, further: &[&str]) -> Service {
    let address = broker.address();
    let arguments = [
        "--source=tests/photos/cat.jpg",
        "--loop",
        "--rate=10",
        "--output=frames",
        "--name=porch",
        "--mqtt",
        &address,
    ];
    Service::start([&arguments, further].concat())
}

/// The topics of tags that the broker keeps.
fn kept_tags(broker: &Broker) -> BTreeSet<String> {
    // What is retained comes before this, which is not.
    let listener = broker.listen();
    wait_for("an answer of the broker", || {
        broker.publish("test/end", "end");
        listener.last("test/end")
    });
    let messages = listener.messages().into_iter();
    messages
        .filter(|message| message.retained)
        .filter_map(|message| message.topic.strip_prefix(TAGS).map(String::from))
        .collect()
}

/// The components of the last discovery document.
fn components(listener: &Listener) -> Option<serde_json::Map<String, serde_json::Value>> {
    listener.last(CONFIG)?.json()["components"]
        .as_object()
        .cloned()
}

#[test]
fn a_home_assistant_whose_birth_is_retained_is_told_once() {
    if !has_broker() {
        return;
    }
    let broker = Broker::start();
    broker.retain("homeassistant/status", "online");
    let service = watch(&broker, &[]);
    let listener = broker.listen();
    listener.hears(AVAILABILITY, "online");
    service.goes_on(20);
    let messages = listener.messages().into_iter();
    let told = messages.filter(|message| message.topic == CONFIG).count();
    assert_eq!(told, 1);
}

#[test]
fn labels_that_look_alike_have_sensors_of_their_own() {
    if !has_broker() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("labels.txt");
    for labels in [
        ["猫", "狗", "Vögel"],
        ["Dining Table", "dining table", "cat"],
    ] {
        fs::write(&file, labels.join("\n")).unwrap();
        let broker = Broker::start();
        let labels_file = file.to_str().unwrap();
        let _service = watch(&broker, &["--model", COLOURS, "--labels", labels_file]);
        let listener = broker.listen();
        listener.hears(AVAILABILITY, "online");
        let components = components(&listener).unwrap();
        let names: BTreeSet<_> = components.values().map(|c| c["name"].as_str()).collect();
        assert_eq!(names, labels.iter().map(|label| Some(*label)).collect());
        for (id, sensor) in &components {
            assert_eq!(sensor["unique_id"], format!("graphtag_porch_{id}"));
            assert_eq!(sensor["state_topic"], format!("{TAGS}{id}"));
            assert!(listener.last(&format!("{TAGS}{id}")).is_some(), "{id}");
        }
    }
}

/// Waits until the broker knows the sensors of [`COLOURS`] alone, and Home Assistant that a cat is none.
fn knows_colours_alone(broker: &Broker, listener: &Listener) {
    wait_for("the removal of the old sensors", || {
        let components = components(listener)?;
        let removed = components.get("cat")? == &serde_json::json!({"platform": "binary_sensor"});
        (removed && components["red"]["name"] == "red").then_some(())
    });
    wait_for("the colours alone", || {
        (kept_tags(broker) == ["red", "green", "blue"].map(String::from).into()).then_some(())
    });
}

#[test]
fn another_model_leaves_nothing_of_the_one_before() {
    if !has_broker() {
        return;
    }
    let broker = Broker::start();
    let listener = broker.listen();
    let mut service = watch(&broker, &[]);
    listener.hears("graphtag/porch/tags/cat", "ON");
    listener.hears(AVAILABILITY, "online");
    service.signal(Signal::KILL);
    service.end();
    let _service = watch(&broker, &["--model", COLOURS]);
    knows_colours_alone(&broker, &listener);
}

#[test]
fn a_model_that_is_swapped_in_leaves_nothing_of_the_one_before() {
    if !has_broker() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let model = folder.path().join("model.onnx");
    let default = repository().join("models/zoo/coco80-lite0-int8.onnx");
    fs::copy(default, &model).unwrap();
    let config = folder.path().join("graphtag.toml");
    fs::write(&config, "model = \"model.onnx\"\n").unwrap();
    let broker = Broker::start();
    let listener = broker.listen();
    let service = watch(&broker, &["--config", config.to_str().unwrap()]);
    listener.hears("graphtag/porch/tags/cat", "ON");
    let new = folder.path().join("new.onnx");
    fs::copy(repository().join(COLOURS), &new).unwrap();
    fs::rename(new, model).unwrap();
    service.signal(Signal::HUP);
    knows_colours_alone(&broker, &listener);
}

#[test]
fn two_services_of_one_name_say_so_and_are_quiet() {
    if !has_broker() {
        return;
    }
    let broker = Broker::start();
    let services = [watch(&broker, &[]), watch(&broker, &[])];
    for service in &services {
        service.says("give each graphtag its own --name");
    }
    for service in &services {
        let stderr = service.stderr();
        let lines = stderr.lines().filter(|line| line.contains("MQTT"));
        assert_eq!(lines.count(), 2, "{stderr}");
        assert!(stderr.contains("called graphtag-porch"), "{stderr}");
    }
}

#[test]
fn who_says_that_the_service_is_offline_is_contradicted() {
    if !has_broker() {
        return;
    }
    let broker = Broker::start();
    let _service = watch(&broker, &[]);
    let listener = broker.listen();
    listener.hears(AVAILABILITY, "online");
    broker.retain(AVAILABILITY, "offline");
    wait_for("offline, and online again", || {
        let messages = listener.messages().into_iter();
        let said = messages.filter(|message| message.topic == AVAILABILITY);
        let said: Vec<_> = said.map(|message| message.payload).collect();
        let denied = said.iter().position(|payload| payload == "offline")?;
        (said[denied + 1..] == ["online"]).then_some(())
    });
}

#[test]
fn state_and_tags_agree_after_the_end() {
    if !has_broker() {
        return;
    }
    for _ in 0..3 {
        let broker = Broker::start();
        let listener = broker.listen();
        let mut service = watch(&broker, &[]);
        listener.hears("graphtag/porch/tags/cat", "ON");
        wait_for("a cat in the state", || {
            let tags = listener.last(STATE)?.json()["tags"].take();
            (tags[0]["label"] == "cat").then_some(())
        });
        service.end_by(Signal::TERM);
        listener.hears(AVAILABILITY, "offline");
        assert_eq!(
            listener.last("graphtag/porch/tags/cat").unwrap().payload,
            "OFF"
        );
        assert_eq!(listener.last(STATE).unwrap().payload, r#"{"tags":[]}"#);
    }
}

#[test]
fn a_password_without_a_user_and_an_authority_that_is_none_are_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "garbage\n").unwrap();
    let file = file.to_str().unwrap();
    for (address, key, said) in [
        (
            "mqtt://127.0.0.1",
            "--mqtt-password-file",
            "say mqtt://USER@HOST",
        ),
        (
            "mqtts://127.0.0.1",
            "--mqtt-authority",
            "mqtt_authority: no certificate",
        ),
    ] {
        let refused = run(["run", "--source=tests/photos", "--mqtt", address, key, file]);
        assert_eq!(refused.status, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
        assert!(!refused.stderr.contains("garbage"), "{}", refused.stderr);
    }
}
