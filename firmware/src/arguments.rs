//! The command line, parsed by argh.
//!
//! argh takes UTF-8 alone, `--option value` alone, and reads `-` as an option. [`encode`] brings other
//! arguments into a form that passes it, and [`PathArgument`] turns them back.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;

use argh::{ArgsInfo, FromArgs};
use serde::{Deserialize, Serialize};

use crate::commands::Command;

/// Marks an encoded argument; no argument of a process can contain it.
const ENCODED: char = '\0';

/// What the command line asks for.
pub enum Parsed {
    /// A command to run.
    Command(Box<Command>),
    /// Help or the version, to print.
    Print(String),
    /// Wrong usage: the problem in one line.
    Wrong(String),
}

/// Says what photos show: several tags each, from a small neural network, without any service.
///
/// Exit status: 0 all well, 1 some input failed, 2 wrong usage, configuration or model.
#[derive(ArgsInfo, FromArgs)]
pub struct Arguments {
    /// print the version
    #[argh(switch)]
    version: bool,
    #[argh(subcommand)]
    command: Option<Command>,
}

/// A path as the user gave it, UTF-8 or not.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct PathArgument(pub PathBuf);

impl FromStr for PathArgument {
    type Err = std::convert::Infallible;

    fn from_str(argument: &str) -> Result<Self, Self::Err> {
        let path = match argument.strip_prefix(ENCODED) {
            Some(bytes) => decode(bytes),
            None => argument.into(),
        };
        Ok(PathArgument(path.into()))
    }
}

/// A name in one line, whatever it holds.
pub fn in_one_line(name: &str) -> String {
    let characters = name.chars();
    characters
        .flat_map(|character| match character.is_control() {
            true => character.escape_default().collect::<Vec<char>>(),
            false => vec![character],
        })
        .collect()
}

/// A text that may be `-`, as the user gave it.
///
/// # Errors
/// When it is not UTF-8.
pub fn text(argument: &str) -> Result<String, String> {
    let PathArgument(text) = argument.parse().unwrap_or_else(|never| match never {});
    let text = text.into_os_string().into_string();
    text.map_err(|text| format!("{} is not UTF-8", text.display()))
}

/// Parses the arguments that follow the program's name.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Parsed {
    let arguments = encode(arguments);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match Arguments::from_args(&["graphtag"], &arguments) {
        Ok(Arguments { version: true, .. }) => {
            Parsed::Print(format!("graphtag {}", env!("CARGO_PKG_VERSION")))
        }
        Ok(Arguments {
            command: Some(command),
            ..
        }) => Parsed::Command(Box::new(command)),
        Ok(_) => Parsed::Wrong("no command given".into()),
        Err(exit) if exit.status.is_ok() => Parsed::Print(exit.output),
        Err(exit) => {
            let words: Vec<&str> = exit.output.split_whitespace().collect();
            Parsed::Wrong(words.join(" ").replace(ENCODED, ""))
        }
    }
}

fn encode(arguments: impl Iterator<Item = OsString>) -> Vec<String> {
    let mut encoded = Vec::new();
    let mut options_ended = false;
    for argument in arguments {
        match argument.to_str() {
            Some("-") => encoded.push(format!("{ENCODED}-")),
            Some(text) if !options_ended && text.starts_with("--") && text.contains('=') => {
                let (option, value) = text.split_once('=').unwrap_or((text, ""));
                encoded.extend([option.into(), value.into()]);
            }
            Some(text) => {
                options_ended |= text == "--";
                encoded.push(text.into());
            }
            None => encode_bytes(&argument, &mut encoded),
        }
    }
    encoded
}

/// One character per byte, U+0000 to U+00FF.
fn latin1(bytes: &[u8]) -> String {
    std::iter::once(ENCODED)
        .chain(bytes.iter().map(|&byte| char::from(byte)))
        .collect()
}

fn encode_bytes(argument: &OsStr, encoded: &mut Vec<String>) {
    let bytes = argument.as_encoded_bytes();
    let equals = bytes.iter().position(|&byte| byte == b'=');
    match equals.map(|at| (std::str::from_utf8(&bytes[..at]), &bytes[at + 1..])) {
        Some((Ok(option), value)) if option.starts_with("--") => {
            encoded.extend([option.into(), latin1(value)]);
        }
        _ => encoded.push(latin1(bytes)),
    }
}

#[cfg(unix)]
fn decode(characters: &str) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    let bytes = characters.chars().map(|character| character as u8);
    OsString::from_vec(bytes.collect())
}

#[cfg(not(unix))]
fn decode(characters: &str) -> OsString {
    characters.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(arguments: &[&str]) -> Vec<String> {
        encode(arguments.iter().map(OsString::from))
    }

    #[test]
    fn an_option_may_have_its_value_after_an_equals_sign() {
        let arguments = encoded(&["tag", "--top=3", "a=b", "--", "--top=3"]);
        assert_eq!(arguments, ["tag", "--top", "3", "a=b", "--", "--top=3"]);
    }

    #[test]
    fn a_dash_may_be_the_value_of_an_option() {
        let [option, dash] = &encoded(&["--source=-"])[..] else {
            panic!("two arguments");
        };
        assert_eq!((option.as_str(), text(dash)), ("--source", Ok("-".into())));
        let dash = &encoded(&["--source", "-"])[1];
        assert_eq!(text(dash), Ok("-".into()));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_not_utf8_survives() {
        use std::os::unix::ffi::OsStringExt;
        let path = OsString::from_vec(b"caf\xe9.jpg".to_vec());
        let option = OsString::from_vec(b"--model=caf\xe9.onnx".to_vec());
        let [path, option, model] = &encode([path, option].into_iter())[..] else {
            panic!("three arguments");
        };
        assert_eq!(option, "--model");
        for (argument, bytes) in [
            (path, b"caf\xe9.jpg".to_vec()),
            (model, b"caf\xe9.onnx".to_vec()),
        ] {
            let path: PathArgument = argument.parse().unwrap();
            assert_eq!(path.0.into_os_string().into_vec(), bytes);
        }
    }
}
