//! When a stage stops before its time.

use graphtag_models::{Tensor, Weights, WeightsError};

/// Keeps the best weights so far, and knows for how long none were better.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EarlyStop {
    /// Epochs that were validated.
    pub validated: usize,
    best: Option<Best>,
}

#[derive(Clone, Debug, PartialEq)]
struct Best {
    score: f32,
    /// From 1.
    epoch: usize,
    weights: Weights,
}

impl EarlyStop {
    /// Takes note of the score of the next epoch.
    pub fn see(&mut self, score: f64, weights: impl FnOnce() -> Weights) {
        self.validated += 1;
        let score = score as f32;
        if self.best.as_ref().is_none_or(|best| score > best.score) {
            self.best = Some(Best {
                score,
                epoch: self.validated,
                weights: weights(),
            });
        }
    }

    /// Whether the last `patience` epochs were none of them better than those before.
    pub fn is_over(&self, patience: usize) -> bool {
        let best = self.best.as_ref();
        best.is_some_and(|best| self.validated >= best.epoch + patience)
    }

    /// The weights of the best epoch.
    pub fn best(&self) -> Option<&Weights> {
        self.best.as_ref().map(|best| &best.weights)
    }

    /// Adds all this to a checkpoint.
    pub fn store(&self, checkpoint: &mut Weights) {
        let mut put = |name: String, values: Vec<f32>| {
            let shape = vec![values.len()];
            checkpoint.tensors.insert(name, Tensor { shape, values });
        };
        put("validated".into(), vec![self.validated as f32]);
        if let Some(best) = &self.best {
            put("best".into(), vec![best.score, best.epoch as f32]);
            for (name, tensor) in &best.weights.tensors {
                put(format!("best.{name}"), tensor.values.clone());
            }
        }
    }

    /// Takes up what [`EarlyStop::store`] left.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub fn restore(checkpoint: &Weights) -> Result<Self, WeightsError> {
        let validated = checkpoint.get("validated")?.values[0] as usize;
        let best = checkpoint.get("best").ok().map(|best| {
            let tensors = checkpoint.tensors.iter().filter_map(|(name, tensor)| {
                Some((name.strip_prefix("best.")?.to_string(), tensor.clone()))
            });
            Best {
                score: best.values[0],
                epoch: best.values[1] as usize,
                weights: Weights {
                    tensors: tensors.collect(),
                },
            }
        });
        Ok(EarlyStop { validated, best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(value: f32) -> Weights {
        let tensor = Tensor {
            shape: vec![1],
            values: vec![value],
        };
        Weights {
            tensors: [("w".to_string(), tensor)].into(),
        }
    }

    #[test]
    fn stops_when_nothing_was_better_for_long_and_keeps_the_best() {
        let mut stop = EarlyStop::default();
        let mut over = vec![];
        for (epoch, score) in [0.1, 0.4, 0.3, 0.4, 0.2].into_iter().enumerate() {
            stop.see(score, || weights(epoch as f32));
            over.push(stop.is_over(3));
            let mut checkpoint = Weights::default();
            stop.store(&mut checkpoint);
            assert_eq!(EarlyStop::restore(&checkpoint).unwrap(), stop);
        }
        assert_eq!(over, [false, false, false, false, true]);
        assert_eq!(stop.best(), Some(&weights(1.0)));
    }
}
