//! What `graphtag` can do, one module per command.

mod bench;
mod cameras;
pub mod config;
mod doctor;
mod inspect;
mod model;
mod models;
mod run;
mod tag;

use argh::{ArgsInfo, FromArgs};

/// How a run ended that was not stopped by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every input was handled.
    AllWell,
    /// Some input was not.
    SomeFailed,
}

/// All commands.
#[derive(ArgsInfo, FromArgs)]
#[argh(subcommand)]
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub enum Command {
    /// Tags photos.
    Tag(tag::Tag),
    /// Watches a source.
    Run(run::Run),
    /// Lists the cameras.
    Cameras(cameras::Cameras),
    /// Prints a configuration.
    Config(config::Config),
    /// Looks for problems.
    Doctor(doctor::Doctor),
    /// Describes a model.
    Inspect(inspect::Inspect),
    /// Measures what a model costs.
    Bench(bench::Bench),
    /// Lists the embedded models.
    Models(models::Models),
}

/// Runs a command.
///
/// # Errors
/// Wrong configuration, an unusable model, or output that can't be written.
pub fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Tag(options) => tag::run(&options),
        Command::Run(flags) => run::run(&flags),
        Command::Cameras(options) => cameras::run(&options),
        Command::Config(options) => config::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Models(options) => models::run(&options),
    }
}
