//! Accuracy of multi-label classification from scores and truths.
//!
//! Scores and truths are tables of a row per photo and a column per label. Decisions whose truth is
//! unknown count nowhere. A label without a positive has no average precision and is left out of every
//! mean over labels.

use serde::{Deserialize, Serialize};

use crate::data::Truth;

/// Precision, recall and F1 of decisions.
///
/// Per class: the means over labels of precision and of recall, and *their* harmonic mean, as in
/// Chen et al. 2019 and the literature after it; not the mean of per-label F1, and not an average
/// over photos. Overall: over all decisions of all labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionMetrics {
    /// CP: mean precision over labels; 0 for a label that was never decided on.
    pub class_precision: f64,
    /// CR: mean recall over labels.
    pub class_recall: f64,
    /// CF1: harmonic mean of CP and CR.
    pub class_f1: f64,
    /// OP: precision of all decisions.
    pub overall_precision: f64,
    /// OR: recall of all decisions.
    pub overall_recall: f64,
    /// OF1: harmonic mean of OP and OR.
    pub overall_f1: f64,
}

/// One label's scores and truths over the photos, unknown ones left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelDecisions {
    /// The score and whether the label is true, per photo.
    pub scored: Vec<(f32, bool)>,
}

impl LabelDecisions {
    /// The column `label` of tables of scores and truths.
    pub fn of(label: usize, scores: &[Vec<f32>], truths: &[Vec<Truth>]) -> Self {
        let known = |(scores, truths): (&Vec<f32>, &Vec<Truth>)| match truths[label] {
            Truth::Positive => Some((scores[label], true)),
            Truth::Negative => Some((scores[label], false)),
            Truth::Unknown => None,
        };
        LabelDecisions {
            scored: scores.iter().zip(truths).filter_map(known).collect(),
        }
    }

    /// Number of photos that have the label.
    pub fn positives(&self) -> usize {
        self.scored.iter().filter(|(_, positive)| *positive).count()
    }
}

/// A point of a precision-recall curve: everything with at least this score is decided positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The lowest score that is decided positive.
    pub threshold: f32,
    /// True positives.
    pub hits: usize,
    /// Decided positives.
    pub decided: usize,
}

impl CurvePoint {
    /// Harmonic mean of precision and recall, given the number of all positives.
    pub fn f1(&self, positives: usize) -> f64 {
        2.0 * self.hits as f64 / (self.decided + positives) as f64
    }
}

/// The precision-recall curve by falling threshold, a point per distinct score.
pub fn curve(label: &LabelDecisions) -> Vec<CurvePoint> {
    let mut scored = label.scored.clone();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut points: Vec<CurvePoint> = vec![];
    let mut hits = 0;
    for (index, (score, positive)) in scored.iter().enumerate() {
        hits += usize::from(*positive);
        let point = CurvePoint {
            threshold: *score,
            hits,
            decided: index + 1,
        };
        match points.last_mut() {
            Some(last) if last.threshold == *score => *last = point,
            _ => points.push(point),
        }
    }
    points
}

/// Average precision, sum over the curve of (R_n - R_(n-1)) P_n, equal scores being one point: the
/// definition of scikit-learn's `average_precision_score`. Nothing without a positive.
pub fn average_precision(label: &LabelDecisions) -> Option<f64> {
    let positives = label.positives();
    if positives == 0 {
        return None;
    }
    let mut sum = 0.0;
    let mut hits = 0;
    for point in curve(label) {
        let precision = point.hits as f64 / point.decided as f64;
        sum += (point.hits - hits) as f64 * precision;
        hits = point.hits;
    }
    Some(sum / positives as f64)
}

/// The mean of the values there are; nothing when there is none.
pub fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values.flatten().fold((0.0, 0usize), |(sum, count), value| {
        (sum + value, count + 1)
    });
    (count > 0).then(|| sum / count as f64)
}

/// Metrics of deciding by `thresholds`, one a label: a score of at least the threshold is positive.
pub fn at_thresholds(
    scores: &[Vec<f32>],
    truths: &[Vec<Truth>],
    thresholds: &[f32],
) -> DecisionMetrics {
    let decided = scores.iter().map(|scores| {
        let pairs = scores.iter().zip(thresholds);
        pairs.map(|(score, threshold)| score >= threshold).collect()
    });
    of_decisions(decided, truths, thresholds.len())
}

/// Metrics of deciding for the `count` labels of the highest scores of each photo; of equal scores the
/// earlier label is taken.
pub fn at_top(scores: &[Vec<f32>], truths: &[Vec<Truth>], count: usize) -> DecisionMetrics {
    let labels = scores.first().map_or(0, Vec::len);
    let decided = scores.iter().map(|scores| {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut decided = vec![false; scores.len()];
        for &label in order.iter().take(count) {
            decided[label] = true;
        }
        decided
    });
    of_decisions(decided, truths, labels)
}

#[derive(Clone, Copy, Default)]
struct Counts {
    hits: usize,
    decided: usize,
    positives: usize,
}

impl Counts {
    fn precision(self) -> f64 {
        ratio(self.hits, self.decided)
    }

    fn recall(self) -> f64 {
        ratio(self.hits, self.positives)
    }
}

fn of_decisions(
    decided: impl Iterator<Item = Vec<bool>>,
    truths: &[Vec<Truth>],
    labels: usize,
) -> DecisionMetrics {
    let mut counts = vec![Counts::default(); labels];
    for (decided, truths) in decided.zip(truths) {
        for ((counts, decided), truth) in counts.iter_mut().zip(decided).zip(truths) {
            if *truth == Truth::Unknown {
                continue;
            }
            let positive = *truth == Truth::Positive;
            counts.hits += usize::from(decided && positive);
            counts.decided += usize::from(decided);
            counts.positives += usize::from(positive);
        }
    }
    let present = counts.iter().filter(|counts| counts.positives > 0);
    let class_precision = mean(present.clone().map(|c| Some(c.precision()))).unwrap_or(0.0);
    let class_recall = mean(present.map(|c| Some(c.recall()))).unwrap_or(0.0);
    let all = counts.iter().fold(Counts::default(), |sum, c| Counts {
        hits: sum.hits + c.hits,
        decided: sum.decided + c.decided,
        positives: sum.positives + c.positives,
    });
    DecisionMetrics {
        class_precision,
        class_recall,
        class_f1: harmonic_mean(class_precision, class_recall),
        overall_precision: all.precision(),
        overall_recall: all.recall(),
        overall_f1: harmonic_mean(all.precision(), all.recall()),
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn harmonic_mean(a: f64, b: f64) -> f64 {
    if a + b == 0.0 {
        0.0
    } else {
        2.0 * a * b / (a + b)
    }
}

#[cfg(test)]
mod tests;
