//! Against values worked out by hand and by scikit-learn (`fixtures/metrics.py`).

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::thresholds::{best_f1_threshold, weigh};

#[derive(Deserialize)]
struct Fixture {
    scores: Vec<Vec<f32>>,
    truths: Vec<Vec<i8>>,
    average_precision: Vec<Option<f64>>,
    map: f64,
    best_f1: Vec<Option<f64>>,
    threshold: f32,
    at_threshold: DecisionMetrics,
    at_top_3: DecisionMetrics,
}

impl Fixture {
    fn read() -> (Fixture, Vec<Vec<Truth>>) {
        let fixture: Fixture =
            serde_json::from_str(include_str!("../../fixtures/metrics.json")).unwrap();
        let truths = fixture
            .truths
            .iter()
            .map(|row| row.iter().map(truth).collect());
        let truths = truths.collect();
        (fixture, truths)
    }
}

fn truth(code: &i8) -> Truth {
    match code {
        1 => Truth::Positive,
        0 => Truth::Negative,
        _ => Truth::Unknown,
    }
}

fn label(scored: &[(f32, bool)]) -> LabelDecisions {
    LabelDecisions {
        scored: scored.to_vec(),
    }
}

#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[track_caller]
fn assert_same_decisions(found: DecisionMetrics, expected: DecisionMetrics) {
    assert_close(found.class_precision, expected.class_precision);
    assert_close(found.class_recall, expected.class_recall);
    assert_close(found.class_f1, expected.class_f1);
    assert_close(found.overall_precision, expected.overall_precision);
    assert_close(found.overall_recall, expected.overall_recall);
    assert_close(found.overall_f1, expected.overall_f1);
}

#[test]
fn average_precision_is_the_area_of_the_steps_of_the_curve() {
    // Ranks of the positives: 1 and 3, so (1/1 + 2/3) / 2.
    let ranked = label(&[(0.1, false), (0.9, true), (0.5, true), (0.7, false)]);
    assert_close(average_precision(&ranked).unwrap(), 5.0 / 6.0);
}

#[test]
fn equal_scores_are_one_point_whatever_their_order() {
    // Both positives are found only together with the negative of the same score: 2/2 * 2/3.
    let rows = [(0.5, true), (0.5, false), (0.5, true), (0.2, false)];
    let mut reversed = rows;
    reversed.reverse();
    assert_close(average_precision(&label(&rows)).unwrap(), 2.0 / 3.0);
    assert_close(average_precision(&label(&reversed)).unwrap(), 2.0 / 3.0);
}

#[test]
fn a_label_without_positives_has_no_average_precision() {
    assert_eq!(average_precision(&label(&[(0.5, false)])), None);
    assert_eq!(average_precision(&label(&[])), None);
}

#[test]
fn average_precision_and_map_are_scikit_learns() {
    let (fixture, truths) = Fixture::read();
    let found: Vec<Option<f64>> = (0..fixture.average_precision.len())
        .map(|label| average_precision(&LabelDecisions::of(label, &fixture.scores, &truths)))
        .collect();
    for (found, expected) in found.iter().zip(&fixture.average_precision) {
        match (found, expected) {
            (Some(found), Some(expected)) => assert_close(*found, *expected),
            _ => assert_eq!(found, expected),
        }
    }
    assert_close(mean(found.into_iter()).unwrap(), fixture.map);
}

#[test]
fn the_best_f1_is_scikit_learns_and_its_threshold_reaches_it() {
    let (fixture, truths) = Fixture::read();
    for (index, expected) in fixture.best_f1.iter().enumerate() {
        let column = LabelDecisions::of(index, &fixture.scores, &truths);
        let Some(threshold) = best_f1_threshold(weigh(&column, None)) else {
            assert_eq!(*expected, None);
            continue;
        };
        let decided = column
            .scored
            .iter()
            .filter(|(score, _)| *score >= threshold);
        let point = CurvePoint {
            threshold,
            hits: decided.clone().filter(|(_, positive)| *positive).count(),
            decided: decided.count(),
        };
        assert_close(point.f1(column.positives()), expected.unwrap());
    }
}

#[test]
fn decisions_are_scikit_learns() {
    let (fixture, truths) = Fixture::read();
    let thresholds = vec![fixture.threshold; truths[0].len()];
    let decided = at_thresholds(&fixture.scores, &truths, &thresholds);
    assert_same_decisions(decided, fixture.at_threshold);
    assert_same_decisions(at_top(&fixture.scores, &truths, 3), fixture.at_top_3);
}

#[test]
fn class_f1_is_of_the_mean_precision_and_recall_not_the_mean_f1() {
    use Truth::{Negative as N, Positive as P};
    // Label 0: precision 1/2, recall 1. Label 1: precision 1, recall 1/2.
    // CP = CR = 3/4, so CF1 = 3/4, where the mean of the labels' F1 would be 2/3.
    let scores = vec![vec![0.9, 0.9], vec![0.9, 0.1]];
    let truths = vec![vec![P, P], vec![N, P]];
    let metrics = at_thresholds(&scores, &truths, &[0.5, 0.5]);
    assert_close(metrics.class_f1, 0.75);
    assert_close(metrics.overall_f1, 2.0 / 3.0);
}

#[test]
fn unknown_truths_count_nowhere() {
    use Truth::{Negative as N, Positive as P, Unknown as U};
    let scores = vec![vec![0.9], vec![0.1], vec![0.8]];
    let known = at_thresholds(&scores[..2], &[vec![P], vec![N]], &[0.5]);
    let more = at_thresholds(&scores, &[vec![P], vec![N], vec![U]], &[0.5]);
    assert_eq!(known, more);
    assert_close(known.overall_f1, 1.0);
}

proptest! {
    /// The definition, without sorting: each positive adds the precision among the scores that are at
    /// least its own.
    #[test]
    fn average_precision_is_its_definition(rows in prop::collection::vec((0u8..6, any::<bool>()), 0..30)) {
        let scored: Vec<(f32, bool)> = rows.iter().map(|(s, p)| (f32::from(*s), *p)).collect();
        let positives = || scored.iter().filter(|(_, positive)| *positive);
        let precision = |least: f32| {
            let decided = || scored.iter().filter(|(score, _)| *score >= least);
            decided().filter(|(_, positive)| *positive).count() as f64 / decided().count() as f64
        };
        let sum: f64 = positives().map(|(score, _)| precision(*score)).sum();
        let count = positives().count();
        match average_precision(&label(&scored)) {
            Some(found) => prop_assert!((found - sum / count as f64).abs() < 1e-12),
            None => prop_assert_eq!(count, 0),
        }
    }
}
