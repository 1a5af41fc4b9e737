//! Training of named flat tensors: update rules, their learning rate, and an exponential moving average.

mod gradients;
mod one_cycle;
mod rule;

use std::collections::BTreeMap;

use burn::tensor::Device;
use graphtag_models::Weights;

use super::parameters::{Parameters, flat, values};
pub use gradients::Gradients;
pub use one_cycle::OneCycle;
pub use rule::{Rule, State, Step, average};

/// A group of parameters that share a learning rate.
#[derive(Clone, Debug)]
pub struct Group {
    /// Names of the parameters.
    pub names: Vec<String>,
    /// Multiplies the learning rate.
    pub rate: f64,
    /// Weight decay, as the rule has it.
    pub weight_decay: f64,
}

/// One parameter in training.
struct Trained {
    group: usize,
    weights: Vec<f32>,
    average: Vec<f32>,
    state: State,
}

/// Trains some of a network's parameters and keeps the moving average of these.
pub struct Trainer {
    device: Device,
    rule: Rule,
    groups: Vec<Group>,
    trained: BTreeMap<String, Trained>,
    decay: f64,
    steps: usize,
}

impl Trainer {
    /// A trainer whose moving average starts at `parameters` and keeps `decay` of itself per step.
    pub fn new(
        rule: Rule,
        groups: Vec<Group>,
        parameters: &Parameters,
        decay: f64,
        device: &Device,
    ) -> Self {
        let mut trained = BTreeMap::new();
        for (group, Group { names, .. }) in groups.iter().enumerate() {
            for name in names {
                let weights = values(parameters.flat(name));
                let parameter = Trained {
                    group,
                    average: weights.clone(),
                    state: rule.state(weights.len()),
                    weights,
                };
                trained.insert(name.clone(), parameter);
            }
        }
        Trainer {
            device: device.clone(),
            rule,
            groups,
            trained,
            decay,
            steps: 0,
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The names of the trained parameters.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.trained.keys()
    }

    /// `parameters` with the trained ones on the autodiff device, tracked for the next backward pass.
    pub fn tracked(&self, parameters: &Parameters) -> Parameters {
        let mut tracked = parameters.clone().autodiff();
        for name in self.trained.keys() {
            tracked.set(name, tracked.flat(name).require_grad());
        }
        tracked
    }

    /// One step of every trained parameter that has a gradient.
    pub fn step(&mut self, parameters: &mut Parameters, gradients: &Gradients, rate: f64) {
        self.steps += 1;
        // Averages of few steps would hold on to the start.
        let decay = self
            .decay
            .min((1.0 + self.steps as f64) / (10.0 + self.steps as f64));
        for (name, gradient) in &gradients.0 {
            let Trained {
                group,
                weights,
                average: mean,
                state,
            } = self
                .trained
                .get_mut(name)
                .expect("only what is trained has gradients");
            let group = &self.groups[*group];
            let step = Step {
                number: self.steps,
                rate: rate * group.rate,
                weight_decay: group.weight_decay,
            };
            self.rule.step(step, weights, gradient, state);
            average(decay, mean, weights);
            parameters.set(name, flat(weights.clone(), &self.device));
        }
    }

    /// `parameters` with the moving averages in the place of the trained ones.
    pub fn averaged(&self, parameters: &Parameters) -> Parameters {
        let mut averaged = parameters.clone();
        for (name, trained) in &self.trained {
            averaged.set(name, flat(trained.average.clone(), &self.device));
        }
        averaged
    }

    /// All that a later [`Trainer::restore`] needs to go on as if never stopped.
    pub fn checkpoint(&self) -> Weights {
        let mut tensors = BTreeMap::new();
        let mut put = |name: String, values: &[f32]| {
            let tensor = graphtag_models::Tensor {
                shape: vec![values.len()],
                values: values.to_vec(),
            };
            tensors.insert(name, tensor);
        };
        for (name, trained) in &self.trained {
            put(format!("parameter.{name}"), &trained.weights);
            put(format!("average.{name}"), &trained.average);
            put(format!("moment_1.{name}"), &trained.state.first);
            put(format!("moment_2.{name}"), &trained.state.second);
        }
        // Exact up to 2^24 steps.
        put("steps".into(), &[self.steps as f32]);
        Weights { tensors }
    }

    /// Takes up a [`Trainer::checkpoint`] of the same groups and rule.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub fn restore(
        &mut self,
        checkpoint: &Weights,
        parameters: &mut Parameters,
    ) -> Result<(), graphtag_models::WeightsError> {
        let get = |name: String| checkpoint.get(&name).map(|tensor| tensor.values.clone());
        self.steps = get("steps".into())?[0] as usize;
        for (name, trained) in &mut self.trained {
            trained.weights = get(format!("parameter.{name}"))?;
            trained.average = get(format!("average.{name}"))?;
            trained.state = State {
                first: get(format!("moment_1.{name}"))?,
                second: get(format!("moment_2.{name}"))?,
            };
            parameters.set(name, flat(trained.weights.clone(), &self.device));
        }
        Ok(())
    }
}
