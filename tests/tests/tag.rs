//! `graphtag tag` with a model whose scores can be worked out by hand: the sigmoid of 0.02 (mean - 127.5) for
//! each of red, green and blue, with thresholds of 0.75, 0.25 and 0.5.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use graphtag_tests::{Run, finish, fixture, graphtag, run, write_photo};

const RED: [u8; 3] = [255, 0, 0];
const YELLOW: [u8; 3] = [255, 255, 0];
const DARK: [u8; 3] = [10, 10, 10];

fn tag_with(options: &[&str], paths: &[&Path]) -> Run {
    let model = fixture("colours.onnx");
    let mut arguments: Vec<OsString> = vec!["tag".into(), "--model".into(), model.into()];
    arguments.extend(options.iter().map(OsString::from));
    arguments.extend(paths.iter().map(OsString::from));
    run(arguments)
}

#[test]
fn text_names_the_tags_and_their_scores_likeliest_first() {
    let folder = tempfile::tempdir().unwrap();
    let (yellow, dark) = (
        folder.path().join("yellow.ppm"),
        folder.path().join("dark.ppm"),
    );
    write_photo(&yellow, [200, 255, 0]);
    write_photo(&dark, DARK);
    let run = tag_with(&[], &[&yellow, &dark]);
    let expected = format!(
        "{}  green 0.93, red 0.81\n{}    (no tag above its threshold)\n",
        yellow.display(),
        dark.display()
    );
    // The shorter path is padded, so that the tags stand in a column.
    assert_eq!(run.stdout, expected);
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_json_line_has_the_promised_keys_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("red.ppm");
    write_photo(&photo, RED);
    let run = tag_with(&["--format", "jsonl", "--all-scores"], &[&photo]);
    let (before_times, times) = run.stdout.split_once(",\"preprocess_ms\":").unwrap();
    assert_eq!(
        before_times,
        format!(
            r#"{{"path":"{}","width":8,"height":8,"tags":[{{"label":"red","score":0.9276}}]"#,
            photo.display()
        )
    );
    let (_, scores) = times.split_once(",\"scores\":").unwrap();
    assert_eq!(
        scores,
        "{\"red\":0.9276,\"green\":0.0724,\"blue\":0.0724}}\n"
    );
    let line = &run.json_lines()[0];
    assert!(line["preprocess_ms"].as_f64().unwrap() > 0.0);
    assert!(line["inference_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn without_all_scores_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("red.ppm");
    write_photo(&photo, RED);
    let run = tag_with(&["--format=jsonl"], &[&photo]);
    assert_eq!(run.json_lines()[0].get("scores"), None);
}

#[test]
fn all_scores_in_text_are_listed_likeliest_first() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("red.ppm");
    write_photo(&photo, [255, 0, 127]);
    let run = tag_with(&["--all-scores"], &[&photo]);
    let (_, scores) = run.stdout.split_once('\n').unwrap();
    assert_eq!(scores, "  0.9276  red\n  0.4975  blue\n  0.0724  green\n");
}

#[test]
fn top_limits_and_threshold_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("yellow.ppm");
    write_photo(&photo, YELLOW);
    let labels = |options: &[&str]| -> Vec<String> {
        let options = [&["--format", "jsonl"], options].concat();
        let run = tag_with(&options, &[&photo]);
        let tags = run.json_lines()[0]["tags"].as_array().unwrap().clone();
        tags.iter()
            .map(|tag| tag["label"].as_str().unwrap().into())
            .collect()
    };
    assert_eq!(labels(&[]), ["red", "green"]);
    assert_eq!(labels(&["--top", "1"]), ["red"]);
    assert_eq!(labels(&["--threshold=0.05"]), ["red", "green", "blue"]);
    assert_eq!(labels(&["--threshold=0.05", "--top=2"]), ["red", "green"]);
    assert!(labels(&["--threshold", "0.99"]).is_empty());
}

#[test]
fn a_folder_is_tagged_in_the_order_of_names_with_its_folders() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("b")).unwrap();
    fs::create_dir(folder.path().join(".hidden")).unwrap();
    for name in [
        "c.ppm",
        "a.ppm",
        "b/z.ppm",
        "b/y.PPM",
        ".hidden/x.ppm",
        ".d.ppm",
    ] {
        write_photo(&folder.path().join(name), RED);
    }
    fs::write(folder.path().join("notes.txt"), "no photo").unwrap();
    let run = tag_with(&["--format=jsonl"], &[folder.path()]);
    let paths: Vec<String> = run
        .json_lines()
        .iter()
        .map(|line| line["path"].as_str().unwrap().into())
        .collect();
    let expected = ["a.ppm", "b/y.PPM", "b/z.ppm", "c.ppm"];
    let expected = expected.map(|name| folder.path().join(name).display().to_string());
    assert_eq!(paths, expected);
    assert_eq!(run.status, Some(0));
}

#[test]
fn a_dash_is_a_photo_on_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("red.ppm");
    write_photo(&photo, RED);
    for dash in [&["-"][..], &["--", "-"]] {
        let run = finish(
            graphtag()
                .arg("tag")
                .arg("--model")
                .arg(fixture("colours.onnx"))
                .args(dash)
                .stdin(fs::File::open(&photo).unwrap()),
        );
        assert_eq!(run.stdout, "-  red 0.93\n");
    }
}

#[test]
fn a_bad_photo_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (
        folder.path().join("good.ppm"),
        folder.path().join("bad.jpg"),
    );
    write_photo(&good, RED);
    fs::write(&bad, "no photo").unwrap();
    let run = tag_with(&["--format=jsonl"], &[&bad, &good]);
    assert_eq!(run.status, Some(1));
    let lines = run.json_lines();
    let failed = lines[0].as_object().unwrap();
    assert_eq!(failed.keys().collect::<Vec<_>>(), ["error", "path"]);
    assert!(
        run.stdout
            .starts_with(&format!("{{\"path\":\"{}\",\"error\":\"", bad.display()))
    );
    assert_eq!(lines[1]["tags"][0]["label"], "red");
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(
        run.stderr.contains("bad.jpg: not a photo"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_foreign_classifier_takes_its_labels_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("red.ppm");
    write_photo(&photo, RED);
    let foreign = |options: &[&str]| {
        run(["tag", "--format=jsonl", "--all-scores", "--model"]
            .iter()
            .map(OsString::from)
            .chain([fixture("colours_foreign.onnx").into(), "--labels".into()])
            .chain([fixture("colours.txt").into()])
            .chain(options.iter().map(OsString::from))
            .chain([photo.clone().into()]))
    };
    // Logits become probabilities; normalised as asked, or as ImageNet's photos are.
    let scores = &foreign(&["--mean=127.5", "--scale=0.01"]).json_lines()[0]["scores"];
    assert_eq!(
        (&scores["red"], &scores["green"]),
        (&0.7816.into(), &0.2184.into())
    );
    let scores = &foreign(&["--mean", "255,0,0", "--scale", "1,1,1"]).json_lines()[0]["scores"];
    assert_eq!(
        (&scores["red"], &scores["green"]),
        (&0.5.into(), &0.5.into())
    );
    // (255 - 123.675) / 58.395 = 2.2489, of which the sigmoid is 0.9046.
    assert_eq!(foreign(&[]).json_lines()[0]["scores"]["red"], 0.9046);
}

#[test]
fn more_threads_give_the_same_scores() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("red.ppm");
    write_photo(&photo, RED);
    let run = tag_with(&["--threads", "2"], &[&photo]);
    assert!(run.stdout.ends_with("  red 0.93\n"), "{run:?}");
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..200 {
        write_photo(&folder.path().join(format!("{number}.ppm")), RED);
    }
    for format in ["text", "jsonl"] {
        let mut child = graphtag()
            .args(["tag", "--all-scores", "--format", format, "--model"])
            .args([fixture("colours.onnx").as_path(), folder.path()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf8_is_no_obstacle() {
    use std::os::unix::ffi::OsStringExt;
    let folder = tempfile::tempdir().unwrap();
    let photo = folder
        .path()
        .join(OsString::from_vec(b"caf\xe9.ppm".to_vec()));
    write_photo(&photo, RED);
    for path in [photo.as_path(), folder.path()] {
        let run = tag_with(&[], &[path]);
        assert!(
            run.stdout.ends_with("caf\u{fffd}.ppm  red 0.93\n"),
            "{run:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_name_with_a_line_break_stays_in_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("a\nb.ppm");
    write_photo(&photo, RED);
    let run = tag_with(&[], &[&photo]);
    assert!(run.stdout.ends_with("a\\nb.ppm  red 0.93\n"), "{run:?}");
}
