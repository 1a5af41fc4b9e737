//! `graphtag run`: what comes of a source.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use graphtag_tests::service::{Service, Signal, wait_for};
use graphtag_tests::{bad, finish, fixture, graphtag, repository, run, write_photo};
use serde_json::json;
use tempfile::TempDir;

const YELLOW: [u8; 3] = [200, 255, 0];
const DARK: [u8; 3] = [10, 10, 10];

/// The model of `tests/tests/tag.rs`, whose answers are known.
fn with_colours(arguments: &[&str]) -> Service {
    let model = fixture("colours.onnx");
    let mut all = vec!["--model", model.to_str().unwrap()];
    all.extend(arguments);
    Service::start(all)
}

#[test]
fn a_folder_is_read_once_and_no_photo_is_left_out() {
    let run = run(["run", "--source=tests/photos", "--output=frames"]);
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    let lines = run.json_lines();
    let photos = fs::read_dir(repository().join("tests/photos")).unwrap();
    let photos = photos.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|extension| extension == "jpg")
    });
    assert_eq!(lines.len(), photos.count());
    for (label, photo) in [
        ("cow", "cow.jpg"),
        ("sheep", "sheep.jpg"),
        ("dog", "dog.jpg"),
    ] {
        let line = lines
            .iter()
            .find(|line| line["path"].as_str().unwrap().ends_with(photo));
        assert_eq!(line.unwrap()["tags"][0]["label"], label);
    }
}

#[test]
fn events_tell_what_appears_and_vanishes() {
    let folder = TempDir::new().unwrap();
    write_photo(&folder.path().join("a.ppm"), YELLOW);
    write_photo(&folder.path().join("b.ppm"), DARK);
    let source = folder.path().to_str().unwrap();
    let mut service = with_colours(&[
        "--source",
        source,
        "--loop",
        "--rate",
        "20",
        "--smoothing",
        "0",
        "--vanish-after",
        "0",
    ]);
    wait_for("six events", || (service.lines().len() > 6).then_some(()));
    service.end_by(Signal::TERM);
    let lines = service.lines();
    for line in &lines {
        let vanished = line["event"] == "vanished";
        assert_eq!(line["seconds"].is_number(), vanished, "{line}");
    }
    let greens = lines.iter().filter(|line| line["label"] == "green");
    let events: Vec<_> = greens.map(|line| line["event"].as_str().unwrap()).collect();
    for pair in events.chunks(2) {
        // What appeared has vanished, at the latest with the stream.
        assert_eq!(pair, ["appeared", "vanished"]);
    }
}

#[test]
fn a_bad_photo_is_named_and_the_others_are_tagged() {
    let folder = TempDir::new().unwrap();
    write_photo(&folder.path().join("a.ppm"), YELLOW);
    fs::write(folder.path().join("b.jpg"), b"no photo").unwrap();
    write_photo(&folder.path().join("c.ppm"), YELLOW);
    symlink("nowhere", folder.path().join("d\n.jpg")).unwrap();
    let model = fixture("colours.onnx");
    let run = finish(
        graphtag()
            .args(["run", "--output", "frames", "--source"])
            .arg(folder.path())
            .arg("--model")
            .arg(model)
            .stdin(Stdio::null()),
    );
    assert_eq!(run.status, Some(1));
    let said: Vec<_> = run.stderr.lines().collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("b.jpg: not a photo"), "{said:?}");
    assert!(
        said[1].contains(r"d\n.jpg: can't be read: No such file"),
        "{said:?}"
    );
    let lines = run.json_lines();
    assert_eq!(lines.len(), 4);
    assert!(lines[1]["error"].is_string());
    // Those of the photo before are none of its own.
    assert_eq!(lines[1]["tags"], json!([]));
    assert_eq!(lines[2]["tags"][0]["label"], "green");
}

#[test]
fn a_folder_that_is_begun_anew_shows_what_was_added() {
    let folder = TempDir::new().unwrap();
    write_photo(&folder.path().join("a.ppm"), YELLOW);
    let source = folder.path().to_str().unwrap();
    let mut service = with_colours(&["--source", source, "--loop", "--rate=20", "--output=frames"]);
    service.goes_on(2);
    write_photo(&folder.path().join("b.ppm"), DARK);
    wait_for("the photo that was added", || {
        service.stdout().contains("b.ppm").then_some(())
    });
    service.end_by(Signal::TERM);
}

#[test]
fn the_test_card_needs_no_camera_and_a_signal_ends_it() {
    let mut service = with_colours(&["--source", "test", "--output", "frames"]);
    wait_for("frames", || (service.count() > 3).then_some(()));
    assert_eq!(service.lines()[0]["width"], 640);
    service.end_by(Signal::TERM);
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let mut child = graphtag()
        .args(["run", "--source", "test", "--output", "frames", "--model"])
        .arg(fixture("colours.onnx"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn mjpeg_on_standard_input_ends_with_the_input() {
    let mut child = graphtag()
        .args(["run", "--source", "-", "--output", "frames", "--model"])
        .arg(fixture("colours.onnx"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let jpeg = fs::read(repository().join("tests/photos/cat.jpg")).unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&jpeg).unwrap();
    input.write_all(&jpeg).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let first = String::from_utf8(output.stdout).unwrap();
    let first: serde_json::Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert!(first["width"].as_u64().unwrap() > 100, "{first}");
}

#[test]
fn raw_and_y4m_pictures_come_from_a_program() {
    let yellow = r"while :; do printf '\310\377\000%.0s' 1 2 3 4; sleep 0.05; done";
    let mut service = with_colours(&[
        "--source",
        &format!("exec:{yellow}"),
        "--raw",
        "rgb",
        "--size",
        "2x2",
        "--output",
        "frames",
    ]);
    wait_for("frames", || (service.count() > 1).then_some(()));
    let line = service.lines().remove(0);
    assert_eq!(
        (&line["width"], &line["tags"][0]["label"]),
        (&2.into(), &"green".into())
    );
    service.end_by(Signal::TERM);

    let white = r"printf 'YUV4MPEG2 W2 H2 C444\n'; while :; do printf 'FRAME\n'; printf '\353\353\353\353\200\200\200\200\200\200\200\200'; sleep 0.05; done";
    let mut service = with_colours(&["--source", &format!("exec:{white}"), "--output", "frames"]);
    wait_for("frames", || (service.count() > 1).then_some(()));
    assert_eq!(service.lines()[0]["tags"].as_array().unwrap().len(), 3);
    service.end_by(Signal::TERM);
}

#[test]
fn what_can_not_work_is_refused_at_once() {
    let missing = bad("missing.onnx");
    for (arguments, said) in [
        (vec!["--source", "no/such/folder"], "no/such/folder: "),
        (vec![], "no source: "),
        (vec!["--source", "ftp://host/x"], "ftp:// is not supported"),
        (vec!["--source", "rtsp://"], "no host after the slashes"),
        (
            vec!["--source", "http://host:99999/"],
            "the port is not a number up to 65535",
        ),
        (
            vec!["--source", "test", "--mqtt", "mqtt://host:99999"],
            "mqtt://host:99999 is not mqtt://[USER@]HOST[:PORT]",
        ),
        (
            vec!["--source", "test", "--http", "nothing"],
            "http: nothing is not an address",
        ),
        (
            vec!["--source", "test", "--patience", "0"],
            "patience: 0 is not above 0",
        ),
        (
            vec!["--source", "test", "--motion", "300"],
            "motion: 300 is not from 0 to 255",
        ),
        (
            vec!["--source", "test", "--heat-limit", "-300"],
            "heat_limit: -300 is not from 20 to 110",
        ),
        (
            vec![
                "--source",
                "test",
                "--threshold",
                "cat=0.1",
                "--threshold",
                "cat=0.2",
            ],
            "threshold: cat has two of them",
        ),
        (
            vec!["--source", "test", "--raw", "rgb"],
            "raw: only a program",
        ),
        (
            vec!["--source", "exec:true", "--raw", "rgb"],
            "--size WIDTHxHEIGHT",
        ),
        (
            vec!["--source", "test", "--http", "0.0.0.0:0"],
            "give a --token-file, or say --no-auth",
        ),
        (
            vec!["--source", "test", "--model", missing.to_str().unwrap()],
            "missing.onnx: ",
        ),
        (vec!["--source", "test", "--crop", "0,0,2,1"], "crop: "),
        (
            vec!["--source", "test", "--threshold", "unicorn=0.5"],
            "no label \"unicorn\"",
        ),
    ] {
        let run = run([vec!["run"], arguments.clone()].concat());
        assert_eq!(run.status, Some(2), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
}
