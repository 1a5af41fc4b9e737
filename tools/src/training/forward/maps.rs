//! Operations of feature maps, \[channels, photos * pixels\].

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData};
use graphtag_models::{Convolution, Shape};

/// The filter of a blur, in one direction.
const BLUR: [f32; 3] = [0.25, 0.5, 0.25];

/// A convolution of a map \[channels, count * pixels\] of shape `input_shape`.
pub(super) fn convolve(
    convolution: Convolution,
    input_shape: Shape,
    count: usize,
    input: Tensor<2>,
    weight: Tensor<1>,
) -> Tensor<2> {
    let Convolution {
        outputs,
        kernel,
        stride,
        padding: [top, left, bottom, right],
        groups,
        ..
    } = convolution;
    let channels = input_shape.channels();
    if kernel == 1 && stride == 1 && groups == 1 {
        return weight.reshape([outputs, channels]).matmul(input);
    }
    let Shape::Map { height, width, .. } = input_shape else {
        unreachable!("convolutions read feature maps");
    };
    let photos = by_photo(input, [channels, count, height, width]);
    let padding = [(top, bottom), (left, right)];
    let options = ConvOptions::new_with_padding([stride, stride], padding, [1, 1], groups);
    let weight = weight.reshape([outputs, channels / groups, kernel, kernel]);
    let output = conv2d(photos, weight, None, options);
    by_channel(output)
}

/// The mean of each channel of each photo, \[channels, count\].
pub(super) fn pixel_means(map: Tensor<2>, count: usize) -> Tensor<2> {
    let [channels, columns] = map.dims();
    let pixels = map.reshape([channels, count, columns / count]);
    pixels.mean_dim(2).squeeze_dim::<2>(2)
}

/// A map times gates \[channels, photos\].
pub(super) fn gate(map: Tensor<2>, gates: Tensor<2>) -> Tensor<2> {
    let ([channels, columns], [_, count]) = (map.dims(), gates.dims());
    let photos = map.reshape([channels, count, columns / count]);
    let gated = photos * gates.unsqueeze_dim::<3>(2);
    gated.reshape([channels, columns])
}

/// The mean of each square of `side` x `side` pixels of a map of `shape`.
pub(super) fn average_pool(shape: Shape, side: usize, map: Tensor<2>) -> Tensor<2> {
    let [channels, columns] = map.dims();
    let Shape::Map { width, .. } = shape else {
        unreachable!("pools read feature maps");
    };
    let bands = channels * columns / (width * side);
    let squares = map.reshape([bands, side, width / side, side]);
    let means = squares.mean_dim(3).mean_dim(1);
    means.reshape([channels, columns / (side * side)])
}

/// Every second pixel of a smoothed map of `shape`, the edges mirrored.
pub(super) fn blur(shape: Shape, count: usize, map: Tensor<2>) -> Tensor<2> {
    let Shape::Map {
        channels,
        height,
        width,
    } = shape
    else {
        unreachable!("a blur reads feature maps");
    };
    let photos = by_photo(map, [channels, count, height, width]);
    let padded = mirrored(mirrored(photos, 2), 3);
    let filter = BLUR.iter().flat_map(|row| BLUR.map(|column| row * column));
    let filter = TensorData::new(filter.collect::<Vec<f32>>(), [1, 1, 3, 3]);
    let filters = Tensor::<4>::from_data(filter, &padded.device()).repeat_dim(0, channels);
    let options = ConvOptions::new_with_padding([2, 2], [(0, 0), (0, 0)], [1, 1], channels);
    by_channel(conv2d(padded, filters, None, options))
}

/// With the second and the last but one of `dimension` repeated beyond its ends.
fn mirrored(photos: Tensor<4>, dimension: usize) -> Tensor<4> {
    let size = photos.dims()[dimension];
    let first = photos.clone().narrow(dimension, 1, 1);
    let last = photos.clone().narrow(dimension, size - 2, 1);
    Tensor::cat(vec![first, photos, last], dimension)
}

/// \[photos, channels, height, width\] of a map of channels, photos, height and width.
fn by_photo(map: Tensor<2>, sizes: [usize; 4]) -> Tensor<4> {
    map.reshape(sizes).swap_dims(0, 1)
}

/// The map of \[photos, channels, height, width\].
fn by_channel(photos: Tensor<4>) -> Tensor<2> {
    let [count, channels, height, width] = photos.dims();
    photos
        .swap_dims(0, 1)
        .reshape([channels, count * height * width])
}
