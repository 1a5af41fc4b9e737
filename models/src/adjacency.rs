//! The graph head's adjacency, from how often labels occur together.

use crate::weights::Tensor;

/// The constants of [`adjacency`]; the default is the paper's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdjacencySettings {
    /// Conditional co-occurrence below this counts as none.
    pub tau: f32,
    /// Weight of the neighbours against the label itself.
    pub rho: f32,
}

impl Default for AdjacencySettings {
    fn default() -> Self {
        AdjacencySettings {
            tau: 0.4,
            rho: 0.25,
        }
    }
}

/// The normalised adjacency A' \[K, K\] of K labels.
///
/// P(j|i) = `cooccurrence[i][j]` / `counts[i]` is cut at tau to 0 or 1, divided by its column sums and
/// multiplied by rho; the identity is added; then A' = D^-1/2 A^T D^-1/2 with D the row sums, as in ML-GCN
/// (Chen et al. 2019) and the paper's code. The diagonal of `cooccurrence` is ignored.
pub fn adjacency(counts: &[f32], cooccurrence: &[Vec<f32>], settings: AdjacencySettings) -> Tensor {
    let labels = counts.len();
    let mut edges = vec![0.0f32; labels * labels];
    for i in 0..labels {
        for j in 0..labels {
            let conditional = cooccurrence[i][j] / counts[i].max(1.0);
            if i != j && conditional >= settings.tau {
                edges[i * labels + j] = 1.0;
            }
        }
    }
    let column_sums: Vec<f32> = (0..labels)
        .map(|j| (0..labels).map(|i| edges[i * labels + j]).sum())
        .collect();
    for i in 0..labels {
        for j in 0..labels {
            let edge = &mut edges[i * labels + j];
            *edge *= settings.rho / (column_sums[j] + 1e-6);
            if i == j {
                *edge += 1.0;
            }
        }
    }
    let scale: Vec<f32> = edges
        .chunks(labels)
        .map(|row| row.iter().sum::<f32>().powf(-0.5))
        .collect();
    let mut normalised = vec![0.0; labels * labels];
    for i in 0..labels {
        for j in 0..labels {
            normalised[i * labels + j] = scale[i] * edges[j * labels + i] * scale[j];
        }
    }
    Tensor {
        shape: vec![labels, labels],
        values: normalised,
    }
}
