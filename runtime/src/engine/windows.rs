//! Where the outputs of a convolution or pool look.

use tract_onnx::pb::NodeProto;

use super::constants::{Problem, malformed, unknown};
use super::graph::{integer, integers, text};
use crate::kernels::{Map, Window};

/// The largest stride, dilation or padding.
const LARGEST: i64 = 1 << 20;

/// The groups of channels of a convolution.
pub(super) fn groups(node: &NodeProto) -> Result<usize, Problem> {
    match usize::try_from(integer(node, "group", 1)) {
        Ok(groups) if groups > 0 => Ok(groups),
        _ => malformed("an impossible number of groups"),
    }
}

/// The window of a convolution with weights of `dimensions`.
pub(super) fn window(
    node: &NodeProto,
    dimensions: &[usize],
    input: Map,
    output: Map,
) -> Result<Window, Problem> {
    match dimensions {
        &[_, _, height, width] => pool_window(node, [height, width], input, output),
        _ => unknown("not a two-dimensional convolution"),
    }
}

/// The window of `node`, which covers `kernel`.
pub(super) fn pool_window(
    node: &NodeProto,
    kernel: [usize; 2],
    input: Map,
    output: Map,
) -> Result<Window, Problem> {
    let pair = |attribute, default: usize| match *integers(node, attribute) {
        [] => Ok([default; 2]),
        [a, b, ..]
            if [a, b]
                .iter()
                .all(|&n| (default as i64..=LARGEST).contains(&n)) =>
        {
            Ok([a as usize, b as usize])
        }
        _ => malformed(format!("impossible {attribute}")),
    };
    let mut window = Window {
        kernel,
        stride: pair("strides", 1)?,
        dilation: pair("dilations", 1)?,
        padding: pair("pads", 0)?,
    };
    let sides = [[input.height, output.height], [input.width, output.width]];
    for (axis, [input, output]) in sides.into_iter().enumerate() {
        let covered = (output - 1)
            .checked_mul(window.stride[axis])
            .zip((kernel[axis].max(1) - 1).checked_mul(window.dilation[axis]))
            .and_then(|(steps, taps)| steps.checked_add(taps)?.checked_add(1));
        let Some(covered) = covered.filter(|_| kernel[axis] > 0) else {
            return malformed("an impossible window");
        };
        let missing = covered.saturating_sub(input);
        match text(node, "auto_pad") {
            b"" | b"NOTSET" => {}
            b"VALID" => window.padding[axis] = 0,
            b"SAME_UPPER" => window.padding[axis] = missing / 2,
            b"SAME_LOWER" => window.padding[axis] = missing.div_ceil(2),
            _ => return malformed("an unknown auto_pad"),
        }
    }
    Ok(window)
}
