use burn::tensor::TensorData;
use graphtag_models::{
    Architecture, Backbone, Metadata, Provenance, Tensor as Weight, fold, onnx, without_batch_norm,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::training::recipe::preprocessing;

const SIZE: usize = 32;
const LABELS: usize = 5;

/// A narrow Lite0 with random weights, folded.
fn network() -> (Architecture, Network, Weights) {
    let architecture = Architecture {
        backbone: Backbone::EfficientNetLite {
            variant: 0,
            width: 0.25,
        },
        head: "linear-angular".parse().unwrap(),
        input: SIZE.to_string().parse().unwrap(),
        labels: LABELS,
    };
    let network = without_batch_norm(&architecture.lower()).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut weights = Weights::default();
    for parameter in network.all_parameters() {
        let length: usize = parameter.shape.iter().product();
        // Uniform with the variance that keeps that of the activations (He et al. 2015).
        let largest = (6.0 / (length / parameter.shape[0]) as f32).sqrt();
        let largest = if parameter.name.ends_with(".bias") {
            0.5
        } else {
            largest
        };
        let values = (0..length).map(|_| random.random_range(-largest..largest));
        let values = values.collect();
        let shape = parameter.shape;
        weights
            .tensors
            .insert(parameter.name, Weight { shape, values });
    }
    let (network, weights) = fold(&network, &weights).unwrap();
    (architecture, network, weights)
}

fn lite_preprocessing() -> Preprocessing {
    let (architecture, ..) = network();
    preprocessing(architecture.backbone, architecture.input)
}

/// Photos of coarse random patches.
fn photos(count: usize, seed: u64) -> Tensor<4> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut values = vec![0.0; count * 3 * SIZE * SIZE];
    for plane in values.chunks_mut(SIZE * SIZE) {
        let patches: Vec<u8> = (0..16).map(|_| random.random()).collect();
        for (pixel, value) in plane.iter_mut().enumerate() {
            let (row, column) = (pixel / SIZE / 8, pixel % SIZE / 8);
            *value = (f32::from(patches[4 * row + column]) - 127.0) / 128.0;
        }
    }
    let data = TensorData::new(values, [count, 3, SIZE, SIZE]);
    Tensor::from_data(data, &Device::flex())
}

fn settings(observer: Observer) -> Settings {
    Settings {
        observer,
        equalise: false,
        bias_correction: false,
    }
}

fn quantized(settings: Settings, batches: &[Tensor<4>]) -> Quantized {
    let (_, network, weights) = network();
    let preprocessing = lite_preprocessing();
    quantize(&network, &weights, &preprocessing, batches, settings).unwrap()
}

#[test]
fn every_observer_keeps_the_probabilities() {
    for observer in [Observer::MinMax, Observer::Percentile, Observer::Mse] {
        let error = quantized(settings(observer), &[photos(8, 1), photos(8, 2)]).error;
        assert!(error > 0.0 && error < 0.05, "{observer:?}: {error}");
    }
}

#[test]
fn the_file_computes_what_the_simulation_does() {
    let (architecture, network, _) = network();
    let Quantized {
        weights,
        quantization,
        ..
    } = quantized(settings(Observer::Mse), &[photos(8, 1), photos(8, 2)]);
    let metadata = Metadata {
        name: "tiny".into(),
        labels: (0..LABELS).map(|label| label.to_string()).collect(),
        thresholds: vec![0.5; LABELS],
        preprocessing: lite_preprocessing(),
        architecture: Some(architecture),
        provenance: Provenance::default(),
        accuracy: vec![],
        golden: None,
    };
    let file = onnx::quantized(&network, &weights, &quantization, &metadata).unwrap();
    let engine = graphtag_runtime::Network::from_bytes(&file).unwrap();
    let device = Device::flex();
    let parameters = simulated(&network, &weights, &quantization, &device).unwrap();
    for seed in 3..7 {
        let photo = photos(1, seed);
        let activations = &quantization.activations;
        let expected = simulation::run(&network, &parameters, activations, &photo, |_, map| map);
        let found = engine.run(&values(photo)).unwrap();
        for (found, expected) in found.iter().zip(values(expected)) {
            // A value halfway between two integers may go to either.
            assert!((found - expected).abs() < 0.03, "{found} {expected}");
        }
    }
}

#[test]
fn bias_correction_brings_the_means_of_the_channels_nearer_to_the_float_networks() {
    let batches = [photos(64, 1), photos(64, 2)];
    let photos = Tensor::cat(batches.to_vec(), 0);
    let mean_error = |bias_correction: bool| {
        let settings = Settings {
            bias_correction,
            ..settings(Observer::Mse)
        };
        let Quantized {
            weights,
            quantization,
            ..
        } = quantized(settings, &batches);
        let (_, network, original) = network();
        let device = Device::flex();
        let float = Parameters::new(&original, &device);
        let parameters = simulated(&network, &weights, &quantization, &device).unwrap();
        let means = calibration::convolution_means(&network, &float, &photos);
        let (mut sum, mut count) = (0.0, 0);
        let activations = &quantization.activations;
        simulation::run(&network, &parameters, activations, &photos, |index, map| {
            let shift = calibration::channel_means(&map, 128) - means[&index].clone();
            let shift = values(shift.abs());
            sum += shift.iter().sum::<f32>();
            count += shift.len();
            map
        });
        sum / count as f32
    };
    let (without, with) = (mean_error(false), mean_error(true));
    assert!(with < 0.4 * without, "{with} {without}");
}

#[test]
fn equalisation_changes_channels_but_not_what_the_network_computes() {
    let (_, network, original) = network();
    let device = Device::flex();
    let batches = [photos(8, 1), photos(8, 2)];
    let float = Parameters::new(&original, &device);
    let ranges =
        calibration::channel_ranges(&network, &float, &batches, &Progress::new("test", 0, 2));
    let mut weights = original.clone();
    let changed = equalisation::equalise(&network, &mut weights, &ranges);
    assert!(changed > 0);
    let equalised = Parameters::new(&weights, &device);
    let outputs = |parameters| {
        values(calibration::run(
            &network,
            parameters,
            &batches[0],
            |_, _| {},
        ))
    };
    for (found, expected) in outputs(&equalised).iter().zip(outputs(&float)) {
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
    }
}

#[test]
fn the_image_is_stored_exactly() {
    let parameters = byte_range(&lite_preprocessing()).parameters();
    assert_eq!((parameters.scale, parameters.zero_point), (1.0 / 128.0, -1));
}
