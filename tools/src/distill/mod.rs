//! Distils a teacher's soft labels and true labels into one of our architectures.

mod initial;
mod provenance;
mod validation;
mod views;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use graphtag_models::{Network, Operation};
use serde_json::json;

use crate::data::{self, DataSource, LabelSet, Photo};
use crate::teacher::SoftLabels;
use crate::training::activations::{Activations, Part};
use crate::training::parameters::Parameters;
use crate::training::recipe::Recipe;
use crate::training::stage::{Work, train};
use crate::training::targets::Targets;
use initial::initial;
use validation::{Pictures, accuracy};
use views::Views;

/// What to distil from and to.
pub struct Inputs {
    /// The recipe.
    pub recipe: Recipe,
    /// ImageNet weights of the backbone, as `graphtag-tools import` writes them.
    pub weights: PathBuf,
    /// The teacher's soft labels.
    pub soft_labels: PathBuf,
    /// The teacher itself, for recipes that have it label every view.
    pub teacher: Option<PathBuf>,
    /// The labels, with what a graph head needs of them.
    pub labels: LabelSet,
    /// Photos to train and validate on.
    pub data: Vec<DataSource>,
    /// Photos that must not be trained on, whatever folder they also stand in.
    pub exclude: Vec<DataSource>,
    /// Folder for kept activations, checkpoints, the log and the result.
    pub out: PathBuf,
}

/// Runs the recipe and writes `weights.safetensors`, `validation.txt` and `training.json`, which records
/// recipe, seed and hashes, into the folder. Run again after being killed, it goes on.
///
/// # Errors
/// When a file can't be read or written, or the inputs don't suit each other.
pub fn distill(inputs: &Inputs) -> Result<()> {
    let recipe = &inputs.recipe;
    let out = &inputs.out;
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let device = Device::flex();

    let soft_labels = SoftLabels::read(&inputs.soft_labels)?;
    let names = &inputs.labels.names;
    ensure!(
        soft_labels.teacher.labels == *names,
        "{}: the soft labels are of other labels",
        inputs.soft_labels.display()
    );
    let split = load_photos(inputs, names, &soft_labels)?;
    data::write_names(&out.join("validation.txt"), &split.validation)?;
    let mut training = targets(&split.training, &soft_labels);

    let architecture = recipe.architecture(names.len(), recipe.input)?;
    let backbone_bytes = fs::read(&inputs.weights)
        .with_context(|| format!("{}: can't be read", inputs.weights.display()))?;
    // Peers differ by their heads alone.
    let peers = 1 + u64::from(recipe.loss.mutual_weight > 0.0);
    let lowered = recipe.network(&architecture);
    let started = |peer: u64| {
        let seed = recipe.seed.wrapping_add(peer);
        initial(&lowered, &backbone_bytes, &inputs.labels, seed, &device)
            .with_context(|| inputs.weights.display().to_string())
    };
    let (network, weights) = started(0)?;
    let parameters = Parameters::new(&weights, &device);
    let peers: Vec<Parameters> = (0..peers)
        .map(|peer| Ok(Parameters::new(&started(peer)?.1, &device)))
        .collect::<Result<_>>()?;
    let frozen = recipe.last_frozen(&network)?;
    let features = last_feature(&network)?;
    let logits = network
        .find("classifier")
        .context("the network has no classifier")?;

    let frozen_key = provenance::frozen_key(recipe, &backbone_bytes, &split.training)?;
    let views_key = provenance::views_key(recipe, &soft_labels, &split.training)?;
    let key = provenance::key(recipe, &frozen_key, &soft_labels)?;
    let record = provenance::record(inputs, &soft_labels, &backbone_bytes, &split, &architecture)?;
    fs::write(
        out.join("training.json"),
        serde_json::to_vec_pretty(&record)?,
    )
    .with_context(|| out.display().to_string())?;
    let part = |start, end| Part {
        network: &network,
        parameters: &parameters,
        start,
        end,
        device: &device,
    };
    let views_of = |photos| Views { recipe, photos };
    let training_maps = views_of(&split.training).activations(
        &out.join("training-maps.f16"),
        &frozen_key,
        &part(0, frozen),
        0..recipe.views,
    )?;
    let teacher = || {
        let path = inputs.teacher.as_ref().context(
            "the recipe says teach_views or validate_mosaics, for which the teacher is needed; give it with --teacher FILE",
        )?;
        soft_labels.open_teacher(path)
    };
    if recipe.teach_views {
        let teacher = teacher()?;
        let logits = views_of(&split.training).teacher_logits(
            &out.join("teacher-of-views.f16"),
            &views_key,
            &teacher,
        )?;
        training.teacher_of_views = Some(logits.values(&device)?);
    }

    let to_validate = validation::Source {
        recipe,
        photos: &split.validation,
        backbone: &backbone_bytes,
        parts: [part(0, frozen), part(frozen, features)],
        out,
    };
    let truths = targets(&split.validation, &soft_labels).assumed_truths();
    let mut pictures = vec![to_validate.photos(truths)?];
    if recipe.validate_mosaics {
        pictures.push(to_validate.mosaics(&soft_labels, &teacher()?)?);
    }
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(out.join("log.jsonl"))?;
    let mut validate = |stage: &str,
                        epoch: usize,
                        loss: f64,
                        (start, maps): (usize, fn(&Pictures) -> &Activations),
                        weights: &Parameters| {
        let part = Part {
            parameters: weights,
            ..part(start, logits)
        };
        let (accuracy, present) = accuracy(&part, &pictures, maps)?;
        let line = json!({"stage": stage, "epoch": epoch, "loss": loss, "map": accuracy, "labels": present});
        eprintln!("{line}");
        writeln!(log, "{line}").context("log.jsonl")?;
        Ok(accuracy)
    };

    let trained = |from: usize| -> Vec<String> {
        (from..network.layers.len())
            .filter(|&index| !(recipe.freeze_depthwise && is_depthwise(&network, index)))
            .flat_map(|index| network.parameters(index))
            .filter(|parameter| parameter.trainable)
            .map(|parameter| parameter.name)
            .collect()
    };
    let mut work = Work {
        name: "head",
        network: &network,
        start: features,
        logits,
        head: features,
        trained: trained(features),
        activations: &training_maps,
        targets: &training,
        augmentation: &recipe.augmentation,
        loss: recipe.loss,
        stage: recipe.head_stage,
        average_decay: recipe.average_decay,
        seed: recipe.seed,
        folder: out,
        key: key.clone(),
    };
    let kept_features = training_maps.continued(
        &out.join("training-features.f16"),
        &frozen_key,
        &part(frozen, features),
        recipe.head_stage.views * split.training.len(),
    )?;
    work.activations = &kept_features;
    let peers = train(&work, peers, &device, |epoch, loss, weights| {
        validate("head", epoch, loss, (features, |p| &p.features), weights)
    })?;

    work.name = "tail";
    work.start = frozen;
    work.trained = trained(frozen + 1);
    work.activations = &training_maps;
    work.stage = recipe.tail_stage;
    let peers = train(&work, peers, &device, |epoch, loss, weights| {
        validate("tail", epoch, loss, (frozen, |p| &p.maps), weights)
    })?;

    let bytes = peers[0]
        .to_weights(&network)
        .to_safetensors(&BTreeMap::new())?;
    let path = out.join("weights.safetensors");
    fs::write(&path, bytes).with_context(|| path.display().to_string())
}

/// Loads, excludes and splits the photos; those that the teacher could not read are left out.
fn load_photos(inputs: &Inputs, names: &[String], soft_labels: &SoftLabels) -> Result<data::Split> {
    let load = |sources: &[DataSource]| -> Result<Vec<Photo>> {
        let mut photos = vec![];
        for source in sources {
            let dataset = source.load(names)?;
            dataset
                .notes
                .iter()
                .for_each(|note| eprintln!("{source}: {note}"));
            photos.extend(dataset.photos);
        }
        Ok(photos)
    };
    let excluded = data::sha256_set(&load(&inputs.exclude)?)?;
    let mut photos = data::deduplicate(load(&inputs.data)?, &excluded)?;
    photos.retain(|photo| soft_labels.by_photo.contains_key(&photo.name));
    photos.sort_by(|a, b| a.name.cmp(&b.name));
    let split = data::split(photos, inputs.recipe.validation, inputs.recipe.seed);
    ensure!(
        !split.training.is_empty() && !split.validation.is_empty(),
        "no photo with a soft label to train or to validate on: were the soft labels made over these folders?"
    );
    eprintln!(
        "{} photos to train on, {} to validate on",
        split.training.len(),
        split.validation.len()
    );
    Ok(split)
}

fn targets<'a>(photos: &'a [Photo], soft_labels: &'a SoftLabels) -> Targets<'a> {
    let teacher = photos
        .iter()
        .map(|p| soft_labels.by_photo[&p.name].as_slice());
    Targets {
        photos,
        teacher: teacher.collect(),
        teacher_of_views: None,
    }
}

/// The layer from which on everything is head: the pooled features, or the last feature map where the head looks
/// at it itself.
fn last_feature(network: &Network) -> Result<usize> {
    let of_map = || Some(network.layers[network.find("embed")?].inputs[0]);
    let found = network.find("pool").or_else(of_map);
    found.context("the network has no head")
}

fn is_depthwise(network: &Network, index: usize) -> bool {
    matches!(network.layers[index].operation, Operation::Convolution(c) if c.groups > 1)
}
