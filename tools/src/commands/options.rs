//! Values of options.

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
