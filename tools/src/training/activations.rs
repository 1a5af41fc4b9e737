//! Activations of a frozen part of a network, computed once and kept in a file.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use graphtag_models::{Network, Shape};
use half::f16;
use half::slice::HalfFloatSliceExt;

use super::forward::{Mode, Value, run_between};
use super::parameters::{Parameters, values};
use crate::progress::Progress;

/// The outputs of one layer for many views, in half precision, one record a view.
pub struct Activations {
    path: PathBuf,
    file: File,
    shape: Shape,
    count: usize,
}

impl Activations {
    /// Opens the file for `count` records of `shape`, or makes it by calling `batch` for every range of
    /// `batch_size` records that it lacks; this returns their values, record by record. `key` tells what the records are of: a file made under another
    /// key is made anew, a file that was cut off is completed.
    ///
    /// # Errors
    /// When the file can't be read or written, or `batch` fails.
    pub fn make(
        path: &Path,
        key: &str,
        shape: Shape,
        count: usize,
        batch_size: usize,
        mut batch: impl FnMut(std::ops::Range<usize>) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let context = || path.display().to_string();
        let key_path = path.with_extension("key");
        if fs::read_to_string(&key_path).ok().as_deref() != Some(key) {
            File::create(path).with_context(context)?;
            fs::write(&key_path, key).with_context(context)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .with_context(context)?;
        let record = (shape.elements() * size_of::<f16>()) as u64;
        let whole_batch = record * batch_size as u64;
        let complete = file.metadata()?.len() == record * count as u64;
        if !complete {
            let kept = file.metadata()?.len() / whole_batch;
            file.set_len(kept * whole_batch).with_context(context)?;
            let done = (kept as usize * batch_size).min(count);
            let title = path
                .file_stem()
                .and_then(|s| s.to_str())
                .unwrap_or_default();
            let progress = Progress::new(title, done, count);
            for start in (done..count).step_by(batch_size) {
                let range = start..(start + batch_size).min(count);
                let values = batch(range.clone())?;
                let records = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes());
                file.write_all(&records.collect::<Vec<u8>>())
                    .with_context(context)?;
                progress.advance(range.len());
            }
            progress.finish();
        }
        Ok(Activations {
            path: path.to_path_buf(),
            file,
            shape,
            count,
        })
    }

    /// Number of records.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The records at `indices` as one batch.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn batch(&self, indices: &[usize], device: &Device) -> Result<Value> {
        let elements = self.shape.elements();
        let (channels, pixels) = channels_and_pixels(self.shape);
        let mut bytes = vec![0; elements * size_of::<f16>()];
        let mut record = vec![0.0f32; elements];
        let mut batch = vec![0.0f32; elements * indices.len()];
        for (position, &index) in indices.iter().enumerate() {
            ensure!(
                index < self.count,
                "{}: no record {index}",
                self.path.display()
            );
            let offset = (index * bytes.len()) as u64;
            self.file
                .read_exact_at(&mut bytes, offset)
                .with_context(|| self.path.display().to_string())?;
            let (words, _) = bytes.as_chunks::<2>();
            let halves: Vec<f16> = words.iter().map(|word| f16::from_le_bytes(*word)).collect();
            halves.convert_to_f32_slice(&mut record);
            for (channel, values) in record.chunks(pixels).enumerate() {
                let start = (channel * indices.len() + position) * pixels;
                batch[start..start + pixels].copy_from_slice(values);
            }
        }
        let data = TensorData::new(batch, [channels, indices.len() * pixels]);
        let tensor = Tensor::<2>::from_data(data, device);
        Ok(match self.shape {
            Shape::Map { .. } => Value::Map(tensor),
            _ => Value::Vectors(tensor.transpose()),
        })
    }

    /// All records of vectors, one after the other.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn values(&self, device: &Device) -> Result<Vec<f32>> {
        let all: Vec<usize> = (0..self.count).collect();
        Ok(values(self.batch(&all, device)?.tensor()))
    }

    /// Runs the first `count` records through `part` and keeps the outputs in a file of their own, see
    /// [`Activations::make`].
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub fn continued(&self, path: &Path, key: &str, part: &Part, count: usize) -> Result<Self> {
        let shape = part.network.layers[part.end].output;
        Activations::make(path, key, shape, count, 64, |range| {
            let indices: Vec<usize> = range.collect();
            let input = (part.start, self.batch(&indices, part.device)?);
            Ok(by_photo(part.run(input, indices.len()), indices.len()))
        })
    }
}

/// A part of a network, for inference.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its parameters.
    pub parameters: &'a Parameters,
    /// The layer whose output goes in.
    pub start: usize,
    /// The layer whose output comes out.
    pub end: usize,
    /// Where it runs.
    pub device: &'a Device,
}

impl Part<'_> {
    /// The output for `count` photos.
    pub fn run(&self, input: (usize, Value), count: usize) -> Value {
        let (network, parameters) = (self.network, self.parameters);
        let mode = Mode::Inference;
        run_between(
            network,
            parameters,
            mode,
            count,
            input,
            self.end,
            |_, value| value,
        )
    }
}

/// Channels and pixels of a record; the features of a vector are channels of one pixel.
fn channels_and_pixels(shape: Shape) -> (usize, usize) {
    (shape.channels(), shape.elements() / shape.channels())
}

/// The values of a batch's activations, photo by photo.
pub fn by_photo(value: Value, count: usize) -> Vec<f32> {
    values(match value {
        Value::Map(map) => {
            let [channels, columns] = map.dims();
            map.reshape([channels, count, columns / count])
                .swap_dims(0, 1)
                .reshape([count, channels * (columns / count)])
        }
        other => other.tensor(),
    })
}
