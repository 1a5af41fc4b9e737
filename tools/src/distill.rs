//! Distils a teacher's soft labels and true labels into one of our architectures.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use graphtag_models::{
    AdjacencySettings, Architecture, Head, Network, Operation, Weights, adjacency, fold_batch_norm,
    labels,
};
use graphtag_runtime::preprocess;
use rayon::prelude::*;
use serde_json::json;

use crate::data::{self, DataSource, Photo, Truth};
use crate::metrics::{LabelDecisions, average_precision, mean};
use crate::teacher::SoftLabels;
use crate::training::activations::{Activations, Part, by_photo};
use crate::training::forward::image_value;
use crate::training::parameters::{Parameters, values};
use crate::training::recipe::{Recipe, efficientnet_lite_preprocessing};
use crate::training::stage::{Work, train};
use crate::training::targets::Targets;
use crate::training::views::{Augmentation, View, view};

/// Photos whose activations are computed at once.
const FROZEN_BATCH: usize = 32;

/// What to distil from and to.
pub struct Inputs {
    /// The recipe.
    pub recipe: Recipe,
    /// ImageNet weights of the backbone, as `graphtag-tools import` writes them.
    pub weights: PathBuf,
    /// The teacher's soft labels.
    pub soft_labels: PathBuf,
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
    let names = labels::coco80();
    ensure!(
        soft_labels.labels == names,
        "{}: the soft labels are not those of COCO-80",
        inputs.soft_labels.display()
    );
    let split = load_photos(inputs, &names, &soft_labels)?;
    data::write_names(&out.join("validation.txt"), &split.validation)?;
    let training = targets(&split.training, &soft_labels);
    let validation = targets(&split.validation, &soft_labels);

    let architecture = recipe.architecture(names.len(), recipe.input)?;
    let backbone_bytes = fs::read(&inputs.weights)
        .with_context(|| format!("{}: can't be read", inputs.weights.display()))?;
    let (network, weights) = initial(&architecture, &backbone_bytes, recipe.seed, &device)
        .with_context(|| inputs.weights.display().to_string())?;
    let parameters = Parameters::new(&weights, &device);
    let layer = |name: &str| {
        let found = network.find(name);
        found.with_context(|| format!("the recipe names {name}, but there is no such layer"))
    };
    let (frozen, pooled) = (layer(&recipe.frozen_through)?, layer("pool")?);
    let logits = layer("classifier")?;

    let frozen_key = self::frozen_key(recipe, &backbone_bytes, &split.training)?;
    let key = key(recipe, &frozen_key, &soft_labels)?;
    let validation_key = self::frozen_key(recipe, &backbone_bytes, &split.validation)?;
    let record = record(inputs, &soft_labels, &backbone_bytes, &split, &architecture)?;
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
    let frozen_part = Frozen {
        part: part(0, frozen),
        recipe,
    };
    let training_maps = frozen_part.activations(
        &out.join("training-maps.f16"),
        &frozen_key,
        &split.training,
        recipe.views,
    )?;
    let validation_maps = frozen_part.activations(
        &out.join("validation-maps.f16"),
        &validation_key,
        &split.validation,
        1,
    )?;

    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(out.join("log.jsonl"))?;
    let mut validate = |stage: &str,
                        epoch: usize,
                        loss: f64,
                        maps: &Activations,
                        start,
                        weights: &Parameters| {
        let part = Part {
            parameters: weights,
            ..part(start, logits)
        };
        let predicted = predict(&part, maps)?;
        let (accuracy, present) = mean_average_precision(&predicted, &validation);
        let line = json!({"stage": stage, "epoch": epoch, "loss": loss, "map": accuracy, "labels": present});
        eprintln!("{line}");
        writeln!(log, "{line}").context("log.jsonl")
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
        start: pooled,
        logits,
        head: pooled,
        trained: trained(pooled),
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
    let features = training_maps.continued(
        &out.join("training-features.f16"),
        &frozen_key,
        &part(frozen, pooled),
        recipe.head_stage.views * split.training.len(),
    )?;
    let validation_features = validation_maps.continued(
        &out.join("validation-features.f16"),
        &validation_key,
        &part(frozen, pooled),
        split.validation.len(),
    )?;
    work.activations = &features;
    let parameters = train(
        &work,
        parameters.clone(),
        &device,
        |epoch, loss, weights| validate("head", epoch, loss, &validation_features, pooled, weights),
    )?;

    work.name = "tail";
    work.start = frozen;
    work.trained = trained(frozen + 1);
    work.activations = &training_maps;
    work.stage = recipe.tail_stage;
    let parameters = train(&work, parameters, &device, |epoch, loss, weights| {
        validate("tail", epoch, loss, &validation_maps, frozen, weights)
    })?;

    let bytes = parameters
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
    }
}

/// The network with batch norm folded, the backbone's weights and a fresh head.
fn initial(
    architecture: &Architecture,
    backbone: &[u8],
    seed: u64,
    device: &Device,
) -> Result<(Network, Weights)> {
    let mut weights = Weights::from_safetensors(backbone)?;
    weights
        .tensors
        .retain(|name, _| !name.starts_with("classifier."));
    let network = architecture.lower();
    device.seed(seed);
    for (index, layer) in network.layers.iter().enumerate() {
        for parameter in network.parameters(index) {
            if weights.tensors.contains_key(&parameter.name) {
                continue;
            }
            let fresh = match layer.operation {
                Operation::LabelEmbeddings { .. } => labels::coco80_embeddings(),
                _ if parameter.name.ends_with(".adjacency") => {
                    let counts = labels::coco80_cooccurrence();
                    adjacency(
                        &counts.counts,
                        &counts.cooccurrence,
                        AdjacencySettings::default(),
                    )
                }
                // Glorot and Bengio 2010.
                Operation::GraphConvolution { .. }
                | Operation::GraphAttention { .. }
                | Operation::AngularClassifier { .. } => {
                    let deviation = (2.0 / parameter.shape.iter().sum::<usize>() as f64).sqrt();
                    normal(&parameter.shape, deviation, device)
                }
                _ => continue,
            };
            weights.tensors.insert(parameter.name, fresh);
        }
    }
    Ok(fold_batch_norm(&network, &weights)?)
}

fn normal(shape: &[usize], deviation: f64, device: &Device) -> graphtag_models::Tensor {
    let length = shape.iter().product::<usize>();
    let random = Tensor::<1>::random([length], Distribution::Normal(0.0, deviation), device);
    graphtag_models::Tensor {
        shape: shape.to_vec(),
        values: values(random),
    }
}

fn is_depthwise(network: &Network, index: usize) -> bool {
    matches!(network.layers[index].operation, Operation::Convolution(c) if c.groups > 1)
}

/// The part of the network that is not trained.
struct Frozen<'a> {
    part: Part<'a>,
    recipe: &'a Recipe,
}

impl Frozen<'_> {
    /// Its outputs for `views` views of each photo, view by view.
    fn activations(
        &self,
        path: &Path,
        key: &str,
        photos: &[Photo],
        views: usize,
    ) -> Result<Activations> {
        let paths: Vec<&Path> = photos.iter().map(|photo| photo.path.as_path()).collect();
        let Recipe {
            seed, augmentation, ..
        } = self.recipe;
        let count = photos.len();
        let shape = self.part.network.layers[self.part.end].output;
        Activations::make(path, key, shape, views * count, FROZEN_BATCH, |range| {
            // Photo by photo, so that the wide early feature maps stay in the cache.
            let views: Vec<Vec<f32>> = range
                .into_par_iter()
                .map(|record| {
                    let view = view(augmentation, *seed, record % count, record / count, count);
                    let input = (0, image_value(self.draw(&view, &paths, augmentation)?));
                    Ok(by_photo(self.part.run(input, 1), 1))
                })
                .collect::<Result<_>>()?;
            Ok(views.concat())
        })
    }

    fn draw(&self, view: &View, paths: &[&Path], augmentation: &Augmentation) -> Result<Tensor<4>> {
        let size = self.recipe.input;
        let preprocessing = efficientnet_lite_preprocessing(size);
        let drawn = view.draw(paths, augmentation, &preprocessing)?;
        let data = TensorData::new(
            preprocess::tensor(&drawn, &preprocessing),
            [1, 3, size, size],
        );
        Ok(Tensor::from_data(data, self.part.device))
    }
}

/// Logits per photo.
fn predict(part: &Part, activations: &Activations) -> Result<Vec<Vec<f32>>> {
    let indices: Vec<usize> = (0..activations.count()).collect();
    let labels = part.network.layers[part.end].output.channels();
    let mut predicted = vec![];
    for batch in indices.chunks(64) {
        let input = (part.start, activations.batch(batch, part.device)?);
        let output = part.run(input, batch.len());
        predicted.extend(values(output.tensor()).chunks(labels).map(<[f32]>::to_vec));
    }
    Ok(predicted)
}

/// mAP over the labels that occur, and their number. Where the truth is unknown, the teacher's
/// probability of at least one half counts as present.
fn mean_average_precision(predicted: &[Vec<f32>], targets: &Targets) -> (f64, usize) {
    let truths = targets.assumed_truths();
    let precisions: Vec<Option<f64>> = (0..predicted[0].len())
        .map(|label| average_precision(&LabelDecisions::of(label, predicted, &truths)))
        .collect();
    let present = precisions.iter().flatten().count();
    (mean(precisions.into_iter()).unwrap_or(0.0), present)
}

/// A hash of everything that decides the frozen layers' outputs.
fn frozen_key(recipe: &Recipe, backbone: &[u8], photos: &[Photo]) -> Result<String> {
    let names: Vec<&str> = photos.iter().map(|photo| photo.name.as_str()).collect();
    let decisive = json!([
        recipe.seed,
        recipe.backbone,
        recipe.input,
        recipe.augmentation,
        recipe.frozen_through,
        data::sha256(backbone),
        names,
    ]);
    Ok(data::sha256(&serde_json::to_vec(&decisive)?))
}

/// A hash of everything that decides the weights.
fn key(recipe: &Recipe, frozen: &str, soft_labels: &SoftLabels) -> Result<String> {
    let decisive = json!([recipe, frozen, soft_labels.teacher_sha256]);
    Ok(data::sha256(&serde_json::to_vec(&decisive)?))
}

/// Labels with fewer than five positives among the training photos, also by the teacher: the data can't
/// support them.
fn few_positives(targets: &Targets) -> Vec<String> {
    const FEWEST: usize = 5;
    let truths = targets.assumed_truths();
    let positives = |label: usize| {
        truths
            .iter()
            .filter(|t| t[label] == Truth::Positive)
            .count()
    };
    let names = labels::coco80().into_iter().enumerate();
    names
        .filter(|&(label, _)| positives(label) < FEWEST)
        .map(|(_, name)| name)
        .collect()
}

/// What the model file will tell of its training.
fn record(
    inputs: &Inputs,
    soft_labels: &SoftLabels,
    backbone: &[u8],
    split: &data::Split,
    architecture: &Architecture,
) -> Result<serde_json::Value> {
    let mut photos = BTreeMap::<&str, Vec<&Photo>>::new();
    for photo in split.training.iter().chain(&split.validation) {
        let set = photo.name.split('/').next().unwrap_or_default();
        photos.entry(set).or_default().push(photo);
    }
    let mut sets = BTreeMap::new();
    for (name, photos) in photos {
        let photos: Vec<Photo> = photos.into_iter().cloned().collect();
        let mut hashes: Vec<String> = data::sha256_set(&photos)?.into_iter().collect();
        hashes.sort();
        let sha256 = data::sha256(hashes.concat().as_bytes());
        sets.insert(name, json!({"photos": hashes.len(), "sha256": sha256}));
    }
    let head = match architecture.head {
        Head::Graph { .. } => {
            json!({"embeddings": "GloVe 300d", "cooccurrence": "COCO 2014 train"})
        }
        Head::Linear { .. } => serde_json::Value::Null,
    };
    Ok(json!({
        "recipe": inputs.recipe,
        "initial_weights_sha256": data::sha256(backbone),
        "teacher_sha256": soft_labels.teacher_sha256,
        "labels": head,
        "training_photos": split.training.len(),
        "validation_photos": split.validation.len(),
        "data": sets,
        "labels_of_few_positives": few_positives(&targets(&split.training, soft_labels)),
    }))
}
