//! With a "teacher" whose three logits are the means of its input's channels
//! (`fixtures/channel_means.py`).

use std::fs;
use std::path::{Path, PathBuf};

use graphtag_models::{ColorOrder, Filter, Resize};
use image::{Rgb, RgbImage};

use super::*;
use crate::data::{PhotoFile, photos_in};

const SHARD: usize = 2;

fn teacher(output: Output) -> Teacher {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/channel_means.onnx");
    let labels = ["red", "green", "blue"].map(String::from).to_vec();
    Teacher::open(&path, labels, output, |height, width| Preprocessing {
        height,
        width,
        resize: Resize::Stretch,
        filter: Filter::Bilinear,
        mean: [127.5; 3],
        scale: [1.0 / 127.5; 3],
        color: ColorOrder::Rgb,
    })
    .unwrap()
}

/// Five photos of one colour each and one file that is none, in `folder/photos`.
fn photos(folder: &Path) -> Vec<PhotoFile> {
    let photos = folder.join("photos");
    fs::create_dir(&photos).unwrap();
    for (index, red) in [0u8, 51, 102, 153, 255].into_iter().enumerate() {
        let photo = RgbImage::from_pixel(20, 10, Rgb([red, 255, 0]));
        photo.save(photos.join(format!("{index}.png"))).unwrap();
    }
    fs::write(photos.join("2b.png"), "not a photo").unwrap();
    photos_in(&[photos]).unwrap()
}

fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().into(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn soft_labels_are_the_teachers_logits_of_each_photo() {
    let folder = tempfile::tempdir().unwrap();
    let photos = photos(folder.path());
    let out = folder.path().join("out");
    let counts = label_photos(&teacher(Output::Logits), &photos, &out, SHARD).unwrap();
    assert_eq!((counts.labelled, counts.skipped), (5, 1));

    let soft = SoftLabels::read(&out).unwrap();
    assert_eq!(soft.teacher.labels, ["red", "green", "blue"]);
    let fixture = include_bytes!("../../fixtures/channel_means.onnx");
    assert_eq!(soft.teacher.sha256, sha256(fixture));
    assert_eq!(soft.by_photo.len(), 5);
    for (name, red) in [
        ("photos/0.png", -1.0),
        ("photos/2.png", -0.2),
        ("photos/4.png", 1.0),
    ] {
        let logits = &soft.by_photo[name];
        for (found, expected) in logits.iter().zip([red, 1.0, -1.0f32]) {
            assert!((found - expected).abs() < 1e-5, "{name}: {logits:?}");
        }
    }
    let row = &read_shard(&out.join("part-00000.parquet")).unwrap()[0];
    assert_eq!(row.photo, photos[0].name);
    assert_eq!(row.sha256, sha256(&fs::read(&photos[0].path).unwrap()));
}

#[test]
fn an_interrupted_run_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let photos = photos(folder.path());
    let (whole, resumed) = (folder.path().join("whole"), folder.path().join("resumed"));
    let teacher = teacher(Output::Logits);
    label_photos(&teacher, &photos, &whole, SHARD).unwrap();
    label_photos(&teacher, &photos, &resumed, SHARD).unwrap();
    // As if killed while the second of three shards was being written.
    fs::remove_file(resumed.join("part-00002.parquet")).unwrap();
    let second = resumed.join("part-00001.parquet");
    fs::rename(&second, resumed.join("part-00001.parquet.part")).unwrap();
    let first = fs::metadata(resumed.join("part-00000.parquet")).unwrap();

    let counts = label_photos(&teacher, &photos, &resumed, SHARD).unwrap();
    assert_eq!((counts.labelled, counts.skipped), (5, 1));
    assert_eq!(contents(&resumed), contents(&whole));
    let kept = fs::metadata(resumed.join("part-00000.parquet")).unwrap();
    assert_eq!(kept.modified().unwrap(), first.modified().unwrap());
}

#[test]
fn a_folder_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let photos = photos(folder.path());
    let out = folder.path().join("out");
    label_photos(&teacher(Output::Logits), &photos, &out, SHARD).unwrap();

    let refused = |teacher: &Teacher, photos: &[PhotoFile]| {
        label_photos(teacher, photos, &out, SHARD)
            .unwrap_err()
            .to_string()
    };
    let error = refused(&teacher(Output::Logits), &photos[1..]);
    assert!(
        error.contains("its graphtag.photos.sha256 differs"),
        "{error}"
    );
    let error = refused(&teacher(Output::Probabilities), &photos);
    assert!(
        error.contains("its graphtag.teacher.output differs"),
        "{error}"
    );
    let mut other = teacher(Output::Logits);
    other.description.sha256 = "0".repeat(64);
    let error = refused(&other, &photos);
    assert!(
        error.contains("its graphtag.teacher.sha256 differs"),
        "{error}"
    );
}

#[test]
fn probabilities_become_finite_logits() {
    assert!((logit(0.75) - 3f32.ln()).abs() < 1e-6);
    assert!(logit(0.0).is_finite() && logit(1.0).is_finite());
    let folder = tempfile::tempdir().unwrap();
    let photos = photos(folder.path());
    let green = fs::read(&photos[0].path).unwrap();
    let logits = teacher(Output::Probabilities).logits(&green).unwrap();
    assert!(logits[1] > 15.0 && logits[2] < -15.0, "{logits:?}");
}

#[test]
fn a_teacher_of_another_number_of_outputs_is_refused() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/channel_means.onnx");
    let labels = vec!["red".to_string()];
    let Err(error) = Teacher::open(&path, labels, Output::Logits, |_, _| unreachable!()) else {
        panic!("took one label for three outputs");
    };
    assert!(
        error.to_string().contains("differ in number, 3 and 1"),
        "{error}"
    );
}

#[test]
fn a_label_named_as_a_column_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut teacher = teacher(Output::Logits).description;
    teacher.labels[1] = "photo".into();
    let provenance = Provenance {
        teacher,
        photos_sha256: String::new(),
    };
    let error = write_shard(&folder.path().join("x.parquet"), &provenance, &[]).unwrap_err();
    assert!(error.to_string().contains("\"photo\""), "{error}");
}

#[test]
fn files_that_are_no_soft_labels_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = SoftLabels::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("no soft labels here"), "{error}");
    fs::write(folder.path().join("part-00000.parquet"), "PAR1 and no more").unwrap();
    let error = SoftLabels::read(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("part-00000.parquet: not a Parquet file"),
        "{error}"
    );
}
