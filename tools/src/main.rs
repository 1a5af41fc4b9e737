//! `graphtag-tools`: makes and measures graphtag's models.

use std::process::ExitCode;

use argh::FromArgs;
use graphtag_tools::commands::{Arguments, print_line};

fn main() -> ExitCode {
    graphtag_runtime::network::silence_caught_panics();
    let words = std::env::args_os().skip(1);
    let words = separate_values(words.map(|word| word.to_string_lossy().into_owned()));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let arguments = match Arguments::from_args(&["graphtag-tools"], &words) {
        Ok(arguments) => arguments,
        Err(exit) if exit.status.is_ok() => {
            return status(print_line(&exit.output));
        }
        Err(exit) => {
            eprintln!("{}", exit.output);
            return ExitCode::from(2);
        }
    };
    status(arguments.run())
}

fn status(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("graphtag-tools: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Splits `--option=value` into the two words that argh understands.
fn separate_values(words: impl Iterator<Item = String>) -> Vec<String> {
    words
        .flat_map(|word| match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => {
                vec![option.to_string(), value.to_string()]
            }
            _ => vec![word],
        })
        .collect()
}
