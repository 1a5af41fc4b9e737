//! What a frame takes of memory once the first have passed.

use allocation_counter::{AllocationInfo, measure};
use graphtag_models::zoo;
use graphtag_runtime::network::Network;
use graphtag_runtime::preprocess::{Preprocessor, resize};
use graphtag_runtime::{Model, model};
use image::{Rgb, RgbImage};

fn frame(shift: u32) -> RgbImage {
    RgbImage::from_fn(640, 480, |x, y| {
        Rgb([(x + shift) as u8, (y * 3) as u8, (x ^ y) as u8])
    })
}

/// What `work` allocates, after it has run three times.
fn steady(mut work: impl FnMut()) -> AllocationInfo {
    (0..3).for_each(|_| work());
    measure(work)
}

#[test]
fn inference_allocates_nothing_once_it_is_warm() {
    let network = Network::from_bytes(zoo::default_model()).unwrap();
    let preprocessing = model::preprocessing(&network).unwrap();
    let mut preprocessor = Preprocessor::new(&network, &preprocessing);
    let input = preprocessor.input(&frame(0)).clone();
    let mut outputs = vec![0.0; network.outputs()];
    let used = steady(|| network.run_into(&input, &mut outputs).unwrap());
    assert_eq!((used.count_total, used.bytes_total), (0, 0));
}

#[test]
fn a_frame_allocates_the_filters_of_the_resizer_and_its_result_alone() {
    let model = Model::embedded().unwrap();
    let labels = model.metadata().labels.len();
    let input = model.metadata().preprocessing.clone();
    // Of the size of the input already: nothing to resize.
    let small = resize(&frame(1), &input);
    let used = steady(|| drop(model.predict(&small).unwrap()));
    assert_eq!(used.count_total, 1, "the probabilities");
    assert_eq!(used.bytes_total, 4 * labels as u64);
    // The resizer computes its filters anew for each photo, one piece of memory per row and column.
    let large = frame(2);
    let resizing = steady(|| drop(resize(&large, &input)));
    let used = steady(|| drop(model.predict(&large).unwrap()));
    assert!(used.count_total <= resizing.count_total, "{used:?}");
    assert!(used.bytes_total < 64_000, "{used:?}");
}

#[test]
fn loading_the_default_model_takes_few_megabytes() {
    let mut model = None;
    let loading = measure(|| model = Model::embedded().ok());
    let model = model.unwrap();
    let photo = frame(3);
    let tagging = measure(|| drop(model.predict(&photo).unwrap()));
    // The file, what tract makes of it, and what the engine does; then the engine's alone.
    assert!(loading.bytes_max < 18_000_000, "{loading:?}");
    assert!(loading.bytes_current < 7_000_000, "{loading:?}");
    assert!(tagging.bytes_max < 4_000_000, "{tagging:?}");
}
