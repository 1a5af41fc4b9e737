//! `graphtag-tools cost`: what an architecture costs, layer by layer.

use std::fmt::Write;

use anyhow::Result;
use argh::FromArgs;
use graphtag_models::cost::{Cost, cost};
use graphtag_models::{Architecture, Backbone, Head, InputSize, folded};
use serde_json::{Value, json};

use super::options::{Format, named};
use super::print_line;

/// Count multiply-accumulates, parameters and activation memory of an architecture, layer by layer.
#[derive(FromArgs)]
#[argh(subcommand, name = "cost")]
pub struct CostOf {
    /// efficientnet-lite0 to -lite4, efficientnet-b0, efficientnet-v2-b0, -v2-s, -v2-l, mobilenet-v3-large, -small
    /// or tresnet-l
    #[argh(option)]
    arch: Backbone,
    /// input size in pixels, as 224 or HEIGHTxWIDTH
    #[argh(option)]
    size: InputSize,
    /// number of labels
    #[argh(option)]
    labels: usize,
    /// linear, graph-gcn (or graph), graph-gat or ml-decoder; with a plain or an angular classifier: linear-angular,
    /// graph-gcn-plain, graph-gat-plain, ml-decoder-angular
    #[argh(option)]
    head: Head,
    /// multiplies the published numbers of channels (default 1)
    #[argh(option, default = "1.0")]
    width: f32,
    /// count the network as it is deployed: batch norm and what does not see the photo folded
    #[argh(switch)]
    folded: bool,
    /// text (default) or json
    #[argh(option, default = "Format::Text", from_str_fn(named))]
    format: Format,
}

impl CostOf {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let architecture = Architecture {
            backbone: self.arch.with_width(self.width),
            head: self.head,
            input: self.size,
            labels: self.labels,
        };
        architecture.validate()?;
        let mut network = architecture.lower();
        if self.folded {
            network = folded(&network)?;
        }
        let cost = cost(&network);
        match self.format {
            Format::Text => print_line(&text(&cost)),
            Format::Json => print_line(&serde_json::to_string_pretty(&to_json(&cost))?),
        }
    }
}

fn to_json(cost: &Cost) -> Value {
    let layers = cost.layers.iter().map(|layer| {
        json!({
            "name": layer.name,
            "operation": layer.operation,
            "output": layer.output,
            "macs": layer.macs,
            "params": layer.parameters,
        })
    });
    json!({
        "macs": cost.macs,
        "gflops": gflops(cost),
        "params": cost.parameters,
        "peak_activation_bytes_f32": 4 * cost.peak_activations,
        "peak_activation_bytes_int8": cost.peak_activations,
        "layers": layers.collect::<Vec<_>>(),
    })
}

/// Floating-point operations, two a multiply-accumulate.
fn gflops(cost: &Cost) -> f64 {
    2.0 * cost.macs as f64 / 1e9
}

fn text(cost: &Cost) -> String {
    let longest = cost.layers.iter().map(|layer| layer.name.len()).max();
    let width = longest.unwrap_or(0).max("layer".len());
    let mut text = format!(
        "{:width$}  {:24}  {:>12}  {:>13}  {:>10}\n",
        "layer", "operation", "output", "MACs", "parameters"
    );
    for layer in &cost.layers {
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{:width$}  {:24}  {:>12}  {:13}  {:10}",
            layer.name,
            layer.operation,
            layer.output.to_string(),
            layer.macs,
            layer.parameters
        );
    }
    let kib = |bytes: u64| bytes.div_ceil(1024);
    let peak = cost.peak_activations;
    let _ = write!(
        text,
        "\n{} MACs ({:.3} GFLOPs, two a MAC), {} parameters\npeak activations {} KiB in f32, {} KiB in int8",
        cost.macs,
        gflops(cost),
        cost.parameters,
        kib(4 * peak),
        kib(peak)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_adds_up_to_the_reference_counts_of_lite0() {
        let network = Architecture {
            backbone: "efficientnet-lite0".parse().unwrap(),
            head: "linear".parse().unwrap(),
            input: "224".parse().unwrap(),
            labels: 1000,
        }
        .lower();
        let json = to_json(&cost(&network));
        let macs = json["macs"].as_u64().unwrap();
        assert!((macs as f64 / 385.2e6 - 1.0).abs() < 0.005, "{macs}");
        let parameters = json["params"].as_u64().unwrap();
        assert!(
            (parameters as f64 / 4.652e6 - 1.0).abs() < 0.005,
            "{parameters}"
        );
        assert_eq!(json["gflops"].as_f64().unwrap(), 2.0 * macs as f64 / 1e9);
        for key in ["macs", "params"] {
            let layers = json["layers"].as_array().unwrap().iter();
            let sum: u64 = layers.map(|layer| layer[key].as_u64().unwrap()).sum();
            assert_eq!(sum, json[key].as_u64().unwrap(), "{key}");
        }
    }
}
