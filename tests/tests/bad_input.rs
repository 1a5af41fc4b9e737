//! Bad photos, models and label files: one clear line each, the right exit status, bounded memory.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use graphtag_tests::{MEMORY_LIMIT, Run, bad, fixture, run};

const TRUNCATED: &str = "a truncated, damaged or unusual";
const TOO_LARGE: &str = "too large to decode within";

const PHOTOS: [(&str, &str); 17] = [
    ("empty.jpg", "empty file"),
    ("truncated.jpg", TRUNCATED),
    ("truncated.png", TRUNCATED),
    ("text.jpg", "not a photo that can be read"),
    ("zeros.png", "not a photo that can be read"),
    ("header.jpg", TRUNCATED),
    ("noise.jpg", TRUNCATED),
    ("bomb_header.png", TOO_LARGE),
    ("bomb_data.png", TOO_LARGE),
    ("bomb_text.png", TRUNCATED),
    ("bomb_profile.png", TRUNCATED),
    ("bomb.jpg", TOO_LARGE),
    ("bomb.gif", TOO_LARGE),
    ("bomb.webp", TOO_LARGE),
    ("bomb.bmp", TOO_LARGE),
    ("bomb.tiff", TOO_LARGE),
    ("bomb.ppm", TOO_LARGE),
];

const NOT_ONNX: &str = "not an ONNX model, or a truncated or damaged one";
const TENSOR: &str = "too large";

const MODELS: [(&str, &str); 28] = [
    ("empty.onnx", NOT_ONNX),
    ("text.onnx", NOT_ONNX),
    ("truncated.onnx", NOT_ONNX),
    ("no_labels.onnx", "no labels of its own"),
    ("two_inputs.onnx", "2 inputs"),
    ("two_outputs.onnx", "2 outputs"),
    ("rank_2_input.onnx", "has the shape [1, 3]"),
    ("channels_last.onnx", "has the shape [1, 8, 8, 3]"),
    ("batch_of_4.onnx", "has the shape [4, 3, 8, 8]"),
    ("unknown_size.onnx", "has the shape [1, 3, ?, ?]"),
    ("integer_input.onnx", "not of 32-bit floats"),
    ("map_output.onnx", "not [1, labels]"),
    ("unconnected.onnx", "can't be run"),
    ("missing_output.onnx", "no node makes its output"),
    ("cycle.onnx", "can't be run"),
    ("unknown_operation.onnx", "\"Frobnicate\" is not supported"),
    ("shapes_disagree.onnx", "not [1, labels]"),
    ("data_too_short.onnx", "\"bias\""),
    ("negative_shape.onnx", "\"bias\""),
    ("bomb_input.onnx", "sides of 1 to 4096"),
    ("bomb_tensor.onnx", TENSOR),
    ("bomb_constant.onnx", TENSOR),
    ("bomb_expand.onnx", TENSOR),
    ("bomb_tile.onnx", TENSOR),
    ("newer_schema.onnx", "update graphtag"),
    ("no_thresholds.onnx", "graphtag.thresholds is missing"),
    ("label_too_many.onnx", "3 outputs, but 4 labels"),
    ("other_size.onnx", "16x16"),
];

const LABELS: [(&str, &str); 7] = [
    ("empty.txt", "no label"),
    ("two.txt", "3 outputs, but 2 labels"),
    ("four.txt", "3 outputs, but 4 labels"),
    ("repeated.txt", "line 3 repeats a label"),
    ("gap.txt", "line 2 is empty"),
    ("binary.txt", "not UTF-8 text"),
    ("control.txt", "line 2 has a control character"),
];

fn tag(model: &Path, labels: Option<&Path>, photo: &Path) -> Run {
    let mut arguments: Vec<OsString> = vec!["tag".into(), "--model".into(), model.into()];
    if let Some(labels) = labels {
        arguments.extend(["--labels".into(), labels.into()]);
    }
    arguments.push(photo.into());
    run(arguments)
}

fn good_photo() -> PathBuf {
    graphtag_tests::repository().join("tests/photos/cat.jpg")
}

fn assert_one_clear_line(run: &Run, status: i32, path: &Path, problem: &str) {
    assert_eq!(run.status, Some(status), "{}: {run:?}", path.display());
    assert_eq!(run.stdout, "", "{}", path.display());
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    let begin = format!("graphtag: {}: ", path.display());
    assert!(run.stderr.starts_with(&begin), "{}", run.stderr);
    assert!(
        run.stderr.contains(problem),
        "{} not as in {problem:?}",
        run.stderr
    );
    assert!(
        run.stderr.chars().count() < begin.len() + 300,
        "{}",
        run.stderr
    );
    assert!(
        run.peak_memory < MEMORY_LIMIT,
        "{}: {} bytes",
        path.display(),
        run.peak_memory
    );
}

fn assert_complete(folder: &Path, table: &[(&str, &str)]) {
    let files: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        files,
        table.iter().map(|(name, _)| name.to_string()).collect()
    );
}

#[test]
fn bad_photos_are_refused() {
    assert_complete(&bad("photos"), &PHOTOS);
    for (name, problem) in PHOTOS {
        let photo = bad("photos").join(name);
        assert_one_clear_line(
            &tag(&fixture("colours.onnx"), None, &photo),
            1,
            &photo,
            problem,
        );
    }
}

#[test]
fn bad_models_are_refused() {
    assert_complete(&bad("models"), &MODELS);
    for (name, problem) in MODELS {
        let model = bad("models").join(name);
        assert_one_clear_line(&tag(&model, None, &good_photo()), 2, &model, problem);
    }
}

#[test]
fn bad_label_files_are_refused() {
    assert_complete(&bad("labels"), &LABELS);
    let model = fixture("colours_foreign.onnx");
    for (name, problem) in LABELS {
        let labels = bad("labels").join(name);
        let run = tag(&model, Some(&labels), &good_photo());
        assert_one_clear_line(&run, 2, &model, problem);
    }
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, link, missing) = (
        folder.path().join("pipe.jpg"),
        folder.path().join("link.jpg"),
        folder.path().join("missing.jpg"),
    );
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let model = fixture("colours.onnx");
    for (path, problem) in [
        (&pipe, "not a regular file"),
        (&link, "No such file"),
        (&missing, "No such file"),
    ] {
        assert_one_clear_line(&tag(&model, None, path), 1, path, problem);
        assert_one_clear_line(&tag(path, None, &good_photo()), 2, path, problem);
    }
    let run = tag(folder.path(), None, &good_photo());
    assert_one_clear_line(&run, 2, folder.path(), "not a regular file");
}

#[test]
fn the_largest_photo_stays_within_memory() {
    // 45 megapixels in 130 kB.
    let run = tag(&fixture("colours.onnx"), None, &fixture("large.png"));
    assert!(run.stdout.ends_with("red 0.81\n"), "{run:?}");
    assert!(run.peak_memory < MEMORY_LIMIT, "{} bytes", run.peak_memory);
}
