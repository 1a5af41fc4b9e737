//! A training recipe: everything that decides the outcome besides data and initial weights.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use graphtag_models::{
    Architecture, Backbone, Classifier, ColorOrder, Filter, Head, InputSize, Preprocessing, Resize,
};
use serde::{Deserialize, Serialize};

use super::loss::AngularMargin;
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
    /// The last layer that is frozen; its output is computed once per view.
    pub frozen_through: String,
    /// Whether depthwise kernels after that layer are frozen too.
    pub freeze_depthwise: bool,
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
    /// Decoupled weight decay.
    pub weight_decay: f64,
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
        for (name, stage) in [
            ("head_stage", self.head_stage),
            ("tail_stage", self.tail_stage),
        ] {
            ensure!(
                (1..=self.views).contains(&stage.views),
                "{name}.views is not within 1 to views"
            );
            ensure!(stage.batch >= 1, "{name}.batch is 0");
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

    /// How the backbone takes photos, at this side of the square input.
    ///
    /// # Errors
    /// When a name is not known or the size is out of bounds.
    pub fn preprocessing(&self, input: usize) -> Result<Preprocessing> {
        let architecture = self.architecture(1, input)?;
        Ok(preprocessing(architecture.backbone, architecture.input))
    }
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
