//! `graphtag-tools labels`: what a graph head is to know of a data set's labels.

use std::path::PathBuf;

use anyhow::Result;
use argh::FromArgs;

use super::print_line;
use crate::data::{DataSource, LabelSet, embeddings};

/// Write a data set's labels, how often they occur together, and their embeddings, for `distill` and `export`.
#[derive(FromArgs)]
#[argh(subcommand, name = "labels")]
pub struct Labels {
    /// coco:DIR, voc:DIR, json:FILE, csv:FILE, nuswide:DIR or vg:DIR; with @SPLIT for one split
    #[argh(option)]
    data: DataSource,
    /// of Visual Genome, as many labels as this, the most frequent (default 500)
    #[argh(option, default = "500")]
    most_frequent: usize,
    /// word vectors in GloVe's text format, such as glove.6B.300d.txt, which a graph head needs
    #[argh(option)]
    glove: Option<PathBuf>,
    /// the folder to write
    #[argh(option)]
    out: PathBuf,
}

impl Labels {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let names = self.data.labels(self.most_frequent)?;
        let dataset = self.data.load(&names)?;
        for note in &dataset.notes {
            eprintln!("{}: {note}", self.data);
        }
        let mut labels = LabelSet::of_photos(names, &dataset.photos);
        let glove = self.glove.as_ref();
        labels.embeddings = glove
            .map(|glove| embeddings(&labels.names, glove))
            .transpose()?;
        labels.write(&self.out)?;
        print_line(&format!(
            "{}: {} labels of {} photos",
            self.out.display(),
            labels.names.len(),
            dataset.photos.len()
        ))
    }
}
