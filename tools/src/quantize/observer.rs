//! From the values that a tensor takes to the range that its int8 form covers.

use graphtag_models::QuantizationParameters;
use serde::{Deserialize, Serialize};

/// Bins of a histogram.
const BINS: usize = 2048;
/// Share of the values that the percentile observer leaves out at either end.
const TAIL: f64 = 1e-4;
/// The MSE observer tries to clip each end in this many steps ...
const STEPS: usize = 36;
/// ... each taking off this share of the range.
const STEP: f32 = 0.02;

/// Steps between the smallest and the largest int8.
const LEVELS: f32 = 255.0;

/// How a range is chosen from the values seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observer {
    /// All values.
    MinMax,
    /// All but one in ten thousand at either end.
    Percentile,
    /// The range in which rounding and clipping together have the least mean squared error.
    Mse,
}

/// The smallest and the largest of some values; always with zero, which int8 must hold exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// At most 0.
    pub lowest: f32,
    /// At least 0.
    pub highest: f32,
}

impl Range {
    /// The range extended to `value`.
    pub fn with(self, value: f32) -> Self {
        Range {
            lowest: self.lowest.min(value),
            highest: self.highest.max(value),
        }
    }

    /// The int8 form of the range: its ends are the smallest and the largest integer, but for the rounding
    /// of the zero point.
    pub fn parameters(self) -> QuantizationParameters {
        let span = self.highest - self.lowest;
        // A tensor that is always zero; any scale will do.
        let scale = if span > 0.0 { span / LEVELS } else { 1.0 };
        let zero_point = (f32::from(i8::MIN) - self.lowest / scale).round_ties_even();
        QuantizationParameters {
            scale,
            // Saturates.
            zero_point: zero_point as i8,
        }
    }
}

/// The value that `value` becomes by way of int8.
pub fn through_int8(value: f32, parameters: QuantizationParameters) -> f32 {
    let zero_point = f32::from(parameters.zero_point);
    let integer = (value / parameters.scale).round_ties_even() + zero_point;
    parameters.scale * (integer.clamp(-128.0, 127.0) - zero_point)
}

/// How often values fell into equal parts of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    range: Range,
    counts: Vec<u64>,
}

impl Histogram {
    /// An empty histogram over `range`.
    pub fn new(range: Range) -> Self {
        Histogram {
            range,
            counts: vec![0; BINS],
        }
    }

    /// Counts `values`; those outside count at the ends.
    pub fn add(&mut self, values: &[f32]) {
        let Range { lowest, highest } = self.range;
        let per_bin = BINS as f32 / (highest - lowest).max(f32::MIN_POSITIVE);
        for value in values {
            // Saturates at 0.
            let bin = ((value - lowest) * per_bin) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    /// The range that `observer` chooses.
    pub fn choose(&self, observer: Observer) -> Range {
        match observer {
            Observer::MinMax => self.range,
            Observer::Percentile => self.percentile(),
            Observer::Mse => self.least_error(),
        }
    }

    /// Mean squared error of the values, each taken to be the middle of its bin, in the int8 form of `range`.
    pub fn error(&self, range: Range) -> f64 {
        let parameters = range.parameters();
        let mut sum = 0.0;
        for (bin, &count) in self.counts.iter().enumerate() {
            if count > 0 {
                let value = self.edge(bin as f32 + 0.5);
                let difference = f64::from(value - through_int8(value, parameters));
                sum += count as f64 * difference * difference;
            }
        }
        sum / self.total().max(1) as f64
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The lower edge of bin `position`.
    fn edge(&self, position: f32) -> f32 {
        let Range { lowest, highest } = self.range;
        lowest + (highest - lowest) * position / BINS as f32
    }

    fn percentile(&self) -> Range {
        let most_outside = (TAIL * self.total() as f64) as u64;
        let outside = |counts: &mut dyn Iterator<Item = &u64>| {
            let mut sum = 0;
            counts
                .take_while(|&&count| {
                    sum += count;
                    sum <= most_outside
                })
                .count()
        };
        let below = outside(&mut self.counts.iter());
        let above = outside(&mut self.counts.iter().rev());
        Range::default()
            .with(self.edge(below as f32))
            .with(self.edge((BINS - above) as f32))
    }

    fn least_error(&self) -> Range {
        let Range { lowest, highest } = self.range;
        let kept = |step: usize| 1.0 - STEP * step as f32;
        let steps_of = |end: f32| if end == 0.0 { 1 } else { STEPS };
        let mut best = (self.error(self.range), self.range);
        for below in 0..steps_of(lowest) {
            for above in 0..steps_of(highest) {
                let range = Range {
                    lowest: lowest * kept(below),
                    highest: highest * kept(above),
                };
                let error = self.error(range);
                if error < best.0 {
                    best = (error, range);
                }
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_of_bytes_are_stored_exactly() {
        let parameters = Range::default().with(-127.0 / 128.0).with(1.0).parameters();
        assert_eq!((parameters.scale, parameters.zero_point), (1.0 / 128.0, -1));
        for byte in 0..=255u8 {
            let value = (f32::from(byte) - 127.0) / 128.0;
            assert_eq!(through_int8(value, parameters), value);
        }
    }

    #[test]
    fn a_relu6_starts_at_the_smallest_integer() {
        let parameters = Range::default().with(6.0).parameters();
        assert_eq!(parameters.zero_point, -128);
        assert!((through_int8(6.0, parameters) - 6.0).abs() < 1e-6);
        assert_eq!(through_int8(-3.0, parameters), 0.0);
    }

    #[test]
    fn a_tensor_of_zeros_stays_one() {
        let parameters = Range::default().parameters();
        assert!(parameters.scale > 0.0);
        assert_eq!(through_int8(0.0, parameters), 0.0);
    }

    /// 100,000 values evenly within -1..1 and one at 100.
    fn heavy_tailed() -> Histogram {
        let mut histogram = Histogram::new(Range::default().with(-1.0).with(100.0));
        let values: Vec<f32> = (0..100_000).map(|i| i as f32 / 50_000.0 - 1.0).collect();
        histogram.add(&values);
        histogram.add(&[100.0]);
        histogram
    }

    #[test]
    fn the_percentile_leaves_out_what_is_rare() {
        let range = heavy_tailed().choose(Observer::Percentile);
        assert!(range.lowest < -0.9 && range.lowest >= -1.0, "{range:?}");
        assert!((0.95..1.1).contains(&range.highest), "{range:?}");
    }

    #[test]
    fn the_least_error_gives_up_what_is_rare_for_finer_steps() {
        // The Laplace distribution, by its quantiles, and one value far out on either side.
        let exponential = |i: usize| -((i as f32 + 0.5) / 1e6).ln();
        let mut values: Vec<f32> = (0..1_000_000).map(exponential).chain([20.0]).collect();
        values.extend(values.clone().iter().map(|value| -value));
        let mut histogram = Histogram::new(Range::default().with(-20.0).with(20.0));
        histogram.add(&values);
        let whole = histogram.choose(Observer::MinMax);
        let chosen = histogram.choose(Observer::Mse);
        let (least, all) = (histogram.error(chosen), histogram.error(whole));
        assert!(least < 0.5 * all, "{least} {all} {chosen:?}");
        // Clipping is only worth it down to where it costs as much as it saves.
        assert!((8.0..13.0).contains(&chosen.highest), "{chosen:?}");
    }
}
