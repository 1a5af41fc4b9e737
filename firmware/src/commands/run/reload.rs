//! What SIGHUP does: settings are read again, and a model whose file has changed is put in the place of the old one.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use graphtag_models::Metadata;
use graphtag_runtime::stream::Change;
use graphtag_runtime::{Model, golden};

use super::Run;
use crate::arguments::PathArgument;
use crate::commands::model;
use crate::service::live::Live;

/// What a running stream takes up from settings that are read again.
pub struct Reloading {
    flags: Run,
    settings: Run,
    live: Arc<Live>,
    metadata: Metadata,
    version: ModelVersion,
    secrets: Vec<(&'static str, Option<Stamp>)>,
}

/// When a file was last written, and its length.
type Stamp = (SystemTime, u64);

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The keys of files with secrets, and the files' stamps.
fn secrets(settings: &Run) -> Vec<(&'static str, Option<Stamp>)> {
    let files = settings.secret_files();
    files.map(|(key, file)| (key, stamp(file))).collect()
}

/// A model as far as settings and its file tell without loading it.
#[derive(PartialEq)]
struct ModelVersion {
    path: Option<PathBuf>,
    labels: Option<PathBuf>,
    threads: Option<NonZeroUsize>,
    written: Vec<Option<Stamp>>,
}

impl ModelVersion {
    fn of(settings: &Run) -> Self {
        let path =
            |argument: &Option<PathArgument>| argument.as_ref().map(|argument| argument.0.clone());
        let (path, labels) = (path(&settings.model), path(&settings.labels));
        let written = path.iter().chain(&labels).map(|file| stamp(file));
        ModelVersion {
            written: written.collect(),
            threads: settings.threads,
            path,
            labels,
        }
    }
}

impl Reloading {
    /// Applies the thresholds of `settings`, which `flags` and their file gave, to the stream of `live`, which
    /// runs the model of `metadata`.
    ///
    /// # Errors
    /// When a threshold is not of one of its labels.
    pub fn start(
        flags: &Run,
        settings: &Run,
        metadata: &Metadata,
        live: Arc<Live>,
    ) -> Result<Self> {
        live.control.change(Change {
            options: settings.stream()?,
            model: None,
            thresholds: thresholds(settings, metadata)?,
        });
        Ok(Reloading {
            flags: flags.clone(),
            settings: settings.clone(),
            live,
            metadata: metadata.clone(),
            version: ModelVersion::of(settings),
            secrets: secrets(settings),
        })
    }

    /// Takes up what has changed, or says in one line why all stays as it was.
    pub fn reload(&mut self) {
        match self.apply() {
            Ok(kept) if kept.is_empty() => eprintln!("graphtag: configuration read again"),
            Ok(kept) => eprintln!(
                "graphtag: configuration read again; restart graphtag for the new {}",
                kept.join(", ")
            ),
            Err(error) => eprintln!("graphtag: {error:#}; the old configuration goes on"),
        }
    }

    /// Gives the keys whose change needs a restart.
    fn apply(&mut self) -> Result<Vec<String>> {
        let settings = self.flags.with_file()?;
        settings.check()?;
        let options = settings.stream()?;
        let version = ModelVersion::of(&settings);
        let model = if version == self.version {
            None
        } else {
            Some(load(&settings)?)
        };
        let metadata = model.as_ref().map_or(&self.metadata, Model::metadata);
        let thresholds = thresholds(&settings, metadata)?;
        let mut kept = self.settings.kept_until_restart(&settings);
        let secrets = secrets(&settings);
        let rewritten = secrets.iter().zip(&self.secrets);
        let rewritten = rewritten.filter(|(new, old)| new.0 == old.0 && new.1 != old.1);
        kept.extend(rewritten.map(|(new, _)| new.0.to_owned()));
        kept.sort();
        kept.dedup();
        if let Some(model) = &model {
            self.metadata = model.metadata().clone();
            self.live.set_model(&self.metadata.name);
            self.version = version;
        }
        self.live.control.change(Change {
            options,
            model,
            thresholds,
        });
        Ok(kept)
    }
}

/// Loads the model of `settings` and checks that it says here what it said where it was made.
///
/// # Errors
/// Names the model that is not usable, and why.
pub fn load(settings: &Run) -> Result<Model> {
    let path = settings.model_path();
    let labels = settings.labels.as_ref().map(|path| path.0.as_path());
    let threads = settings.threads.unwrap_or(NonZeroUsize::MIN);
    let model = model::with_threads(model::load(path, labels)?, path, threads)?;
    golden::check(&model).with_context(|| model::name(path))?;
    Ok(model)
}

/// The threshold of every label: that of `settings`, or the calibrated one.
///
/// # Errors
/// When `settings` name a label that the model does not have.
pub fn thresholds(settings: &Run, metadata: &Metadata) -> Result<Vec<f32>> {
    let mut thresholds = metadata.thresholds.clone();
    for (label, threshold) in settings.thresholds()? {
        thresholds[index_of("threshold", &label, metadata)?] = threshold;
    }
    for label in &settings.snapshot_on {
        index_of("snapshot_on", label, metadata)?;
    }
    Ok(thresholds)
}

fn index_of(key: &str, label: &str, metadata: &Metadata) -> Result<usize> {
    let found = metadata.labels.iter().position(|name| name == label);
    found.with_context(|| {
        format!("{key}: the model has no label {label:?} (graphtag inspect lists them)")
    })
}
