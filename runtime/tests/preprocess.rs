//! The numbers that a network sees.

use graphtag_models::{ColorOrder, Filter, Preprocessing, Resize};
use graphtag_runtime::preprocess::{preprocess, resize, tensor};
use image::{Rgb, RgbImage};

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
