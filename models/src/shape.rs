//! Shapes of layers' outputs.

use serde::{Deserialize, Serialize};

/// The shape of one layer's output for one photo, without the batch dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// A feature map, laid out channels x height x width.
    Map {
        /// Channels.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// A vector of features, or one value per label.
    Vector(usize),
    /// A matrix, such as one row of features per label, or per query to the photo.
    Matrix {
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
    },
}

impl Shape {
    /// Number of elements.
    pub fn elements(self) -> usize {
        match self {
            Shape::Map {
                channels,
                height,
                width,
            } => channels * height * width,
            Shape::Vector(length) => length,
            Shape::Matrix { rows, columns } => rows * columns,
        }
    }

    /// Channels of a feature map, length of a vector, columns of a matrix.
    pub fn channels(self) -> usize {
        match self {
            Shape::Map { channels, .. } => channels,
            Shape::Vector(length) => length,
            Shape::Matrix { columns, .. } => columns,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Shape::Map {
                channels,
                height,
                width,
            } => write!(f, "{channels}x{height}x{width}"),
            Shape::Vector(length) => write!(f, "{length}"),
            Shape::Matrix { rows, columns } => write!(f, "{rows}x{columns}"),
        }
    }
}
