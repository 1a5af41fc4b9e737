//! A model file's metadata: as lines of `KEY=VALUE`, and as the ONNX file that carries them.

#![no_main]

use std::collections::BTreeMap;

use graphtag_models::Metadata;
use graphtag_runtime::network;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(properties) = network::properties(bytes) {
        let _ = Metadata::from_properties(&properties);
    }
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let properties: BTreeMap<String, String> = lines
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
    if let Ok(Some(metadata)) = Metadata::from_properties(&properties) {
        let again = metadata
            .to_properties()
            .expect("what was read can be written");
        let again = again.into_iter().collect();
        let again = Metadata::from_properties(&again);
        assert_eq!(again.ok().flatten().as_ref(), Some(&metadata));
    }
});
