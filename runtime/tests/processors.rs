//! The default model computes the same in int8 on every processor. `processors.json` holds the SHA-256 of the last int8
//! map of each photo of `tests/photos`, as x86-64 computes it; `tests/arm/run.sh` runs this on ARM cores. After a change
//! of the model the test prints what belongs there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use graphtag_models::zoo;
use graphtag_runtime::preprocess::Preprocessor;
use graphtag_runtime::{Network, model, photo};
use prost::Message;
use sha2::{Digest, Sha256};
use tract_onnx::pb::{ModelProto, NodeProto, tensor_shape_proto, type_proto};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn photos() -> Vec<PathBuf> {
    let files = std::fs::read_dir(repository().join("tests/photos")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let mut photos: Vec<PathBuf> = paths
        .filter(|path| photo::has_photo_extension(path))
        .collect();
    photos.sort();
    photos
}

/// The default model up to its last int8 feature map. The outputs are the map's values times its scale, so equal outputs
/// are equal bytes.
fn up_to_the_last_map() -> Network {
    let mut model = ModelProto::decode(zoo::default_model()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let is_last = |node: &NodeProto| node.op_type == "DequantizeLinear";
    let last = graph.node.iter().rposition(is_last).unwrap();
    graph.node.truncate(last + 1);
    let map = graph.node[last].output[0].clone();
    let output = &mut graph.output[0];
    graph.node.push(NodeProto {
        op_type: "Flatten".into(),
        name: "map".into(),
        input: vec![map],
        output: vec![output.name.clone()],
        ..NodeProto::default()
    });
    let Some(type_proto::Value::TensorType(kind)) =
        output.r#type.as_mut().and_then(|kind| kind.value.as_mut())
    else {
        panic!("the output has no type");
    };
    let sides = &mut kind.shape.as_mut().unwrap().dim;
    let values = 1280 * 8 * 8;
    sides[1].value = Some(tensor_shape_proto::dimension::Value::DimValue(values));
    Network::from_bytes(&model.encode_to_vec()).unwrap()
}

#[test]
fn the_last_int8_map_of_every_photo_is_that_of_x86_64() {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processors.json"),
    )
    .unwrap();
    let expected: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    let network = up_to_the_last_map();
    let preprocessing = model::preprocessing(&network).unwrap();
    let mut preprocessor = Preprocessor::new(&network, &preprocessing);
    let found: BTreeMap<String, String> = photos()
        .iter()
        .map(|path| {
            let photo = photo::open(path).unwrap();
            let map = network.run_on(preprocessor.input(&photo)).unwrap();
            assert!(map.iter().any(|&value| value > 0.0));
            let digest = map.iter().fold(Sha256::new(), |digest, value| {
                digest.chain_update(value.to_le_bytes())
            });
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, format!("{:x}", digest.finalize()))
        })
        .collect();
    assert_eq!(
        found,
        expected,
        "{}",
        serde_json::to_string_pretty(&found).unwrap()
    );
}
