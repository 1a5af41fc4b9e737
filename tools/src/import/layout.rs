//! From PyTorch's layouts of weights to ours.

use graphtag_models::{Operation, Tensor};

/// `stored`, or the given third of its rows, as a parameter of `operation` of this shape; `None` where it is not
/// of that shape in PyTorch's layout either.
pub fn ours(
    stored: &Tensor,
    third: Option<usize>,
    operation: &Operation,
    shape: &[usize],
) -> Option<Tensor> {
    let mut tensor = match third {
        Some(third) => third_of_rows(stored, third)?,
        None => stored.clone(),
    };
    // Pointwise convolutions and linear layers stand for each other.
    if let [outputs, inputs, 1, 1] = tensor.shape[..] {
        tensor.shape = vec![outputs, inputs];
    }
    match (operation, &tensor.shape[..], shape) {
        (Operation::Linear { .. } | Operation::AngularClassifier { .. }, [_, _], _) => {
            tensor = transposed(&tensor);
        }
        (Operation::Convolution(_), &[outputs, inputs], &[_, _, 1, 1]) => {
            tensor.shape = vec![outputs, inputs, 1, 1];
        }
        (Operation::Convolution(c), &[_, channels, kernel, _], &[_, inputs, ..])
            if channels != inputs && kernel * c.stride == c.kernel =>
        {
            tensor = of_pixels(&tensor, c.stride);
        }
        _ => {}
    }
    (tensor.shape == shape).then_some(tensor)
}

fn third_of_rows(tensor: &Tensor, third: usize) -> Option<Tensor> {
    let mut shape = tensor.shape.clone();
    let rows = shape.first_mut().filter(|rows| **rows % 3 == 0)?;
    *rows /= 3;
    let length = tensor.values.len() / 3;
    let values = tensor.values[third * length..(third + 1) * length].to_vec();
    Some(Tensor { shape, values })
}

fn transposed(tensor: &Tensor) -> Tensor {
    let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
    Tensor {
        shape: vec![columns, rows],
        values: (0..columns * rows)
            .map(|i| tensor.values[(i % rows) * columns + i / rows])
            .collect(),
    }
}

/// The kernel that does on an image what `kernel` does on its blocks of `side` x `side` pixels, each of
/// which became (row, column, channel) in the channels.
fn of_pixels(kernel: &Tensor, side: usize) -> Tensor {
    let [outputs, inputs, height, width] = kernel.shape[..] else {
        return kernel.clone();
    };
    let channels = inputs / (side * side);
    let shape = vec![outputs, channels, height * side, width * side];
    let mut values = Vec::with_capacity(kernel.values.len());
    for output in 0..outputs {
        for channel in 0..channels {
            for y in 0..height * side {
                for x in 0..width * side {
                    let input = ((y % side) * side + x % side) * channels + channel;
                    let row = (output * inputs + input) * height + y / side;
                    values.push(kernel.values[row * width + x / side]);
                }
            }
        }
    }
    Tensor { shape, values }
}
