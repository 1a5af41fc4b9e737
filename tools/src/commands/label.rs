//! `graphtag-tools label`: a teacher's soft labels over folders of photos.

use std::path::PathBuf;

use anyhow::Result;
use argh::FromArgs;
use graphtag_models::{Channels, ColorOrder, Filter, Preprocessing, Resize};

use super::options::named;
use super::print_line;
use crate::data::{label_list, photos_in};
use crate::teacher::{Output, PHOTOS_PER_SHARD, Teacher, label_photos};

/// Store a teacher's soft labels of photos as Parquet. Run again after an interruption, it goes on.
#[derive(FromArgs)]
#[argh(subcommand, name = "label")]
pub struct Label {
    /// the teacher, an ONNX classifier
    #[argh(option)]
    teacher: PathBuf,
    /// coco80 or a file with a label a line, in the order of the teacher's outputs
    #[argh(option, default = "String::from(\"coco80\")")]
    labels: String,
    /// folder of photos, searched recursively; may be given several times
    #[argh(option)]
    photos: Vec<PathBuf>,
    /// folder for the soft labels
    #[argh(option)]
    out: PathBuf,
    /// what the teacher's output is: logits (default) or probabilities
    #[argh(option, default = "Output::Logits", from_str_fn(named))]
    output: Output,
    /// how a photo is fitted to the teacher's input: stretch (default) or center-crop
    #[argh(option, default = "Resize::Stretch", from_str_fn(named))]
    resize: Resize,
    /// filter of the resize: bilinear (default) or lanczos3
    #[argh(option, default = "Filter::Bilinear", from_str_fn(named))]
    filter: Filter,
    /// subtracted from each byte of the photo, one number or three with commas (default 127.5)
    #[argh(option, default = "Channels([127.5; 3])")]
    mean: Channels,
    /// multiplies the difference, one number or three with commas (default 1/127.5)
    #[argh(option, default = "Channels([1.0 / 127.5; 3])")]
    scale: Channels,
    /// order of the teacher's channels: rgb (default) or bgr
    #[argh(option, default = "ColorOrder::Rgb", from_str_fn(named))]
    color: ColorOrder,
}

impl Label {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let labels = label_list(&self.labels)?;
        let teacher = Teacher::open(&self.teacher, labels, self.output, |height, width| {
            Preprocessing {
                height,
                width,
                resize: self.resize,
                filter: self.filter,
                mean: self.mean.0,
                scale: self.scale.0,
                color: self.color,
            }
        })?;
        let photos = photos_in(&self.photos)?;
        let counts = label_photos(&teacher, &photos, &self.out, PHOTOS_PER_SHARD)?;
        print_line(&format!(
            "{} photos labelled, {} skipped: {}",
            counts.labelled,
            counts.skipped,
            self.out.display()
        ))
    }
}
