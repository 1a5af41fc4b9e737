//! Weights of a depthwise convolution for kernels that multiply four columns of a row at once.

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

/// The weights in the order of a [`Form`].
#[derive(Clone, Debug)]
pub struct Columns {
    pub form: Form,
    /// \[channel / LANES\]\[kernel row\]\[output\]\[group\]\[LANES\]\[4 columns\], zeros where there is no tap.
    pub weights: Vec<i8>,
}

impl Columns {
    /// From `weights`, \[channel / LANES\]\[tap\]\[LANES\]; `None` where no form suits the window.
    pub fn new(window: Window, weights: &[i8]) -> Option<Columns> {
        let [height, width] = window.kernel;
        let form = Form::ALL
            .into_iter()
            .find(|form| (form.width, form.stride) == (width, window.stride[1]))?;
        if window.dilation[1] != 1 {
            return None;
        }
        let vector = LANES * 4;
        let row = form.outputs * form.groups * vector;
        let blocks = weights.len() / (height * width * LANES);
        let mut ordered = vec![0; blocks * height * row];
        for (index, &weight) in weights.iter().enumerate() {
            let (tap, lane) = (index / LANES, index % LANES);
            let (kernel_row, kernel_column) = (tap / width, tap % width);
            for output in 0..form.outputs {
                let column = output * form.stride + kernel_column;
                let place = kernel_row * row + (output * form.groups + column / 4) * vector;
                ordered[place + lane * 4 + column % 4] = weight;
            }
        }
        Some(Columns {
            form,
            weights: ordered,
        })
    }
}
