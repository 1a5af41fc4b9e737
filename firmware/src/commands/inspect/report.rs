//! The report of `graphtag inspect`. Its JSON keys are stable.

use std::io::{self, Write};
use std::path::Path;

use graphtag_models::{Accuracy, Architecture, Metadata, Preprocessing, Provenance};
use graphtag_runtime::network::{self, ModelError, NodeCost};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What a model file says, and what it costs to run for one photo.
#[derive(Serialize)]
pub struct Report {
    name: String,
    /// Empty for a model without metadata.
    labels: Vec<Label>,
    architecture: Option<Architecture>,
    preprocessing: Option<Preprocessing>,
    provenance: Option<Provenance>,
    accuracy: Vec<Accuracy>,
    golden: Option<GoldenPhoto>,
    file_bytes: usize,
    sha256: String,
    /// Multiply-accumulates of convolutions and matrix products.
    macs: u64,
    /// Stored weights and biases.
    parameters: u64,
    layers: Vec<Layer>,
}

#[derive(Serialize)]
struct Label {
    label: String,
    threshold: f64,
}

/// The photo on which the model is checked before it is used.
#[derive(Serialize)]
struct GoldenPhoto {
    file_bytes: usize,
    /// What it shows, at the thresholds.
    labels: Vec<String>,
}

#[derive(Serialize)]
struct Layer {
    name: String,
    op: String,
    output: Vec<usize>,
    macs: u64,
    parameters: u64,
    engine: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfused_because: Option<String>,
}

impl Report {
    /// Reads a model file; a name in its metadata goes before that of `file_name`.
    ///
    /// # Errors
    /// When it is not a photo classifier, or its metadata is unusable.
    pub fn new(file_name: &str, file: &[u8]) -> Result<Self, ModelError> {
        let layers = network::costs(file)?;
        let properties = network::properties(file)?;
        let mut report = Report {
            name: Path::new(file_name)
                .file_stem()
                .map_or(file_name.into(), |stem| stem.to_string_lossy().into_owned()),
            labels: Vec::new(),
            architecture: None,
            preprocessing: None,
            provenance: None,
            accuracy: Vec::new(),
            golden: None,
            file_bytes: file.len(),
            sha256: hex(&Sha256::digest(file)),
            macs: layers.iter().map(|layer| layer.macs).sum(),
            parameters: layers.iter().map(|layer| layer.parameters).sum(),
            layers: layers.into_iter().map(Layer::from).collect(),
        };
        if let Some(metadata) = Metadata::from_properties(&properties)? {
            report.describe(metadata);
        }
        Ok(report)
    }

    fn describe(&mut self, metadata: Metadata) {
        self.golden = metadata.golden.as_ref().map(|golden| {
            let decisions = golden.probabilities.iter().zip(&metadata.thresholds);
            let labels = metadata.labels.iter().zip(decisions);
            let shown = labels.filter(|(_, (probability, threshold))| probability >= threshold);
            GoldenPhoto {
                file_bytes: golden.photo.len(),
                labels: shown.map(|(label, _)| label.clone()).collect(),
            }
        });
        let labels = metadata.labels.into_iter().zip(metadata.thresholds);
        self.name = metadata.name;
        self.labels = labels
            .map(|(label, threshold)| Label {
                label,
                threshold: (f64::from(threshold) * 1e4).round() / 1e4,
            })
            .collect();
        self.architecture = metadata.architecture;
        self.preprocessing = Some(metadata.preprocessing);
        self.provenance = Some(metadata.provenance);
        self.accuracy = metadata.accuracy;
    }

    /// Writes the report for people.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn write_text(&self, to: &mut impl Write) -> io::Result<()> {
        writeln!(to, "{}", self.name)?;
        if let Some(architecture) = &self.architecture {
            writeln!(to, "  architecture  {architecture}")?;
        }
        if let Some(Preprocessing { height, width, .. }) = &self.preprocessing {
            writeln!(to, "  input         {height} x {width} pixels")?;
        }
        let (millions, million_macs) = (self.parameters as f64 / 1e6, self.macs as f64 / 1e6);
        writeln!(
            to,
            "  cost          {million_macs:.1} million MACs, {millions:.3} million parameters"
        )?;
        let megabytes = self.file_bytes as f64 / 1e6;
        writeln!(
            to,
            "  file          {megabytes:.2} MB, SHA-256 {}",
            self.sha256
        )?;
        for accuracy in &self.accuracy {
            let Accuracy {
                data,
                photos,
                labels,
                map,
                cf1,
                of1,
            } = accuracy;
            writeln!(
                to,
                "  accuracy      mAP {map:.3}, CF1 {cf1:.3}, OF1 {of1:.3} on {data} ({photos} photos, {labels} labels)"
            )?;
        }
        if let Some(GoldenPhoto { file_bytes, labels }) = &self.golden {
            let labels = labels.join(", ");
            writeln!(to, "  golden photo  {file_bytes} bytes, of {labels}")?;
        }
        self.write_origin(to)?;
        self.write_labels(to)?;
        self.write_layers(to)
    }

    fn write_origin(&self, to: &mut impl Write) -> io::Result<()> {
        let Some(provenance) = &self.provenance else {
            return Ok(());
        };
        for (title, origin) in [
            ("training", &provenance.training),
            ("quantisation", &provenance.quantization),
        ] {
            if !origin.is_null() {
                writeln!(to, "\n{title}")?;
                write_value(to, origin, 1)?;
            }
        }
        Ok(())
    }

    fn write_labels(&self, to: &mut impl Write) -> io::Result<()> {
        if self.labels.is_empty() {
            return writeln!(to, "\nThe file names no labels: tag with --labels.");
        }
        let lengths = self.labels.iter().map(|label| label.label.chars().count());
        let column = lengths.max().unwrap_or(0).max("label".len());
        writeln!(to, "\n{:<column$}  threshold", "label")?;
        for Label { label, threshold } in &self.labels {
            writeln!(to, "{label:<column$}  {threshold:.3}")?;
        }
        Ok(())
    }

    fn write_layers(&self, to: &mut impl Write) -> io::Result<()> {
        let column = |cells: &dyn Fn(&Layer) -> usize, title: &str| {
            self.layers
                .iter()
                .map(cells)
                .max()
                .unwrap_or(0)
                .max(title.len())
        };
        let name = column(&|layer| layer.name.chars().count(), "layer");
        let op = column(&|layer| layer.op.chars().count(), "operation");
        let (layer, operation) = ("layer", "operation");
        writeln!(
            to,
            "\n{layer:<name$}  {operation:<op$}  {:<16}  {:>12}  {:>10}  engine",
            "output", "MACs", "parameters"
        )?;
        for layer in &self.layers {
            let output: Vec<String> = layer.output.iter().map(usize::to_string).collect();
            write!(
                to,
                "{:<name$}  {:<op$}  {:<16}  {:>12}  {:>10}  {}",
                layer.name,
                layer.op,
                output.join("x"),
                layer.macs,
                layer.parameters,
                layer.engine
            )?;
            match &layer.unfused_because {
                Some(reason) => writeln!(to, ", because: {reason}")?,
                None => writeln!(to)?,
            }
        }
        Ok(())
    }
}

impl From<NodeCost> for Layer {
    fn from(cost: NodeCost) -> Self {
        Layer {
            name: cost.name,
            op: cost.operation,
            output: cost.output,
            macs: cost.macs,
            parameters: cost.parameters,
            engine: if cost.fused { "int8" } else { "tract" },
            unfused_because: cost.unfused_because,
        }
    }
}

/// Writes JSON as indented `key: value` lines.
fn write_value(to: &mut impl Write, value: &serde_json::Value, depth: usize) -> io::Result<()> {
    let Some(object) = value.as_object() else {
        return writeln!(to, "{:indent$}{value}", "", indent = 2 * depth);
    };
    for (key, value) in object {
        write!(to, "{:indent$}{key}:", "", indent = 2 * depth)?;
        match value {
            serde_json::Value::Object(_) => {
                writeln!(to)?;
                write_value(to, value, depth + 1)?;
            }
            serde_json::Value::String(text) => writeln!(to, " {}", text.escape_debug())?,
            other => writeln!(to, " {other}")?,
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
