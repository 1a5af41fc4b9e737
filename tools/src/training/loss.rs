//! The losses, on batches of N photos with K labels.
//!
//! Each is a sum over labels and a mean over photos. `known` masks labels of unknown truth, which count
//! nothing.

use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;
use serde::{Deserialize, Serialize};

/// Truth of a batch, each \[N, K\] of zeros and ones.
#[derive(Clone, Debug)]
pub struct Truth {
    /// One where the label is present.
    pub present: Tensor<2>,
    /// One where it is known whether the label is present.
    pub known: Tensor<2>,
}

/// The asymmetric angular margin loss of arXiv:2209.06585, section 3.3.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AngularMargin {
    /// Scale s of the cosines; that of the classifier.
    pub scale: f64,
    /// Margin m, added to the disadvantage of the right answer.
    pub margin: f64,
    /// Weight k of the positives, within 0..=1.
    pub positive_weight: f64,
    /// Exponent that down-weights easy positives.
    pub positive_focus: f64,
    /// Exponent that down-weights easy negatives.
    pub negative_focus: f64,
}

impl Default for AngularMargin {
    /// The published settings for the graph head.
    fn default() -> Self {
        AngularMargin {
            scale: 17.0,
            margin: 0.0,
            positive_weight: 0.7,
            positive_focus: 0.0,
            negative_focus: 0.0,
        }
    }
}

/// L = - sum \[ (k/s) y p-^g- log p+  +  ((1-k)/s) (1-y) p+^g+ log p- \] with p+ = sigmoid(s (cos - m))
/// and p- = sigmoid(-s (cos + m)). `logits` are s cos.
pub fn angular_margin(settings: AngularMargin, logits: Tensor<2>, truth: &Truth) -> Tensor<1> {
    let AngularMargin {
        scale,
        margin,
        positive_weight,
        positive_focus,
        negative_focus,
    } = settings;
    let shift = scale * margin;
    let log_positive = log_sigmoid(logits.clone() - shift);
    let log_negative = log_sigmoid(-(logits + shift));
    let focus = |log_probability: &Tensor<2>, exponent: f64| {
        (exponent != 0.0).then(|| (log_probability.clone() * exponent).exp())
    };
    let weighted = |log_probability: Tensor<2>, focus: Option<Tensor<2>>| match focus {
        Some(focus) => focus * log_probability,
        None => log_probability,
    };
    let positive_factor = focus(&log_negative, positive_focus);
    let negative_factor = focus(&log_positive, negative_focus);
    let positives = weighted(log_positive, positive_factor) * truth.present.clone();
    let absent = truth.known.clone() - truth.present.clone() * truth.known.clone();
    let negatives = weighted(log_negative, negative_factor) * absent;
    let sum = positives * truth.known.clone() * (positive_weight / scale)
        + negatives * ((1.0 - positive_weight) / scale);
    -mean_over_photos(sum)
}

/// The asymmetric loss of Ridnik et al. 2021.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asymmetric {
    /// Exponent that down-weights easy positives.
    pub positive_focus: f64,
    /// Exponent that down-weights easy negatives.
    pub negative_focus: f64,
    /// Probability below which negatives count nothing.
    pub clip: f64,
}

impl Default for Asymmetric {
    /// The published settings.
    fn default() -> Self {
        Asymmetric {
            positive_focus: 0.0,
            negative_focus: 4.0,
            clip: 0.05,
        }
    }
}

/// L = - sum \[ y (1-p)^g+ log p + (1-y) pm^g- log(1 - pm) \] with pm = max(p - clip, 0).
pub fn asymmetric(settings: Asymmetric, logits: Tensor<2>, truth: &Truth) -> Tensor<1> {
    const SMALLEST: f64 = 1e-8;
    let log_present = log_sigmoid(logits.clone());
    let probability = log_present.clone().exp();
    let shifted = (probability.clone() - settings.clip).clamp_min(0.0);
    let log_absent = (-shifted.clone() + 1.0).clamp_min(SMALLEST).log();
    // Powers of exactly zero have no finite gradient for exponents below one.
    let power = |x: Tensor<2>, exponent: f64| (x.clamp_min(SMALLEST).log() * exponent).exp();
    let mut positives = log_present * truth.present.clone() * truth.known.clone();
    if settings.positive_focus != 0.0 {
        positives = positives * power(-probability + 1.0, settings.positive_focus);
    }
    let absent = truth.known.clone() - truth.present.clone() * truth.known.clone();
    let mut negatives = log_absent * absent;
    if settings.negative_focus != 0.0 {
        negatives = negatives * power(shifted, settings.negative_focus);
    }
    -mean_over_photos(positives + negatives)
}

/// Binary Kullback-Leibler divergence of the student's labels from the teacher's, both given as logits:
/// sum \[ t log(t/p) + (1-t) log((1-t)/(1-p)) \], at `temperature` (both logits divided by it, the loss
/// multiplied by its square, Hinton et al. 2015).
pub fn binary_kl(teacher: Tensor<2>, student: Tensor<2>, temperature: f64) -> Tensor<1> {
    let (teacher, student) = (teacher / temperature, student / temperature);
    let log_present = log_sigmoid(teacher.clone());
    let log_absent = log_sigmoid(-teacher);
    let present = log_present.clone().exp();
    let absent = log_absent.clone().exp();
    let sum = present * (log_present - log_sigmoid(student.clone()))
        + absent * (log_absent - log_sigmoid(-student));
    mean_over_photos(sum) * (temperature * temperature)
}

/// The divergence of two peers that learn from each other (Zhang et al. 2018): the mean of [`binary_kl`] in both directions.
/// `peer` is taken as it is; only `logits` get a gradient where `peer` is detached.
pub fn mutual(logits: Tensor<2>, peer: Tensor<2>) -> Tensor<1> {
    (binary_kl(peer.clone(), logits.clone(), 1.0) + binary_kl(logits, peer, 1.0)) / 2.0
}

fn mean_over_photos(terms: Tensor<2>) -> Tensor<1> {
    let photos = terms.dims()[0] as f32;
    terms.sum() / photos
}
