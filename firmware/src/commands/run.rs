//! `graphtag run`: watches a source and publishes what it shows.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use graphtag_runtime::Model;
use graphtag_runtime::stream::{self, Change, Control, Observation};

use super::{Outcome, model};
use crate::service::life::Life;
use crate::service::lines::{Lines, Output};
use crate::service::live::Live;
use crate::service::mqtt::Mqtt;
pub use crate::service::settings::Settings as Run;
use crate::service::web::Web;

/// Runs until the source ends or a signal says stop.
///
/// # Errors
/// Wrong configuration, an unusable model, a source of files that can't be opened, or output that can't be
/// written.
pub fn run(flags: &Run) -> Result<Outcome> {
    let settings = flags.with_file()?;
    let options = settings.stream()?;
    let output = match &settings.output {
        None => Output::default(),
        Some(name) => name.parse().map_err(anyhow::Error::msg)?,
    };
    let control = Arc::new(Control::default());
    let lossless = !options.source.is_live();
    // Before the model is loaded, so that a signal is heard from the beginning.
    let life = Life::start(control.clone(), !lossless)?;
    let model = load(&settings)?;
    control.change(Change {
        options: options.clone(),
        model: None,
        thresholds: thresholds(&settings, &model)?,
    });
    let live = Arc::new(Live::new(
        control.clone(),
        options.source.kind.to_string(),
        model.metadata().name.clone(),
    ));
    let web = settings.http()?;
    let web = web.map(|options| Web::start(&options, live.clone()));
    let web = web.transpose()?;
    let mqtt = settings.mqtt()?;
    let mqtt = mqtt.map(|options| Mqtt::start(options, live.clone()));
    let mqtt = mqtt.transpose()?;
    let mut lines = Lines::start(output, lossless, control.clone());
    let mut reloading = Reloading {
        flags: flags.clone(),
        live: live.clone(),
        model: version(&settings),
    };
    let life = life.ready(move || reloading.reload());
    let result = stream::run(model, &options, &control, |observation: Observation| {
        if lossless {
            report_problem(&observation);
        }
        let observation = Arc::new(observation);
        lines.publish(&observation);
        live.publish(observation);
    });
    if let Some(mqtt) = mqtt {
        mqtt.finish();
    }
    if let Some(web) = web {
        web.finish();
    }
    life.finish();
    let dropped = lines.finish()?;
    if dropped > 0 {
        eprintln!(
            "graphtag: {dropped} observations were not written: standard output was too slow"
        );
    }
    result?;
    let failed = control.counts().failed;
    Ok(if lossless && failed > 0 {
        Outcome::SomeFailed
    } else {
        Outcome::AllWell
    })
}

/// Every bad file of a folder matters to who gave it; of a camera, [`Life`] logs some.
fn report_problem(observation: &Observation) {
    if let (Some(problem), Some(frame)) = (&observation.problem, &observation.frame) {
        eprintln!(
            "graphtag: {}: {problem}",
            frame.name.as_deref().unwrap_or("frame")
        );
    }
}

fn load(settings: &Run) -> Result<Model> {
    let path = settings.model_path();
    let labels = settings.labels.as_ref().map(|path| path.0.as_path());
    let threads = settings.threads.unwrap_or(NonZeroUsize::MIN);
    model::with_threads(model::load(path, labels)?, path, threads)
}

/// The threshold of every label: the model's own, unless settings say otherwise.
fn thresholds(settings: &Run, model: &Model) -> Result<Vec<f32>> {
    let metadata = model.metadata();
    let mut thresholds = metadata.thresholds.clone();
    for (label, threshold) in settings.thresholds()? {
        let found = metadata.labels.iter().position(|name| *name == label);
        let index = found.with_context(|| {
            format!("threshold: the model has no label {label:?} (graphtag inspect lists them)")
        })?;
        thresholds[index] = threshold;
    }
    Ok(thresholds)
}

/// The model file and when it was last written.
fn version(settings: &Run) -> Option<(std::path::PathBuf, Option<SystemTime>)> {
    let path: &Path = settings.model_path()?;
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    Some((path.into(), modified.ok()))
}

/// What SIGHUP does: all settings but the source and the addresses, and the model if its file has changed.
struct Reloading {
    flags: Run,
    live: Arc<Live>,
    model: Option<(std::path::PathBuf, Option<SystemTime>)>,
}

impl Reloading {
    fn reload(&mut self) {
        match self.apply() {
            Ok(()) => eprintln!("graphtag: configuration read again"),
            Err(error) => eprintln!("graphtag: {error:#}; the old configuration goes on"),
        }
    }

    fn apply(&mut self) -> Result<()> {
        let settings = self.flags.with_file()?;
        let options = settings.stream()?;
        let version = version(&settings);
        let model = load(&settings)?;
        let name = model.metadata().name.clone();
        let changed = version != self.model;
        self.live.control.change(Change {
            options,
            thresholds: thresholds(&settings, &model)?,
            model: changed.then_some(model),
        });
        self.live.set_model(&name);
        self.model = version;
        Ok(())
    }
}
