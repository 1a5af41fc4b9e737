//! Soft labels as Parquet: a row a photo with the columns `photo` (its name), `sha256` (of its bytes)
//! and a logit per label, named as the label. What made them is in the file's key-value metadata.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::{Description, Teacher};

/// The columns before those of the labels.
const PHOTO_COLUMNS: [&str; 2] = ["photo", "sha256"];

/// What made a file of soft labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// The teacher.
    pub teacher: Description,
    /// SHA-256 over the names of all photos of the run, each followed by a newline.
    pub photos_sha256: String,
}

/// The soft labels of a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The photo's name, see [`crate::data::PhotoFile`].
    pub photo: String,
    /// SHA-256 of the photo's bytes.
    pub sha256: String,
    /// A logit per label.
    pub logits: Vec<f32>,
}

/// All soft labels of a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftLabels {
    /// The teacher, and so what the logits stand for.
    pub teacher: Description,
    /// Logits by the photo's name.
    pub by_photo: HashMap<String, Vec<f32>>,
}

impl SoftLabels {
    /// Reads all `.parquet` files of `folder`.
    ///
    /// # Errors
    /// When there is none, one is not of this format, or two are of different runs.
    pub fn read(folder: &Path) -> Result<SoftLabels> {
        let name = folder.display();
        let entries = fs::read_dir(folder).with_context(|| format!("{name}: can't be read"))?;
        let mut files = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("{name}: can't be read"))?;
        files.retain(|path| path.extension().is_some_and(|e| e == "parquet"));
        files.sort();
        let Some(first) = files.first() else {
            bail!("{name}: no soft labels here; make them with `graphtag-tools label`");
        };
        let provenance = read_provenance(first)?;
        let mut by_photo = HashMap::new();
        for file in &files {
            ensure!(
                read_provenance(file)? == provenance,
                "{}: of another run than {}; keep one run in a folder",
                file.display(),
                first.display()
            );
            let rows = read_shard(file)?;
            by_photo.extend(rows.into_iter().map(|row| (row.photo, row.logits)));
        }
        Ok(SoftLabels {
            teacher: provenance.teacher,
            by_photo,
        })
    }

    /// Opens the teacher that made these, at `path`.
    ///
    /// # Errors
    /// When it can't be used or is another one.
    pub fn open_teacher(&self, path: &Path) -> Result<Teacher> {
        let Description {
            labels,
            output,
            preprocessing,
            sha256,
            ..
        } = self.teacher.clone();
        let teacher = Teacher::open(path, labels, output, |_, _| preprocessing)?;
        ensure!(
            teacher.description().sha256 == sha256,
            "{}: not the teacher that made the soft labels",
            path.display()
        );
        Ok(teacher)
    }
}

/// Writes a file of soft labels under a temporary name and renames it, so that a file under its own
/// name is always whole. The same rows give the same bytes.
///
/// # Errors
/// When the file can't be written or a label bears the name of another column.
pub fn write_shard(path: &Path, provenance: &Provenance, rows: &[Row]) -> Result<()> {
    let temporary = path.with_extension("parquet.part");
    let bytes = encode(provenance, rows)?;
    let mut file = File::create(&temporary)
        .with_context(|| format!("{}: can't be written", temporary.display()))?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("{}: can't be written", temporary.display()))?;
    fs::rename(&temporary, path).with_context(|| format!("{}: can't be written", path.display()))
}

/// Reads what made a file of soft labels.
///
/// # Errors
/// When it is not such a file.
pub fn read_provenance(path: &Path) -> Result<Provenance> {
    let reader = open(path)?;
    let metadata = reader.metadata().file_metadata().key_value_metadata();
    let values: HashMap<&str, &str> = metadata
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((pair.key.as_str(), pair.value.as_deref()?)))
        .collect();
    from_key_values(&values).with_context(|| format!("{}: no soft labels", path.display()))
}

/// Reads a file of soft labels.
///
/// # Errors
/// When it is not such a file.
pub fn read_shard(path: &Path) -> Result<Vec<Row>> {
    let reader = open(path)?;
    decode(&reader).with_context(|| format!("{}: no soft labels", path.display()))
}

/// The metadata of `provenance` by key, in the order in which it is stored.
pub(super) fn to_key_values(provenance: &Provenance) -> Result<Vec<(String, String)>> {
    let teacher = &provenance.teacher;
    Ok([
        ("graphtag.teacher.file", teacher.file.clone()),
        ("graphtag.teacher.sha256", teacher.sha256.clone()),
        (
            "graphtag.teacher.preprocessing",
            serde_json::to_string(&teacher.preprocessing)?,
        ),
        (
            "graphtag.teacher.output",
            serde_json::to_string(&teacher.output)?,
        ),
        ("graphtag.labels", serde_json::to_string(&teacher.labels)?),
        ("graphtag.photos.sha256", provenance.photos_sha256.clone()),
    ]
    .map(|(key, value)| (key.to_string(), value))
    .to_vec())
}

fn from_key_values(values: &HashMap<&str, &str>) -> Result<Provenance> {
    let value = |key: &str| {
        values
            .get(key)
            .with_context(|| format!("no {key} in its metadata"))
    };
    Ok(Provenance {
        teacher: Description {
            file: value("graphtag.teacher.file")?.to_string(),
            sha256: value("graphtag.teacher.sha256")?.to_string(),
            preprocessing: serde_json::from_str(value("graphtag.teacher.preprocessing")?)?,
            output: serde_json::from_str(value("graphtag.teacher.output")?)?,
            labels: serde_json::from_str(value("graphtag.labels")?)?,
        },
        photos_sha256: value("graphtag.photos.sha256")?.to_string(),
    })
}

fn encode(provenance: &Provenance, rows: &[Row]) -> Result<Vec<u8>> {
    let key_values = to_key_values(provenance)?
        .into_iter()
        .map(|(key, value)| KeyValue::new(key, value))
        .collect();
    // Logits hardly ever repeat and are never searched for: a dictionary and statistics only cost.
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(key_values))
        .build();
    let labels = &provenance.teacher.labels;
    let mut writer =
        SerializedFileWriter::new(vec![], Arc::new(schema(labels)?), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    write_strings(&mut group, rows.iter().map(|row| row.photo.as_str()))?;
    write_strings(&mut group, rows.iter().map(|row| row.sha256.as_str()))?;
    for index in 0..labels.len() {
        let logits: Vec<f32> = rows.iter().map(|row| row.logits[index]).collect();
        write_floats(&mut group, &logits)?;
    }
    group.close()?;
    Ok(writer.into_inner()?)
}

fn schema(labels: &[String]) -> Result<Type> {
    let mut names: Vec<&str> = PHOTO_COLUMNS.to_vec();
    let mut columns = vec![];
    for column in PHOTO_COLUMNS {
        columns.push(
            Type::primitive_type_builder(column, PhysicalType::BYTE_ARRAY)
                .with_repetition(Repetition::REQUIRED)
                .with_logical_type(Some(LogicalType::String))
                .build()?,
        );
    }
    for label in labels {
        ensure!(
            !names.contains(&label.as_str()),
            "label {label:?} occurs twice or is the name of another column"
        );
        names.push(label);
        columns.push(
            Type::primitive_type_builder(label, PhysicalType::FLOAT)
                .with_repetition(Repetition::REQUIRED)
                .build()?,
        );
    }
    let columns = columns.into_iter().map(Arc::new).collect();
    Ok(Type::group_type_builder("soft_labels")
        .with_fields(columns)
        .build()?)
}

fn write_strings<'a, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let values: Vec<ByteArray> = values.map(ByteArray::from).collect();
    let mut column = group.next_column()?.context("a column too many")?;
    column
        .typed::<ByteArrayType>()
        .write_batch(&values, None, None)?;
    Ok(column.close()?)
}

fn write_floats<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[f32],
) -> Result<()> {
    let mut column = group.next_column()?.context("a column too many")?;
    column
        .typed::<FloatType>()
        .write_batch(values, None, None)?;
    Ok(column.close()?)
}

fn open(path: &Path) -> Result<SerializedFileReader<File>> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("{name}: can't be read"))?;
    SerializedFileReader::new(file).with_context(|| format!("{name}: not a Parquet file"))
}

fn decode(reader: &SerializedFileReader<File>) -> Result<Vec<Row>> {
    let columns = reader
        .metadata()
        .file_metadata()
        .schema_descr()
        .num_columns();
    let mut rows = vec![];
    for index in 0..reader.num_row_groups() {
        let group = reader.get_row_group(index)?;
        let photos = read_strings(&*group, 0)?;
        let hashes = read_strings(&*group, 1)?;
        let logits = (PHOTO_COLUMNS.len()..columns)
            .map(|column| read_floats(&*group, column))
            .collect::<Result<Vec<_>>>()?;
        ensure!(
            hashes.len() == photos.len()
                && logits.iter().all(|column| column.len() == photos.len()),
            "its columns differ in length"
        );
        for (row, (photo, sha256)) in photos.into_iter().zip(hashes).enumerate() {
            rows.push(Row {
                photo,
                sha256,
                logits: logits.iter().map(|column| column[row]).collect(),
            });
        }
    }
    Ok(rows)
}

fn read_strings(group: &dyn RowGroupReader, column: usize) -> Result<Vec<String>> {
    let ColumnReader::ByteArrayColumnReader(mut reader) = group.get_column_reader(column)? else {
        bail!("column {column} is not text");
    };
    let mut values = vec![];
    reader.read_records(rows_of(group), None, None, &mut values)?;
    values
        .iter()
        .map(|value| Ok(value.as_utf8()?.to_string()))
        .collect()
}

fn read_floats(group: &dyn RowGroupReader, column: usize) -> Result<Vec<f32>> {
    let ColumnReader::FloatColumnReader(mut reader) = group.get_column_reader(column)? else {
        bail!("column {column} is not of floats");
    };
    let mut values = vec![];
    reader.read_records(rows_of(group), None, None, &mut values)?;
    Ok(values)
}

fn rows_of(group: &dyn RowGroupReader) -> usize {
    usize::try_from(group.metadata().num_rows()).unwrap_or(0)
}
