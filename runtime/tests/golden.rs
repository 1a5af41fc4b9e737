//! A model is checked against what it said where it was made.

use graphtag_models::{Golden, Metadata, onnx, zoo};
use graphtag_runtime::Model;
use graphtag_runtime::golden::{Check, CheckError, check, record};

const COLOURS: &[u8] = include_bytes!("../../tests/fixtures/colours.onnx");
const CAT: &[u8] = include_bytes!("../../tests/photos/cat.jpg");

/// The small model with this golden photo.
fn colours(golden: Option<Golden>) -> Model {
    let metadata = Metadata::from_properties(&onnx::properties(COLOURS).unwrap());
    let metadata = Metadata {
        golden,
        ..metadata.unwrap().unwrap()
    };
    Model::from_bytes(&onnx::with_metadata(COLOURS, &metadata).unwrap()).unwrap()
}

fn recorded() -> Golden {
    record(&colours(None), CAT.into()).unwrap()
}

#[test]
fn a_model_says_what_it_said() {
    let check = check(&colours(Some(recorded()))).unwrap();
    assert_eq!(check, Check::Golden { difference: 0.0 });
}

#[test]
fn the_default_model_says_here_what_it_said_where_it_was_made() {
    let model = Model::from_bytes(zoo::default_model()).unwrap();
    let Check::Golden { difference } = check(&model).unwrap() else {
        panic!("no golden photo");
    };
    assert!(difference < 0.001, "{difference}");
}

#[test]
fn another_probability_is_told_with_its_label() {
    let mut golden = recorded();
    let found = golden.probabilities[1];
    golden.probabilities[1] = if found > 0.5 {
        found - 0.1
    } else {
        found + 0.1
    };
    let error = check(&colours(Some(golden))).unwrap_err().to_string();
    assert!(
        error.contains("\"green\" in its golden photo is"),
        "{error}"
    );
    assert!(!error.contains('\n'));
}

#[test]
fn a_model_without_a_golden_photo_sees_a_plain_picture() {
    assert_eq!(check(&colours(None)).unwrap(), Check::Plain);
}

#[test]
fn a_photo_that_would_take_much_memory_is_refused() {
    let mut golden = recorded();
    let frame = golden.photo.windows(2).position(|w| w == [0xff, 0xc0]);
    let sides = frame.expect("a baseline JPEG") + 5;
    golden.photo[sides..sides + 4].copy_from_slice(&[0xff; 4]);
    let error = check(&colours(Some(golden))).unwrap_err();
    assert!(matches!(error, CheckError::Size), "{error}");
}

#[test]
fn a_damaged_photo_is_refused() {
    let mut golden = recorded();
    golden.photo.truncate(golden.photo.len() / 2);
    let error = check(&colours(Some(golden))).unwrap_err();
    assert!(matches!(error, CheckError::Photo(_)), "{error}");
}
