//! From 32-bit sums back to int8.

/// How the sums of a convolution become int8 outputs, channel by channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Requantization {
    /// Input scale times weight scale, divided by output scale; one per channel, padded with zeros to whole
    /// vectors.
    pub multipliers: Vec<f32>,
    /// The int8 that stands for zero.
    pub zero_point: i8,
    /// The smallest output, for a fused clamp; -128 without.
    pub low: i8,
    /// The largest output, for a fused clamp; 127 without.
    pub high: i8,
}

impl Requantization {
    /// The bounds of an output before its zero point is added.
    pub fn bounds(&self) -> [f32; 2] {
        [self.low, self.high].map(|bound| f32::from(bound) - f32::from(self.zero_point))
    }

    /// The output of a sum: multiplied as f32, clamped, rounded to the nearest even, offset.
    #[inline]
    pub fn apply(&self, channel: usize, sum: i32) -> i8 {
        let [low, high] = self.bounds();
        let value = (sum as f32 * self.multipliers[channel]).max(low).min(high);
        (value.round_ties_even() as i32 + i32::from(self.zero_point)) as i8
    }
}

/// 1.5 * 2^23: next to it floats are whole numbers.
pub(super) const WHOLE: f32 = 12_582_912.0;

/// The nearest integer, the even one of two, of a value that is at most 2^22 either way.
///
/// Next to [`WHOLE`] floats are whole numbers, so that the addition rounds: unlike `round_ties_even`, which is a
/// function call on x86-64 without SSE 4.1, and a saturating `as`, compilers make vectors of it everywhere.
#[inline(always)]
pub(super) fn round_to_even(value: f32) -> i32 {
    (value + WHOLE).to_bits() as i32 - WHOLE.to_bits() as i32
}
