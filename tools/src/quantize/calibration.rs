//! What the layers of a float network put out on the calibration photos.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use graphtag_models::quantization::int8_layers;
use graphtag_models::{Network, Operation};

use super::observer::{Histogram, Range};
use crate::progress::Progress;
use crate::training::forward::{Mode, Value, image_value, run_between};
use crate::training::parameters::{Parameters, values};

/// Runs `network` on photos \[N, 3, height, width\] and shows each layer's output, \[channels, N * pixels\]
/// for feature maps, to `see`; the image is shown too. Returns the network's output \[N, K\].
pub fn run(
    network: &Network,
    parameters: &Parameters,
    photos: &Tensor<4>,
    mut see: impl FnMut(usize, &Tensor<2>),
) -> Tensor<2> {
    let image = image_value(photos.clone());
    see(0, &image.tensor());
    let count = photos.dims()[0];
    let visit = |index: usize, value: Value| {
        see(index, &value.tensor());
        value
    };
    let (mode, end) = (Mode::Inference, network.output());
    run_between(network, parameters, mode, count, (0, image), end, visit).tensor()
}

/// The range of each channel of each layer that is to be int8, by layer.
pub fn channel_ranges(
    network: &Network,
    parameters: &Parameters,
    batches: &[Tensor<4>],
    progress: &Progress,
) -> BTreeMap<usize, Vec<Range>> {
    let layers = int8_layers(network);
    let mut ranges: BTreeMap<usize, Vec<Range>> = layers
        .iter()
        .map(|&index| {
            let channels = network.layers[index].output.channels();
            (index, vec![Range::default(); channels])
        })
        .collect();
    for photos in batches {
        run(network, parameters, photos, |index, output| {
            let Some(ranges) = ranges.get_mut(&index) else {
                return;
            };
            let lowest = values(output.clone().min_dim(1));
            let highest = values(output.clone().max_dim(1));
            for (range, ends) in ranges.iter_mut().zip(lowest.iter().zip(&highest)) {
                *range = range.with(*ends.0).with(*ends.1);
            }
        });
        progress.advance(1);
    }
    ranges
}

/// The histogram of each layer that is to be int8, over the range that all its channels have together.
pub fn histograms(
    network: &Network,
    parameters: &Parameters,
    batches: &[Tensor<4>],
    channel_ranges: &BTreeMap<usize, Vec<Range>>,
    progress: &Progress,
) -> BTreeMap<usize, Histogram> {
    let mut histograms: BTreeMap<usize, Histogram> = channel_ranges
        .iter()
        .map(|(&index, ranges)| {
            let range = ranges.iter().fold(Range::default(), |all, range| {
                all.with(range.lowest).with(range.highest)
            });
            (index, Histogram::new(range))
        })
        .collect();
    for photos in batches {
        run(network, parameters, photos, |index, output| {
            if let Some(histogram) = histograms.get_mut(&index) {
                histogram.add(&values(output.clone()));
            }
        });
        progress.advance(1);
    }
    histograms
}

/// The mean of each channel of each convolution's output, \[channels, 1\], by layer.
pub fn convolution_means(
    network: &Network,
    parameters: &Parameters,
    photos: &Tensor<4>,
) -> BTreeMap<usize, Tensor<2>> {
    let mut means = BTreeMap::new();
    let count = photos.dims()[0];
    run(network, parameters, photos, |index, output| {
        if matches!(network.layers[index].operation, Operation::Convolution(_)) {
            means.insert(index, channel_means(output, count));
        }
    });
    means
}

/// The mean of each row of the map \[channels, count * pixels\], \[channels, 1\]: first over the pixels of a
/// photo, since f32 can't sum up many millions of them.
pub fn channel_means(map: &Tensor<2>, count: usize) -> Tensor<2> {
    let [channels, columns] = map.dims();
    let pixels = map.clone().reshape([channels, count, columns / count]);
    pixels.mean_dim(2).mean_dim(1).reshape([channels, 1])
}
