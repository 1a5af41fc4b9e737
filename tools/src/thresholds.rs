//! Decision thresholds, calibrated per label.

use crate::data::Truth;
use crate::metrics::LabelDecisions;

/// How thresholds are calibrated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThresholdSettings {
    /// How many positives of its own outweigh the threshold that suits all labels together.
    pub shrinkage: f64,
    /// Thresholds are kept within `margin..=1 - margin`.
    pub margin: f32,
}

impl Default for ThresholdSettings {
    /// Calibrated on half of the default model's validation photos and measured on the other, overall F1 at
    /// COCO's prevalence is highest for shrinkages of 3 to 5, of 1 to 100.
    fn default() -> Self {
        ThresholdSettings {
            shrinkage: 5.0,
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
///
/// `prevalence` is the share of photos that show each label where the model will be used. Given it, F1 is that
/// of photos of which as many do: each positive weighs as the prevalence there to that here, each negative
/// likewise (label shift, Saerens, Latinne and Decaestecker 2002).
pub fn calibrate_thresholds(
    probabilities: &[Vec<f32>],
    truths: &[Vec<Truth>],
    prevalence: Option<&[f64]>,
    settings: ThresholdSettings,
) -> Vec<f32> {
    let labels = probabilities.first().map_or(0, Vec::len);
    let columns: Vec<(f64, Vec<Decision>)> = (0..labels)
        .map(|label| {
            let column = LabelDecisions::of(label, probabilities, truths);
            let prevalence = prevalence.map(|prevalence| prevalence[label]);
            (column.positives() as f64, weigh(&column, prevalence))
        })
        .collect();
    let pooled = columns.iter().flat_map(|(_, decisions)| decisions.clone());
    let bounded_logit = |threshold: f32| {
        let t = f64::from(threshold.clamp(settings.margin, 1.0 - settings.margin));
        (t / (1.0 - t)).ln()
    };
    let global = bounded_logit(best_f1_threshold(pooled.collect()).unwrap_or(0.5));
    columns
        .into_iter()
        .map(|(positives, decisions)| {
            let own = best_f1_threshold(decisions).map_or(global, bounded_logit);
            let weight = positives / (positives + settings.shrinkage);
            let logit = weight * own + (1.0 - weight) * global;
            (1.0 / (1.0 + (-logit).exp())) as f32
        })
        .collect()
}

/// What it means to decide for a label.
#[derive(Clone, Copy)]
pub(crate) struct Decision {
    score: f32,
    is_right: bool,
    weight: f64,
}

/// A label's decisions, weighted so that `prevalence` of them are positive.
pub(crate) fn weigh(label: &LabelDecisions, prevalence: Option<f64>) -> Vec<Decision> {
    let here = label.positives() as f64 / label.scored.len() as f64;
    let weight = |is_right: bool| match (prevalence, is_right) {
        (None, _) => 1.0,
        (Some(there), true) => there / here,
        (Some(there), false) => (1.0 - there) / (1.0 - here),
    };
    let scored = label.scored.iter();
    scored
        .map(|&(score, is_right)| Decision {
            score,
            is_right,
            weight: weight(is_right),
        })
        .collect()
}

/// The threshold at which F1 is highest; of equal ones the highest. It lies halfway between the
/// lowest score above it and the highest below. Nothing without a positive.
pub(crate) fn best_f1_threshold(mut decisions: Vec<Decision>) -> Option<f32> {
    let sum = |decisions: &[Decision], only_right: bool| -> f64 {
        let counted = decisions.iter().filter(|d| d.is_right || !only_right);
        counted.map(|decision| decision.weight).sum()
    };
    decisions.sort_by(|a, b| b.score.total_cmp(&a.score));
    let points: Vec<&[Decision]> = decisions.chunk_by(|a, b| a.score == b.score).collect();
    let positives = sum(&decisions, true);
    let (mut hits, mut decided) = (0.0, 0.0);
    let (mut best, mut highest) = (None, 0.0);
    for (index, point) in points.iter().enumerate() {
        hits += sum(point, true);
        decided += sum(point, false);
        let f1 = 2.0 * hits / (decided + positives);
        if f1 > highest {
            let below = points.get(index + 1).unwrap_or(point)[0].score;
            (best, highest) = (Some(point[0].score / 2.0 + below / 2.0), f1);
        }
    }
    best
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
        assert_eq!(best_f1_threshold(weigh(&label, None)), Some(0.4));
    }

    #[test]
    fn the_only_label_gets_its_own_best_threshold() {
        let (probabilities, truths) = table(&[
            (0.8, Truth::Positive),
            (0.6, Truth::Positive),
            (0.2, Truth::Negative),
        ]);
        let thresholds = calibrate_thresholds(&probabilities, &truths, None, SETTINGS);
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
        let thresholds = calibrate_thresholds(&probabilities, &truths, None, SETTINGS);
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
    fn where_a_label_is_common_its_threshold_is_lower() {
        // Half of the scores of 0.6 are right, one of the eight of 0.2.
        let mut photos = vec![(0.6, Truth::Positive), (0.6, Truth::Negative)];
        photos.push((0.2, Truth::Positive));
        photos.extend([(0.2, Truth::Negative); 7]);
        let (probabilities, truths) = table(&photos);
        let threshold = |prevalence: f64| {
            calibrate_thresholds(&probabilities, &truths, Some(&[prevalence]), SETTINGS)[0]
        };
        // As here, F1 is 2 / 4 above 0.4 and 4 / 12 above nothing. Where nine of ten photos show the label, a
        // positive weighs 4.5 and a negative 1/8: 9 / 13.625 and 18 / 19.
        assert!((threshold(0.2) - 0.4).abs() < 1e-6);
        assert!((threshold(0.9) - 0.2).abs() < 1e-6);
    }

    #[test]
    fn without_any_positive_every_threshold_is_a_half() {
        let (probabilities, truths) = table(&[(0.9, Truth::Negative), (0.8, Truth::Unknown)]);
        assert_eq!(
            calibrate_thresholds(&probabilities, &truths, None, SETTINGS),
            [0.5]
        );
    }

    #[test]
    fn thresholds_stay_within_the_margin() {
        let (probabilities, truths) = table(&[(1.0, Truth::Positive), (1.0, Truth::Positive)]);
        let thresholds = calibrate_thresholds(&probabilities, &truths, None, SETTINGS);
        assert!(thresholds[0] < 1.0, "{thresholds:?}");
    }
}
