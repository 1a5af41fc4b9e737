//! `--snapshots`: pictures of what appeared, in a folder that may be unusable for a while.

use std::fs;
use std::path::{Path, PathBuf};

use graphtag_tests::repository;
use graphtag_tests::service::{Service, Signal, wait_for};

fn start(folder: &Path, more: &[&str]) -> Service {
    let folder = folder.to_str().unwrap();
    let arguments = [
        "--source",
        "tests/photos",
        "--loop",
        "--rate",
        "4",
        "--smoothing",
        "0",
        "--name",
        "porch",
        "--snapshot-period",
        "0",
        "--snapshots",
        folder,
    ];
    Service::start([&arguments, more].concat())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

#[test]
fn the_picture_in_which_a_label_appeared_is_kept_as_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("snapshots");
    let mut service = start(&folder, &["--snapshot-on", "cat"]);
    let file = wait_for("a picture", || {
        files(&folder)
            .into_iter()
            .find(|file| file.extension().is_some_and(|end| end == "jpg"))
    });
    service.end_by(Signal::TERM);
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(
        name.starts_with("graphtag-porch-20") && name.ends_with("Z-cat.jpg"),
        "{name}"
    );
    let photo = fs::read(repository().join("tests/photos/cat.jpg")).unwrap();
    assert_eq!(fs::read(file).unwrap(), photo);
    let left = files(&folder)
        .into_iter()
        .filter(|file| file.extension().is_none_or(|end| end != "jpg"));
    assert_eq!(left.count(), 0, "no unfinished file");
}

#[test]
fn the_quota_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = start(folder.path(), &["--snapshot-quota", "0.2"]);
    let first = wait_for("a picture", || files(folder.path()).into_iter().next());
    wait_for("the first picture to be pruned", || {
        (!first.exists()).then_some(())
    });
    service.end_by(Signal::TERM);
    let files = files(folder.path());
    let bytes: u64 = files
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(!files.is_empty() && bytes <= 200_000, "{bytes}");
}

#[test]
fn snapshots_stop_and_resume_while_tagging_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("snapshots");
    fs::write(&blocked, "a file where the folder should be").unwrap();
    let mut service = start(&blocked, &[]);
    service.says("left out until it can be written");
    let lines = service.lines().len();
    wait_for("more events", || {
        (service.lines().len() > lines + 2).then_some(())
    });
    assert_eq!(service.stderr().matches("left out until").count(), 1);
    fs::remove_file(&blocked).unwrap();
    service.says("they are written again");
    assert!(!files(&blocked).is_empty());
    service.end_by(Signal::TERM);
}
