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

/// The exact layout of NUS-WIDE, with two of its concepts and three of its photos.
fn nuswide() -> TempDir {
    folder(&[
        ("ConceptsList/Concepts81.txt", "airport\nanimal\n"),
        (
            "ImageList/Imagelist.txt",
            "actor\\0001_2124494179.jpg\r\nactor\\0002_174174086.jpg\r\nzoo\\0003_1.jpg\r\n",
        ),
        ("ImageList/TestImagelist.txt", "zoo\\0003_1.jpg\r\n"),
        ("Groundtruth/AllLabels/Labels_airport.txt", "0\n1\n0\n"),
        ("Groundtruth/AllLabels/Labels_animal.txt", "0\n0\n1\n"),
        ("Groundtruth/TrainTestLabels/Labels_airport_Test.txt", "0\n"),
        ("Groundtruth/TrainTestLabels/Labels_animal_Test.txt", "1\n"),
        ("Flickr/actor/0001_2124494179.jpg", ""),
        ("Flickr/zoo/0003_1.jpg", ""),
    ])
}

#[test]
fn nuswide_concepts_are_true_of_the_photo_in_their_line() {
    let directory = nuswide();
    let dataset = load("nuswide", &directory, "", &["animal", "zebra", "airport"]).unwrap();
    assert_eq!(
        truths(&dataset),
        [
            ("set/Flickr/actor/0001_2124494179.jpg", &[N, U, N][..]),
            ("set/Flickr/zoo/0003_1.jpg", &[P, U, N]),
        ]
    );
    assert_eq!(dataset.notes.len(), 1);
    assert!(dataset.notes[0].contains("actor/0002_174174086.jpg"));
    let test = load("nuswide", &directory, "@test", &["animal"]).unwrap();
    assert_eq!(truths(&test), [("set/Flickr/zoo/0003_1.jpg", &[P][..])]);
}

#[test]
fn a_broken_nuswide_file_is_named_with_its_line() {
    let directory = nuswide();
    let file = "set/Groundtruth/AllLabels/Labels_animal.txt";
    let path = directory.path().join(file);
    let error = |content: &str| {
        fs::write(&path, content).unwrap();
        load("nuswide", &directory, "", &["animal"])
            .unwrap_err()
            .to_string()
    };
    let broken = error("0\nyes\n1\n");
    assert!(
        broken.ends_with("Labels_animal.txt:2: \"yes\" is not 1 or 0"),
        "{broken}"
    );
    let short = error("0\n1\n");
    assert!(short.contains("2 lines for the 3 photos of"), "{short}");
    let split = load("nuswide", &directory, "@val", &["animal"]).unwrap_err();
    assert_eq!(
        split.to_string(),
        "NUS-WIDE has the splits train and test, not val"
    );
}

const OBJECTS: &str = r#"[
  {"image_id": 1, "objects": [
    {"synsets": ["tree.n.01"], "h": 557, "object_id": 1058549, "merged_object_ids": [], "names": ["trees"], "w": 799, "y": 0, "x": 0},
    {"synsets": ["man.n.01"], "h": 262, "object_id": 1058508, "merged_object_ids": [], "names": ["man"], "w": 60, "y": 249, "x": 238},
    {"synsets": ["man.n.01"], "h": 262, "object_id": 1058509, "merged_object_ids": [], "names": ["Man "], "w": 60, "y": 249, "x": 300}
  ], "image_url": "https://example.org/VG_100K_2/1.jpg"},
  {"image_id": 2, "objects": [
    {"synsets": [], "h": 1, "object_id": 3, "merged_object_ids": [], "names": ["man"], "w": 1, "y": 2, "x": 2}
  ], "image_url": "https://example.org/VG_100K/2.jpg"}
]"#;

#[test]
fn the_objects_of_visual_genome_become_labels_the_most_frequent_first() {
    let directory = folder(&[
        ("objects.json", OBJECTS),
        ("VG_100K_2/1.jpg", ""),
        ("VG_100K/2.jpg", ""),
        ("test_list_500.txt", "2.jpg\n"),
    ]);
    let source = format!("vg:{}", directory.path().join("set").display());
    let source: DataSource = source.parse().unwrap();
    assert_eq!(source.labels(500).unwrap(), ["man", "trees"]);
    assert_eq!(source.labels(1).unwrap(), ["man"]);
    let dataset = load("vg", &directory, "", &["man", "trees"]).unwrap();
    assert_eq!(
        truths(&dataset),
        [
            ("set/VG_100K/2.jpg", &[P, N][..]),
            ("set/VG_100K_2/1.jpg", &[P, P]),
        ]
    );
    let test = load("vg", &directory, "@test", &["trees"]).unwrap();
    assert_eq!(truths(&test), [("set/VG_100K/2.jpg", &[N][..])]);

    let path = directory.path().join("set/objects.json");
    fs::write(
        path,
        OBJECTS.replace("\"names\": [\"trees\"]", "\"names\": 7"),
    )
    .unwrap();
    let error = format!("{:#}", load("vg", &directory, "", &["man"]).unwrap_err());
    assert!(
        error.contains("objects.json") && error.contains("line 3"),
        "{error}"
    );
}

#[test]
fn a_table_has_quoted_fields_and_any_further_columns() {
    let directory = folder(&[
        (
            "list.csv",
            "image,author,labels\n\"a, b.jpg\",me,\"dog; \"\"big\"\" cat\"\nsub/c.jpg,\"you\nand me\",\nd.jpg,me,dog\n",
        ),
        ("a, b.jpg", ""),
        ("sub/c.jpg", ""),
    ]);
    let labels = ["\"big\" cat", "dog"];
    let dataset = load("csv", &directory, "/list.csv", &labels).unwrap();
    assert_eq!(
        truths(&dataset),
        [("set/a, b.jpg", &[P, P][..]), ("set/sub/c.jpg", &[N, N]),]
    );
    assert_eq!(
        dataset.notes,
        ["annotated photos that are missing, left out: 1, the first is d.jpg"]
    );
    let source = format!("csv:{}/list.csv", directory.path().join("set").display());
    let source: DataSource = source.parse().unwrap();
    assert_eq!(source.labels(500).unwrap(), labels);
}

#[test]
fn a_broken_table_is_named_with_its_line() {
    let directory = folder(&[
        ("list.csv", "image,labels\na.jpg,dog\nb.jpg\n"),
        ("a.jpg", ""),
    ]);
    let error = |directory: &TempDir| {
        format!(
            "{:#}",
            load("csv", directory, "/list.csv", &["dog"]).unwrap_err()
        )
    };
    let short = error(&directory);
    assert!(short.contains("list.csv:3: "), "{short}");
    let directory = folder(&[("list.csv", "image,label\na.jpg,dog\n")]);
    let column = error(&directory);
    assert!(
        column.ends_with("list.csv:1: there is no column \"labels\""),
        "{column}"
    );
}

#[test]
fn a_label_set_counts_photos_and_finds_the_vectors_of_words() {
    let names: Vec<String> = ["dog", "traffic light", "t-shirt"].map(String::from).into();
    let of = |truth: [Truth; 3]| Photo {
        name: String::new(),
        path: PathBuf::new(),
        truth: truth.into(),
    };
    let photos = [of([P, P, U]), of([P, N, P]), of([P, P, N])];
    let mut labels = LabelSet::of_photos(names.clone(), &photos);
    assert_eq!(labels.cooccurrence.counts, [3.0, 2.0, 1.0]);
    assert_eq!(
        labels.cooccurrence.cooccurrence,
        [[0.0, 2.0, 1.0], [2.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    );

    let directory = folder(&[(
        "glove.txt",
        "the 9 9\ntraffic 1 2\nlight 3 -4\ndog 0.5 0.25\nshirt 7 8\n",
    )]);
    let glove = directory.path().join("set/glove.txt");
    let found = embeddings(&names, &glove).unwrap();
    assert_eq!(found.shape, [3, 2]);
    assert_eq!(found.values, [0.5, 0.25, 2.0, -1.0, 7.0, 8.0]);

    labels.embeddings = Some(found);
    let folder = directory.path().join("labels");
    labels.write(&folder).unwrap();
    assert_eq!(LabelSet::open(&folder.to_string_lossy()).unwrap(), labels);
    assert_eq!(label_list(&folder.to_string_lossy()).unwrap(), names);

    fs::write(&glove, "dog 1 2\ntraffic 1\n").unwrap();
    let error = format!("{:#}", embeddings(&names, &glove).unwrap_err());
    assert!(
        error.ends_with("glove.txt:2: \"traffic\" has 1 numbers, those before 2"),
        "{error}"
    );
    fs::write(&glove, "dog 1 2\n").unwrap();
    let error = format!("{:#}", embeddings(&names, &glove).unwrap_err());
    assert!(
        error.ends_with("has no word of traffic light, t-shirt"),
        "{error}"
    );
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
    fn any_source_that_is_read_names_its_path(text in "(coco|voc|json|csv|nuswide|vg|dir):[a-z@/.: ]{0,12}") {
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
