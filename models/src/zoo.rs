//! The models that ship inside the binary.

/// A model file that is part of this crate.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedModel {
    /// The name it is asked for by.
    pub name: &'static str,
    /// The ONNX file.
    pub bytes: &'static [u8],
}

/// All embedded models; the first is the default. `models/zoo/README.md` tells how good each is and how it was made.
///
/// A static, because every crate that uses a constant gets a copy of the files.
pub static MODELS: [EmbeddedModel; 1] = [EmbeddedModel {
    name: "coco80-lite0-int8",
    bytes: include_bytes!("../zoo/coco80-lite0-int8.onnx"),
}];

/// The default model's file.
pub fn default_model() -> &'static [u8] {
    MODELS[0].bytes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Metadata, labels, onnx};

    #[test]
    fn every_embedded_model_is_small_and_says_what_it_is() {
        for model in &MODELS {
            assert!(model.bytes.len() <= 5_000_000, "{}", model.bytes.len());
            let properties: BTreeMap<String, String> = onnx::properties(model.bytes).unwrap();
            let metadata = Metadata::from_properties(&properties).unwrap().unwrap();
            assert_eq!(metadata.name, model.name);
            assert_eq!(metadata.labels, labels::coco80());
            assert!(!metadata.accuracy.is_empty());
            assert!(metadata.golden.is_some());
            assert!(metadata.provenance.training["recipe"]["seed"].is_u64());
        }
    }
}
