//! What the service tells of its camera, and whom.

use std::fs;
use std::io::Read;

use graphtag_tests::schema;
use graphtag_tests::service::{Service, ask, get, viewer, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Labels of the embedded model.
const LABELS: usize = 80;

/// The data of the last server-sent event `kind` in `text`.
fn last_event(text: &str, kind: &str) -> Option<Value> {
    let (_, rest) = text.rsplit_once(&format!("event: {kind}\ndata: "))?;
    let (data, _) = rest.split_once('\n')?;
    serde_json::from_str(data).ok()
}

#[test]
fn without_a_camera_labels_are_known_and_the_loss_is_told() {
    let service = Service::start(["--source=exec:false", "--http=127.0.0.1:0"]);
    let address = service.address();
    let document = get(&format!("{address}/api/openapi.json")).json();
    let mut stream = viewer(service.socket_address(), "/api/events").unwrap();
    let mut text = String::new();
    let labels = wait_for("the labels and three reports of the loss", || {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).unwrap();
        text.push_str(&String::from_utf8_lossy(&part[..count]));
        let health = last_event(&text, "health")?;
        let schema = json!({"$ref": "#/components/schemas/Health"});
        let problems = schema::problems(&health, &schema, &document);
        assert_eq!(problems, Vec::<String>::new());
        let reports = text.matches("event: health\n").count();
        let lost = health["signal"] == "lost" && health["lost_because"].is_string();
        (lost && reports >= 3).then(|| last_event(&text, "labels"))?
    });
    assert_eq!(labels.as_array().unwrap().len(), LABELS);
    assert_eq!(service.state()["labels"].as_array().unwrap().len(), LABELS);
    let threshold = format!("{address}/api/thresholds/cat");
    assert_eq!(
        ask("PUT", &threshold, &[], r#"{"threshold": 0.5}"#).status,
        200
    );
}

#[test]
fn who_has_no_token_is_not_told_why_frames_do_not_come() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "open sesame\n").unwrap();
    let service = Service::start([
        "--source=exec:echo private words >&2; exit 1",
        "--http=127.0.0.1:0",
        &format!("--token-file={}", file.display()),
    ]);
    let health = |headers: &[(&str, &str)]| {
        let answer = ask(
            "GET",
            &format!("{}/healthz", service.address()),
            headers,
            "",
        );
        (answer.status, answer.text())
    };
    let told = wait_for("the loss", || {
        let (status, text) = health(&[("authorization", "Bearer open sesame")]);
        (status == 503).then_some(text)
    });
    assert!(told.contains("private words"), "{told}");
    assert_eq!(health(&[]), (503, "not ok\n".into()));
    let wrong = ("authorization", "Bearer open");
    assert_eq!(health(&[wrong]), (503, "not ok\n".into()));
}
