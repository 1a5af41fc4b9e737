//! A model that does not say what it said where it was made is refused, at the start and when it is swapped in.

use std::fs;

use graphtag_tests::service::{Service, Signal};
use graphtag_tests::{fixture, repository, run};
use tempfile::TempDir;

/// The default model with a golden photo that it says something else of.
fn falsified() -> Vec<u8> {
    let mut model = fs::read(repository().join("models/zoo/coco80-lite0-int8.onnx")).unwrap();
    let begin = br#""probabilities":[0.0"#;
    let at = model.windows(begin.len()).position(|bytes| bytes == begin);
    model[at.unwrap() + begin.len() - 1] = b'9';
    model
}

#[test]
fn it_does_not_start() {
    let folder = TempDir::new().unwrap();
    let model = folder.path().join("model.onnx");
    fs::write(&model, falsified()).unwrap();
    let run = run([
        "run",
        "--source",
        "test",
        "--model",
        model.to_str().unwrap(),
    ]);
    assert_eq!(run.status, Some(2));
    let refusal = "model.onnx: it does not say what it said where it was made: \"person\"";
    assert!(run.stderr.contains(refusal), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1);
}

#[test]
fn it_does_not_take_over() {
    let folder = TempDir::new().unwrap();
    let model = folder.path().join("model.onnx");
    fs::copy(fixture("colours.onnx"), &model).unwrap();
    let mut service = Service::watch(&["--http=127.0.0.1:0", "--model", model.to_str().unwrap()]);
    service.goes_on(1);
    let beside = folder.path().join("new.onnx");
    fs::write(&beside, falsified()).unwrap();
    fs::rename(&beside, &model).unwrap();
    service.signal(Signal::HUP);
    service.says("runs it wrongly; the old configuration goes on");
    service.goes_on(2);
    assert_eq!(service.state()["model"], "colours");
    service.end_by(Signal::TERM);
}

#[test]
fn inspect_tells_what_the_golden_photo_shows() {
    let run = run(["inspect", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["golden"]["labels"], serde_json::json!(["cat"]));
    let photo = repository().join("tests/photos/cat.jpg");
    assert_eq!(
        report["golden"]["file_bytes"],
        photo.metadata().unwrap().len()
    );
}
