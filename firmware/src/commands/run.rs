//! `graphtag run`: watches a source and publishes what it shows.

pub mod reload;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Result;
use graphtag_runtime::stream::{self, Control, Observation};

use super::Outcome;
use crate::arguments::in_one_line;
use crate::service::life::Life;
use crate::service::lines::Lines;
use crate::service::live::Live;
pub use crate::service::settings::Settings as Run;
use crate::service::sinks::Sinks;
use reload::Reloading;

/// Runs until the source ends or a signal says stop.
///
/// # Errors
/// Wrong configuration, an unusable model, a source of files that can't be opened, or output that can't be
/// written.
pub fn run(flags: &Run) -> Result<Outcome> {
    flags.warn_of_secrets();
    let settings = flags.with_file()?;
    let options = settings.stream()?;
    let output = settings.output()?;
    let control = Arc::new(Control::default());
    let lossless = !options.source.is_live();
    // Before the model is loaded, so that a signal is heard from the beginning.
    let life = Life::start(control.clone(), !lossless)?;
    let model = reload::load(&settings)?;
    let live = Arc::new(Live::new(
        control.clone(),
        options.source.kind.to_string(),
        model.metadata().name.clone(),
    ));
    let mut reloading = Reloading::start(flags, &settings, model.metadata(), live.clone())?;
    let mut sinks = Sinks::start(&settings, lossless, &live)?;
    let mut lines = Lines::start(output, lossless, control.clone());
    let life = life.ready(move || reloading.reload());
    let result = stream::run(model, &options, &control, |observation: Observation| {
        if lossless {
            report_problem(&observation);
        }
        let observation = Arc::new(observation);
        lines.publish(&observation);
        sinks.publish(&observation);
        live.publish(observation);
    });
    sinks.finish();
    life.finish();
    let dropped = lines.finish()?;
    if dropped > 0 {
        eprintln!(
            "graphtag: {dropped} observations were not written: standard output was too slow"
        );
    }
    result?;
    let failed = control.counts().failed > 0 || live.dropped.webhook.load(Ordering::Relaxed) > 0;
    Ok(if lossless && failed {
        Outcome::SomeFailed
    } else {
        Outcome::AllWell
    })
}

/// Every bad file of a folder matters to who gave it; of a camera, [`Life`] logs some.
fn report_problem(observation: &Observation) {
    if let (Some(problem), Some(frame)) = (&observation.problem, &observation.frame) {
        let name = frame.name.as_deref().unwrap_or("frame");
        eprintln!("graphtag: {}: {problem}", in_one_line(name));
    }
}
