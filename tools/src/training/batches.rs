//! Which views of which photos a stage sees, in which order.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The photos and views of an epoch in a random order: each photo as often as its repeats say, the fraction
/// left to chance. From one epoch to the next a photo shows its next view, and each epoch shows all views
/// alike, so that the weights don't swing between photos and mosaics.
pub fn order(repeats: &[f64], epoch: usize, views: usize, seed: u64) -> Vec<(usize, usize)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ ((epoch as u64 + 1) << 32));
    let mut order = vec![];
    for (photo, &repeats) in repeats.iter().enumerate() {
        let times = (repeats + random.random::<f64>()) as usize;
        order.extend((0..times).map(|time| (photo, (photo + epoch + time) % views)));
    }
    order.shuffle(&mut random);
    order
}
