//! The COCO-80 labels, their embeddings and how often they occur together.

use serde::{Deserialize, Serialize};

use crate::weights::Tensor;

const EMBEDDINGS: &str = include_str!("../data/coco80.glove300.txt");
const COOCCURRENCE: &str = include_str!("../data/coco80.cooccurrence.json");

/// How often labels occur, and occur together, over a set of photos.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cooccurrence {
    /// The K labels.
    pub labels: Vec<String>,
    /// Photos with each label, \[K\].
    #[serde(rename = "image_counts")]
    pub counts: Vec<f32>,
    /// Photos with both labels, \[K\]\[K\].
    pub cooccurrence: Vec<Vec<f32>>,
}

/// Embeddings or co-occurrence counts that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// A line of an embeddings file that is not a label and its numbers.
    #[error("line {line}: {problem}")]
    Embeddings {
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Not co-occurrence counts in JSON.
    #[error("not co-occurrence counts: {0}")]
    Json(#[from] serde_json::Error),
    /// Counts for another number of labels than named.
    #[error("counts are not {0} by {0} for {0} labels")]
    Size(usize),
}

/// The 80 labels of COCO in the order of its category ids.
pub fn coco80() -> Vec<String> {
    coco80_cooccurrence().labels
}

/// GloVe embeddings (300 dimensions) of the 80 labels, \[80, 300\].
///
/// # Panics
/// Never: the data is part of this crate and tested.
pub fn coco80_embeddings() -> Tensor {
    parse_embeddings(EMBEDDINGS).expect("shipped data").1
}

/// Image-level counts of COCO 2014's training photos.
///
/// # Panics
/// Never: the data is part of this crate and tested.
pub fn coco80_cooccurrence() -> Cooccurrence {
    parse_cooccurrence(COOCCURRENCE).expect("shipped data")
}

/// Share of COCO 2014's training photos that show each of the 80 labels.
pub fn coco80_prevalence() -> Vec<f64> {
    const PHOTOS: f64 = 82_783.0;
    let counts = coco80_cooccurrence().counts.into_iter();
    counts.map(|count| f64::from(count) / PHOTOS).collect()
}

/// Reads embeddings in GloVe's text format, one label a line, a space within a label written `_`.
/// Returns the labels and a tensor \[labels, dimensions\].
///
/// # Errors
/// Names the first line that is not a label followed by as many finite numbers as on the line before.
pub fn parse_embeddings(text: &str) -> Result<(Vec<String>, Tensor), LabelsError> {
    let (mut labels, mut values, mut dimensions) = (vec![], vec![], None);
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty())
    {
        let problem = |problem: String| LabelsError::Embeddings {
            line: index + 1,
            problem,
        };
        let mut words = line.split_whitespace();
        let label = words.next().unwrap_or_default().replace('_', " ");
        let before = values.len();
        for word in words {
            let value: f32 = word
                .parse()
                .ok()
                .filter(|value: &f32| value.is_finite())
                .ok_or_else(|| problem(format!("{word:?} is not a finite number")))?;
            values.push(value);
        }
        let found = values.len() - before;
        if found == 0 || *dimensions.get_or_insert(found) != found {
            return Err(problem(format!("{label:?} has {found} numbers")));
        }
        labels.push(label);
    }
    let shape = vec![labels.len(), dimensions.unwrap_or(0)];
    Ok((labels, Tensor { shape, values }))
}

/// Reads `{"labels": [K], "image_counts": [K], "cooccurrence": [K][K]}`.
///
/// # Errors
/// When it is not that, or the sizes disagree.
pub fn parse_cooccurrence(json: &str) -> Result<Cooccurrence, LabelsError> {
    let parsed: Cooccurrence = serde_json::from_str(json)?;
    let labels = parsed.labels.len();
    let square = parsed.counts.len() == labels
        && parsed.cooccurrence.len() == labels
        && parsed.cooccurrence.iter().all(|row| row.len() == labels);
    if square {
        Ok(parsed)
    } else {
        Err(LabelsError::Size(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_embeddings_and_counts_name_the_same_80_labels() {
        let (labels, embeddings) = parse_embeddings(EMBEDDINGS).unwrap();
        assert_eq!(labels, coco80());
        assert_eq!(embeddings.shape, [80, 300]);
        assert_eq!(embeddings.values[0], -0.55598);
        let counts = coco80_cooccurrence();
        assert_eq!((labels[0].as_str(), counts.counts[0]), ("person", 45174.0));
        // 1,890 photos show a person and a bicycle.
        assert_eq!(counts.cooccurrence[0][1], 1890.0);
        assert_eq!(labels[79], "toothbrush");
        let labels_per_photo: f64 = coco80_prevalence().iter().sum();
        assert!(
            (labels_per_photo - 2.91).abs() < 0.005,
            "{labels_per_photo}"
        );
    }

    #[test]
    fn a_bad_embedding_is_named_by_its_line() {
        let error = parse_embeddings("cat 1 2\ndog 1 x\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2: \"x\" is not a finite number");
        let error = parse_embeddings("cat 1 2\ndog 1\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2: \"dog\" has 1 numbers");
    }
}
