//! What is drawn is compared with the pictures in `fixtures`. After a wanted change of the layout,
//! `BLESS=1 cargo test -p graphtag layout` writes them anew; look at each before it is committed.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::{BinaryColor, Rgb565, Rgb888, RgbColor};
use graphtag_runtime::frame::{Frame, Picture};
use graphtag_runtime::stream::heat::Heat;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageEncoder, Rgb, RgbImage};

use super::*;
use crate::service::display::canvas::Canvas;
use crate::service::display::scene::{Condition, Scene, Shot, Tag};

/// Smooth edges differ by so much between processors, of 255.
const TOLERANCE: u8 = 6;

/// A landscape of a few flat colours, which makes small files.
fn landscape() -> RgbImage {
    RgbImage::from_fn(640, 480, |x, y| {
        let (x, y) = (x as f32 - 320.0, y as f32);
        let sun = (x - 130.0).hypot(y - 130.0) < 46.0;
        let near = y > 360.0 + x * x / 1600.0 - x / 5.0;
        let far = y > 250.0 + (x + 140.0).abs() / 1.7;
        Rgb(match (near, far, sun) {
            (true, ..) => [58, 107, 74],
            (_, true, _) => [92, 122, 140],
            (.., true) => [255, 214, 120],
            _ => [158, 200, 226],
        })
    })
}

fn tag(label: &str, score: f32, seconds: u64) -> Tag {
    Tag {
        label: label.into(),
        score,
        seconds,
    }
}

fn watching(tags: Vec<Tag>) -> Scene {
    let frame = Frame {
        captured: Instant::now(),
        name: None,
        picture: Picture::Rgb(landscape()),
    };
    Scene {
        tags,
        picture: Some(Shot {
            number: 1,
            frame: Arc::new(frame),
        }),
        rate: Some(4.9),
        heat: Heat {
            celsius: Some(61.0),
            throttled: Some(false),
        },
        ..Scene::bare(Condition::Watching)
    }
}

fn some() -> Scene {
    watching(vec![
        tag("person", 0.97, 754),
        tag("dog", 0.81, 12),
        tag("bicycle", 0.38, 3),
    ])
}

fn many() -> Scene {
    let labels = [
        "person",
        "dining table",
        "traffic light with a very long name",
        "chair",
        "cup",
        "bottle",
        "potted plant",
        "refrigerator",
        "microwave",
        "cat",
        "wine glass",
        "spoon",
        "bowl",
        "vase",
        "clock",
    ];
    let tags = labels.iter().zip(0..);
    let mut scene = watching(
        tags.map(|(label, index)| {
            tag(
                label,
                0.99 - 0.06 * index as f32,
                17_u64.pow(index) % 700_000,
            )
        })
        .collect(),
    );
    scene.heat.throttled = Some(true);
    scene.heat.celsius = Some(84.0);
    scene.rate = Some(12.3);
    scene
}

fn no_signal() -> Scene {
    Scene::bare(Condition::Trouble {
        title: "No signal",
        cause: "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920-video-index0: no frame for 3 s; is the cable in?".into(),
    })
}

fn colour(scene: &Scene, width: u32, height: u32) -> RgbImage {
    let mut canvas = Canvas::new(Size::new(width, height), Rgb888::BLACK);
    draw_colour(scene, &mut canvas).unwrap();
    let pixels = canvas.rows(0..height).iter();
    let bytes = pixels.flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]);
    RgbImage::from_raw(width, height, bytes.collect()).unwrap()
}

fn mono(scene: &Scene, width: u32, height: u32) -> RgbImage {
    let mut canvas = Canvas::new(Size::new(width, height), BinaryColor::Off);
    draw_mono(scene, &mut canvas).unwrap();
    let pixels = canvas.rows(0..height).iter();
    let bytes = pixels.flat_map(|pixel| [if pixel.is_on() { 255 } else { 0 }; 3]);
    RgbImage::from_raw(width, height, bytes.collect()).unwrap()
}

/// # Panics
/// When `drawn` is not as in `fixtures/NAME.png`, with a message that says where it was written.
fn assert_looks(name: &str, drawn: &RgbImage) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/service/display/fixtures");
    let expected = fixtures.join(format!("{name}.png"));
    if std::env::var_os("BLESS").is_some() {
        write(&expected, drawn);
        return;
    }
    let known = image::open(&expected).map(|image| image.to_rgb8());
    let same = known.is_ok_and(|known| {
        let mut bytes = known.iter().zip(drawn.iter());
        known.dimensions() == drawn.dimensions() && bytes.all(|(a, b)| a.abs_diff(*b) <= TOLERANCE)
    });
    if !same {
        let actual = fixtures.join(format!("{name}.actual.png"));
        write(&actual, drawn);
        panic!(
            "the layout is not as in {}; what was drawn is in {}; if it should be so, run with BLESS=1",
            expected.display(),
            actual.display()
        );
    }
}

fn write(path: &Path, image: &RgbImage) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create(path).unwrap();
    let (width, height) = image.dimensions();
    PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Sub)
        .write_image(image, width, height, image::ExtendedColorType::Rgb8)
        .unwrap();
}

#[test]
fn an_oled_lists_tags_with_bars() {
    assert_looks("oled_some", &mono(&some(), 128, 64));
    assert_looks("oled_many", &mono(&many(), 128, 64));
    assert_looks("oled_flat", &mono(&some(), 128, 32));
}

#[test]
fn an_oled_says_why_there_are_no_tags() {
    assert_looks("oled_none", &mono(&watching(Vec::new()), 128, 64));
    assert_looks("oled_no_signal", &mono(&no_signal(), 128, 64));
    assert_looks(
        "oled_starting",
        &mono(&Scene::bare(Condition::Starting), 128, 64),
    );
}

#[test]
fn a_square_panel_has_the_picture_above_the_tags() {
    assert_looks("square_some", &colour(&some(), 240, 240));
    assert_looks("square_many", &colour(&many(), 240, 240));
    assert_looks("square_none", &colour(&watching(Vec::new()), 240, 240));
    assert_looks("square_no_signal", &colour(&no_signal(), 240, 240));
}

#[test]
fn a_wide_panel_has_the_picture_beside_the_tags() {
    assert_looks("wide_some", &colour(&some(), 320, 240));
    assert_looks("wide_many", &colour(&many(), 320, 240));
    assert_looks(
        "wide_starting",
        &colour(&Scene::bare(Condition::Starting), 320, 240),
    );
}

#[test]
fn tags_stay_while_a_signal_is_only_just_lost() {
    let scene = Scene {
        tags: some().tags,
        ..no_signal()
    };
    assert_looks("wide_just_lost", &colour(&scene, 320, 240));
}

#[test]
fn hdmi_shows_more_and_larger() {
    assert_looks("hdmi_many", &colour(&many(), 1280, 720));
    assert_looks("hdmi_no_signal", &colour(&no_signal(), 1280, 720));
}

#[test]
fn a_panel_of_16_bits_a_pixel_shows_the_same_in_its_own_colours() {
    let mut canvas = Canvas::new(Size::new(240, 240), Rgb565::BLACK);
    draw_colour(&some(), &mut canvas).unwrap();
    let exact = colour(&some(), 240, 240);
    for (pixel, exact) in canvas.rows(0..240).iter().zip(exact.pixels()) {
        let pixel = Rgb888::from(*pixel);
        for (channel, exact) in [pixel.r(), pixel.g(), pixel.b()].iter().zip(exact.0) {
            assert!(channel.abs_diff(exact) <= 8, "{pixel:?} for {exact:?}");
        }
    }
}

#[test]
fn no_size_is_too_small() {
    for (width, height) in [(1, 1), (8, 200), (200, 8), (0, 0)] {
        for scene in [some(), many(), no_signal(), watching(Vec::new())] {
            colour(&scene, width, height);
            mono(&scene, width, height);
        }
    }
}
