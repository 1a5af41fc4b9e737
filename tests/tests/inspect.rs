//! `graphtag inspect` and `graphtag models`.

use graphtag_tests::{fixture, run};
use serde_json::{Value, json};

fn inspect(arguments: &[&str]) -> Value {
    let run = run([&["inspect", "--format", "json"], arguments].concat());
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn json_tells_labels_origin_and_cost() {
    let report = inspect(&[fixture("colours.onnx").to_str().unwrap()]);
    assert_eq!(report["name"], "colours");
    assert_eq!(
        report["labels"][1],
        json!({"label": "green", "threshold": 0.25})
    );
    assert_eq!(
        report["provenance"]["training"]["made by"],
        "tests/bad/make.py"
    );
    assert_eq!(report["file_bytes"], 686);
    assert_eq!(report["macs"], 0);
    let layers: Vec<&str> = report["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["name"].as_str().unwrap())
        .collect();
    assert_eq!(layers.last(), Some(&"probabilities"));
}

#[test]
fn a_foreign_model_is_described_without_labels() {
    let report = inspect(&[fixture("colours_foreign.onnx").to_str().unwrap()]);
    assert_eq!(report["name"], "colours_foreign");
    assert_eq!(report["labels"], json!([]));
    assert_eq!(report["provenance"], Value::Null);
}

#[test]
fn text_lists_every_label_with_its_threshold() {
    let run = run(["inspect".as_ref(), fixture("colours.onnx").as_os_str()]);
    let labels = "label  threshold\nred    0.750\ngreen  0.250\nblue   0.500\n";
    assert!(run.stdout.contains(labels), "{}", run.stdout);
}

#[test]
fn the_default_model_is_of_eighty_labels_and_counted_layer_by_layer() {
    let report = inspect(&[]);
    assert_eq!(report["labels"].as_array().unwrap().len(), 80);
    let layers = report["layers"].as_array().unwrap();
    for key in ["macs", "parameters"] {
        let sum: u64 = layers
            .iter()
            .map(|layer| layer[key].as_u64().unwrap())
            .sum();
        assert_eq!(report[key], sum);
        assert!(sum > 1_000_000, "{key}: {sum}");
    }
    let macs_on = |engine: &str| -> u64 {
        let layers = layers.iter().filter(|layer| layer["engine"] == engine);
        layers.map(|layer| layer["macs"].as_u64().unwrap()).sum()
    };
    assert_eq!(macs_on("tract"), 0, "nothing is left to tract");
    assert_eq!(macs_on("int8"), report["macs"].as_u64().unwrap());
    let name = report["name"].as_str().unwrap();
    assert!(
        run(["models"]).stdout.starts_with(name),
        "the first is the default"
    );
}
