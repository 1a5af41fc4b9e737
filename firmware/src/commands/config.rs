//! `graphtag config`: a configuration to begin with.

use std::io::{self, Write};
use std::str::FromStr;

use anyhow::Result;
use argh::{ArgsInfo, FromArgs};

use super::Outcome;
use crate::service::settings;

/// Profiles of devices, by name.
const PROFILES: [(&str, &str); 6] = [
    ("pi-zero-2w", include_str!("../../devices/pi-zero-2w.toml")),
    ("pi3", include_str!("../../devices/pi3.toml")),
    ("pi4", include_str!("../../devices/pi4.toml")),
    ("pi5", include_str!("../../devices/pi5.toml")),
    (
        "jetson-nano",
        include_str!("../../devices/jetson-nano.toml"),
    ),
    (
        "jetson-orin-nano",
        include_str!("../../devices/jetson-orin-nano.toml"),
    ),
];

/// Print a commented configuration file for graphtag run.
#[derive(ArgsInfo, FromArgs)]
#[argh(subcommand, name = "config")]
pub struct Config {
    /// one that suits a device instead of one with every key: pi-zero-2w, pi3, pi4, pi5, jetson-nano or
    /// jetson-orin-nano
    #[argh(option, arg_name = "name")]
    device: Option<Profile>,
}

/// The configuration of a device.
struct Profile(&'static str);

impl FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = PROFILES.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| Profile(text)).ok_or_else(|| {
            let known: Vec<&str> = devices().collect();
            format!(
                "there is no profile of {name}; it is one of {}",
                known.join(", ")
            )
        })
    }
}

/// The names of the devices that have a profile.
pub fn devices() -> impl Iterator<Item = &'static str> {
    PROFILES.iter().map(|(name, _)| *name)
}

/// Prints it.
///
/// # Errors
/// When standard output can't be written.
pub fn run(options: &Config) -> Result<Outcome> {
    let text = match &options.device {
        Some(Profile(text)) => text,
        None => settings::DEFAULT,
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(Outcome::AllWell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_device() {
        let information = Config::get_args_info();
        let device = information
            .flags
            .iter()
            .find(|flag| flag.long == "--device");
        let described = device.unwrap().description;
        for name in devices() {
            assert!(described.contains(name), "{name}");
        }
    }

    #[test]
    fn every_profile_is_valid_with_and_without_its_comment_signs() {
        for (name, text) in PROFILES {
            let mut displays = 0;
            for line in text.lines().chain([""]) {
                // Of the examples each alone: there are several displays, of which a file has one.
                let example = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
                let text = format!("{text}\n{}\n", example.unwrap_or_default());
                displays += usize::from(text.contains("\ndisplay = "));
                let settings =
                    settings::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
                settings
                    .check()
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                let keys = [
                    settings.size.is_some(),
                    settings.threads.is_some(),
                    settings.http.is_some(),
                ];
                assert_eq!(keys, [true; 3], "{name}");
                let numbers = [
                    settings.rate,
                    settings.max_fps,
                    settings.heat_limit.map(f64::from),
                ];
                assert!(numbers.iter().all(Option::is_some), "{name}");
            }
            assert!(displays >= 3, "{name}");
        }
    }
}
