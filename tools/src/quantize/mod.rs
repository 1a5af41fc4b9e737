//! Post-training quantisation: int8 weights and activations from a float network and some photos.

mod bias_correction;
mod calibration;
mod equalisation;
mod integers;
pub mod observer;
pub mod photos;
mod simulation;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use burn::tensor::{Device, Tensor};
use graphtag_models::{Network, Preprocessing, Quantization, QuantizationParameters, Weights};
use serde::{Deserialize, Serialize};

use crate::progress::Progress;
use crate::training::parameters::{Parameters, values};
use observer::{Observer, Range};

/// Batches that bias correction looks at; all their photos are in memory at once, 20 MB each.
const CORRECTION_BATCHES: usize = 4;

/// How to quantise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How ranges of activations are chosen.
    pub observer: Observer,
    /// Whether channels are equalised between convolutions.
    pub equalise: bool,
    /// Whether biases are corrected for the means that rounding shifts.
    pub bias_correction: bool,
}

/// A quantised network.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    /// The weights of the network that the integers approximate: equalised and corrected.
    pub weights: Weights,
    /// The integers.
    pub quantization: Quantization,
    /// Number of channels that equalisation changed.
    pub equalised_channels: usize,
    /// Mean absolute difference of the float and the int8 network's outputs on the photos.
    pub error: f64,
}

/// Quantises a folded network by its outputs on calibration photos, batches of \[N, 3, height, width\] made
/// by `preprocessing`.
///
/// # Errors
/// When there is no photo or the weights don't suit the network.
pub fn quantize(
    network: &Network,
    weights: &Weights,
    preprocessing: &Preprocessing,
    batches: &[Tensor<4>],
    settings: Settings,
) -> Result<Quantized> {
    ensure!(!batches.is_empty(), "no photo to calibrate on");
    weights.check(network)?;
    let device = batches[0].device();
    let original = Parameters::new(weights, &device);
    let passes = 3 + usize::from(settings.equalise);
    let progress = Progress::new("quantize", 0, passes * batches.len());

    let mut weights = weights.clone();
    let mut float = original.clone();
    let mut ranges = calibration::channel_ranges(network, &float, batches, &progress);
    let mut equalised_channels = 0;
    if settings.equalise {
        equalised_channels = equalisation::equalise(network, &mut weights, &ranges);
        float = Parameters::new(&weights, &device);
        ranges = calibration::channel_ranges(network, &float, batches, &progress);
    }
    let mut activations: BTreeMap<String, QuantizationParameters> =
        calibration::histograms(network, &float, batches, &ranges, &progress)
            .into_iter()
            .map(|(index, histogram)| {
                let range = histogram.choose(settings.observer);
                (network.layers[index].name.clone(), range.parameters())
            })
            .collect();
    let image = network.layers[0].name.clone();
    activations.insert(image, byte_range(preprocessing).parameters());

    let mut quantization = Quantization {
        convolutions: integers::quantize_convolutions(network, &weights, &activations)?,
        activations,
    };
    if settings.bias_correction {
        let photos = Tensor::cat(batches[..batches.len().min(CORRECTION_BATCHES)].to_vec(), 0);
        let integers = simulated(network, &weights, &quantization, &device)?;
        let activations = &quantization.activations;
        let corrections =
            bias_correction::corrections(network, &float, &integers, activations, &photos);
        bias_correction::correct(&mut weights, &corrections);
        quantization.convolutions =
            integers::quantize_convolutions(network, &weights, activations)?;
    }
    let integers = simulated(network, &weights, &quantization, &device)?;
    let error = error(
        network,
        &original,
        &integers,
        &quantization,
        batches,
        &progress,
    );
    progress.finish();
    Ok(Quantized {
        weights,
        quantization,
        equalised_channels,
        error,
    })
}

/// The range of a photo's values over all bytes and channels.
fn byte_range(preprocessing: &Preprocessing) -> Range {
    let pairs = preprocessing.mean.iter().zip(&preprocessing.scale);
    pairs.fold(Range::default(), |range, (mean, scale)| {
        range.with(-mean * scale).with((255.0 - mean) * scale)
    })
}

/// The parameters that the integers stand for.
fn simulated(
    network: &Network,
    weights: &Weights,
    quantization: &Quantization,
    device: &Device,
) -> Result<Parameters> {
    let Quantization {
        activations,
        convolutions,
    } = quantization;
    let weights = integers::dequantized(network, weights, activations, convolutions)?;
    Ok(Parameters::new(&weights, device))
}

fn error(
    network: &Network,
    float: &Parameters,
    integers: &Parameters,
    quantization: &Quantization,
    batches: &[Tensor<4>],
    progress: &Progress,
) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for photos in batches {
        let expected = calibration::run(network, float, photos, |_, _| {});
        let activations = &quantization.activations;
        let found = simulation::run(network, integers, activations, photos, |_, output| output);
        let differences = values((found - expected).abs());
        sum += differences.iter().copied().map(f64::from).sum::<f64>();
        count += differences.len();
        progress.advance(1);
    }
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests;
