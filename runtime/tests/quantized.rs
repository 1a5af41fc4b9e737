//! Networks as ONNX Runtime's own quantiser writes them, with what ONNX Runtime computes: made by
//! `tools/peers/fixtures.py`.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use graphtag_models::zoo;
use graphtag_runtime::Network;
use graphtag_runtime::network::Engine;
use serde::Deserialize;

/// Outputs in float, and the step in which they are quantised.
#[derive(Deserialize)]
struct Expected {
    step: f32,
    outputs: Vec<f32>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quantized")
}

fn expected() -> BTreeMap<String, Expected> {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The image of the script.
fn image(network: &Network) -> Vec<f32> {
    let values = 0..network.input_shape().iter().product();
    let level = |index: usize| (index * 73 + index / 97 * 31) % 256;
    values
        .map(|index| (level(index) as f32 - 128.0) / 64.0)
        .collect()
}

fn largest_difference(outputs: &[f32], expected: &Expected) -> f32 {
    assert_eq!(outputs.len(), expected.outputs.len());
    let pairs = outputs.iter().zip(&expected.outputs);
    let differences = pairs.map(|(a, b)| (a - b).abs() / expected.step);
    differences.fold(0.0, f32::max)
}

#[test]
fn networks_of_onnx_runtimes_quantiser_give_what_it_computes() {
    let expected = expected();
    assert_eq!(expected.len(), 16);
    let mut exact = 0;
    for (name, expected) in expected {
        let network = Network::open(&folder().join(format!("{name}.onnx"))).unwrap();
        // What makes a vector as long as one stays in float, in between quantised parts.
        let normalizes = |node: &str| {
            let operations = ["reducel2_", "max_", "div_"];
            name.starts_with("cosine") && operations.iter().any(|&start| node.starts_with(start))
        };
        let unfused = &network.fusion().unfused;
        let is_known = unfused.iter().all(|unfused| normalizes(&unfused.name));
        assert!(is_known, "{name}: {unfused:?}");
        let outputs = network.run(&image(&network)).unwrap();
        let difference = largest_difference(&outputs, &expected);
        // Where a value is close to the middle of two steps, rounding may go either way, and layers pass that on.
        assert!(difference < 2.01, "{name}: {difference} steps: {outputs:?}");
        exact += usize::from(difference < 0.01);
        let spread = outputs.iter().copied().fold(f32::MIN, f32::max)
            - outputs.iter().copied().fold(f32::MAX, f32::min);
        assert!(spread > 50.0 * expected.step, "{name}: {outputs:?}");
    }
    assert!(exact >= 8, "only {exact} networks are the same to the bit");
}

#[test]
fn they_give_the_same_when_tract_runs_them() {
    for (name, expected) in expected() {
        let file = std::fs::read(folder().join(format!("{name}.onnx"))).unwrap();
        let network = Network::from_bytes_for(&file, Engine::Tract).unwrap();
        let outputs = network.run(&image(&network)).unwrap();
        let difference = largest_difference(&outputs, &expected);
        assert!(difference < 3.01, "{name}: {difference} steps");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let names = expected().into_keys();
    let files = names.map(|name| std::fs::read(folder().join(format!("{name}.onnx"))).unwrap());
    let bits = |network: &Network, image: &[f32]| -> Vec<u32> {
        let outputs = network.run(image).unwrap();
        outputs.into_iter().map(f32::to_bits).collect()
    };
    for file in files.chain([zoo::default_model().to_vec()]) {
        let network = Network::from_bytes(&file).unwrap();
        let image = image(&network);
        let expected = bits(&network, &image);
        for threads in [2, 3, 8] {
            let network = Network::from_bytes(&file).unwrap();
            let network = network
                .with_threads(NonZeroUsize::new(threads).unwrap())
                .unwrap();
            // Two callers share them.
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        (0..3).for_each(|_| assert_eq!(bits(&network, &image), expected))
                    });
                }
            });
        }
    }
}
