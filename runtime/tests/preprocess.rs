//! The numbers that a network sees.

use graphtag_models::{ColorOrder, Filter, Preprocessing, Resize, zoo};
use graphtag_runtime::kernels::{InstructionSet, quantize_image};
use graphtag_runtime::network::{Input, Network};
use graphtag_runtime::preprocess::{Preprocessor, preprocess, resize, tensor};
use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PLAIN: Preprocessing = Preprocessing {
    height: 2,
    width: 3,
    resize: Resize::Stretch,
    filter: Filter::Bilinear,
    mean: [10.0, 20.0, 30.0],
    scale: [1.0, 0.5, 2.0],
    color: ColorOrder::Rgb,
};

/// Red counts pixels, green is 20 and blue 40 everywhere.
fn counting(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(y * width + x) as u8, 20, 40]))
}

#[test]
fn channels_are_planes_normalised_each_by_its_own_mean_and_scale() {
    let values = tensor(&counting(3, 2), &PLAIN);
    let red = [-10.0, -9.0, -8.0, -7.0, -6.0, -5.0];
    assert_eq!(values, [red, [0.0; 6], [20.0; 6]].concat());
}

#[test]
fn blue_first_takes_the_first_mean_for_blue() {
    let bgr = Preprocessing {
        color: ColorOrder::Bgr,
        ..PLAIN
    };
    let values = tensor(&counting(3, 2), &bgr);
    assert_eq!(values[..6], [30.0; 6]);
    assert_eq!(values[12..], [-60.0, -58.0, -56.0, -54.0, -52.0, -50.0]);
}

#[test]
fn a_photo_of_the_right_size_is_not_changed() {
    let photo = counting(3, 2);
    assert_eq!(resize(&photo, &PLAIN), photo);
    assert_eq!(preprocess(&photo, &PLAIN), tensor(&photo, &PLAIN));
}

#[test]
fn shrinking_averages_all_pixels_instead_of_picking_some() {
    // Fine stripes of black and white are grey from afar.
    let stripes = RgbImage::from_fn(300, 200, |x, _| Rgb([255 * (x % 2) as u8; 3]));
    for filter in [Filter::Bilinear, Filter::Lanczos3] {
        let resized = resize(&stripes, &Preprocessing { filter, ..PLAIN });
        let grey = resized.iter().all(|&byte| byte.abs_diff(128) <= 3);
        assert!(grey, "{filter:?}: {:?}", resized.into_raw());
    }
}

#[test]
fn stretching_sees_the_borders_and_cropping_does_not() {
    // A green square between red borders.
    let photo = RgbImage::from_fn(90, 20, |x, _| match x {
        30..60 => Rgb([0, 255, 0]),
        _ => Rgb([255, 0, 0]),
    });
    let stretched = resize(&photo, &PLAIN);
    let [red, green, _] = stretched.get_pixel(0, 0).0;
    assert!(red > 200 && green < 50, "{red}, {green}");
    let cropped = resize(
        &photo,
        &Preprocessing {
            resize: Resize::CenterCrop,
            ..PLAIN
        },
    );
    // The filter reaches over the edge of what is cropped.
    let green = cropped.pixels().all(|pixel| pixel.0[1] > 200);
    assert!(green, "{:?}", cropped.into_raw());
}

fn noise(width: u32, height: u32, random: &mut ChaCha8Rng) -> RgbImage {
    let mut image = RgbImage::new(width, height);
    random.fill(&mut *image);
    image
}

#[test]
fn int8_input_is_the_float_tensor_quantised() {
    let network = Network::from_bytes(zoo::default_model()).unwrap();
    let entry = network.entry().expect("the default model takes int8");
    let [_, _, height, width] = network.input_shape();
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let plain = Preprocessing {
        height,
        width,
        mean: [123.675, 116.28, 103.53],
        scale: [0.017, 0.0175, 0.0174],
        ..PLAIN
    };
    let unusual = Preprocessing {
        resize: Resize::CenterCrop,
        filter: Filter::Lanczos3,
        color: ColorOrder::Bgr,
        // Some values are out of the range of the quantisation.
        scale: [0.02, -0.03, 1.0],
        ..plain.clone()
    };
    for preprocessing in [plain, unusual] {
        let mut preprocessor = Preprocessor::new(&network, &preprocessing);
        for (columns, rows) in [(640, 480), (97, 301), (width as u32, height as u32), (1, 1)] {
            let photo = noise(columns, rows, &mut random);
            let values = preprocess(&photo, &preprocessing);
            let mut expected = vec![0; entry.map.bytes()];
            let quantization = (entry.scale, entry.zero_point);
            let set = InstructionSet::Scalar;
            quantize_image(set, &values, entry.map, quantization, &mut expected);
            let input = preprocessor.input(&photo);
            assert!(*input == Input::Int8(expected), "{columns} x {rows}");
            assert_eq!(
                network.run_on(input).unwrap(),
                network.run(&values).unwrap()
            );
        }
    }
}

#[test]
fn float_input_is_the_float_tensor() {
    let network = Network::from_bytes(zoo::default_model()).unwrap();
    let tract = graphtag_runtime::network::Engine::Tract;
    let float = Network::from_bytes_for(zoo::default_model(), tract).unwrap();
    let [_, _, height, width] = float.input_shape();
    let preprocessing = Preprocessing {
        height,
        width,
        ..PLAIN
    };
    let mut preprocessor = Preprocessor::new(&float, &preprocessing);
    let mut random = ChaCha8Rng::seed_from_u64(4);
    for (columns, rows) in [(64, 48), (300, 200)] {
        let photo = noise(columns, rows, &mut random);
        let expected = Input::Float(preprocess(&photo, &preprocessing));
        assert!(*preprocessor.input(&photo) == expected);
        let refused = network.run_on(&expected).unwrap_err().to_string();
        assert!(refused.contains("not in the form"), "{refused}");
    }
}
