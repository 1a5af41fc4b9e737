//! Prints what a model makes of an image, number by number, before labels and thresholds are applied:
//! `cargo run --release -p graphtag-runtime --example outputs -- MODEL.onnx IMAGE`, where IMAGE holds the input
//! \[3, height, width\] as little-endian 32-bit floats.

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::{env, fs};

use graphtag_runtime::Network;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [model, image] = &arguments[..] else {
        return Err("usage: outputs MODEL.onnx IMAGE".into());
    };
    let network = Network::open(Path::new(model))?;
    let bytes = fs::read(image)?;
    let image: Vec<f32> = bytes
        .as_chunks()
        .0
        .iter()
        .copied()
        .map(f32::from_le_bytes)
        .collect();
    let mut to = BufWriter::new(io::stdout().lock());
    for output in network.run(&image)? {
        writeln!(to, "{output}")?;
    }
    Ok(to.flush()?)
}
