//! The paper's full models: state dicts of timm are imported, and burn and the ONNX files compute PyTorch's logits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use graphtag_models::{
    Architecture, Backbone, Classifier, Head, InputSize, Metadata, Provenance, Weights, fold, onnx,
};
use graphtag_tools::import::import;
use graphtag_tools::training::forward::{Mode, image_value, run_between};
use graphtag_tools::training::parameters::{Parameters, values};
use graphtag_tools::training::recipe::preprocessing;
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;
use tempfile::TempDir;

const SIZE: usize = 64;
const PHOTOS: usize = 2;

/// See `fixtures/full_models.py`.
#[derive(Clone, Deserialize)]
struct Case {
    backbone: String,
    width: f32,
    head: String,
    labels: usize,
    gain: f64,
    tensors: BTreeMap<String, Vec<usize>>,
    logits: Vec<Vec<f32>>,
}

impl Case {
    fn all() -> Vec<Case> {
        serde_json::from_str(include_str!("../fixtures/full_models.json")).unwrap()
    }

    fn of(backbone: &str, head: &str) -> Case {
        let mut cases = Case::all().into_iter();
        cases
            .find(|case| case.backbone == backbone && case.head == head)
            .unwrap()
    }

    fn architecture(&self) -> Architecture {
        let decoder = |classifier| Head::MlDecoder {
            width: 32,
            feed_forward: 64,
            classifier,
        };
        Architecture {
            backbone: self
                .backbone
                .parse::<Backbone>()
                .unwrap()
                .with_width(self.width),
            head: match self.head.as_str() {
                "linear" => Head::linear(),
                "ml-decoder" => decoder(Classifier::Plain),
                _ => decoder(Classifier::Angular { scale: 23.0 }),
            },
            input: InputSize {
                height: SIZE,
                width: SIZE,
            },
            labels: self.labels,
        }
    }

    fn name(&self) -> String {
        format!("{} with {}", self.backbone, self.head)
    }

    /// The state dict as a file.
    fn write(&self, folder: &Path) -> PathBuf {
        let bytes: BTreeMap<&str, Vec<u8>> = self
            .tensors
            .iter()
            .map(|(name, shape)| {
                let drawn = drawn(name, shape, self.gain).into_iter();
                (name.as_str(), drawn.flat_map(f32::to_le_bytes).collect())
            })
            .collect();
        let views = self.tensors.iter().map(|(name, shape)| {
            let bytes = &bytes[name.as_str()];
            (
                name,
                TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
            )
        });
        let path = folder.join("state_dict.safetensors");
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        path
    }

    fn weights(&self) -> Weights {
        let folder = TempDir::new().unwrap();
        let architecture = self.architecture();
        let weights = import(&self.write(folder.path()), &architecture).unwrap();
        weights.check(&architecture.lower()).unwrap();
        weights
    }

    fn metadata(&self) -> Metadata {
        let architecture = self.architecture();
        Metadata {
            name: "test".into(),
            labels: (0..self.labels).map(|label| label.to_string()).collect(),
            thresholds: vec![0.5; self.labels],
            preprocessing: preprocessing(architecture.backbone, architecture.input),
            architecture: Some(architecture),
            provenance: Provenance::default(),
            accuracy: vec![],
            golden: None,
        }
    }
}

/// The values that a name stands for.
fn drawn(name: &str, shape: &[usize], gain: f64) -> Vec<f32> {
    let hash = name.bytes().fold(2_166_136_261u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    let count: usize = shape.iter().product();
    let inputs = match shape {
        &[_, inputs, _] => inputs,
        _ => count / shape[0],
    };
    let is_positive =
        name.ends_with("running_var") || (name.ends_with(".weight") && shape.len() == 1);
    let scramble = |x: u32| (x ^ (x >> 16)).wrapping_mul(0x045d_9f3b);
    (0..count)
        .map(|i| {
            let x = hash.wrapping_add((i as u32).wrapping_mul(2_654_435_761));
            let x = scramble(scramble(x));
            let u = f64::from(x ^ (x >> 16)) / f64::from(1u32 << 31) - 1.0;
            let value = if is_positive {
                1.0 + u / 2.0
            } else if shape.len() == 1 {
                u / 50.0
            } else if name.ends_with("photos") || name.ends_with("query_embed.weight") {
                u
            } else {
                u * (3.0 * gain / inputs as f64).sqrt()
            };
            value as f32
        })
        .collect()
}

fn photos() -> Tensor<4> {
    let shape = [PHOTOS, 3, SIZE, SIZE];
    let data = TensorData::new(drawn("photos", &shape, 1.0), shape);
    Tensor::from_data(data, &Device::flex())
}

fn photo(index: usize) -> Vec<f32> {
    values(photos().narrow(0, index, 1))
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn imported_networks_give_pytorchs_logits() {
    for case in Case::all() {
        let network = case.architecture().lower();
        let parameters = Parameters::new(&case.weights(), &Device::flex());
        let end = network.find("classifier").unwrap();
        let (mode, input) = (Mode::Inference, (0, image_value(photos())));
        let logits = run_between(&network, &parameters, mode, PHOTOS, input, end, |_, v| v);
        let expected = case.logits.concat();
        let largest = expected
            .iter()
            .fold(1.0f32, |largest, x| largest.max(x.abs()));
        let found = values(logits.tensor());
        assert_eq!(found.len(), expected.len(), "{}", case.name());
        for (found, expected) in found.iter().zip(&expected) {
            let error = (found - expected).abs();
            assert!(
                error < 1e-4 * largest,
                "{}: {found}, not {expected}",
                case.name()
            );
        }
    }
}

#[test]
fn their_float_files_give_the_probabilities() {
    for case in Case::all() {
        let (network, weights) = fold(&case.architecture().lower(), &case.weights()).unwrap();
        let file = onnx::float(&network, &weights, &case.metadata()).unwrap();
        let engine = graphtag_runtime::Network::from_bytes(&file).unwrap();
        for (index, logits) in case.logits.iter().enumerate() {
            let found = engine.run(&photo(index)).unwrap();
            let largest = logits
                .iter()
                .fold(1.0f32, |largest, x| largest.max(x.abs()));
            for (found, logit) in found.iter().zip(logits) {
                let error = (found - sigmoid(*logit)).abs();
                assert!(error < 1e-4 * largest, "{}: {found}, {logit}", case.name());
            }
        }
    }
}

#[test]
fn everything_that_does_not_suit_is_listed() {
    let mut case = Case::of("mobilenet-v3-small", "linear");
    case.tensors.remove("conv_stem.weight").unwrap();
    case.tensors.insert("classifier.bias".into(), vec![7]);
    case.tensors
        .insert("blocks.9.0.conv.weight".into(), vec![1]);
    let folder = TempDir::new().unwrap();
    let path = case.write(folder.path());
    let error = import(&path, &case.architecture()).unwrap_err().to_string();
    assert!(error.starts_with(&path.display().to_string()), "{error}");
    for problem in [
        "conv_stem.weight is missing, which is stem.convolution.weight",
        "classifier.bias is [7], but classifier.bias is [5]",
        "blocks.9.0.conv.weight is not known",
    ] {
        assert!(error.contains(problem), "{error}");
    }
}
