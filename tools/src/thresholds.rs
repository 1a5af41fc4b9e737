//! Decision thresholds, calibrated per label.

use crate::data::Truth;
use crate::metrics::{LabelDecisions, curve};

/// How thresholds are calibrated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThresholdSettings {
    /// How many positives of its own outweigh the threshold that suits all labels together.
    pub shrinkage: f64,
    /// Thresholds are kept within `margin..=1 - margin`.
    pub margin: f32,
}

impl Default for ThresholdSettings {
    fn default() -> Self {
        ThresholdSettings {
            shrinkage: 10.0,
            margin: 1e-4,
        }
    }
}

/// A threshold per label from probabilities \[photos\]\[labels\] and truths.
///
/// The best-F1 threshold b_k of a label with n_k positives is drawn towards the best-F1 threshold g of
/// all decisions pooled, in logits:
///
/// logit(t_k) = (n_k logit(b_k) + m logit(g)) / (n_k + m), with m the shrinkage.
///
/// The best point of a curve with few positives is mostly chance (with one positive it is that
/// photo's score), while g rests on all of them; n_k / (n_k + m) is the weight of an observed mean
/// against a prior worth m observations. A label without a positive gets g; without any positive at
/// all, 0.5.
pub fn calibrate_thresholds(
    probabilities: &[Vec<f32>],
    truths: &[Vec<Truth>],
    settings: ThresholdSettings,
) -> Vec<f32> {
    let labels = probabilities.first().map_or(0, Vec::len);
    let columns: Vec<LabelDecisions> = (0..labels)
        .map(|label| LabelDecisions::of(label, probabilities, truths))
        .collect();
    let pooled = LabelDecisions {
        scored: columns.iter().flat_map(|c| c.scored.clone()).collect(),
    };
    let bounded_logit = |threshold: f32| {
        let t = f64::from(threshold.clamp(settings.margin, 1.0 - settings.margin));
        (t / (1.0 - t)).ln()
    };
    let global = bounded_logit(best_f1_threshold(&pooled).unwrap_or(0.5));
    columns
        .iter()
        .map(|column| {
            let own = best_f1_threshold(column).map_or(global, bounded_logit);
            let positives = column.positives() as f64;
            let weight = positives / (positives + settings.shrinkage);
            let logit = weight * own + (1.0 - weight) * global;
            (1.0 / (1.0 + (-logit).exp())) as f32
        })
        .collect()
}

/// The threshold at which F1 is highest; of equal ones the highest. It lies halfway between the
/// lowest score above it and the highest below. Nothing without a positive.
pub fn best_f1_threshold(label: &LabelDecisions) -> Option<f32> {
    let positives = label.positives();
    let points = curve(label);
    let f1 = |index: usize| points[index].f1(positives);
    let best = (0..points.len()).fold(None, |best, index| match best {
        Some(best) if f1(best) >= f1(index) => Some(best),
        _ => Some(index),
    })?;
    let above = points[best].threshold;
    let below = points.get(best + 1).map_or(above, |point| point.threshold);
    (positives > 0).then_some(above / 2.0 + below / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: ThresholdSettings = ThresholdSettings {
        shrinkage: 10.0,
        margin: 1e-4,
    };

    /// Photos whose probability of the only label is that of its truth.
    fn table(photos: &[(f32, Truth)]) -> (Vec<Vec<f32>>, Vec<Vec<Truth>>) {
        photos
            .iter()
            .map(|(p, truth)| (vec![*p], vec![*truth]))
            .unzip()
    }

    #[test]
    fn a_threshold_lies_between_the_scores_that_it_separates() {
        let label = LabelDecisions {
            scored: vec![(0.8, true), (0.6, true), (0.2, false)],
        };
        assert_eq!(best_f1_threshold(&label), Some(0.4));
    }

    #[test]
    fn the_only_label_gets_its_own_best_threshold() {
        let (probabilities, truths) = table(&[
            (0.8, Truth::Positive),
            (0.6, Truth::Positive),
            (0.2, Truth::Negative),
        ]);
        let thresholds = calibrate_thresholds(&probabilities, &truths, SETTINGS);
        assert!((thresholds[0] - 0.4).abs() < 1e-6, "{thresholds:?}");
    }

    #[test]
    fn few_positives_stay_near_the_common_threshold_and_many_go_their_own_way() {
        // Label 0 has 40 positives around 0.5 (best threshold 0.4); label 1 has one, at 0.95 (0.525);
        // label 2 has none.
        let mut probabilities = vec![vec![0.95, 0.95, 0.1]];
        let mut truths = vec![vec![Truth::Positive, Truth::Positive, Truth::Negative]];
        for _ in 0..39 {
            probabilities.push(vec![0.7, 0.1, 0.1]);
            truths.push(vec![Truth::Positive, Truth::Negative, Truth::Negative]);
            probabilities.push(vec![0.1, 0.1, 0.1]);
            truths.push(vec![Truth::Negative; 3]);
        }
        let thresholds = calibrate_thresholds(&probabilities, &truths, SETTINGS);
        // The pooled best lies between 0.1 and 0.7 as label 0's own does; ten of eleven parts of it
        // count for label 1, whose own is 0.525.
        let logit = |t: f64| (t / (1.0 - t)).ln();
        let expected = (logit(0.525) + 10.0 * logit(0.4)) / 11.0;
        let expected = 1.0 / (1.0 + (-expected).exp());
        assert!(
            (f64::from(thresholds[0]) - 0.4).abs() < 1e-5,
            "{thresholds:?}"
        );
        assert!(
            (f64::from(thresholds[1]) - expected).abs() < 1e-5,
            "{thresholds:?}"
        );
        assert!(
            (f64::from(thresholds[2]) - 0.4).abs() < 1e-5,
            "{thresholds:?}"
        );
    }

    #[test]
    fn without_any_positive_every_threshold_is_a_half() {
        let (probabilities, truths) = table(&[(0.9, Truth::Negative), (0.8, Truth::Unknown)]);
        assert_eq!(
            calibrate_thresholds(&probabilities, &truths, SETTINGS),
            [0.5]
        );
    }

    #[test]
    fn thresholds_stay_within_the_margin() {
        let (probabilities, truths) = table(&[(1.0, Truth::Positive), (1.0, Truth::Positive)]);
        let thresholds = calibrate_thresholds(&probabilities, &truths, SETTINGS);
        assert!(thresholds[0] < 1.0, "{thresholds:?}");
    }
}
