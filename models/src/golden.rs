//! A photo and what a model must say of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest golden photo, in bytes.
pub const MAX_GOLDEN_BYTES: usize = 256 << 10;
/// The first bytes of every JPEG file.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

/// A photo and the probabilities that a model gave where it was made, so that a file or an engine which gives
/// others is noticed before it is relied on.
///
/// As JSON: `{"photo": "BASE64", "probabilities": [0.01, ...]}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// A JPEG file of at most [`MAX_GOLDEN_BYTES`].
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub photo: Vec<u8>,
    /// One probability per label, within 0..=1.
    pub probabilities: Vec<f32>,
}

impl Golden {
    /// What is wrong with it in a model of `labels` labels, in one line.
    pub(crate) fn problem(&self, labels: usize) -> Option<String> {
        let (bytes, probabilities) = (self.photo.len(), self.probabilities.len());
        if bytes > MAX_GOLDEN_BYTES {
            return Some(format!(
                "a photo of {bytes} bytes, more than {MAX_GOLDEN_BYTES}"
            ));
        }
        if !self.photo.starts_with(&JPEG) {
            return Some("the photo is no JPEG".into());
        }
        if probabilities != labels {
            return Some(format!("{probabilities} probabilities for {labels} labels"));
        }
        let all_within = self.probabilities.iter().all(|p| (0.0..=1.0).contains(p));
        (!all_within).then(|| "probabilities are not all within 0 to 1".into())
    }
}

fn to_base64<S: Serializer>(photo: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(photo))
}

fn from_base64<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(D::Error::custom)
}
