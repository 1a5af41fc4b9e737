//! The learning rate over a stage.

/// A learning rate that rises and falls once along half cosines (Smith and Topin 2018).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// The highest rate.
    pub peak: f64,
    /// Steps in all.
    pub steps: usize,
    /// Share of the steps that the rate rises.
    pub warm_up: f64,
}

impl OneCycle {
    /// The rate of step 0..`steps`: from a 25th of the peak up to it, then down to a 10,000th.
    pub fn rate(&self, step: usize) -> f64 {
        let rising = (self.steps as f64 * self.warm_up).max(1.0);
        let falling = (self.steps as f64 - rising).max(1.0);
        let cosine = |from: f64, to: f64, share: f64| {
            to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
        };
        let step = step as f64;
        if step < rising {
            cosine(self.peak / 25.0, self.peak, step / rising)
        } else {
            cosine(self.peak, self.peak / 10_000.0, (step - rising) / falling)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cycle_rises_to_its_peak_and_falls_to_almost_nothing() {
        let cycle = OneCycle {
            peak: 1.0,
            steps: 100,
            warm_up: 0.2,
        };
        assert!((cycle.rate(0) - 0.04).abs() < 1e-12);
        assert!((cycle.rate(10) - 0.52).abs() < 1e-12);
        assert!((cycle.rate(20) - 1.0).abs() < 1e-12);
        assert!((cycle.rate(60) - 0.50005).abs() < 1e-12);
        assert!((cycle.rate(100) - 1e-4).abs() < 1e-12);
    }
}
