//! What a model file says of itself survives writing, and nothing that it says makes a reader panic.

use std::collections::BTreeMap;

use graphtag_models::{
    Accuracy, Architecture, Backbone, Classifier, ColorOrder, Filter, Golden, GraphLayer, Head,
    InputSize, MAX_GOLDEN_BYTES, Metadata, MetadataError, Preprocessing, Provenance, Resize,
};
use proptest::prelude::*;

fn preprocessing() -> impl Strategy<Value = Preprocessing> {
    (
        (1..4096usize, 1..4096usize),
        prop_oneof![Just(Resize::Stretch), Just(Resize::CenterCrop)],
        prop_oneof![Just(Filter::Bilinear), Just(Filter::Lanczos3)],
        prop_oneof![Just(ColorOrder::Rgb), Just(ColorOrder::Bgr)],
        prop::array::uniform3(prop::num::f32::NORMAL),
        prop::array::uniform3(prop::num::f32::NORMAL),
    )
        .prop_map(
            |((height, width), resize, filter, color, mean, scale)| Preprocessing {
                height,
                width,
                resize,
                filter,
                mean,
                scale,
                color,
            },
        )
}

fn head() -> impl Strategy<Value = Head> {
    let classifier = || {
        prop_oneof![
            Just(Classifier::Plain),
            (1.0..50.0f32).prop_map(|scale| Classifier::Angular { scale }),
        ]
    };
    let layer = prop_oneof![Just(GraphLayer::Gcn), Just(GraphLayer::Gat)];
    prop_oneof![
        classifier().prop_map(|classifier| Head::Linear { classifier }),
        (layer, 1..1000usize, classifier()).prop_map(|(layer, embedding, classifier)| {
            Head::Graph {
                layer,
                embedding,
                classifier,
            }
        }),
    ]
}

fn architecture(labels: usize) -> impl Strategy<Value = Architecture> {
    (0..=4u8, 0.1..8.0f32, head(), 32..=4096usize, 32..=4096usize).prop_map(
        move |(variant, width, head, rows, columns)| Architecture {
            backbone: Backbone::EfficientNetLite { variant, width },
            head,
            input: InputSize {
                height: rows,
                width: columns,
            },
            labels,
        },
    )
}

/// A share of one to four digits, which JSON carries exactly.
fn share() -> impl Strategy<Value = f64> {
    (0..=10_000u32).prop_map(|share| f64::from(share) / 1e4)
}

fn accuracy() -> impl Strategy<Value = Accuracy> {
    (
        any::<String>(),
        any::<usize>(),
        0..100usize,
        share(),
        share(),
        share(),
    )
        .prop_map(|(data, photos, labels, map, cf1, of1)| Accuracy {
            data,
            photos,
            labels,
            map,
            cf1,
            of1,
        })
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let labels = prop::collection::btree_set(any::<String>(), 1..20);
    labels.prop_flat_map(|labels| {
        let count = labels.len();
        (
            any::<String>(),
            prop::collection::vec(0.0..=1.0f32, count),
            preprocessing(),
            prop::option::of(architecture(count)),
            prop::collection::vec(accuracy(), 0..3),
            prop::option::of(golden(count)),
            (any::<String>(), any::<u64>()),
        )
            .prop_map(
                move |(
                    name,
                    thresholds,
                    preprocessing,
                    architecture,
                    accuracy,
                    golden,
                    (text, seed),
                )| {
                    Metadata {
                        name,
                        labels: labels.iter().cloned().collect(),
                        thresholds,
                        preprocessing,
                        architecture,
                        provenance: Provenance {
                            training: serde_json::json!({ "seed": seed, "notes": [text] }),
                            quantization: serde_json::Value::Null,
                        },
                        accuracy,
                        golden,
                    }
                },
            )
    })
}

fn golden(labels: usize) -> impl Strategy<Value = Golden> {
    (
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(0.0..=1.0f32, labels),
    )
        .prop_map(|(rest, probabilities)| Golden {
            photo: [vec![0xff, 0xd8, 0xff], rest].concat(),
            probabilities,
        })
}

fn properties(metadata: &Metadata) -> BTreeMap<String, String> {
    metadata.to_properties().unwrap().into_iter().collect()
}

fn example() -> Metadata {
    Metadata {
        name: "coco2-lite0".into(),
        labels: vec!["cat".into(), "dog".into()],
        thresholds: vec![0.25, 0.5],
        preprocessing: Preprocessing {
            height: 224,
            width: 224,
            resize: Resize::Stretch,
            filter: Filter::Bilinear,
            mean: [127.0; 3],
            scale: [0.0078125; 3],
            color: ColorOrder::Rgb,
        },
        architecture: None,
        provenance: Provenance::default(),
        accuracy: vec![],
        golden: None,
    }
}

/// The error of reading the example with `key` set to `value`.
fn refusal(key: &str, value: &str) -> String {
    let mut properties = properties(&example());
    properties.insert(format!("graphtag.{key}"), value.into());
    Metadata::from_properties(&properties)
        .unwrap_err()
        .to_string()
}

#[test]
fn the_keys_of_schema_version_1_stay_what_they_are() {
    let properties = properties(&example());
    let mut keys: Vec<_> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "graphtag.accuracy",
            "graphtag.architecture",
            "graphtag.labels",
            "graphtag.name",
            "graphtag.preprocessing",
            "graphtag.quantization",
            "graphtag.schema_version",
            "graphtag.thresholds",
            "graphtag.training",
        ]
    );
    assert_eq!(properties["graphtag.schema_version"], "1");
    assert_eq!(properties["graphtag.labels"], r#"["cat","dog"]"#);
    assert_eq!(properties["graphtag.thresholds"], "[0.25,0.5]");
    assert_eq!(
        properties["graphtag.preprocessing"],
        concat!(
            r#"{"height":224,"width":224,"resize":"stretch","filter":"bilinear","#,
            r#""mean":[127.0,127.0,127.0],"scale":[0.0078125,0.0078125,0.0078125],"color":"rgb"}"#
        )
    );
}

#[test]
fn contradictions_are_refused_by_name() {
    assert!(refusal("labels", r#"["cat"]"#).contains("thresholds: 2 for 1 labels"));
    assert!(refusal("labels", r#"["cat","cat"]"#).contains("labels: a label occurs twice"));
    assert!(refusal("thresholds", "[0.5,1.5]").contains("thresholds: not all within 0 to 1"));
    assert!(refusal("thresholds", "[0.5,null]").contains("thresholds"));
    assert!(refusal("schema_version", "2").contains("update graphtag"));
    let huge = properties(&example())["graphtag.preprocessing"].replace("224", "1000000");
    assert!(refusal("preprocessing", &huge).contains("1000000x1000000"));
}

#[test]
fn a_missing_key_is_named() {
    for key in properties(&example()).keys() {
        let mut incomplete = properties(&example());
        incomplete.remove(key);
        let error = Metadata::from_properties(&incomplete).unwrap_err();
        assert_eq!(error.to_string(), format!("{key} is missing"));
    }
}

#[test]
fn a_foreign_model_has_no_metadata_of_ours() {
    let foreign = BTreeMap::from([("author".to_string(), "someone".to_string())]);
    assert_eq!(Metadata::from_properties(&foreign).unwrap(), None);
}

#[test]
fn metadata_that_could_not_be_read_again_is_not_written() {
    let mut metadata = example();
    metadata.thresholds[0] = f32::NAN;
    assert!(matches!(
        metadata.to_properties(),
        Err(MetadataError::Value {
            key: "thresholds",
            ..
        })
    ));
    let mut metadata = example();
    metadata.accuracy.push(Accuracy {
        data: "coco".into(),
        photos: 128,
        labels: 71,
        map: f64::NAN,
        cf1: 0.5,
        of1: 0.5,
    });
    assert!(matches!(
        metadata.to_properties(),
        Err(MetadataError::Value {
            key: "accuracy",
            ..
        })
    ));
}

proptest! {
    #[test]
    fn what_is_written_is_read(metadata in metadata()) {
        let read = Metadata::from_properties(&properties(&metadata)).unwrap();
        prop_assert_eq!(read, Some(metadata));
    }

    #[test]
    fn no_value_makes_the_reader_panic(key in 0..9usize, value in any::<String>()) {
        let mut properties = properties(&example());
        let key = properties.keys().nth(key).unwrap().clone();
        properties.insert(key, value);
        let _ = Metadata::from_properties(&properties);
    }

    #[test]
    fn no_damage_to_a_value_makes_the_reader_panic(
        metadata in metadata(),
        key in 0..9usize,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut properties = properties(&metadata);
        let value = properties.values_mut().nth(key).unwrap();
        let mut bytes = std::mem::take(value).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        *value = String::from_utf8_lossy(&bytes).into_owned();
        let _ = Metadata::from_properties(&properties);
    }
}

#[test]
fn a_golden_photo_is_a_small_jpeg_with_a_probability_for_every_label() {
    let golden = |photo: &[u8], probabilities: &[f32]| {
        let golden = Golden {
            photo: photo.into(),
            probabilities: probabilities.into(),
        };
        refusal("golden", &serde_json::to_string(&golden).unwrap())
    };
    let jpeg = [0xff, 0xd8, 0xff];
    let large = [jpeg.to_vec(), vec![0; MAX_GOLDEN_BYTES]].concat();
    for (refusal, problem) in [
        (golden(&jpeg, &[0.5]), "1 probabilities for 2 labels"),
        (golden(&jpeg, &[0.5, 1.5]), "not all within 0 to 1"),
        (golden(b"GIF89a", &[0.5, 0.5]), "no JPEG"),
        (golden(&large, &[0.5, 0.5]), "more than 262144"),
        (
            refusal("golden", r#"{"photo": "!", "probabilities": []}"#),
            "Invalid",
        ),
    ] {
        assert!(refusal.starts_with("graphtag.golden: "), "{refusal}");
        assert!(refusal.contains(problem), "{refusal}");
    }
}
