//! The API: as its document describes it, and only for whom it is.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use graphtag_tests::service::{Answer, Service, Signal, ask, get, has, wait_for};
use graphtag_tests::{run, schema};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a slow client gets, at most, before it is sent away.
const SLOW: Duration = Duration::from_secs(20);

/// A service that has inferred something.
fn serve(further: &[&str]) -> Service {
    let arguments = [
        "--source=tests/photos",
        "--loop",
        "--rate=10",
        "--http=127.0.0.1:0",
    ];
    let service = Service::start([&arguments, further].concat());
    wait_for("a frame", || {
        (service.state()["frame"].is_object()).then_some(())
    });
    service
}

/// Sends `request` as it is, and gives all that comes back until the connection ends.
fn raw(service: &Service, request: &[u8]) -> String {
    let mut stream = connect(service);
    // It may be refused before it is read.
    let _ = stream.write_all(request);
    rest(&mut stream)
}

fn connect(service: &Service) -> TcpStream {
    let address = service.address();
    let stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(SLOW)).unwrap();
    stream
}

fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset has said what it had to say.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into()
}

#[test]
fn prometheus_accepts_the_metrics() {
    if !has("promtool") {
        return;
    }
    let service = serve(&[]);
    let metrics = get(&format!("{}/metrics", service.address()));
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(&metrics.body)
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let text = metrics.text();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {text}"))
            .trim()
            .parse()
            .unwrap()
    };
    assert!(value("graphtag_frames_total{outcome=\"inferred\"}") >= 1.0);
    assert!(value("graphtag_frames_captured_total") >= 1.0);
    // The sum over all outcomes counts no frame twice.
    assert!(!text.contains("outcome=\"captured\""), "{text}");
    assert_eq!(value("graphtag_source_up"), 1.0);
    assert!(value("graphtag_stage_seconds{stage=\"inference\"}") > 0.0);
}

/// The documented operations: path, method and description.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| {
            (path.clone(), method.to_uppercase(), operation.clone())
        })
    });
    operations.collect()
}

/// Panics unless `answer` is one that `operation` describes.
fn is_as_described(answer: &Answer, status: u16, operation: &Value, document: &Value) {
    let name = &operation["operationId"];
    assert_eq!(answer.status, status, "{name}: {}", answer.text());
    let mut response = &operation["responses"][status.to_string()];
    if let Some(reference) = response["$ref"].as_str() {
        response = document.pointer(reference.trim_start_matches('#')).unwrap();
    }
    let described = &response["content"];
    let kind = answer.header("content-type").unwrap();
    let kind = kind.split(';').next().unwrap();
    let content = &described[kind];
    assert!(content.is_object(), "{name}: {kind} is not described");
    if kind == "application/json" {
        let problems = schema::problems(&answer.json(), &content["schema"], document);
        assert_eq!(problems, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_documented_operation_answers_as_described() {
    let service = serve(&[]);
    let address = service.address();
    let document = get(&format!("{address}/api/openapi.json")).json();
    for (path, method, operation) in operations(&document) {
        let content = &operation["responses"]["200"]["content"];
        let endless = ["text/event-stream", "multipart/x-mixed-replace"];
        if let Some(kind) = endless.iter().find(|kind| content[**kind].is_object()) {
            let mut stream = connect(&service);
            write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
            let mut begin = [0; 4096];
            let count = stream.read(&mut begin).unwrap();
            let begin = String::from_utf8_lossy(&begin[..count]);
            assert!(begin.starts_with("HTTP/1.1 200 "), "{path}: {begin}");
            assert!(begin.contains(kind), "{path}: {begin}");
            continue;
        }
        let path = path.replace("{label}", "dining%20table");
        let body = match operation["requestBody"].is_object() {
            true => r#"{"threshold": 0.25}"#,
            false => "",
        };
        let answer = ask(&method, &format!("{address}{path}"), &[], body);
        is_as_described(&answer, 200, &operation, &document);
    }
    wait_for("the threshold that was set", || {
        let state = service.state();
        let mut labels = state["labels"].as_array().unwrap().iter();
        let table = labels.find(|label| label["label"] == "dining table")?;
        (table["threshold"] == 0.25).then_some(())
    });
}

#[test]
fn a_wrong_threshold_is_refused_as_described() {
    let service = serve(&[]);
    let address = service.address();
    let document = get(&format!("{address}/api/openapi.json")).json();
    let operation = &document["paths"]["/api/thresholds/{label}"]["put"];
    for (label, body, status) in [
        ("unicorn", r#"{"threshold": 0.5}"#, 404),
        ("cat", r#"{"threshold": 1.5}"#, 422),
        ("cat", r#"{"threshold": -0.1}"#, 422),
        ("cat", r#"{"threshold": null}"#, 422),
        ("cat", r#"{"threshold": 1e999}"#, 422),
        ("cat", r#"{"threshold": 0.5, "more": 1}"#, 422),
        ("cat", "{}", 422),
        ("cat", "", 422),
        ("cat", "\u{0}\u{1}", 422),
        ("%ff", r#"{"threshold": 0.5}"#, 400),
    ] {
        let answer = ask(
            "PUT",
            &format!("{address}/api/thresholds/{label}"),
            &[],
            body,
        );
        is_as_described(&answer, status, operation, &document);
    }
    let before = service.state();
    let mut labels = before["labels"].as_array().unwrap().iter();
    let cat = labels.find(|label| label["label"] == "cat").unwrap();
    assert!(cat["threshold"].as_f64().unwrap() < 0.5, "{cat}");
}

#[test]
fn events_and_the_moving_picture_bring_what_the_state_tells() {
    let service = serve(&["--smoothing=0", "--vanish-after=0"]);
    let address = service.address();
    let snapshot = get(&format!("{address}/api/snapshot.jpg"));
    assert_eq!(snapshot.status, 200);
    assert!(snapshot.body.starts_with(&[0xff, 0xd8, 0xff]));
    assert!(snapshot.body.ends_with(&[0xff, 0xd9]));

    let mut stream = connect(&service);
    write!(
        stream,
        "GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    wait_for("events of every kind", || {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).unwrap();
        text.push_str(&String::from_utf8_lossy(&part[..count]));
        let whole = ["health", "labels", "frame", "change"].map(|kind| format!("event: {kind}\n"));
        whole.iter().all(|kind| text.contains(kind)).then_some(())
    });
    assert!(text.contains("\"dining table\""), "{text}");
    drop(stream);

    let mut stream = connect(&service);
    write!(stream, "GET /live.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    wait_for("two pictures", || {
        let mut part = [0; 65536];
        let count = stream.read(&mut part).unwrap();
        bytes.extend_from_slice(&part[..count]);
        let begins = bytes
            .windows(4)
            .filter(|bytes| bytes == b"\xff\xd8\xff\xe0");
        (begins.count() >= 2).then_some(())
    });
}

#[test]
fn every_answer_forbids_whatever_comes_from_elsewhere() {
    let service = serve(&[]);
    let address = service.address();
    for path in [
        "/",
        "/page.js",
        "/chart.js",
        "/page.css",
        "/api/state",
        "/metrics",
        "/nowhere",
        "/healthz",
    ] {
        let answer = get(&format!("{address}{path}"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        for source in ["unsafe", "*", "http:", "https:", "data:", "blob:"] {
            assert!(!policy.contains(source), "{path}: {policy}");
        }
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn an_open_address_asks_for_the_token() {
    let refused = run(["run", "--source", "tests/photos", "--http", "0.0.0.0:0"]);
    assert_eq!(refused.status, Some(2));
    assert!(
        refused.stderr.contains("--token-file"),
        "{}",
        refused.stderr
    );

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "open sesame\n").unwrap();
    let mut service = Service::start([
        "--source=tests/photos",
        "--loop",
        "--http=0.0.0.0:0",
        &format!("--token-file={}", file.display()),
    ]);
    let address = service.address().replace("0.0.0.0", "127.0.0.1");
    let status = |path: &str, headers: &[(&str, &str)]| {
        ask("GET", &format!("{address}{path}"), headers, "").status
    };
    let right = ("authorization", "Bearer open sesame");
    for path in [
        "/",
        "/api/state",
        "/metrics",
        "/api/openapi.json",
        "/nowhere",
    ] {
        assert_eq!(status(path, &[]), 401, "{path}");
        assert_eq!(
            status(path, &[("authorization", "Bearer open")]),
            401,
            "{path}"
        );
    }
    assert_eq!(status("/api/state", &[right]), 200);
    assert_eq!(
        status(
            "/api/state",
            &[("authorization", "Basic YW55Om9wZW4gc2VzYW1l")]
        ),
        200
    );
    assert_eq!(status("/healthz", &[]), 200);
    let document = ask("GET", &format!("{address}/api/openapi.json"), &[right], "").json();
    for (path, method, operation) in operations(&document) {
        if path != "/healthz" {
            let answer = ask(&method, &format!("{address}{path}"), &[], "");
            is_as_described(&answer, 401, &operation, &document);
        }
    }
    service.end_by(Signal::TERM);
    assert!(!service.stderr().contains("sesame"), "{}", service.stderr());
}

#[test]
fn other_names_other_origins_and_other_methods_are_refused() {
    let service = serve(&[]);
    let address = service.address();
    let state = format!("{address}/api/state");
    let status = |method, headers: &[(&str, &str)]| ask(method, &state, headers, "").status;
    assert_eq!(status("GET", &[("host", "evil.example")]), 403);
    assert_eq!(status("GET", &[("origin", "http://evil.example")]), 403);
    assert_eq!(status("GET", &[("origin", &address)]), 200);
    let document = get(&format!("{address}/api/openapi.json")).json();
    for (path, method, operation) in operations(&document) {
        let elsewhere = [("host", "evil.example")];
        let answer = ask(&method, &format!("{address}{path}"), &elsewhere, "");
        is_as_described(&answer, 403, &operation, &document);
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(status(method, &[]), 405, "{method}");
    }
    for request in [
        "GET /api/state HTTP/1.1\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ] {
        let answer = raw(
            &service,
            request
                .replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 403 "), "{request}: {answer}");
    }
}

#[test]
fn no_path_leads_out_and_no_garbage_gets_in() {
    let service = serve(&[]);
    for path in [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/page.js/../../../etc/passwd",
        "//etc/passwd",
        "/api/thresholds/..%2f..%2f..%2fetc%2fpasswd",
        "/api/snapshot.jpg%00.html",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        let answer = raw(&service, request.as_bytes());
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "404", "405"].contains(&status), "{path}: {answer}");
        assert!(!answer.contains("root:"), "{path}");
    }
    for garbage in [
        &b"\r\n\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\0/ HTTP/9.9\r\n\r\n",
        &[0xff; 9000],
    ] {
        let answer = raw(&service, garbage);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert_eq!(get(&format!("{}/healthz", service.address())).status, 200);
}

#[test]
fn oversized_heads_and_bodies_are_refused() {
    let service = serve(&[]);
    let head = format!(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}\r\n\r\n",
        "x".repeat(64 << 10)
    );
    let answer = raw(&service, head.as_bytes());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    let body = json!({"threshold": 0.5, "more": "x".repeat(8 << 10)}).to_string();
    let address = service.address();
    let document = get(&format!("{address}/api/openapi.json")).json();
    let operation = &document["paths"]["/api/thresholds/{label}"]["put"];
    let answer = ask("PUT", &format!("{address}/api/thresholds/cat"), &[], &body);
    is_as_described(&answer, 413, operation, &document);
    for length in [body.len(), 1 << 40] {
        let request = format!(
            "PUT /api/thresholds/cat HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let answer = raw(&service, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
}

#[test]
fn a_client_that_is_too_slow_is_sent_away() {
    let service = serve(&[]);
    let slow = [
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Never-",
        "PUT /api/thresholds/cat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 17\r\n\r\n{\"thresh",
        // An idle connection.
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ];
    let begin = Instant::now();
    let mut streams = slow.map(|request| {
        let mut stream = connect(&service);
        stream.write_all(request.as_bytes()).unwrap();
        stream
    });
    for stream in &mut streams {
        rest(stream);
        assert!(begin.elapsed() < SLOW);
    }
}
