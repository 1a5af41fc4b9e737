//! Burn's reading of networks, held against PyTorch and against the ONNX files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use graphtag_models::{
    Architecture, Backbone, Head, InputSize, Metadata, Network, Operation, Provenance, Weights,
    fold, fold_batch_norm, onnx,
};
use graphtag_runtime::preprocess;
use graphtag_tools::import::import;
use graphtag_tools::training::forward::{Mode, image_value, run, run_between};
use graphtag_tools::training::parameters::{Parameters, values};
use graphtag_tools::training::recipe::preprocessing;
use serde_json::Value;

fn architecture(head: &str, width: f32, size: usize, labels: usize) -> Architecture {
    let lite0: Backbone = "efficientnet-lite0".parse().unwrap();
    Architecture {
        backbone: lite0.with_width(width),
        head: head.parse::<Head>().unwrap(),
        input: InputSize {
            height: size,
            width: size,
        },
        labels,
    }
}

/// Weights that keep activations in a sensible range.
fn random_weights(network: &Network) -> Weights {
    let device = Device::flex();
    device.seed(3);
    let tensors = network.all_parameters().into_iter().map(|parameter| {
        let length: usize = parameter.shape.iter().product();
        let fan: usize = parameter.shape[1..].iter().product();
        let random = |distribution| values(Tensor::<1>::random([length], distribution, &device));
        let drawn = match parameter.name.rsplit('.').next().unwrap() {
            "running_variance" => random(Distribution::Uniform(0.5, 2.0)),
            "weight" if parameter.shape.len() == 1 => random(Distribution::Uniform(0.5, 2.0)),
            "adjacency" => random(Distribution::Uniform(0.0, 1.0)),
            _ => random(Distribution::Normal(0.0, (2.0 / fan.max(4) as f64).sqrt())),
        };
        let shape = parameter.shape;
        (
            parameter.name,
            graphtag_models::Tensor {
                shape,
                values: drawn,
            },
        )
    });
    Weights {
        tensors: tensors.collect(),
    }
}

fn random_photos(count: usize, size: usize) -> Tensor<4> {
    let device = Device::flex();
    device.seed(4);
    Tensor::random(
        [count, 3, size, size],
        Distribution::Uniform(-1.0, 1.0),
        &device,
    )
}

/// The ImageNet weights, which are too large to be committed.
fn lite0_weights() -> Option<PathBuf> {
    let default = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../target/fixtures/efficientnet-lite0.pth"
    );
    let path = PathBuf::from(std::env::var("GRAPHTAG_LITE0_PTH").unwrap_or(default.into()));
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var("CI").is_err(),
        "needs efficientnet-lite0 weights: {}",
        path.display()
    );
    println!("skipped: needs efficientnet-lite0 weights (.ci/run fetches them)");
    None
}

#[test]
fn imported_lite0_gives_pytorchs_logits() {
    let Some(path) = lite0_weights() else { return };
    let fixture: Value =
        serde_json::from_str(include_str!("../fixtures/efficientnet_lite0.json")).unwrap();
    let photo = image::load_from_memory(include_bytes!("../fixtures/cat_224.png")).unwrap();
    let architecture = architecture("linear", 1.0, 224, 1000);
    let preprocessing = preprocessing(architecture.backbone, architecture.input);
    let pixels = preprocess::tensor(&photo.into_rgb8(), &preprocessing);
    let network = architecture.lower();
    let weights = import(&path, &architecture).unwrap();

    let device = Device::flex();
    let parameters = Parameters::new(&weights, &device);
    let photos = Tensor::<4>::from_data(TensorData::new(pixels, [1, 3, 224, 224]), &device);
    let end = network.find("classifier").unwrap();
    let input = (0, image_value(photos));
    let mode = Mode::Inference;
    let logits = run_between(&network, &parameters, mode, 1, input, end, |_, value| value);
    let logits = values(logits.tensor());

    let expected: Vec<f64> = serde_json::from_value(fixture["logits"].clone()).unwrap();
    let largest = expected
        .iter()
        .fold(0.0f64, |largest, x| largest.max(x.abs()));
    for (found, expected) in logits.iter().zip(&expected) {
        let error = (f64::from(*found) - expected).abs();
        assert!(error < 1e-3 * largest, "{found}, not {expected}");
    }
}

#[test]
fn folding_changes_nothing_but_rounding() {
    for head in ["linear", "graph-gcn", "graph-gat"] {
        let network = architecture(head, 0.2, 32, 5).lower();
        let weights = random_weights(&network);
        let (folded, folded_weights) = fold(&network, &weights).unwrap();
        assert!(folded.layers.len() < network.layers.len());
        let device = Device::flex();
        let before = run(
            &network,
            &Parameters::new(&weights, &device),
            random_photos(2, 32),
        );
        let parameters = Parameters::new(&folded_weights, &device);
        let after = run(&folded, &parameters, random_photos(2, 32));
        for (before, after) in values(before).iter().zip(values(after)) {
            assert!((before - after).abs() < 1e-5, "{head}: {before}, {after}");
        }
    }
}

#[test]
fn float_onnx_equals_burn() {
    for head in ["linear", "graph-gcn", "graph-gat"] {
        let architecture = architecture(head, 0.2, 64, 5);
        let network = architecture.lower();
        let weights = random_weights(&network);
        let (folded, folded_weights) = fold(&network, &weights).unwrap();
        let metadata = Metadata {
            name: "test".into(),
            labels: (0..5).map(|label| format!("label {label}")).collect(),
            thresholds: vec![0.5; 5],
            preprocessing: preprocessing(architecture.backbone, architecture.input),
            architecture: Some(architecture),
            provenance: Provenance::default(),
            accuracy: vec![],
            golden: None,
        };
        let file = onnx::float(&folded, &folded_weights, &metadata).unwrap();
        let model = graphtag_runtime::network::Network::from_bytes(&file).unwrap();
        let photo = random_photos(1, 64);
        let from_onnx = model.run(&values(photo.clone())).unwrap();
        let parameters = Parameters::new(&weights, &Device::flex());
        for (burn, onnx) in values(run(&network, &parameters, photo))
            .iter()
            .zip(from_onnx)
        {
            assert!((burn - onnx).abs() < 1e-4, "{head}: {burn}, {onnx}");
        }
    }
}

/// The graph branch and the angular classifier on the fixture's sizes, without a backbone.
#[test]
fn graph_heads_and_their_gradients_equal_pytorch() {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/graph_head.json")).unwrap();
    let matrix = |value: &Value| -> graphtag_models::Tensor {
        let rows: Vec<Vec<f32>> = serde_json::from_value(value.clone()).unwrap();
        graphtag_models::Tensor {
            shape: vec![rows.len(), rows[0].len()],
            values: rows.concat(),
        }
    };
    for (kind, layer) in [
        ("gcn", Operation::GraphConvolution { outputs: 4 }),
        (
            "gat",
            Operation::GraphAttention {
                outputs: 4,
                slope: 0.2,
                dropout: 0.1,
            },
        ),
    ] {
        let case = &fixture[kind];
        let network = graph_head(layer);
        let mut tensors = BTreeMap::new();
        for (name, value) in case["weights"].as_object().unwrap() {
            tensors.insert(name.clone(), matrix(value));
        }
        tensors.insert(
            "graph.embeddings.embeddings".into(),
            matrix(&fixture["embeddings"]),
        );
        for position in 0..2 {
            let name = format!("graph.layers.{position}.adjacency");
            tensors.insert(name, matrix(&fixture["adjacency"]));
        }
        let weights = Weights { tensors };
        weights.check(&network).unwrap();

        let device = Device::flex().autodiff();
        let mut parameters = Parameters::new(&weights, &device);
        let trainable: Vec<String> = network
            .all_parameters()
            .into_iter()
            .filter(|parameter| parameter.trainable)
            .map(|parameter| parameter.name)
            .collect();
        for name in &trainable {
            parameters.set(name, parameters.flat(name).require_grad());
        }
        // As a feature map of one pixel: channels x photos.
        let features = matrix(&fixture["features"]);
        let shape = [features.shape[0], features.shape[1]];
        let photos = Tensor::<2>::from_data(TensorData::new(features.values, shape), &device);
        let input = (
            0,
            graphtag_tools::training::forward::Value::Map(photos.transpose()),
        );
        let end = network.output();
        let mode = Mode::Inference;
        let count = shape[0];
        let cosines =
            run_between(&network, &parameters, mode, count, input, end, |_, v| v).tensor();

        let expected = matrix(&case["cosines"]);
        for (found, expected) in values(cosines.clone().inner()).iter().zip(&expected.values) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{kind}: {found}, not {expected}"
            );
        }
        let gradients = cosines.sum().backward();
        for name in &trainable {
            let found = values(parameters.flat(name).grad(&gradients).unwrap());
            let expected = matrix(&case["gradients"][name]);
            for (found, expected) in found.iter().zip(&expected.values) {
                assert!(
                    (found - expected).abs() < 1e-4,
                    "{kind} {name}: {found}, not {expected}"
                );
            }
        }
    }
}

/// From a feature map of four channels and one pixel to cosines (a scale of one) of six labels.
fn graph_head(layer: Operation) -> Network {
    let mut network = Network::with_image(1, 1);
    network.layers[0].output = graphtag_models::Shape::Map {
        channels: 4,
        height: 1,
        width: 1,
    };
    let pooled = network.push("pool", Operation::GlobalAveragePool, &[0]);
    let embeddings = Operation::LabelEmbeddings {
        labels: 6,
        dimensions: 5,
    };
    let mut nodes = network.push("graph.embeddings", embeddings, &[]);
    for position in 0..2 {
        let slope = 0.2;
        let activation = Operation::Activation(graphtag_models::Activation::LeakyRelu { slope });
        nodes = network.push(format!("graph.layers.{position}"), layer, &[nodes]);
        nodes = network.push(format!("graph.leaky_relu.{position}"), activation, &[nodes]);
    }
    let maximum = network.push("graph.maximum", Operation::LabelMaximum, &[nodes]);
    let sigmoid = Operation::Activation(graphtag_models::Activation::Sigmoid);
    let weights = network.push("graph.sigmoid", sigmoid, &[maximum]);
    let scaled = network.push("graph.scale", Operation::ScaleChannels, &[pooled, weights]);
    let classifier = Operation::AngularClassifier {
        labels: 6,
        scale: 1.0,
    };
    network.push("classifier", classifier, &[scaled]);
    network
}

#[test]
fn folding_batch_norm_alone_keeps_the_graph_branch() {
    let network = architecture("graph-gcn", 0.2, 32, 5).lower();
    let weights = random_weights(&network);
    let (folded, folded_weights) = fold_batch_norm(&network, &weights).unwrap();
    folded_weights.check(&folded).unwrap();
    assert!(folded.find("graph.layers.1").is_some());
    assert!(
        !folded
            .layers
            .iter()
            .any(|l| matches!(l.operation, Operation::BatchNorm { .. }))
    );
}
