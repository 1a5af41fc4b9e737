//! What decided a training run: hashes for kept files, and the record that goes into the model.

use std::collections::BTreeMap;

use anyhow::Result;
use graphtag_models::{Architecture, Head};
use serde_json::json;

use super::{Inputs, targets};
use crate::data::{self, LabelSet, Photo, Truth};
use crate::teacher::SoftLabels;
use crate::training::recipe::Recipe;
use crate::training::targets::Targets;

/// A hash of everything that decides the frozen layers' outputs.
pub(super) fn frozen_key(recipe: &Recipe, backbone: &[u8], photos: &[Photo]) -> Result<String> {
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

/// A hash of everything that decides the teacher's logits of views.
pub(super) fn views_key(
    recipe: &Recipe,
    soft_labels: &SoftLabels,
    photos: &[Photo],
) -> Result<String> {
    let names: Vec<&str> = photos.iter().map(|photo| photo.name.as_str()).collect();
    let teacher = &soft_labels.teacher;
    let decisive = json!([
        recipe.seed,
        recipe.augmentation,
        teacher.sha256,
        teacher.preprocessing,
        names,
    ]);
    Ok(data::sha256(&serde_json::to_vec(&decisive)?))
}

/// A hash of everything that decides the weights; the size at which they are deployed does not.
pub(super) fn key(recipe: &Recipe, frozen: &str, soft_labels: &SoftLabels) -> Result<String> {
    let recipe = Recipe {
        deployed_input: recipe.input,
        ..recipe.clone()
    };
    let decisive = json!([recipe, frozen, soft_labels.teacher.sha256]);
    Ok(data::sha256(&serde_json::to_vec(&decisive)?))
}

/// Labels with fewer than five positives among the training photos, also by the teacher: the data can't
/// support them.
fn few_positives(names: &[String], targets: &Targets) -> Vec<String> {
    const FEWEST: usize = 5;
    let truths = targets.assumed_truths();
    let positives = |label: usize| {
        truths
            .iter()
            .filter(|t| t[label] == Truth::Positive)
            .count()
    };
    let names = names.iter().cloned().enumerate();
    names
        .filter(|&(label, _)| positives(label) < FEWEST)
        .map(|(_, name)| name)
        .collect()
}

/// What the model file will tell of its training.
pub(super) fn record(
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
        Head::Graph { .. } if inputs.labels == LabelSet::coco80() => {
            json!({"embeddings": "GloVe 300d", "cooccurrence": "COCO 2014 train"})
        }
        Head::Graph { .. } => {
            let counts = serde_json::to_vec(&inputs.labels.cooccurrence)?;
            json!({"cooccurrence_sha256": data::sha256(&counts)})
        }
        Head::Linear { .. } | Head::MlDecoder { .. } => serde_json::Value::Null,
    };
    Ok(json!({
        "recipe": inputs.recipe,
        "initial_weights_sha256": data::sha256(backbone),
        "teacher_sha256": soft_labels.teacher.sha256,
        "labels": head,
        "training_photos": split.training.len(),
        "validation_photos": split.validation.len(),
        "data": sets,
        "labels_of_few_positives": few_positives(&inputs.labels.names, &targets(&split.training, soft_labels)),
    }))
}
