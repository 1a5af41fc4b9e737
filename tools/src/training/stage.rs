//! The training loop of one stage, from kept activations to trained weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor};
use graphtag_models::{Network, Weights};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::activations::Activations;
use super::forward::{Mode, run_between};
use super::loss::{angular_margin, binary_kl};
use super::optimizer::{Group, OneCycle, Trainer};
use super::parameters::{Parameters, values};
use super::recipe::{Loss, Stage};
use super::targets::Targets;
use super::views::{Augmentation, view};
use crate::progress::Progress;

/// Steps between two checkpoints.
const CHECKPOINT_INTERVAL: usize = 100;

/// All that a stage works on.
pub struct Work<'a> {
    /// The stage's name, of its checkpoint and its progress bar.
    pub name: &'a str,
    /// The network.
    pub network: &'a Network,
    /// The layer whose outputs `activations` holds.
    pub start: usize,
    /// The layer whose outputs are the logits.
    pub logits: usize,
    /// The first layer of the head.
    pub head: usize,
    /// Names of the parameters to train.
    pub trained: Vec<String>,
    /// Outputs of layer `start`, view by view, each view for all photos.
    pub activations: &'a Activations,
    /// What the photos show.
    pub targets: &'a Targets<'a>,
    /// How the views were drawn.
    pub augmentation: &'a Augmentation,
    /// The loss.
    pub loss: Loss,
    /// Settings.
    pub stage: Stage,
    /// See [`super::recipe::Recipe::average_decay`].
    pub average_decay: f64,
    /// See [`super::recipe::Recipe::seed`].
    pub seed: u64,
    /// Where the checkpoint goes.
    pub folder: &'a Path,
    /// A hash of all the above, which a checkpoint must bear to be taken up.
    pub key: String,
}

/// Trains and returns the moving average of the parameters; `validate` is called after every epoch with the
/// epoch (from 1), the mean loss and these averages. A run that was killed goes on from its last checkpoint
/// and ends with the same weights.
///
/// # Errors
/// When a file can't be read or written, or the loss is no longer finite.
pub fn train(
    work: &Work,
    mut parameters: Parameters,
    device: &Device,
    mut validate: impl FnMut(usize, f64, &Parameters) -> Result<()>,
) -> Result<Parameters> {
    let stage = work.stage;
    let repeats = work.targets.repeats(stage.repeat_below, stage.most_repeats);
    let orders: Vec<Vec<(usize, usize)>> = (0..stage.epochs)
        .map(|epoch| order(&repeats, epoch, stage.views, work.seed))
        .collect();
    let steps_of = |epoch: usize| orders[epoch].len() / stage.batch;
    let steps: usize = (0..stage.epochs).map(steps_of).sum();
    let cycle = OneCycle {
        peak: 1.0,
        steps,
        warm_up: stage.warm_up,
    };
    let mut trainer = Trainer::new(groups(work), &parameters, work.average_decay, device);
    let checkpoint = work.folder.join(format!("{}.checkpoint", work.name));
    resume(work, &checkpoint, &mut trainer, &mut parameters)?;

    let progress = Progress::new(work.name, trainer.steps(), steps);
    let mut first = 0;
    for (epoch, order) in orders.iter().enumerate() {
        let (mut sum, mut counted) = (0.0, 0);
        for (position, batch) in order.chunks_exact(stage.batch).enumerate() {
            let step = first + position;
            if step < trainer.steps() {
                continue;
            }
            device.seed(work.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step as u64);
            let tracked = trainer.tracked(&parameters);
            let loss = batch_loss(work, &tracked, batch, device)?;
            let gradients = loss.backward();
            sum += f64::from(values(loss.inner())[0]);
            counted += 1;
            trainer.step(&mut parameters, &tracked, &gradients, cycle.rate(step));
            if trainer.steps().is_multiple_of(CHECKPOINT_INTERVAL) {
                ensure!(
                    sum.is_finite(),
                    "{}: the loss is no longer finite",
                    work.name
                );
                save(work, &checkpoint, &trainer, &parameters)?;
            }
            progress.advance(1);
        }
        first += steps_of(epoch);
        if counted > 0 {
            let averaged = trainer.averaged(&parameters);
            validate(epoch + 1, sum / f64::from(counted), &averaged)?;
        }
    }
    progress.finish();
    save(work, &checkpoint, &trainer, &parameters)?;
    Ok(trainer.averaged(&parameters))
}

fn batch_loss(
    work: &Work,
    tracked: &Parameters,
    batch: &[(usize, usize)],
    device: &Device,
) -> Result<Tensor<1>> {
    let count = work.targets.photos.len();
    let records: Vec<usize> = batch
        .iter()
        .map(|(photo, view)| view * count + photo)
        .collect();
    let views: Vec<_> = batch
        .iter()
        .map(|&(photo, number)| view(work.augmentation, work.seed, photo, number, count))
        .collect();
    let device = device.clone().autodiff();
    let targets = work.targets.batch(&views, &device);
    let input = (work.start, work.activations.batch(&records, &device)?);
    let logits = run_between(
        work.network,
        tracked,
        Mode::Training,
        batch.len(),
        input,
        work.logits,
        |_, value| value,
    )
    .tensor();
    let Loss {
        truth_weight,
        teacher_weight,
        temperature,
        angular_margin: settings,
    } = work.loss;
    let truth = angular_margin(settings, logits.clone(), &targets.truth) * truth_weight;
    let teacher = binary_kl(targets.teacher, logits, temperature) * teacher_weight;
    Ok(truth + teacher)
}

/// The photos and views of an epoch in a random order: each photo as often as its repeats say, the fraction
/// left to chance. From one epoch to the next a photo shows its next view, and each epoch shows all views
/// alike, so that the weights don't swing between photos and mosaics.
fn order(repeats: &[f64], epoch: usize, views: usize, seed: u64) -> Vec<(usize, usize)> {
    use rand::Rng;
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ ((epoch as u64 + 1) << 32));
    let mut order = vec![];
    for (photo, &repeats) in repeats.iter().enumerate() {
        let times = (repeats + random.random::<f64>()) as usize;
        order.extend((0..times).map(|time| (photo, (photo + epoch + time) % views)));
    }
    order.shuffle(&mut random);
    order
}

/// Weight decay applies to kernels and matrices of the backbone and head, not to biases.
fn groups(work: &Work) -> Vec<Group> {
    let stage = work.stage;
    let layer_index = |name: &str| {
        let layer = name.rsplit_once('.').map_or(name, |(layer, _)| layer);
        work.network.find(layer).unwrap_or_default()
    };
    let select = |is_head: bool, is_bias: bool| Group {
        names: work
            .trained
            .iter()
            .filter(|name| (layer_index(name) >= work.head) == is_head)
            .filter(|name| name.ends_with(".bias") == is_bias)
            .cloned()
            .collect(),
        rate: if is_head {
            stage.head_rate
        } else {
            stage.backbone_rate
        },
        weight_decay: if is_bias { 0.0 } else { stage.weight_decay },
    };
    vec![
        select(true, false),
        select(true, true),
        select(false, false),
        select(false, true),
    ]
}

fn save(work: &Work, path: &PathBuf, trainer: &Trainer, parameters: &Parameters) -> Result<()> {
    let key = BTreeMap::from([("key".to_string(), work.key.clone())]);
    let bytes = trainer.checkpoint(parameters).to_safetensors(&key)?;
    let temporary = path.with_extension("part");
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| path.display().to_string())
}

/// Takes up the checkpoint if there is one; one of another recipe is refused.
fn resume(
    work: &Work,
    path: &PathBuf,
    trainer: &mut Trainer,
    parameters: &mut Parameters,
) -> Result<()> {
    let context = || path.display().to_string();
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        bytes => bytes.with_context(context)?,
    };
    let metadata = Weights::safetensors_metadata(&bytes).with_context(context)?;
    ensure!(
        metadata.get("key") == Some(&work.key),
        "{}: a checkpoint of another recipe, data or weights; use another folder or remove it",
        path.display()
    );
    let checkpoint = Weights::from_safetensors(&bytes).with_context(context)?;
    trainer
        .restore(&checkpoint, parameters)
        .with_context(context)
}
