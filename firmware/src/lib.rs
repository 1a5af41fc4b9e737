//! `graphtag`: says what photos show.
//!
//! Exit status: 0 all well, 1 some input failed, 2 wrong usage, configuration or model. A closed pipe on
//! standard output is a quiet 0.

mod arguments;
mod commands;
pub mod service;

use std::io::{self, Write};
use std::process::ExitCode;

use argh::ArgsInfo;
use arguments::Parsed;
use commands::Outcome;
pub use commands::config::devices;

/// Runs the command that the process was given.
pub fn main() -> ExitCode {
    graphtag_runtime::network::silence_caught_panics();
    let result = match arguments::parse(std::env::args_os().skip(1)) {
        Parsed::Command(command) => commands::run(*command),
        Parsed::Print(text) => print(&text),
        Parsed::Wrong(problem) => {
            eprintln!("graphtag: {problem}; see graphtag --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(Outcome::AllWell) => ExitCode::SUCCESS,
        Ok(Outcome::SomeFailed) => ExitCode::from(1),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("graphtag: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The commands and their options, from which the manual and the completions of shells are made.
pub fn command_line() -> argh::CommandInfoWithArgs {
    arguments::Arguments::get_args_info()
}

fn print(text: &str) -> anyhow::Result<Outcome> {
    writeln!(io::stdout(), "{}", text.trim_end())?;
    Ok(Outcome::AllWell)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
