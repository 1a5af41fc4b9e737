//! The graph head's adjacency and folded channel weights, held against PyTorch
//! (`tools/fixtures/graph_head.py`).

use graphtag_models::{
    Activation, AdjacencySettings, Convolution, Network, Operation, Tensor, Weights, adjacency,
    fold,
};
use serde_json::Value;

fn fixture() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tools/fixtures/graph_head.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A vector or matrix of numbers.
fn tensor(value: &Value) -> Tensor {
    let rows = value.as_array().unwrap();
    if rows[0].is_array() {
        let rows: Vec<Tensor> = rows.iter().map(tensor).collect();
        Tensor {
            shape: vec![rows.len(), rows[0].shape[0]],
            values: rows.into_iter().flat_map(|row| row.values).collect(),
        }
    } else {
        Tensor {
            shape: vec![rows.len()],
            values: rows.iter().map(|x| x.as_f64().unwrap() as f32).collect(),
        }
    }
}

fn assert_close(actual: &Tensor, expected: &Tensor, what: &str) {
    assert_eq!(actual.shape, expected.shape, "{what}");
    for (actual, expected) in actual.values.iter().zip(&expected.values) {
        assert!(
            (actual - expected).abs() < 1e-6,
            "{what}: {actual}, not {expected}"
        );
    }
}

/// A backbone of one convolution to four channels, and the graph head.
fn network(labels: usize, embedding: usize, layer: Operation) -> Network {
    let mut network = Network::with_image(1, 1);
    let convolution = Operation::Convolution(Convolution {
        outputs: 4,
        kernel: 1,
        stride: 1,
        padding: [0; 4],
        groups: 1,
        bias: false,
    });
    let map = network.push("backbone", convolution, &[0]);
    let features = network.push("pool", Operation::GlobalAveragePool, &[map]);
    let embeddings = Operation::LabelEmbeddings {
        labels,
        dimensions: embedding,
    };
    let mut nodes = network.push("graph.embeddings", embeddings, &[]);
    let leaky_relu = Operation::Activation(Activation::LeakyRelu { slope: 0.2 });
    for name in ["graph.layers.0", "graph.layers.1"] {
        nodes = network.push(name, layer, &[nodes]);
        nodes = network.push(format!("{name}.leaky_relu"), leaky_relu, &[nodes]);
    }
    let maximum = network.push("graph.maximum", Operation::LabelMaximum, &[nodes]);
    let sigmoid = Operation::Activation(Activation::Sigmoid);
    let weights = network.push("graph.sigmoid", sigmoid, &[maximum]);
    let scaled = network.push(
        "graph.scale",
        Operation::ScaleChannels,
        &[features, weights],
    );
    let classifier = Operation::AngularClassifier { labels, scale: 1.0 };
    network.push("classifier", classifier, &[scaled]);
    network
}

fn assert_folds_to_pytorch(case: &str, layer: Operation) {
    let fixture = fixture();
    let embeddings = tensor(&fixture["embeddings"]);
    let network = network(embeddings.shape[0], embeddings.shape[1], layer);
    let mut weights = Weights::default();
    for (name, value) in fixture[case]["weights"].as_object().unwrap() {
        weights.tensors.insert(name.clone(), tensor(value));
    }
    let graph = tensor(&fixture["adjacency"]);
    let backbone = Tensor {
        shape: vec![4, 3, 1, 1],
        values: vec![1.0; 12],
    };
    weights.tensors.extend([
        ("backbone.weight".into(), backbone),
        ("graph.embeddings.embeddings".into(), embeddings),
        ("graph.layers.0.adjacency".into(), graph.clone()),
        ("graph.layers.1.adjacency".into(), graph),
    ]);

    let (folded, weights) = fold(&network, &weights).unwrap();
    let names: Vec<&str> = folded.layers.iter().map(|layer| &layer.name[..]).collect();
    assert_eq!(
        names,
        ["image", "backbone", "pool", "graph.scale", "classifier"]
    );
    let expected = tensor(&fixture[case]["stages"]["graph.sigmoid"]);
    assert_close(weights.get("graph.scale.scale").unwrap(), &expected, case);
}

#[test]
fn the_adjacency_is_pytorchs() {
    let fixture = fixture();
    let cooccurrence = fixture["cooccurrence"].as_array().unwrap();
    let cooccurrence: Vec<Vec<f32>> = cooccurrence.iter().map(|row| tensor(row).values).collect();
    let counts = tensor(&fixture["counts"]).values;
    let actual = adjacency(&counts, &cooccurrence, AdjacencySettings::default());
    assert_close(&actual, &tensor(&fixture["adjacency"]), "adjacency");
}

#[test]
fn graph_convolutions_fold_to_pytorchs_channel_weights() {
    assert_folds_to_pytorch("gcn", Operation::GraphConvolution { outputs: 4 });
}

#[test]
fn graph_attention_folds_to_pytorchs_channel_weights() {
    assert_folds_to_pytorch(
        "gat",
        Operation::GraphAttention {
            outputs: 4,
            slope: 0.2,
            dropout: 0.1,
        },
    );
}
