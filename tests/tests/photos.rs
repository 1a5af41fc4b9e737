//! The embedded model on real photos: the first thing that a newcomer sees.

use std::collections::BTreeMap;

use graphtag_tests::{MEMORY_LIMIT, repository, run};

#[test]
fn each_photo_gets_the_label_that_a_person_would_give() {
    let labels = std::fs::read(repository().join("tests/photos/labels.json")).unwrap();
    let labels: BTreeMap<String, Vec<String>> = serde_json::from_slice(&labels).unwrap();
    let run = run(["tag", "--format", "jsonl", "tests/photos"]);
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    assert!(run.peak_memory < MEMORY_LIMIT, "{} bytes", run.peak_memory);
    let lines = run.json_lines();
    assert_eq!(lines.len(), labels.len());
    for (line, (name, expected)) in lines.iter().zip(&labels) {
        assert_eq!(line["path"], format!("tests/photos/{name}"));
        let tags: Vec<&str> = line["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| tag["label"].as_str().unwrap())
            .collect();
        for label in expected {
            assert!(
                tags.contains(&label.as_str()),
                "{name}: no {label} among {tags:?}"
            );
        }
    }
}

#[test]
fn a_photo_is_tagged_in_little_memory() {
    let run = run(["tag", "tests/photos/cat.jpg"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    // 38 to 44 MB were seen on one machine: systems keep more or less of the program's file in memory.
    assert!(run.peak_memory <= 50_000_000, "{} bytes", run.peak_memory);
}
