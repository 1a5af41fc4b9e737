//! The models that ship inside the binary.

/// A model file that is part of this crate.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedModel {
    /// The name it is asked for by.
    pub name: &'static str,
    /// The ONNX file.
    pub bytes: &'static [u8],
}

/// All embedded models; the first is the default.
pub const MODELS: &[EmbeddedModel] = &[];

/// The default model's file.
pub fn default_model() -> &'static [u8] {
    MODELS[0].bytes
}
