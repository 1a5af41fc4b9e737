//! Help, version, and wrong usage: status 2 and one line that says what is wrong.

use std::fs;

use graphtag_tests::{fixture, run, write_photo};

#[test]
fn help_and_version_go_to_standard_output() {
    for arguments in [&["--help"][..], &["tag", "--help"], &["inspect", "--help"]] {
        let run = run(arguments);
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
        assert!(run.stdout.starts_with("Usage: graphtag"), "{}", run.stdout);
    }
    let version = run(["--version"]);
    assert_eq!(version.status, Some(0));
    assert_eq!(
        version.stdout,
        format!("graphtag {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_usage_is_status_2_and_one_line() {
    let model = fixture("colours.onnx").display().to_string();
    let photo = "tests/photos/cat.jpg";
    for (arguments, problem) in [
        (&[][..], "no command"),
        (&["frobnicate"], "frobnicate"),
        (&["tag", "--frobnicate", photo], "--frobnicate"),
        (&["tag", "--model", &model], "nothing to tag"),
        (
            &["tag", "--model", &model, "--threshold", "NaN", photo],
            "0 to 1",
        ),
        (
            &["tag", "--model", &model, "--threshold=1.5", photo],
            "0 to 1",
        ),
        (
            &["tag", "--model", &model, "--threshold=-0.1", photo],
            "0 to 1",
        ),
        (&["tag", "--model", &model, "--top", "many", photo], "--top"),
        (
            &["tag", "--model", &model, "--threads", "0", photo],
            "--threads",
        ),
        (
            &["tag", "--model", &model, "--threads", "100000", photo],
            "--threads",
        ),
        (
            &["tag", "--model", &model, "--format", "xml", photo],
            "neither text nor jsonl",
        ),
        (
            &["tag", "--model", &model, "--mean", "1,2", photo],
            "one number or three",
        ),
        (
            &["tag", "--labels", "tests/fixtures/colours.txt", photo],
            "--labels",
        ),
        (&["tag", photo, "--model"], "--model"),
        (
            &["inspect", "--format", "xml", &model],
            "neither text nor json",
        ),
        (&["inspect", &model, &model], "colours.onnx"),
        (
            &["config", "--device", "pi9"],
            "pi-zero-2w, pi3, pi4, pi5, jetson-nano, jetson-orin-nano",
        ),
        (&["inspect", "nowhere.onnx"], "nowhere.onnx: can't be read"),
    ] {
        let run = run(arguments);
        assert_eq!(run.status, Some(2), "{arguments:?}: {run:?}");
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert_eq!(
            run.stderr.lines().count(),
            1,
            "{arguments:?}: {}",
            run.stderr
        );
        assert!(
            run.stderr.starts_with("graphtag: "),
            "{arguments:?}: {}",
            run.stderr
        );
        assert!(
            run.stderr.contains(problem),
            "{arguments:?}: {}",
            run.stderr
        );
    }
}

#[test]
fn what_follows_a_double_dash_is_a_path() {
    let folder = tempfile::tempdir().unwrap();
    write_photo(&folder.path().join("--top=1.ppm"), [255, 0, 0]);
    let run = graphtag_tests::finish(
        graphtag_tests::graphtag()
            .args(["tag", "--model"])
            .arg(fixture("colours.onnx"))
            .args(["--", "--top=1.ppm"])
            .current_dir(folder.path()),
    );
    assert_eq!(run.stdout, "--top=1.ppm  red 0.93\n");
}

#[test]
fn an_empty_folder_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "no photo").unwrap();
    let model = fixture("colours.onnx");
    let run = run([
        "tag".as_ref(),
        "--model".as_ref(),
        model.as_path(),
        folder.path(),
    ]);
    let expected = format!(
        "graphtag: {}: no photo in this folder\n",
        folder.path().display()
    );
    assert_eq!((run.status, run.stderr), (Some(1), expected));
}
