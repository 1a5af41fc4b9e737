//! Weights of a depthwise convolution for kernels that multiply four columns of a row at once.

use crate::kernels::aligned::AlignedBytes;
use crate::kernels::geometry::{LANES, Window};

/// How a depthwise kernel of `width` taps and `stride` goes over a row: `outputs` neighbours at once, from
/// `groups` groups of four neighbouring columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    pub width: usize,
    pub stride: usize,
    pub outputs: usize,
    pub groups: usize,
}

impl Form {
    pub const WIDTH_3: Form = Form {
        width: 3,
        stride: 1,
        outputs: 6,
        groups: 2,
    };
    pub const WIDTH_3_STRIDE_2: Form = Form {
        width: 3,
        stride: 2,
        outputs: 3,
        groups: 2,
    };
    pub const WIDTH_5: Form = Form {
        width: 5,
        stride: 1,
        outputs: 4,
        groups: 2,
    };
    pub const WIDTH_5_STRIDE_2: Form = Form {
        width: 5,
        stride: 2,
        outputs: 4,
        groups: 3,
    };
    const ALL: [Form; 4] = [
        Form::WIDTH_3,
        Form::WIDTH_3_STRIDE_2,
        Form::WIDTH_5,
        Form::WIDTH_5_STRIDE_2,
    ];

    /// Whether output `output` looks at a column of group `group`.
    pub const fn touches(&self, output: usize, group: usize) -> bool {
        let first = output * self.stride;
        first < (group + 1) * 4 && first + self.width > group * 4
    }
}

/// Channels that are computed at once.
pub const WIDE: usize = 64;

/// Weights, biases and multipliers in the order of a [`Form`]. The [`WIDE`] channels of a block are four vectors
/// of sums; each of the four quarters of vector v holds the channels 4 v to 4 v + 3 of one group of LANES, as
/// interleaving the bytes of four pixels by `vpunpck` gives them, and as `vpack` puts them in order again.
#[derive(Clone, Debug)]
pub struct Columns {
    pub form: Form,
    /// \[channel / WIDE\]\[kernel row\]\[output\]\[group\]\[WIDE\]\[4 columns\], zeros where there is no tap.
    pub weights: AlignedBytes,
    /// Per channel, for inputs that are read as u8.
    pub bias: Vec<i32>,
    /// Per channel.
    pub multipliers: Vec<f32>,
}

/// Where channel `channel` stands.
fn place(channel: usize) -> usize {
    let (block, lane) = (channel / LANES, channel % LANES);
    let (wide, quarter) = (block / 4, block % 4);
    wide * WIDE + lane / 4 * LANES + quarter * 4 + lane % 4
}

impl Columns {
    /// From `weights`, \[channel / LANES\]\[tap\]\[LANES\], and what belongs to each channel; `None` where no
    /// form suits the window.
    pub fn new(
        window: Window,
        weights: &[i8],
        bias: &[i32],
        multipliers: &[f32],
    ) -> Option<Columns> {
        let [height, width] = window.kernel;
        let form = Form::ALL
            .into_iter()
            .find(|form| (form.width, form.stride) == (width, window.stride[1]))?;
        if window.dilation[1] != 1 {
            return None;
        }
        let channels = bias.len().next_multiple_of(WIDE);
        let row = form.outputs * form.groups * WIDE * 4;
        let mut columns = Columns {
            form,
            weights: AlignedBytes::zeros(channels / WIDE * height * row),
            bias: vec![0; channels],
            multipliers: vec![0.0; channels],
        };
        for channel in 0..bias.len() {
            let place = place(channel);
            columns.bias[place] = bias[channel];
            columns.multipliers[place] = multipliers[channel];
            for tap in 0..height * width {
                let group = channel / LANES * height * width;
                let weight = weights[(group + tap) * LANES + channel % LANES];
                let kernel_row = (place / WIDE * height + tap / width) * row;
                for output in 0..form.outputs {
                    let column = output * form.stride + tap % width;
                    let vectors = (output * form.groups + column / 4) * WIDE;
                    let at = kernel_row + (vectors + place % WIDE) * 4 + column % 4;
                    columns.weights[at] = weight;
                }
            }
        }
        Some(columns)
    }
}
