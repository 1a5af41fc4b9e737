//! What a graph head knows of its labels: their names, how often they occur together, and their embeddings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use graphtag_models::Tensor;
use graphtag_models::labels::{
    Cooccurrence, coco80, coco80_cooccurrence, coco80_embeddings, parse_cooccurrence,
    parse_embeddings,
};

use super::label_list::{LABELS_FILE, label_list};
use super::{Photo, Truth};

const COOCCURRENCE: &str = "cooccurrence.json";
const EMBEDDINGS: &str = "embeddings.txt";

/// K labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelSet {
    /// Their names.
    pub names: Vec<String>,
    /// On how many photos they occur, alone and together.
    pub cooccurrence: Cooccurrence,
    /// \[K, dimensions\]; only a graph head needs them.
    pub embeddings: Option<Tensor>,
}

impl LabelSet {
    /// The 80 labels of COCO, with the counts of its training photos and GloVe embeddings.
    pub fn coco80() -> Self {
        LabelSet {
            names: coco80(),
            cooccurrence: coco80_cooccurrence(),
            embeddings: Some(coco80_embeddings()),
        }
    }

    /// The labels called `name`: `coco80`, or a folder that `graphtag-tools labels` wrote.
    ///
    /// # Errors
    /// When a file can't be read, or the files disagree on the labels.
    pub fn open(name: &str) -> Result<Self> {
        if name == "coco80" {
            return Ok(LabelSet::coco80());
        }
        let folder = Path::new(name);
        let names = label_list(name)?;
        let path = folder.join(COOCCURRENCE);
        let context = || path.display().to_string();
        let text = fs::read_to_string(&path).with_context(context)?;
        let cooccurrence = parse_cooccurrence(&text).with_context(context)?;
        let same = cooccurrence.labels == names;
        ensure!(same, "{}: not the labels of {LABELS_FILE}", path.display());
        let path = folder.join(EMBEDDINGS);
        let embeddings = path.is_file().then(|| -> Result<Tensor> {
            let text = fs::read_to_string(&path)?;
            let (labels, embeddings) = parse_embeddings(&text)?;
            ensure!(labels == names, "not the labels of {LABELS_FILE}");
            Ok(embeddings)
        });
        let embeddings = embeddings.transpose();
        Ok(LabelSet {
            names,
            cooccurrence,
            embeddings: embeddings.with_context(|| path.display().to_string())?,
        })
    }

    /// The labels `names` with their counts on `photos`, whose truths are of them, without embeddings.
    pub fn of_photos(names: Vec<String>, photos: &[Photo]) -> Self {
        let labels = names.len();
        let mut cooccurrence = Cooccurrence {
            labels: names.clone(),
            counts: vec![0.0; labels],
            cooccurrence: vec![vec![0.0; labels]; labels],
        };
        for photo in photos {
            let is_present = |&label: &usize| photo.truth[label] == Truth::Positive;
            let present: Vec<usize> = (0..labels).filter(is_present).collect();
            for &label in &present {
                cooccurrence.counts[label] += 1.0;
                for &other in present.iter().filter(|&&other| other != label) {
                    cooccurrence.cooccurrence[label][other] += 1.0;
                }
            }
        }
        LabelSet {
            names,
            cooccurrence,
            embeddings: None,
        }
    }

    /// Writes the files that [`LabelSet::open`] reads.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| path.display().to_string())
        };
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        write(LABELS_FILE, self.names.join("\n") + "\n")?;
        write(COOCCURRENCE, serde_json::to_string(&self.cooccurrence)?)?;
        let Some(embeddings) = &self.embeddings else {
            return Ok(());
        };
        let rows = embeddings.values.chunks(embeddings.shape[1]);
        let lines = self.names.iter().zip(rows).map(|(name, row)| {
            let numbers: Vec<String> = row.iter().map(f32::to_string).collect();
            format!("{} {}\n", name.replace(' ', "_"), numbers.join(" "))
        });
        write(EMBEDDINGS, lines.collect())
    }
}

/// The embedding of each name: the mean of the vectors that `glove`, a text file of a word and its numbers a
/// line, has for the name's words.
///
/// # Errors
/// When the file is not that, or it has a vector for no word of a name; all such names are listed.
pub fn embeddings(names: &[String], glove: &Path) -> Result<Tensor> {
    let words_of = |name: &str| -> Vec<String> {
        let words = name.split(|c: char| !c.is_alphanumeric());
        let words = words.filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let wanted: BTreeSet<String> = names.iter().flat_map(|name| words_of(name)).collect();
    let vectors = read_vectors(glove, &wanted)?;
    let dimensions = vectors.values().next().map_or(0, Vec::len);
    let (mut values, mut unknown) = (vec![], vec![]);
    for name in names {
        let words = words_of(name);
        let known: Vec<&Vec<f32>> = words.iter().filter_map(|w| vectors.get(w)).collect();
        if known.is_empty() {
            unknown.push(name.as_str());
            continue;
        }
        values.extend((0..dimensions).map(|i| {
            let sum: f32 = known.iter().map(|vector| vector[i]).sum();
            sum / known.len() as f32
        }));
    }
    if !unknown.is_empty() {
        bail!("{}: has no word of {}", glove.display(), unknown.join(", "));
    }
    Ok(Tensor {
        shape: vec![names.len(), dimensions],
        values,
    })
}

/// The vectors of the words that are wanted.
fn read_vectors(glove: &Path, wanted: &BTreeSet<String>) -> Result<BTreeMap<String, Vec<f32>>> {
    let name = glove.display();
    let file = File::open(glove).with_context(|| format!("{name}: can't be read"))?;
    let mut vectors = BTreeMap::new();
    let mut dimensions = None;
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line.with_context(|| format!("{name}:{number}: can't be read"))?;
        let Some((word, numbers)) = line.split_once(' ') else {
            bail!("{name}:{number}: not a word and its numbers");
        };
        if !wanted.contains(word) {
            continue;
        }
        let numbers = numbers.split_whitespace().map(str::parse);
        let numbers: Result<Vec<f32>, _> = numbers.collect();
        let numbers = numbers.with_context(|| format!("{name}:{number}: {word:?}"))?;
        let expected = *dimensions.get_or_insert(numbers.len());
        ensure!(
            numbers.len() == expected && expected > 0,
            "{name}:{number}: {word:?} has {} numbers, those before {expected}",
            numbers.len()
        );
        vectors.insert(word.to_string(), numbers);
    }
    Ok(vectors)
}
