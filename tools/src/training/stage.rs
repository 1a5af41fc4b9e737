//! The training loop of one stage, from kept activations to trained weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use graphtag_models::{Network, Tensor, Weights};

use super::activations::Activations;
use super::batches::order;
use super::checkpoint;
use super::early_stop::EarlyStop;
use super::learner::{self, Learner};
use super::optimizer::{Group, OneCycle, Trainer};
use super::parameters::{Parameters, flat, values};
use super::recipe::{Loss, Stage};
use super::targets::Targets;
use super::views::Augmentation;
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

/// Trains networks that start at each of `parameters`, one or peers that learn from each other too, and returns the moving
/// average of the first's parameters. `validate` is called after every epoch with the epoch (from 1), the mean loss and
/// these averages, and returns a score. With patience the epoch of the best score is what is returned. A run that
/// was killed goes on from its last checkpoint and ends with the same weights.
///
/// # Errors
/// When a file can't be read or written, or the loss is no longer finite.
pub fn train(
    work: &Work,
    parameters: Vec<Parameters>,
    device: &Device,
    mut validate: impl FnMut(usize, f64, &Parameters) -> Result<f64>,
) -> Result<Vec<Parameters>> {
    let stage = &work.stage;
    let orders = orders(work);
    let steps_of = |epoch: usize| orders[epoch].len() / stage.batch;
    let steps: usize = (0..stage.epochs).map(steps_of).sum();
    let cycle = OneCycle {
        peak: 1.0,
        steps,
        warm_up: stage.warm_up,
    };
    let mut state = State::start(work, parameters, device);
    state.resume(work)?;

    let progress = Progress::new(work.name, state.steps(), steps);
    let mut first = 0;
    for (epoch, order) in orders.iter().enumerate() {
        let (mut sum, mut counted) = (0.0, 0);
        for (position, batch) in order.chunks_exact(stage.batch).enumerate() {
            let number = first + position;
            if number < state.steps() {
                continue;
            }
            let rate = cycle.rate(number);
            sum += learner::step(work, &mut state.learners, batch, number, rate, device)?;
            counted += 1;
            if state.steps().is_multiple_of(CHECKPOINT_INTERVAL) {
                ensure!(
                    sum.is_finite(),
                    "{}: the loss is no longer finite",
                    work.name
                );
                state.save(work)?;
            }
            progress.advance(1);
        }
        first += steps_of(epoch);
        if epoch >= state.early_stop.validated {
            let score = validate(epoch + 1, sum / f64::from(counted), &state.averages()[0])?;
            state.see(work, score);
        }
        if stage
            .patience
            .is_some_and(|patience| state.early_stop.is_over(patience))
        {
            break;
        }
    }
    progress.finish();
    state.save(work)?;
    Ok(state.result(device))
}

/// The photos and views of each epoch.
fn orders(work: &Work) -> Vec<Vec<(usize, usize)>> {
    let stage = &work.stage;
    let repeats = work.targets.repeats(stage.repeat_below, stage.most_repeats);
    let order = |epoch| order(&repeats, epoch, stage.views, work.seed);
    (0..stage.epochs).map(order).collect()
}

/// All that changes in the course of a stage.
struct State {
    learners: Vec<Learner>,
    early_stop: EarlyStop,
}

impl State {
    fn start(work: &Work, parameters: Vec<Parameters>, device: &Device) -> Self {
        let learner = |parameters: Parameters| Learner {
            trainer: Trainer::new(
                work.stage.optimizer,
                groups(work),
                &parameters,
                work.average_decay,
                device,
            ),
            parameters,
        };
        State {
            learners: parameters.into_iter().map(learner).collect(),
            early_stop: EarlyStop::default(),
        }
    }

    fn steps(&self) -> usize {
        self.learners[0].trainer.steps()
    }

    fn averages(&self) -> Vec<Parameters> {
        let average = |learner: &Learner| learner.trainer.averaged(&learner.parameters);
        self.learners.iter().map(average).collect()
    }

    fn see(&mut self, work: &Work, score: f64) {
        let averages = self.averages();
        self.early_stop.see(score, || {
            let mut tensors = BTreeMap::new();
            let peers = averages.iter().enumerate();
            for (peer, parameters) in peers.filter(|_| work.stage.patience.is_some()) {
                for name in &work.trained {
                    let values = values(parameters.flat(name));
                    let shape = vec![values.len()];
                    tensors.insert(format!("{peer}.{name}"), Tensor { shape, values });
                }
            }
            Weights { tensors }
        });
    }

    /// The averages of the last epoch, or of the best, where that was kept.
    fn result(&self, device: &Device) -> Vec<Parameters> {
        let mut result = self.averages();
        let best = self
            .early_stop
            .best()
            .into_iter()
            .flat_map(|best| &best.tensors);
        for (name, tensor) in best {
            let (peer, name) = name.split_once('.').expect("named by peer");
            let peer: usize = peer.parse().expect("named by peer");
            result[peer].set(name, flat(tensor.values.clone(), device));
        }
        result
    }

    fn save(&self, work: &Work) -> Result<()> {
        let mut all = Weights::default();
        self.early_stop.store(&mut all);
        for (peer, learner) in self.learners.iter().enumerate() {
            let tensors = learner.trainer.checkpoint().tensors.into_iter();
            all.tensors
                .extend(tensors.map(|(name, tensor)| (format!("{peer}.{name}"), tensor)));
        }
        checkpoint::save(&checkpoint_path(work), &work.key, &all)
    }

    /// Takes up the checkpoint if there is one; one of another recipe is refused.
    fn resume(&mut self, work: &Work) -> Result<()> {
        let path = checkpoint_path(work);
        let Some(all) = checkpoint::load(&path, &work.key)? else {
            return Ok(());
        };
        let context = || path.display().to_string();
        self.early_stop = EarlyStop::restore(&all).with_context(context)?;
        for (peer, learner) in self.learners.iter_mut().enumerate() {
            let prefix = format!("{peer}.");
            let own = all.tensors.iter().filter_map(|(name, tensor)| {
                Some((name.strip_prefix(&prefix)?.to_string(), tensor.clone()))
            });
            let own = Weights {
                tensors: own.collect(),
            };
            learner
                .trainer
                .restore(&own, &mut learner.parameters)
                .with_context(context)?;
        }
        Ok(())
    }
}

fn checkpoint_path(work: &Work) -> PathBuf {
    work.folder.join(format!("{}.checkpoint", work.name))
}

/// Weight decay applies to kernels and matrices of the backbone and head, not to biases.
fn groups(work: &Work) -> Vec<Group> {
    let stage = &work.stage;
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
