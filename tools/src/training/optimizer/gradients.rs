//! Gradients by the names of their parameters.

use std::collections::BTreeMap;

use burn::tensor::Device;

use super::super::parameters::{Parameters, flat, values};

/// One flat gradient a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients(pub BTreeMap<String, Vec<f32>>);

impl Gradients {
    /// Those of the parameters `names` that `backward` reached through `tracked`.
    pub fn of<'a>(
        names: impl Iterator<Item = &'a String>,
        tracked: &Parameters,
        backward: &burn::tensor::Gradients,
    ) -> Self {
        let found =
            |name: &String| Some((name.clone(), values(tracked.flat(name).grad(backward)?)));
        Gradients(names.filter_map(found).collect())
    }

    /// The Euclidean norm of all of them together.
    pub fn norm(&self) -> f64 {
        let squares = |values: &Vec<f32>| values.iter().map(|&x| f64::from(x * x)).sum::<f64>();
        self.0.values().map(squares).sum::<f64>().sqrt()
    }

    /// Shortens them to `most` if their norm is larger.
    pub fn clip(&mut self, most: f64) {
        let norm = self.norm();
        if norm > most {
            let factor = (most / norm) as f32;
            let all = self.0.values_mut().flatten();
            all.for_each(|value| *value *= factor);
        }
    }

    /// `parameters` moved uphill by `distance`: where sharpness-aware minimisation takes the gradient that it descends
    /// along (Foret et al. 2021).
    pub fn ascend(&self, parameters: &Parameters, distance: f64, device: &Device) -> Parameters {
        let factor = (distance / self.norm().max(1e-12)) as f32;
        let mut moved = parameters.clone();
        for (name, gradient) in &self.0 {
            let scaled: Vec<f32> = gradient.iter().map(|value| value * factor).collect();
            moved.set(name, moved.flat(name) + flat(scaled, device));
        }
        moved
    }
}
