//! One step of one network, or of two that learn from each other too.

use anyhow::Result;
use burn::tensor::{Device, Tensor};

use super::forward::{Mode, Value, run_between};
use super::loss::{angular_margin, binary_kl, mutual};
use super::optimizer::{Gradients, Trainer};
use super::parameters::{Parameters, values};
use super::stage::Work;
use super::targets;
use super::views::view;

/// A network in training.
pub struct Learner {
    /// Its weights.
    pub parameters: Parameters,
    /// What trains them.
    pub trainer: Trainer,
}

/// What a step looks at.
struct Batch {
    count: usize,
    input: Value,
    targets: targets::Batch,
    /// Of dropout.
    seed: u64,
}

/// Takes step `number` of all `learners` on `photos`, pairs of a photo and a view, at `rate` times the groups' rates.
/// Returns the loss of the first.
///
/// # Errors
/// When activations can't be read.
pub fn step(
    work: &Work,
    learners: &mut [Learner],
    photos: &[(usize, usize)],
    number: usize,
    rate: f64,
    device: &Device,
) -> Result<f64> {
    let batch = read(work, photos, number, device)?;
    let current: Vec<Parameters> = learners.iter().map(|l| l.parameters.clone()).collect();
    let (loss, mut gradients) = gradients(work, learners, &current, &batch, device);
    if let Some(distance) = work.stage.sharpness {
        let moved = |(parameters, gradients): (&Parameters, &Gradients)| {
            gradients.ascend(parameters, distance, device)
        };
        let moved: Vec<Parameters> = current.iter().zip(&gradients).map(moved).collect();
        gradients = self::gradients(work, learners, &moved, &batch, device).1;
    }
    for (learner, mut gradients) in learners.iter_mut().zip(gradients) {
        if let Some(most) = work.stage.clip {
            gradients.clip(most);
        }
        learner
            .trainer
            .step(&mut learner.parameters, &gradients, rate);
    }
    Ok(loss)
}

fn read(work: &Work, photos: &[(usize, usize)], number: usize, device: &Device) -> Result<Batch> {
    let count = work.targets.photos.len();
    let record = |(photo, view): &(usize, usize)| view * count + photo;
    let records: Vec<usize> = photos.iter().map(record).collect();
    let views: Vec<_> = photos
        .iter()
        .map(|&(photo, number)| view(work.augmentation, work.seed, photo, number, count))
        .collect();
    let device = device.clone().autodiff();
    Ok(Batch {
        count: photos.len(),
        input: work.activations.batch(&records, &device)?,
        targets: work.targets.batch(&views, &device),
        seed: work.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number as u64,
    })
}

/// The first learner's loss, and the gradients of each at `weights`.
fn gradients(
    work: &Work,
    learners: &[Learner],
    weights: &[Parameters],
    batch: &Batch,
    device: &Device,
) -> (f64, Vec<Gradients>) {
    device.seed(batch.seed);
    let tracked = learners.iter().zip(weights);
    let tracked: Vec<Parameters> = tracked
        .map(|(l, weights)| l.trainer.tracked(weights))
        .collect();
    let logits: Vec<Tensor<2>> = tracked.iter().map(|p| logits(work, p, batch)).collect();
    let mut first = None;
    let mut all = vec![];
    for (index, (learner, tracked)) in learners.iter().zip(&tracked).enumerate() {
        let mut loss = own_loss(work, logits[index].clone(), batch);
        for (_, peer) in logits.iter().enumerate().filter(|&(peer, _)| peer != index) {
            let weight = work.loss.mutual_weight;
            loss = loss + mutual(logits[index].clone(), peer.clone().detach()) * weight;
        }
        let backward = loss.backward();
        first.get_or_insert_with(|| f64::from(values(loss.inner())[0]));
        all.push(Gradients::of(learner.trainer.names(), tracked, &backward));
    }
    (first.unwrap_or_default(), all)
}

fn logits(work: &Work, tracked: &Parameters, batch: &Batch) -> Tensor<2> {
    let input = (work.start, batch.input.clone());
    let (mode, count) = (Mode::Training, batch.count);
    run_between(
        work.network,
        tracked,
        mode,
        count,
        input,
        work.logits,
        |_, value| value,
    )
    .tensor()
}

fn own_loss(work: &Work, logits: Tensor<2>, batch: &Batch) -> Tensor<1> {
    let loss = work.loss;
    let truth = angular_margin(loss.angular_margin, logits.clone(), &batch.targets.truth);
    let teacher = binary_kl(batch.targets.teacher.clone(), logits, loss.temperature);
    truth * loss.truth_weight + teacher * loss.teacher_weight
}
