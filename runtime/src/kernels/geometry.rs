//! Shapes of feature maps and of the windows that convolutions look through.

/// Channels are stored in groups of this many, so that every group is one vector of bytes.
pub const LANES: usize = 16;

/// Input channels that one step of a [`super::Convolution`] takes.
pub(super) const DEPTH: usize = 4;

/// Shape of a feature map of one photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels, without padding.
    pub channels: usize,
    /// Bytes from one pixel to the next.
    pub pixel: usize,
}

impl Map {
    /// A map that any kernel can read and write.
    pub fn new([height, width]: [usize; 2], channels: usize) -> Self {
        let pixel = channels.next_multiple_of(LANES);
        Map {
            height,
            width,
            channels,
            pixel,
        }
    }

    /// A map of few channels that only a [`super::Convolution`] reads: an image takes four bytes a pixel.
    pub fn image([height, width]: [usize; 2], channels: usize) -> Self {
        let pixel = channels.next_multiple_of(DEPTH);
        Map {
            height,
            width,
            channels,
            pixel,
        }
    }

    /// Whether a pixel is whole vectors of [`LANES`] bytes, which hold all channels.
    pub(super) fn has_whole_vectors(&self) -> bool {
        self.pixel.is_multiple_of(LANES) && self.pixel >= self.channels
    }

    /// Bytes from one row to the next.
    pub fn row(&self) -> usize {
        self.width * self.pixel
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Bytes of the whole map.
    pub fn bytes(&self) -> usize {
        self.height * self.row()
    }
}

/// The window of a convolution; each pair is vertical, horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Taps.
    pub kernel: [usize; 2],
    /// Step from one output to the next.
    pub stride: [usize; 2],
    /// Step from one tap to the next.
    pub dilation: [usize; 2],
    /// Rows above the map, columns left of it, that the first window covers.
    pub padding: [usize; 2],
}

impl Window {
    /// The one tap of a pointwise convolution.
    pub const POINT: Window = Window {
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [0, 0],
    };

    /// Number of taps.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The row (`axis` 0) or column (1) of the input that tap `tap` of output `output` looks at, or `None` in the padding.
    #[inline]
    pub fn input(&self, axis: usize, output: usize, tap: usize, size: usize) -> Option<usize> {
        let position = output * self.stride[axis] + tap * self.dilation[axis];
        position
            .checked_sub(self.padding[axis])
            .filter(|&input| input < size)
    }
}

/// `start` to `end` split into parts of at most `most` that differ by one at the most; calls `part` with the start and
/// size of each.
#[inline(always)]
#[cfg_attr(
    not(any(target_arch = "aarch64", target_arch = "x86_64")),
    allow(dead_code)
)]
pub(super) fn evenly(
    mut start: usize,
    end: usize,
    most: usize,
    mut part: impl FnMut(usize, usize),
) {
    while start < end {
        let left = end - start;
        let size = left.div_ceil(left.div_ceil(most));
        part(start, size);
        start += size;
    }
}
