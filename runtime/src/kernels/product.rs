//! Products of two maps.

/// Products of values of two maps: dequantised, multiplied and quantised again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Product {
    /// Zero points of the two maps.
    pub zero_points: [i8; 2],
    /// Scale of the one times that of the other, divided by that of the product.
    pub multiplier: f32,
    /// Zero point of the product.
    pub zero_point: i8,
}

impl Product {
    /// Multiplies pixels of `pixel` bytes of `values` by those of `factors`, which begin anew when they end: a single
    /// pixel is a factor for every channel.
    pub fn run(&self, values: &[i8], factors: &[i8], pixel: usize, output: &mut [i8]) {
        let [zero_point, factors_zero_point] = self.zero_points.map(i32::from);
        let offset = f32::from(self.zero_point);
        let pixels = output
            .chunks_exact_mut(pixel)
            .zip(values.chunks_exact(pixel));
        for ((output, values), factors) in pixels.zip(factors.chunks_exact(pixel).cycle()) {
            for ((output, &value), &factor) in output.iter_mut().zip(values).zip(factors) {
                let (value, factor) = (i32::from(value), i32::from(factor));
                let product = (value - zero_point) * (factor - factors_zero_point);
                let rounded = (product as f32 * self.multiplier).round_ties_even();
                let clamped = rounded.max(-128.0 - offset).min(127.0 - offset);
                *output = (clamped + offset) as i8;
            }
        }
    }
}
