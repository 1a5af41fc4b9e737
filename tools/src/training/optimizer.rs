//! AdamW over named flat tensors, a one-cycle learning rate, and an exponential moving average.

use std::collections::BTreeMap;

use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use graphtag_models::Weights;

use super::parameters::{Parameters, values};

/// A learning rate that rises and falls once along half cosines (Smith and Topin 2018).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// The highest rate.
    pub peak: f64,
    /// Steps in all.
    pub steps: usize,
    /// Share of the steps that the rate rises.
    pub warm_up: f64,
}

impl OneCycle {
    /// The rate of step 0..`steps`: from a 25th of the peak up to it, then down to a 10,000th.
    pub fn rate(&self, step: usize) -> f64 {
        let rising = (self.steps as f64 * self.warm_up).max(1.0);
        let falling = (self.steps as f64 - rising).max(1.0);
        let cosine = |from: f64, to: f64, share: f64| {
            to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
        };
        let step = step as f64;
        if step < rising {
            cosine(self.peak / 25.0, self.peak, step / rising)
        } else {
            cosine(self.peak, self.peak / 10_000.0, (step - rising) / falling)
        }
    }
}

/// A group of parameters that share a learning rate.
#[derive(Clone, Debug)]
pub struct Group {
    /// Names of the parameters.
    pub names: Vec<String>,
    /// Multiplies the learning rate.
    pub rate: f64,
    /// Weight decay, decoupled (Loshchilov and Hutter 2019).
    pub weight_decay: f64,
}

/// Trains some of a network's parameters and keeps the moving average of these.
pub struct Trainer {
    device: Device,
    groups: Vec<(Group, AdamW)>,
    states: BTreeMap<String, AdamWState<1>>,
    average: BTreeMap<String, Tensor<1>>,
    decay: f64,
    steps: usize,
}

impl Trainer {
    /// A trainer whose moving average starts at `parameters` and keeps `decay` of itself per step.
    pub fn new(groups: Vec<Group>, parameters: &Parameters, decay: f64, device: &Device) -> Self {
        let average = groups
            .iter()
            .flat_map(|group| &group.names)
            .map(|name| (name.clone(), parameters.flat(name)))
            .collect();
        let optimizer = |group: &Group| {
            AdamWConfig::new()
                .with_epsilon(1e-8)
                .with_weight_decay(group.weight_decay as f32)
                .build()
        };
        Trainer {
            device: device.clone(),
            groups: groups
                .into_iter()
                .map(|g| (g.clone(), optimizer(&g)))
                .collect(),
            states: BTreeMap::new(),
            average,
            decay,
            steps: 0,
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// `parameters` with the trained ones on the autodiff device, tracked for the next backward pass.
    pub fn tracked(&self, parameters: &Parameters) -> Parameters {
        let mut tracked = parameters.clone().autodiff();
        for name in self.average.keys() {
            tracked.set(name, tracked.flat(name).require_grad());
        }
        tracked
    }

    /// One AdamW step of every trained parameter that `gradients`, taken through `tracked`, reach.
    pub fn step(
        &mut self,
        parameters: &mut Parameters,
        tracked: &Parameters,
        gradients: &Gradients,
        rate: f64,
    ) {
        self.steps += 1;
        // Averages of few steps would hold on to the start.
        let decay = self
            .decay
            .min((1.0 + self.steps as f64) / (10.0 + self.steps as f64));
        for (group, optimizer) in &self.groups {
            for name in &group.names {
                let Some(gradient) = tracked.flat(name).grad(gradients) else {
                    continue;
                };
                let state = self.states.remove(name);
                let (updated, state) =
                    optimizer.step(rate * group.rate, parameters.flat(name), gradient, state);
                if let Some(state) = state {
                    self.states.insert(name.clone(), state);
                }
                let average = self.average[name].clone() * decay + updated.clone() * (1.0 - decay);
                self.average.insert(name.clone(), average);
                parameters.set(name, updated);
            }
        }
    }

    /// `parameters` with the moving averages in the place of the trained ones.
    pub fn averaged(&self, parameters: &Parameters) -> Parameters {
        let mut averaged = parameters.clone();
        for (name, tensor) in &self.average {
            averaged.set(name, tensor.clone());
        }
        averaged
    }

    /// All that a later [`Trainer::restore`] needs to go on as if never stopped.
    pub fn checkpoint(&self, parameters: &Parameters) -> Weights {
        let mut tensors = BTreeMap::new();
        let mut put = |name: String, tensor: Tensor<1>| {
            let values = values(tensor);
            let shape = vec![values.len()];
            tensors.insert(name, graphtag_models::Tensor { shape, values });
        };
        for (name, average) in &self.average {
            put(format!("parameter.{name}"), parameters.flat(name));
            put(format!("average.{name}"), average.clone());
            if let Some(state) = self.states.get(name) {
                put(format!("moment_1.{name}"), state.momentum.moment_1.clone());
                put(format!("moment_2.{name}"), state.momentum.moment_2.clone());
            }
        }
        // Exact up to 2^24 steps.
        let steps = graphtag_models::Tensor {
            shape: vec![1],
            values: vec![self.steps as f32],
        };
        tensors.insert("steps".into(), steps);
        Weights { tensors }
    }

    /// Takes up a [`Trainer::checkpoint`] of the same groups.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub fn restore(
        &mut self,
        checkpoint: &Weights,
        parameters: &mut Parameters,
    ) -> Result<(), graphtag_models::WeightsError> {
        let device = self.device.clone();
        let get = |name: String| {
            checkpoint.get(&name).map(|tensor| {
                let data = TensorData::new(tensor.values.clone(), [tensor.values.len()]);
                Tensor::<1>::from_data(data, &device)
            })
        };
        self.steps = checkpoint.get("steps")?.values[0] as usize;
        let names: Vec<String> = self.average.keys().cloned().collect();
        for name in names {
            parameters.set(&name, get(format!("parameter.{name}"))?);
            self.average
                .insert(name.clone(), get(format!("average.{name}"))?);
            if let Ok(moment_1) = get(format!("moment_1.{name}")) {
                let moment_2 = get(format!("moment_2.{name}"))?;
                let momentum = AdaptiveMomentumState::new(self.steps, moment_1, moment_2);
                self.states.insert(name, AdamWState::new(momentum));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cycle_rises_to_its_peak_and_falls_to_almost_nothing() {
        let cycle = OneCycle {
            peak: 1.0,
            steps: 100,
            warm_up: 0.2,
        };
        assert!((cycle.rate(0) - 0.04).abs() < 1e-12);
        assert!((cycle.rate(10) - 0.52).abs() < 1e-12);
        assert!((cycle.rate(20) - 1.0).abs() < 1e-12);
        assert!((cycle.rate(60) - 0.50005).abs() < 1e-12);
        assert!((cycle.rate(100) - 1e-4).abs() < 1e-12);
    }
}
