//! Tags as text for people and as JSON lines for programs.

use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use graphtag_runtime::Tag;
use serde::{Serialize, Serializer};

use super::inputs::Input;
use crate::arguments::in_one_line;

/// A longer path does not push the tags of all others further to the right.
const MAX_PATH_COLUMN: usize = 48;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line for people.
    Text,
    /// A JSON object a line.
    JsonLines,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "text" => Ok(Format::Text),
            "jsonl" => Ok(Format::JsonLines),
            _ => Err("neither text nor jsonl"),
        }
    }
}

/// What is printed of a photo.
pub struct Tagged<'a> {
    /// Columns, upright.
    pub width: u32,
    /// Rows, upright.
    pub height: u32,
    /// Its tags, the likeliest first.
    pub tags: Vec<Tag<'a>>,
    /// All labels and their scores, where asked for.
    pub scores: Option<(&'a [String], Vec<f32>)>,
    /// Time to resize and normalise.
    pub preprocess: Duration,
    /// Time to run the network.
    pub inference: Duration,
}

/// Prints results as they come.
pub struct Printer<W: Write> {
    to: W,
    format: Format,
    path_column: usize,
}

impl<W: Write> Printer<W> {
    /// Prints to `to`; text leaves room for the paths of `inputs`.
    pub fn new(to: W, format: Format, inputs: &[Input]) -> Self {
        let lengths = inputs
            .iter()
            .map(|input| printable(&input.path).chars().count());
        Printer {
            to,
            format,
            path_column: lengths.max().unwrap_or(0).min(MAX_PATH_COLUMN),
        }
    }

    /// Prints the tags of one photo.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn tagged(&mut self, input: &Input, tagged: &Tagged) -> io::Result<()> {
        match self.format {
            Format::Text => self.text(&input.path, tagged)?,
            Format::JsonLines => self.json_line(&JsonTagged::new(&input.path, tagged))?,
        }
        self.to.flush()
    }

    /// Prints why one photo has no tags: to standard error, and as a JSON line.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn failed(&mut self, input: &Input, error: &str) -> io::Result<()> {
        eprintln!("graphtag: {}: {error}", printable(&input.path));
        if self.format == Format::JsonLines {
            let path = input.path.to_string_lossy();
            self.json_line(&JsonFailed { path: &path, error })?;
        }
        self.to.flush()
    }

    fn text(&mut self, path: &Path, tagged: &Tagged) -> io::Result<()> {
        let (path, column) = (printable(path), self.path_column);
        let tags: Vec<String> = tagged
            .tags
            .iter()
            .map(|tag| format!("{} {:.2}", tag.label, tag.score))
            .collect();
        let tags = match tags.is_empty() {
            true => "(no tag above its threshold)".into(),
            false => tags.join(", "),
        };
        writeln!(self.to, "{path:<column$}  {tags}")?;
        let Some((labels, scores)) = &tagged.scores else {
            return Ok(());
        };
        let mut scores: Vec<(&String, &f32)> = labels.iter().zip(scores).collect();
        scores.sort_by(|a, b| b.1.total_cmp(a.1));
        for (label, score) in scores {
            writeln!(self.to, "  {score:.4}  {label}")?;
        }
        Ok(())
    }

    fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.to, value)?;
        writeln!(self.to)
    }
}

fn printable(path: &Path) -> String {
    in_one_line(&path.to_string_lossy())
}

#[derive(Serialize)]
struct JsonTagged<'a> {
    path: String,
    width: u32,
    height: u32,
    tags: Vec<JsonTag<'a>>,
    preprocess_ms: f64,
    inference_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<Scores<'a>>,
}

#[derive(Serialize)]
struct JsonTag<'a> {
    label: &'a str,
    score: f64,
}

#[derive(Serialize)]
struct JsonFailed<'a> {
    path: &'a str,
    error: &'a str,
}

/// An object of labels in the model's order.
struct Scores<'a> {
    labels: &'a [String],
    scores: &'a [f32],
}

impl Serialize for Scores<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scores = self.scores.iter().map(|&score| rounded(score.into(), 4));
        serializer.collect_map(self.labels.iter().zip(scores))
    }
}

impl<'a> JsonTagged<'a> {
    fn new(path: &Path, tagged: &'a Tagged) -> Self {
        let tags = tagged.tags.iter().map(|tag| JsonTag {
            label: tag.label,
            score: rounded(tag.score.into(), 4),
        });
        let milliseconds = |time: Duration| rounded(time.as_secs_f64() * 1e3, 3);
        JsonTagged {
            path: path.to_string_lossy().into_owned(),
            width: tagged.width,
            height: tagged.height,
            tags: tags.collect(),
            preprocess_ms: milliseconds(tagged.preprocess),
            inference_ms: milliseconds(tagged.inference),
            scores: tagged
                .scores
                .as_ref()
                .map(|(labels, scores)| Scores { labels, scores }),
        }
    }
}

fn rounded(value: f64, digits: i32) -> f64 {
    let unit = 10f64.powi(digits);
    (value * unit).round() / unit
}
