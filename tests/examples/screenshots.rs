//! Makes the pictures of the live page in the documentation, with photos of `tests/photos`:
//! `cargo run --package graphtag-tests --example screenshots [FOLDER]`

use std::path::PathBuf;

use graphtag_tests::browser::Browser;
use graphtag_tests::repository;
use graphtag_tests::service::Service;

/// The photo that the pictures are made on.
const PHOTO: &str = "horses.jpg";

fn main() {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| repository().join("docs"));
    let service = Service::start([
        "--source=tests/photos",
        "--loop",
        "--rate=0.8",
        "--http=127.0.0.1:0",
        "--name=porch",
    ]);
    let mut browser = Browser::open(&service.address());
    for (name, width, height, dark) in [
        ("page-desktop.png", 1280, 800, false),
        ("page-phone.png", 390, 844, true),
    ] {
        browser.resize(width, height);
        browser.prefer_dark(dark);
        // Some rounds of photos for the history, then the photo and its tags.
        browser.wait_until("document.querySelectorAll('#history li').length > 40");
        browser.wait_until(&format!(
            "document.getElementById('frame').textContent.startsWith('{PHOTO}') \
             && document.querySelectorAll('#present span').length === 2"
        ));
        browser.screenshot(&folder.join(name));
    }
}
