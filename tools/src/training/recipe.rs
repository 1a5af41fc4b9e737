//! A training recipe: everything that decides the outcome besides data and initial weights.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use graphtag_models::{
    Architecture, Backbone, Classifier, ColorOrder, Filter, Head, InputSize, Layer, Network,
    Operation, Preprocessing, Resize,
};
use serde::{Deserialize, Serialize};

use super::loss::AngularMargin;
use super::optimizer::Rule;
use super::views::Augmentation;

/// A recipe, as its TOML file says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Decides the split, the views, the initial head, the order of the batches and dropout.
    pub seed: u64,
    /// Such as `efficientnet-lite0`.
    pub backbone: String,
    /// Such as `graph-gcn`.
    pub head: String,
    /// Side of the square views, in pixels.
    pub input: usize,
    /// Side of the square input of the exported model; features do not depend on it.
    pub deployed_input: usize,
    /// Share of the photos kept for validation.
    pub validation: f64,
    /// Views per photo; the first is the photo itself.
    pub views: usize,
    /// How the others differ from it.
    pub augmentation: Augmentation,
    /// Whether the teacher looks at every view itself ("consistent teaching", Beyer et al. 2022) rather than
    /// only at whole photos.
    pub teach_views: bool,
    /// Whether a mosaic of each validation photo, labelled by the teacher, is validated on too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub validate_mosaics: bool,
    /// The last layer that is frozen, or a block such as `blocks.7`; its output is computed once per view.
    pub frozen_through: String,
    /// Whether depthwise kernels after that layer are frozen too.
    pub freeze_depthwise: bool,
    /// Share of the features that are dropped before the classifier, in place of the head's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f32>,
    /// The loss.
    pub loss: Loss,
    /// Share of itself that the moving average of the weights keeps per step.
    pub average_decay: f64,
    /// The head alone, on pooled features.
    pub head_stage: Stage,
    /// All layers after the frozen ones.
    pub tail_stage: Stage,
}

/// The weights of the two losses and their settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Weight of the angular margin loss against the true labels, where known.
    pub truth_weight: f64,
    /// Weight of the binary KL divergence from the teacher.
    pub teacher_weight: f64,
    /// Temperature of the teacher.
    pub temperature: f64,
    /// Weight of the divergence from a peer, a second network with a head of its own that learns beside the first. 0,
    /// the default, is for no peer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mutual_weight: f64,
    /// Settings of the angular margin loss; its scale is the classifier's too.
    pub angular_margin: AngularMargin,
}

/// One stage of training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Views per photo that the stage sees in turn, from epoch to epoch.
    pub views: usize,
    /// Passes over the photos.
    pub epochs: usize,
    /// Photos per step.
    pub batch: usize,
    /// Peak learning rate of the head.
    pub head_rate: f64,
    /// Peak learning rate of the backbone's layers.
    pub backbone_rate: f64,
    /// Weight decay of kernels and matrices: decoupled with `adamw`, added to the gradient with `sgd`.
    pub weight_decay: f64,
    /// `{ kind = "adamw" }`, the default, or `{ kind = "sgd", momentum = 0.9, nesterov = true }`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub optimizer: Rule,
    /// Sharpness-aware minimisation: how far uphill the gradient is taken (rho, 0.05 in the paper). Doubles the time of a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharpness: Option<f64>,
    /// The largest norm of all gradients together; longer ones are shortened to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// Epochs without a better validation mAP after which the stage ends, with the weights of its best epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Share of the steps during which the rate rises.
    pub warm_up: f64,
    /// A photo whose rarest label occurs with frequency f is seen sqrt(`repeat_below` / f) times where that
    /// is more than one (repeat factor sampling, Gupta et al. 2019), at most `most_repeats` times.
    pub repeat_below: f64,
    /// See `repeat_below`.
    pub most_repeats: f64,
}

impl Recipe {
    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// Names the file, and the line or the value that is wrong.
    pub fn open(path: &Path) -> Result<Self> {
        let context = || path.display().to_string();
        let text = fs::read_to_string(path).with_context(context)?;
        let recipe: Recipe = toml::from_str(&text).with_context(context)?;
        recipe.check().with_context(context)?;
        Ok(recipe)
    }

    fn check(&self) -> Result<()> {
        ensure!(
            (0.01..=0.5).contains(&self.validation),
            "validation is not within 0.01 to 0.5"
        );
        ensure!(self.views >= 1, "views is 0");
        ensure!(
            self.dropout.is_none_or(|rate| (0.0..1.0).contains(&rate)),
            "dropout is not within 0 to 1"
        );
        for (name, stage) in [
            ("head_stage", self.head_stage),
            ("tail_stage", self.tail_stage),
        ] {
            ensure!(
                (1..=self.views).contains(&stage.views),
                "{name}.views is not within 1 to views"
            );
            ensure!(stage.batch >= 1, "{name}.batch is 0");
            let positive = |value: Option<f64>| value.is_none_or(|value| value > 0.0);
            ensure!(
                positive(stage.sharpness) && positive(stage.clip) && stage.patience != Some(0),
                "{name}: sharpness, clip and patience must be more than 0; leave out what is not wanted"
            );
        }
        self.architecture(1, self.input)?;
        Ok(())
    }

    /// The architecture for K labels and a square input.
    ///
    /// # Errors
    /// When a name is not known or a size is out of bounds.
    pub fn architecture(&self, labels: usize, input: usize) -> Result<Architecture> {
        let head: Head = self.head.parse()?;
        ensure!(
            matches!(head.classifier(), Classifier::Angular { .. }),
            "head {} has no angular classifier, which the angular margin loss needs",
            self.head
        );
        let scale = self.loss.angular_margin.scale as f32;
        let architecture = Architecture {
            backbone: self.backbone.parse::<Backbone>()?,
            head: head.with_classifier(Classifier::Angular { scale }),
            input: input.to_string().parse()?,
            labels,
        };
        architecture.validate()?;
        Ok(architecture)
    }

    /// The network of `architecture`, with the recipe's dropout.
    pub fn network(&self, architecture: &Architecture) -> Network {
        let mut network = architecture.lower();
        if let (Some(index), Some(rate)) = (network.find("dropout"), self.dropout) {
            network.layers[index].operation = Operation::Dropout { rate };
        }
        network
    }

    /// The index of the last frozen layer.
    ///
    /// # Errors
    /// When there is no such layer or block, or later layers read earlier ones.
    pub fn last_frozen(&self, network: &Network) -> Result<usize> {
        let name = &self.frozen_through;
        let of_block = |layer: &Layer| layer.name.starts_with(&format!("{name}."));
        let found = network.find(name);
        let found = found.or_else(|| network.layers.iter().rposition(of_block));
        let last = found.with_context(|| {
            format!("frozen_through: there is neither a layer nor a block {name}")
        })?;
        let later = network.layers[last + 1..].iter();
        let reads = |layer: &&Layer| layer.inputs.iter().any(|&input| input < last);
        if let Some(layer) = later.clone().find(|layer| reads(layer)) {
            bail!("frozen_through: {} reads a layer before {name}", layer.name);
        }
        Ok(last)
    }

    /// How the backbone takes photos, at this side of the square input.
    ///
    /// # Errors
    /// When a name is not known or the size is out of bounds.
    pub fn preprocessing(&self, input: usize) -> Result<Preprocessing> {
        let architecture = self.architecture(1, input)?;
        Ok(preprocessing(architecture.backbone, architecture.input))
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(weight: &f64) -> bool {
    *weight == 0.0
}

fn is_default(rule: &Rule) -> bool {
    *rule == Rule::default()
}

/// How the published weights of `backbone` take photos: the whole photo stretched to the input.
pub fn preprocessing(backbone: Backbone, input: InputSize) -> Preprocessing {
    let (mean, scale) = backbone.normalization();
    Preprocessing {
        height: input.height,
        width: input.width,
        resize: Resize::Stretch,
        filter: Filter::Bilinear,
        mean,
        scale,
        color: ColorOrder::Rgb,
    }
}
