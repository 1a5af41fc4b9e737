//! Values of options.

use std::str::FromStr;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How a command prints its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Format {
    Text,
    Json,
}

/// A value by the name it also has in files, such as `center-crop`.
pub(super) fn named<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(name.into()).map_err(|error| error.to_string())
}

/// A number for each of three channels: one for all, or three with commas between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Channels(pub(super) [f32; 3]);

impl FromStr for Channels {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Option<Vec<f32>> = text
            .split(',')
            .map(|number| number.trim().parse().ok().filter(|n: &f32| n.is_finite()))
            .collect();
        match numbers.as_deref() {
            Some(&[all]) => Ok(Channels([all; 3])),
            Some(&[first, second, third]) => Ok(Channels([first, second, third])),
            _ => Err("not one number or three with commas between"),
        }
    }
}
