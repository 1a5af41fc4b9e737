//! Data sets in temporary folders of the exact layouts.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::Truth::{Negative as N, Positive as P, Unknown as U};
use super::*;

/// Writes `files` (path and content) into a folder `set` of a temporary folder.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = directory.path().join("set").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

fn load(format: &str, directory: &TempDir, rest: &str, labels: &[&str]) -> anyhow::Result<Dataset> {
    let labels: Vec<String> = labels.iter().map(|label| label.to_string()).collect();
    let path = directory.path().join("set");
    let source = format!("{format}:{}{rest}", path.display());
    source.parse::<DataSource>().unwrap().load(&labels)
}

fn truths(dataset: &Dataset) -> Vec<(&str, &[Truth])> {
    let photos = dataset.photos.iter();
    photos
        .map(|photo| (photo.name.as_str(), photo.truth.as_slice()))
        .collect()
}

const INSTANCES: &str = r#"{
  "info": {"year": 2017},
  "images": [
    {"id": 9, "file_name": "000000000009.jpg", "width": 512, "height": 384},
    {"id": 25, "file_name": "000000000025.jpg", "width": 577, "height": 384},
    {"id": 30, "file_name": "000000000030.jpg", "width": 574, "height": 384}
  ],
  "annotations": [
    {"id": 1, "image_id": 9, "category_id": 18, "bbox": [0.8, 150.1, 489.2, 228.6], "area": 111, "iscrowd": 0},
    {"id": 2, "image_id": 9, "category_id": 18, "bbox": [1.0, 2.0, 3.0, 4.0], "area": 12, "iscrowd": 0},
    {"id": 3, "image_id": 25, "category_id": 1, "bbox": [1.0, 2.0, 3.0, 4.0], "area": 12, "iscrowd": 1},
    {"id": 4, "image_id": 25, "category_id": 99, "bbox": [1.0, 2.0, 3.0, 4.0], "area": 12, "iscrowd": 0}
  ],
  "categories": [
    {"supercategory": "animal", "id": 18, "name": "dog"},
    {"supercategory": "person", "id": 1, "name": "person"},
    {"supercategory": "other", "id": 99, "name": "hat"}
  ]
}"#;

#[test]
fn coco_boxes_become_labels_by_category_name() {
    let directory = folder(&[
        ("annotations/instances_train2017.json", INSTANCES),
        ("annotations/captions_train2017.json", "{}"),
        ("train2017/000000000009.jpg", ""),
        ("train2017/000000000025.jpg", ""),
        ("train2017/000000000030.jpg", ""),
    ]);
    let dataset = load("coco", &directory, "", &["person", "dog", "zebra"]).unwrap();
    assert_eq!(
        truths(&dataset),
        [
            ("set/train2017/000000000009.jpg", &[N, P, U][..]),
            ("set/train2017/000000000025.jpg", &[P, N, U]),
            ("set/train2017/000000000030.jpg", &[N, N, U]),
        ]
    );
    assert!(dataset.photos[0].path.is_file());
    let note = "labels not in the list, ignored: hat (1)";
    assert_eq!(dataset.notes, [note]);
}

#[test]
fn coco_takes_one_split_and_notes_missing_photos() {
    let directory = folder(&[
        ("annotations/instances_train2017.json", INSTANCES),
        ("annotations/instances_val2017.json", INSTANCES),
        ("train2017/000000000009.jpg", ""),
        ("val2017/000000000025.jpg", ""),
    ]);
    let dataset = load("coco", &directory, "@val2017", &["person", "dog", "hat"]).unwrap();
    assert_eq!(
        truths(&dataset),
        [("set/val2017/000000000025.jpg", &[P, N, P][..])]
    );
    let note = "annotated photos that are missing, left out: 2, the first is 000000000009.jpg";
    assert_eq!(dataset.notes, [note]);
    assert_eq!(
        load("coco", &directory, "", &["dog"]).unwrap().photos.len(),
        2
    );
}

#[test]
fn a_broken_coco_file_is_named_with_its_line() {
    let broken = INSTANCES.replace(
        "\"image_id\": 25, \"category_id\": 1,",
        "\"image_id\": \"x\",",
    );
    let directory = folder(&[("annotations/instances_a.json", &broken), ("a/1.jpg", "")]);
    let error = format!("{:#}", load("coco", &directory, "", &["dog"]).unwrap_err());
    assert!(
        error.contains("instances_a.json: not COCO's instances"),
        "{error}"
    );
    assert!(error.contains("line 11"), "{error}");
}

#[test]
fn voc_classes_bear_their_coco_names_and_difficult_is_unknown() {
    let directory = folder(&[
        ("JPEGImages/2007_000063.jpg", ""),
        ("JPEGImages/2007_000392.jpg", ""),
        ("JPEGImages/2008_000001.jpg", ""),
        (
            "ImageSets/Main/tvmonitor_train.txt",
            "2007_000063 -1\n2007_000392  1\n",
        ),
        (
            "ImageSets/Main/dog_train.txt",
            "2007_000063  0\n2007_000392 -1\n",
        ),
    ]);
    let dataset = load("voc", &directory, "", &["dog", "tv", "zebra"]).unwrap();
    assert_eq!(
        truths(&dataset),
        [
            ("set/JPEGImages/2007_000063.jpg", &[U, N, U][..]),
            ("set/JPEGImages/2007_000392.jpg", &[N, P, U]),
            ("set/JPEGImages/2008_000001.jpg", &[U, U, U]),
        ]
    );
    let split = load("voc", &directory, "@train", &["dog"]).unwrap();
    assert_eq!(split.photos.len(), 2);
}

#[test]
fn all_twenty_voc_classes_are_coco_labels() {
    const CLASSES: &str = "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog \
                           horse motorbike person pottedplant sheep sofa train tvmonitor";
    let sets: Vec<String> = CLASSES
        .split_whitespace()
        .map(|class| format!("ImageSets/Main/{class}_val.txt"))
        .collect();
    let mut files: Vec<(&str, &str)> = sets.iter().map(|set| (set.as_str(), "x 1\n")).collect();
    files.push(("JPEGImages/x.jpg", ""));
    let directory = folder(&files);
    let labels = label_list("coco80").unwrap();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let dataset = load("voc", &directory, "", &labels).unwrap();
    let positive = dataset.photos[0].truth.iter().filter(|truth| **truth == P);
    assert_eq!((positive.count(), dataset.notes.len()), (20, 0));
}

#[test]
fn a_broken_image_set_is_named_with_its_line() {
    let directory = folder(&[
        ("JPEGImages/a.jpg", ""),
        ("ImageSets/Main/dog_train.txt", "a 1\nb yes\n"),
    ]);
    let error = load("voc", &directory, "", &["dog"])
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("dog_train.txt:2: \"b yes\" is not a photo and 1, -1 or 0"),
        "{error}"
    );
}

#[test]
fn json_finds_photos_in_images_or_beside_the_file() {
    let list = r#"[
        {"image": "1.jpeg", "labels": ["dog", "sky"]},
        {"image": "extra/2.jpeg", "labels": []},
        {"image": "3.jpeg", "labels": ["dog"]}
    ]"#;
    let directory = folder(&[
        ("train.json", list),
        ("images/1.jpeg", ""),
        ("extra/2.jpeg", ""),
    ]);
    let dataset = load("json", &directory, "/train.json", &["cat", "dog"]).unwrap();
    assert_eq!(
        truths(&dataset),
        [
            ("set/extra/2.jpeg", &[N, N][..]),
            ("set/images/1.jpeg", &[N, P])
        ]
    );
    assert_eq!(dataset.notes.len(), 2);
    assert!(dataset.notes[0].contains("sky (1)"), "{:?}", dataset.notes);
    assert!(dataset.notes[1].contains("3.jpeg"), "{:?}", dataset.notes);
}

#[test]
fn a_folder_has_photos_of_all_endings_in_sorted_order_and_knows_nothing() {
    let directory = folder(&[
        ("b.JPG", ""),
        ("a/c.png", ""),
        ("notes.txt", ""),
        ("a.jpeg", ""),
    ]);
    let dataset = load("dir", &directory, "", &["cat"]).unwrap();
    assert_eq!(
        truths(&dataset),
        [
            ("set/a.jpeg", &[U][..]),
            ("set/a/c.png", &[U]),
            ("set/b.JPG", &[U])
        ]
    );
}

#[test]
fn sources_read_back_as_they_are_written() {
    for source in ["coco:a/b@val2017", "voc:a@b/c", "json:x@y.json", "dir:."] {
        let parsed: DataSource = source.parse().unwrap();
        assert_eq!(parsed.to_string(), source);
    }
    let parsed: DataSource = "voc:a@b/c".parse().unwrap();
    assert_eq!(parsed.path, Path::new("a@b/c"));
    assert!("imagenet:x".parse::<DataSource>().is_err());
}

proptest! {
    #[test]
    fn any_source_that_is_read_names_its_path(text in "(coco|voc|json|dir):[a-z@/.: ]{0,12}") {
        let parsed: DataSource = text.parse().unwrap();
        prop_assert_eq!(parsed.to_string(), text);
    }

    #[test]
    fn any_image_set_is_read_or_refused_with_its_line(text in "([ab1 -]{0,6}\n){0,4}") {
        let directory = folder(&[("JPEGImages/a.jpg", ""), ("ImageSets/Main/dog_x.txt", &text)]);
        if let Err(error) = load("voc", &directory, "", &["dog"]) {
            prop_assert!(error.to_string().contains("dog_x.txt:"), "{}", error);
        }
    }

    #[test]
    fn any_json_is_read_or_refused_by_name(text in "[\\[{\"imagelbs:,\\]} ]{0,30}") {
        let directory = folder(&[("list.json", &text), ("images/a", "")]);
        if let Err(error) = load("json", &directory, "/list.json", &["dog"]) {
            prop_assert!(error.to_string().contains("list.json"), "{}", error);
        }
    }
}

#[test]
fn folders_without_photos_or_of_one_name_are_refused() {
    let directory = folder(&[
        ("x/photos/1.png", ""),
        ("y/photos/1.png", ""),
        ("z/1.txt", ""),
    ]);
    let at = |path: &str| directory.path().join("set").join(path);
    let error = photos_in(&[at("x/photos"), at("y/photos")])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("another folder is called photos too"),
        "{error}"
    );
    let error = photos_in(&[]).unwrap_err().to_string();
    assert!(error.contains("no folder of photos is given"), "{error}");
    let error = photos_in(&[at("z")]).unwrap_err().to_string();
    assert!(error.contains("no photos in this folder"), "{error}");
}

fn photo(name: String) -> Photo {
    Photo {
        path: name.clone().into(),
        name,
        truth: vec![],
    }
}

#[test]
fn a_photo_stays_in_its_part_when_others_come_and_go() {
    let photos: Vec<Photo> = (0..1000).map(|n| photo(format!("set/{n}.jpg"))).collect();
    let all = split(photos.clone(), 0.1, 7);
    let half = split(photos[..500].to_vec(), 0.1, 7);
    let expected = all.validation.iter().filter(|p| photos[..500].contains(p));
    assert_eq!(half.validation, expected.cloned().collect::<Vec<_>>());
    // 100 expected, standard deviation 9.5.
    assert!(
        (70..130).contains(&all.validation.len()),
        "{}",
        all.validation.len()
    );
    assert_eq!(all.training.len() + all.validation.len(), 1000);
    assert_ne!(split(photos, 0.1, 8).validation, all.validation);
}

#[test]
fn photos_of_the_same_bytes_are_dropped() {
    let directory = folder(&[
        ("1.png", "a"),
        ("2.png", "b"),
        ("3.png", "b"),
        ("4.png", "c"),
    ]);
    let photos = load("dir", &directory, "", &[]).unwrap().photos;
    let excluded = sha256_set(&photos[..1]).unwrap();
    let kept = deduplicate(photos, &excluded).unwrap();
    let names: Vec<&str> = kept.iter().map(|photo| photo.name.as_str()).collect();
    assert_eq!(names, ["set/2.png", "set/4.png"]);
}

#[test]
fn names_are_written_one_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("validation.txt");
    write_names(&file, &[photo("a/1.jpg".into()), photo("a/2.jpg".into())]).unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), "a/1.jpg\na/2.jpg\n");
}
