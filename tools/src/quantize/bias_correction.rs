//! Empirical bias correction (Nagel et al. 2019, section 4.2 and appendix D): rounding shifts the mean of a
//! channel, and the bias can shift it back.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use graphtag_models::{Network, QuantizationParameters, Weights};

use super::calibration::{channel_means, convolution_means};
use super::simulation;
use crate::training::parameters::{Parameters, values};

/// What to add to the biases of each convolution, by layer, so that each of its channels has in the
/// simulated int8 network the mean over `photos` that it has in the float network. The layers are
/// corrected in their order, each after those before it.
///
/// `float` are the parameters of the float network, `integers` those that its integers stand for.
pub fn corrections(
    network: &Network,
    float: &Parameters,
    integers: &Parameters,
    activations: &BTreeMap<String, QuantizationParameters>,
    photos: &Tensor<4>,
) -> BTreeMap<String, Vec<f32>> {
    let means = convolution_means(network, float, photos);
    let count = photos.dims()[0];
    let mut corrections = BTreeMap::new();
    simulation::run(network, integers, activations, photos, |index, output| {
        let correction = means[&index].clone() - channel_means(&output, count);
        let name = network.layers[index].name.clone();
        corrections.insert(name, values(correction.clone()));
        output + correction
    });
    corrections
}

/// Adds `corrections` to the biases.
pub fn correct(weights: &mut Weights, corrections: &BTreeMap<String, Vec<f32>>) {
    for (layer, corrections) in corrections {
        if let Some(bias) = weights.tensors.get_mut(&format!("{layer}.bias")) {
            for (bias, correction) in bias.values.iter_mut().zip(corrections) {
                *bias += correction;
            }
        }
    }
}
