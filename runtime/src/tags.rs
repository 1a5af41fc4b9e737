//! From probabilities to tags.

use graphtag_models::Metadata;

/// A label that a photo gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tag<'a> {
    /// The label.
    pub label: &'a str,
    /// Its probability, within 0..=1.
    pub score: f32,
}

/// Which labels become tags.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Selection {
    /// A threshold for all labels instead of each label's calibrated one.
    pub threshold: Option<f32>,
    /// The most tags of one photo.
    pub top: Option<usize>,
}

/// The labels whose probability reaches their threshold, the likeliest first.
pub fn tags<'a>(
    metadata: &'a Metadata,
    probabilities: &[f32],
    selection: Selection,
) -> Vec<Tag<'a>> {
    let scored = metadata
        .labels
        .iter()
        .zip(probabilities)
        .zip(&metadata.thresholds);
    let mut tags: Vec<Tag> = scored
        .filter(|((_, score), calibrated)| **score >= selection.threshold.unwrap_or(**calibrated))
        .map(|((label, &score), _)| Tag { label, score })
        .collect();
    tags.sort_by(|a, b| b.score.total_cmp(&a.score));
    tags.truncate(selection.top.unwrap_or(usize::MAX));
    tags
}
