//! What one step does to one tensor: in a single pass over memory, which with burn's own optimisers, a pass per
//! operation, would cost a quarter of the training of a small network.

use pulp::Arch;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Values per task.
const TASK: usize = 1 << 16;

/// How gradients change weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rule {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019), betas 0.9 and 0.999, epsilon 1e-8.
    #[default]
    Adamw,
    /// Stochastic gradient descent as PyTorch has it; weight decay is added to the gradient.
    Sgd {
        /// Share of itself that the velocity keeps per step; 0 for none.
        momentum: f64,
        /// Whether to look ahead along the velocity (Nesterov).
        #[serde(default)]
        nesterov: bool,
    },
}

/// What a [`Rule`] remembers of a tensor: Adam's moments, or the velocity alone.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The first moment or the velocity.
    pub first: Vec<f32>,
    /// The second moment.
    pub second: Vec<f32>,
}

/// What is the same for all values of a tensor in a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Steps taken of this tensor, this one included.
    pub number: usize,
    /// The learning rate.
    pub rate: f64,
    /// Weight decay.
    pub weight_decay: f64,
}

impl Rule {
    /// The state before the first step of a tensor of `length`.
    pub fn state(self, length: usize) -> State {
        let second = match self {
            Rule::Adamw => length,
            Rule::Sgd { .. } => 0,
        };
        State {
            first: vec![0.0; length],
            second: vec![0.0; second],
        }
    }

    /// Changes `weights` by one step along `gradient`.
    pub fn step(self, step: Step, weights: &mut [f32], gradient: &[f32], state: &mut State) {
        let State { first, second } = state;
        let chunks = weights
            .par_chunks_mut(TASK)
            .zip(gradient.par_chunks(TASK))
            .zip(first.par_chunks_mut(TASK));
        let arch = Arch::new();
        match self {
            Rule::Adamw => chunks.zip(second.par_chunks_mut(TASK)).for_each(
                |(((weights, gradient), first), second)| {
                    arch.dispatch(|| adamw(step, weights, gradient, first, second));
                },
            ),
            Rule::Sgd { momentum, nesterov } => {
                chunks.for_each(|((weights, gradient), velocity)| {
                    arch.dispatch(|| sgd(step, momentum, nesterov, weights, gradient, velocity));
                });
            }
        }
    }
}

#[inline(always)]
fn adamw(step: Step, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
    const BETAS: [f32; 2] = [0.9, 0.999];
    const EPSILON: f32 = 1e-8;
    let unbiased = BETAS.map(|beta| 1.0 / (1.0 - beta.powi(step.number as i32)));
    let (rate, kept) = (
        step.rate as f32,
        (1.0 - step.rate * step.weight_decay) as f32,
    );
    let moments = first.iter_mut().zip(second);
    for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradient).zip(moments) {
        *first = BETAS[0] * *first + (1.0 - BETAS[0]) * gradient;
        *second = BETAS[1] * *second + (1.0 - BETAS[1]) * gradient * gradient;
        let deviation = (*second * unbiased[1]).sqrt() + EPSILON;
        *weight = *weight * kept - rate * (*first * unbiased[0]) / deviation;
    }
}

#[inline(always)]
fn sgd(
    step: Step,
    momentum: f64,
    nesterov: bool,
    weights: &mut [f32],
    gradient: &[f32],
    velocity: &mut [f32],
) {
    let (rate, decay, momentum) = (step.rate as f32, step.weight_decay as f32, momentum as f32);
    for ((weight, gradient), velocity) in weights.iter_mut().zip(gradient).zip(velocity) {
        let gradient = gradient + decay * *weight;
        *velocity = momentum * *velocity + gradient;
        let along = if nesterov {
            gradient + momentum * *velocity
        } else {
            *velocity
        };
        *weight -= rate * along;
    }
}

/// Moves `averages` towards `values`, keeping `decay` of themselves.
pub fn average(decay: f64, averages: &mut [f32], values: &[f32]) {
    let (kept, taken) = (decay as f32, (1.0 - decay) as f32);
    let chunks = averages.par_chunks_mut(TASK).zip(values.par_chunks(TASK));
    chunks.for_each(|(averages, values)| {
        for (average, value) in averages.iter_mut().zip(values) {
            *average = *average * kept + value * taken;
        }
    });
}
