//! What a view's labels should be.

use burn::tensor::{Device, Tensor, TensorData};

use super::loss;
use super::views::View;
use crate::data::{Photo, Truth, assumed_truth};

/// Truths and the teacher's logits of photos.
pub struct Targets<'a> {
    /// The photos.
    pub photos: &'a [Photo],
    /// The teacher's logits, photo by photo.
    pub teacher: Vec<&'a [f32]>,
    /// The teacher's logits of views 1 and on, view by view, each for all photos. Without them the logits of
    /// its photos stand for a view's.
    pub teacher_of_views: Option<Vec<f32>>,
}

/// Targets of a batch on a device.
pub struct Batch {
    /// Truths.
    pub truth: loss::Truth,
    /// The teacher's logits, \[N, K\].
    pub teacher: Tensor<2>,
}

impl Targets<'_> {
    /// The targets of `views`. A mosaic shows a label when one of its photos does; to a teacher that saw only
    /// the photos, with the probability that not all of them lack it.
    pub fn batch(&self, views: &[View], device: &Device) -> Batch {
        let labels = self.teacher[0].len();
        let shape = [views.len(), labels];
        let (mut present, mut known, mut teacher) = (vec![], vec![], vec![]);
        for view in views {
            for label in 0..labels {
                let truth = self.truth(view, label);
                present.push(f32::from(truth == Truth::Positive));
                known.push(f32::from(truth != Truth::Unknown));
                teacher.push(self.teacher_logit(view, label));
            }
        }
        let tensor = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, shape), device);
        Batch {
            truth: loss::Truth {
                present: tensor(present),
                known: tensor(known),
            },
            teacher: tensor(teacher),
        }
    }

    fn truth(&self, view: &View, label: usize) -> Truth {
        let truths = || {
            view.photos
                .iter()
                .map(|&index| self.photos[index].truth[label])
        };
        if truths().any(|truth| truth == Truth::Positive) {
            Truth::Positive
        } else if truths().all(|truth| truth == Truth::Negative) {
            Truth::Negative
        } else {
            Truth::Unknown
        }
    }

    fn teacher_logit(&self, view: &View, label: usize) -> f32 {
        if let (Some(logits), 1..) = (&self.teacher_of_views, view.number) {
            let record = (view.number - 1) * self.photos.len() + view.photos[0];
            return logits[record * self.teacher[0].len() + label];
        }
        if let [only] = view.photos[..] {
            return self.teacher[only][label];
        }
        // log of the product of 1 - sigmoid(x), and the logit of its complement.
        let log_absent: f64 = view
            .photos
            .iter()
            .map(|&index| -f64::from(self.teacher[index][label]).exp().ln_1p())
            .sum();
        ((-log_absent.exp_m1()).ln() - log_absent) as f32
    }

    /// Truths per photo, with the teacher's word where nothing is known, see [`assumed_truth`].
    pub fn assumed_truths(&self) -> Vec<Vec<Truth>> {
        let pairs = self.photos.iter().zip(&self.teacher);
        pairs
            .map(|(photo, teacher)| assumed_truth(&photo.truth, teacher))
            .collect()
    }

    /// How often each photo is seen per epoch, see [`super::recipe::Stage::repeat_below`]. A label's frequency
    /// is that of known positives, and of the teacher's probabilities where the truth is unknown.
    pub fn repeats(&self, repeat_below: f64, most_repeats: f64) -> Vec<f64> {
        let labels = self.teacher[0].len();
        let probability = |photo: usize, label: usize| match self.photos[photo].truth[label] {
            Truth::Positive => 1.0,
            Truth::Negative => 0.0,
            Truth::Unknown => 1.0 / (1.0 + (-f64::from(self.teacher[photo][label])).exp()),
        };
        let count = self.photos.len();
        let factors: Vec<f64> = (0..labels)
            .map(|label| {
                let sum: f64 = (0..count).map(|photo| probability(photo, label)).sum();
                (repeat_below * count as f64 / sum.max(1.0)).sqrt().max(1.0)
            })
            .collect();
        (0..count)
            .map(|photo| {
                (0..labels)
                    .filter(|&label| probability(photo, label) >= 0.5)
                    .map(|label| factors[label])
                    .fold(1.0, f64::max)
                    .min(most_repeats)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parameters::values;
    use super::*;

    #[test]
    fn a_view_bears_the_teachers_own_word_on_it() {
        let photo = |truth: Truth| Photo {
            name: String::new(),
            path: "".into(),
            truth: vec![truth, Truth::Unknown],
        };
        let photos = [photo(Truth::Positive), photo(Truth::Negative)];
        let view = |number, photos: &[usize]| View {
            number,
            photos: photos.to_vec(),
            seed: None,
        };
        let views = [view(0, &[1]), view(1, &[0]), view(2, &[1, 0])];
        let mut targets = Targets {
            photos: &photos,
            teacher: vec![&[0.0, 1.0], &[0.0, -1.0]],
            teacher_of_views: None,
        };
        let teacher = |targets: &Targets| values(targets.batch(&views, &Device::flex()).teacher);
        let of_photos = teacher(&targets);
        assert_eq!(of_photos[..4], [0.0, -1.0, 0.0, 1.0]);
        // Two even chances: the probability of at least one is 3/4, its logit ln 3.
        assert!((of_photos[4] - 3f32.ln()).abs() < 1e-6, "{of_photos:?}");

        targets.teacher_of_views = Some(vec![2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!(teacher(&targets), [0.0, -1.0, 2.0, 3.0, 8.0, 9.0]);
        let batch = targets.batch(&views, &Device::flex());
        assert_eq!(values(batch.truth.present), [0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
        assert_eq!(values(batch.truth.known), [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    }
}
