//! SIGHUP: another model, other thresholds, and what of them is not taken up.

use std::fs;

use graphtag_tests::service::{RECOVERY, Service, Signal, ask, wait_for, wait_within};
use graphtag_tests::{bad, fixture, repository, run, write_photo};
use serde_json::Value;
use tempfile::TempDir;

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
        let service = Service::watch(&["--config", config.to_str().unwrap(), "--http=127.0.0.1:0"]);
        service.goes_on(1);
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
        swapping.service.goes_on(2);
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
    swapping.service.goes_on(3);
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
    let mut service = Service::watch(&["--http=127.0.0.1:0", "--config", config.to_str().unwrap()]);
    service.goes_on(1);
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
    service.goes_on(3);
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
fn sighup_reads_the_configuration_again_and_a_bad_one_is_refused() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("graphtag.toml");
    write_photo(&folder.path().join("yellow.ppm"), [200, 255, 0]);
    let text = |threshold: &str| {
        let model = fixture("colours.onnx");
        format!(
            "source = {:?}\nloop = true\nrate = 20\nvanish_after = 0\nsmoothing = 0\nkeep = 1\nmodel = {model:?}\n{threshold}",
            folder.path()
        )
    };
    fs::write(&config, text("")).unwrap();
    let mut service = Service::start(["--config", config.to_str().unwrap()]);
    wait_for("green", || {
        service.stdout().contains("\"green\"").then_some(())
    });

    fs::write(&config, text("treshold = []")).unwrap();
    service.signal(Signal::HUP);
    service
        .says("there is no key treshold; did you mean threshold?; the old configuration goes on");

    fs::write(&config, text("threshold = [\"green=0.99\"]")).unwrap();
    service.signal(Signal::HUP);
    service.says("configuration read again");
    wait_for("the end of green", || {
        let lines = service.lines();
        let last = lines.iter().rfind(|line| line["label"] == "green")?;
        (last["event"] == "vanished").then_some(())
    });
    service.end_by(Signal::TERM);
}

#[test]
fn a_configuration_that_could_not_start_is_refused() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("graphtag.toml");
    fs::write(&config, "").unwrap();
    let mut service = Service::watch(&["--config", config.to_str().unwrap()]);
    service.goes_on(1);
    for (line, said) in [
        ("mqtt = \"nonsense\"", "mqtt: nonsense is not "),
        ("webhook = \"ftp://x\"", "webhook: neither "),
        ("display = \"foo\"", "display: "),
        (
            "snapshots = \".\"\nsnapshot_quota = -5",
            "snapshot_quota: -5 ",
        ),
        (
            "http = \"127.0.0.1:0\"\nname = \"Bad Name\"",
            "name: \"Bad Name\" is not ",
        ),
    ] {
        let before = service.stderr().len();
        fs::write(&config, line).unwrap();
        service.signal(Signal::HUP);
        wait_for("the refusal", || {
            let stderr = service.stderr().split_off(before);
            let refused = stderr.contains("; the old configuration goes on\n");
            assert!(!stderr.contains("read again"), "{line}: {stderr}");
            (refused && stderr.contains(said)).then_some(())
        });
    }
    service.end_by(Signal::TERM);
}

#[test]
fn what_needs_a_restart_is_told() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("graphtag.toml");
    let token = folder.path().join("token");
    fs::write(&token, "old").unwrap();
    fs::write(&config, "keep = 0.5\ntoken_file = \"token\"\n").unwrap();
    let mut service = Service::watch(&["--config", config.to_str().unwrap()]);
    service.goes_on(1);
    let changed = "keep = 0.6\nname = \"attic\"\nmqtt = \"mqtt://home\"\ntoken_file = \"token\"\n";
    fs::write(&config, changed).unwrap();
    fs::write(&token, "renewed").unwrap();
    service.signal(Signal::HUP);
    service.says("configuration read again; restart graphtag for the new mqtt, name, token_file");
    service.end_by(Signal::TERM);
}
