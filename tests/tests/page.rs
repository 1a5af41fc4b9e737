//! The live page, in a browser.

use std::collections::BTreeMap;
use std::path::Path;

use graphtag_tests::browser::Browser;
use graphtag_tests::service::{Service, Signal, has, wait_for};
use graphtag_tests::{repository, run};
use serde_json::Value;

/// The photo that the page names, the tags that it shows on it, and whether its picture is of that photo's size.
const SEEN: &str = "[frame?.frame?.path.split('/').pop() ?? '', \
     [...document.querySelectorAll('#present span')].map(chip => chip.textContent), \
     document.getElementById('picture').naturalWidth === frame?.frame?.width \
     && document.getElementById('picture').naturalHeight === frame?.frame?.height]";

/// Every photo by its file's name, with the tags of `graphtag tag`.
fn expected() -> BTreeMap<String, Vec<String>> {
    let lines = run(["tag", "--format", "jsonl", "tests/photos"]).json_lines();
    let photo = |line: &Value| {
        let path = Path::new(line["path"].as_str()?);
        let tags = line["tags"].as_array()?.iter();
        let tags = tags.map(|tag| tag["label"].as_str().unwrap().to_owned());
        Some((path.file_name()?.to_str()?.to_owned(), tags.collect()))
    };
    lines.iter().map(|line| photo(line).unwrap()).collect()
}

/// What the page shows with the picture of each photo, until it has shown as many as `photos`.
fn shown(browser: &mut Browser, photos: usize) -> BTreeMap<String, Vec<String>> {
    let mut shown = BTreeMap::new();
    wait_for("every photo on the page", || {
        let seen = browser.evaluate(SEEN);
        let (photo, tags, pictured): (String, Vec<String>, bool) =
            serde_json::from_value(seen).unwrap();
        if pictured {
            shown.insert(photo, tags);
        }
        (shown.len() == photos).then_some(())
    });
    shown
}

#[test]
fn the_page_shows_the_picture_its_tags_and_thresholds_that_can_be_moved() {
    if !has("chromium") {
        return;
    }
    let expected = expected();
    let labels = std::fs::read(repository().join("tests/photos/labels.json")).unwrap();
    let labels: BTreeMap<String, Vec<String>> = serde_json::from_slice(&labels).unwrap();
    let mut service = Service::start([
        "--source=tests/photos",
        "--loop",
        "--rate=3",
        "--http=127.0.0.1:0",
        "--name=porch",
    ]);
    let address = service.address();
    let mut browser = Browser::open(&address);

    browser.wait_until("document.getElementById('picture')?.naturalWidth > 0");
    browser.wait_until("document.getElementById('name').textContent === 'porch'");
    browser.wait_until("document.getElementById('signal').textContent === 'live'");
    let shown_at_first = shown(&mut browser, expected.len());
    assert_eq!(shown_at_first, expected);
    for (photo, labels) in &labels {
        for label in labels {
            assert!(shown_at_first[photo].contains(label), "{label} on {photo}");
        }
    }
    browser.wait_until("document.querySelectorAll('#history li').length > 4");

    // The slider of one label, moved to its end by a key.
    browser
        .evaluate("document.getElementById('find').value = 'cow'; frame !== null && drawFrame()");
    browser.wait_until("document.querySelector('#tags input') !== null");
    browser.evaluate("document.querySelector('#tags input').focus()");
    browser.press("End", 35);
    wait_for("the threshold that was set on the page", || {
        let state = service.state();
        let mut labels = state["labels"].as_array().unwrap().iter();
        let cow = labels.find(|label| label["label"] == "cow")?;
        (cow["threshold"] == 1.0).then_some(())
    });
    browser.wait_until("frame.thresholds[labels.indexOf('cow')] === 1");
    let without_cows = |tags: &Vec<String>| -> Vec<String> {
        let kept = tags.iter().filter(|tag| *tag != "cow");
        kept.cloned().collect()
    };
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(photo, tags)| (photo.clone(), without_cows(tags)))
        .collect();
    assert_eq!(shown(&mut browser, expected.len()), expected);

    assert_eq!(browser.console, Vec::<String>::new());
    assert!(!browser.requests.is_empty());
    for request in &browser.requests {
        assert!(request.starts_with(&address), "{request}");
    }
    service.end_by(Signal::TERM);
    browser.wait_until("document.getElementById('signal').textContent === 'no connection'");
}

#[test]
fn the_page_fits_a_phone_and_a_desktop() {
    if !has("chromium") {
        return;
    }
    let service = Service::start(["--source=tests/photos", "--loop", "--http=127.0.0.1:0"]);
    let mut browser = Browser::open(&service.address());
    browser.wait_until("document.getElementById('picture')?.naturalWidth > 0");
    browser.wait_until("document.querySelectorAll('#tags li').length > 0");
    for (width, height) in [(390, 844), (1280, 800)] {
        browser.resize(width, height);
        let widest = browser.evaluate("document.documentElement.scrollWidth");
        assert!(
            widest.as_u64().unwrap() <= u64::from(width),
            "{widest} of {width}"
        );
        let small = "[...document.querySelectorAll('#tags input')].filter(e => e.getBoundingClientRect().height < 44).length";
        assert_eq!(browser.evaluate(small), 0, "sliders too small for a finger");
    }
}
