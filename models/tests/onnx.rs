//! What ONNX files are as bytes: their metadata, their determinism, and how damage shows. What they compute
//! is tested where there is an engine, in `graphtag-runtime`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use graphtag_models::onnx::{self, OnnxError};
use graphtag_models::quantization::int8_layers;
use graphtag_models::{
    Accuracy, Architecture, Backbone, ColorOrder, Filter, InputSize, Metadata, Network, Operation,
    Preprocessing, Provenance, Quantization, QuantizationParameters, QuantizedConvolution, Resize,
    Tensor, Weights, fold,
};
use proptest::prelude::*;

/// A narrow network with the graph head over two labels, weights all alike, before folding.
fn unfolded() -> (Network, Weights, Metadata) {
    let architecture = Architecture {
        backbone: Backbone::EfficientNetLite {
            variant: 0,
            width: 0.1,
        },
        head: "graph".parse().unwrap(),
        input: InputSize {
            height: 32,
            width: 32,
        },
        labels: 2,
    };
    let network = architecture.lower();
    let mut weights = Weights::default();
    for parameter in network.all_parameters() {
        let length = parameter.shape.iter().product();
        let tensor = Tensor {
            shape: parameter.shape,
            values: vec![0.5; length],
        };
        weights.tensors.insert(parameter.name, tensor);
    }
    let metadata = Metadata {
        name: "example".into(),
        labels: vec!["cat".into(), "dog".into()],
        thresholds: vec![0.5; 2],
        preprocessing: Preprocessing {
            height: 32,
            width: 32,
            resize: Resize::Stretch,
            filter: Filter::Bilinear,
            mean: [127.0; 3],
            scale: [1.0 / 128.0; 3],
            color: ColorOrder::Rgb,
        },
        architecture: Some(architecture),
        provenance: Provenance::default(),
        accuracy: vec![],
        golden: None,
    };
    (network, weights, metadata)
}

fn folded() -> (Network, Weights, Metadata) {
    let (network, weights, metadata) = unfolded();
    let (network, weights) = fold(&network, &weights).unwrap();
    (network, weights, metadata)
}

/// A quantisation of the right form; its numbers are arbitrary.
fn quantization(network: &Network) -> Quantization {
    let mut quantization = Quantization::default();
    for index in int8_layers(network) {
        let parameters = QuantizationParameters {
            scale: 6.0 / 255.0,
            zero_point: -128,
        };
        let name = network.layers[index].name.clone();
        quantization.activations.insert(name, parameters);
    }
    for (index, layer) in network.layers.iter().enumerate() {
        if let Operation::Convolution(convolution) = layer.operation {
            let weights = network.parameters(index)[0].shape.iter().product();
            let convolution = QuantizedConvolution {
                values: vec![1; weights],
                scales: vec![0.01; convolution.outputs],
                bias: vec![0; convolution.outputs],
            };
            quantization
                .convolutions
                .insert(layer.name.clone(), convolution);
        }
    }
    quantization
}

fn float_file() -> Vec<u8> {
    let (network, weights, metadata) = folded();
    onnx::float(&network, &weights, &metadata).unwrap()
}

static FLOAT_FILE: LazyLock<Vec<u8>> = LazyLock::new(float_file);

/// The message of writing the int8 file with a damaged quantisation.
fn refusal(damage: impl FnOnce(&mut Quantization)) -> String {
    let (network, weights, metadata) = folded();
    let mut quantization = quantization(&network);
    damage(&mut quantization);
    onnx::quantized(&network, &weights, &quantization, &metadata)
        .unwrap_err()
        .to_string()
}

#[test]
fn a_file_carries_its_metadata() {
    let (_, _, metadata) = folded();
    let properties = onnx::properties(&float_file()).unwrap();
    let read = Metadata::from_properties(&properties).unwrap();
    assert_eq!(read, Some(metadata));
}

#[test]
fn metadata_is_replaced_and_the_network_stays() {
    let (_, _, mut metadata) = folded();
    let before = float_file();
    assert_eq!(onnx::with_metadata(&before, &metadata).unwrap(), before);

    metadata.accuracy.push(Accuracy {
        data: "coco:val".into(),
        photos: 128,
        labels: 71,
        map: 0.625,
        cf1: 0.5,
        of1: 0.5,
    });
    let after = onnx::with_metadata(&before, &metadata).unwrap();
    let properties = onnx::properties(&after).unwrap();
    let read = Metadata::from_properties(&properties).unwrap();
    assert_eq!(read.as_ref(), Some(&metadata));

    metadata.accuracy.clear();
    assert_eq!(onnx::with_metadata(&after, &metadata).unwrap(), before);
}

#[test]
fn the_same_network_always_gives_the_same_bytes() {
    let (network, weights, metadata) = folded();
    let quantization = quantization(&network);
    let write = || onnx::quantized(&network, &weights, &quantization, &metadata).unwrap();
    assert_eq!(float_file(), float_file());
    assert_eq!(write(), write());
}

#[test]
fn int8_weights_take_a_quarter_of_the_room() {
    let (network, weights, metadata) = folded();
    let int8 = onnx::quantized(&network, &weights, &quantization(&network), &metadata).unwrap();
    let convolutions: usize = network
        .layers
        .iter()
        .enumerate()
        .filter(|(_, layer)| matches!(layer.operation, Operation::Convolution(_)))
        .map(|(index, _)| network.parameters(index)[0].shape.iter().product::<usize>())
        .sum();
    let saved = float_file().len() - int8.len();
    assert!(saved > 2 * convolutions && saved < 3 * convolutions);
}

#[test]
fn a_network_for_training_is_refused() {
    let (network, weights, metadata) = unfolded();
    let error = onnx::float(&network, &weights, &metadata).unwrap_err();
    assert!(matches!(error, OnnxError::NotFolded(layer) if layer == "stem.batch_norm"));
}

#[test]
fn metadata_of_another_network_is_refused() {
    let (network, weights, mut metadata) = folded();
    metadata.preprocessing.width = 64;
    let error = onnx::float(&network, &weights, &metadata).unwrap_err();
    let message = "metadata says input 3x32x64, but the network has input 3x32x32";
    assert_eq!(error.to_string(), message);
}

#[test]
fn numbers_that_int8_arithmetic_can_not_stand_are_refused() {
    let stem = "stem.convolution";
    let no_scale = refusal(|q| q.activations.get_mut("image").unwrap().scale = 0.0);
    assert_eq!(
        no_scale,
        "layer image has a scale that is not positive and finite"
    );
    let infinite = refusal(|q| q.convolutions.get_mut(stem).unwrap().scales[3] = f32::INFINITY);
    assert!(infinite.starts_with("layer stem.convolution has weight scales"));
    let short = refusal(|q| q.convolutions.get_mut(stem).unwrap().bias.truncate(1));
    assert!(short.contains("one weight scale and bias per channel"));
    let missing = refusal(|q| drop(q.convolutions.remove(stem)));
    assert_eq!(missing, "layer stem.convolution has no int8 weights");
    for (scale, zero_point, end) in [(0.03, -128, 6), (6.0 / 255.0, -127, 0)] {
        let not_relu6 = QuantizationParameters { scale, zero_point };
        let refusal = refusal(|q| *q.activations.get_mut("stem.relu6").unwrap() = not_relu6);
        assert_eq!(
            refusal,
            format!("layer stem.relu6 is fused, but does not saturate at {end}")
        );
    }
}

#[test]
fn every_beginning_of_a_file_is_known_to_be_cut_short() {
    let end = FLOAT_FILE.len();
    for length in (0..3000).chain(end - 2000..end) {
        let beginning = &FLOAT_FILE[..length];
        assert!(onnx::properties(beginning).is_err(), "{length} bytes");
    }
}

proptest! {
    #[test]
    fn a_file_cut_anywhere_is_refused(at in any::<prop::sample::Index>()) {
        let length = at.index(FLOAT_FILE.len());
        prop_assert!(onnx::properties(&FLOAT_FILE[..length]).is_err());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let _: Result<BTreeMap<_, _>, _> = onnx::properties(&bytes);
    }
}
