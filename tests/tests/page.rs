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
    browser.wait_until(
        "document.getElementById('no-picture').textContent === 'No connection' \
         && !document.getElementById('no-picture').hidden \
         && document.getElementById('picture').classList.contains('old')",
    );
    let said = browser.evaluate("document.getElementById('health').textContent");
    assert!(!said.as_str().unwrap().contains("present"), "{said}");
}

/// A service that sees `source`, at any free port of 127.0.0.1.
fn serve(source: &str, further: &[&str]) -> Service {
    let source = format!("--source={source}");
    let arguments = ["--loop", "--rate=10", "--http=127.0.0.1:0", &source];
    Service::start([&arguments, further].concat())
}

#[test]
fn what_stays_as_it_is_is_not_written_again() {
    if !has("chromium") {
        return;
    }
    let service = serve("tests/photos/cat.jpg", &[]);
    let mut browser = Browser::open(&service.address());
    browser.wait_until("document.querySelectorAll('#present span').length > 0");
    browser.wait_until("document.querySelector('#health dd')?.textContent.endsWith('cat.jpg')");
    browser.evaluate(
        "window.written = 0;
         const observer = new MutationObserver(records => { written += records.length; });
         for (const id of ['present', 'signal']) {
           observer.observe(at(id), { childList: true, characterData: true, subtree: true });
         }
         getSelection().selectAllChildren(document.querySelector('#health dd'));
         window.begun = frame.frame.frame;
         window.uptime = health.uptime_s;",
    );
    browser.wait_until("frame.frame.frame > begun + 20 && health.uptime_s > uptime + 2");
    assert_eq!(browser.evaluate("written"), 0);
    let selected = browser.evaluate("getSelection().toString()");
    assert!(
        selected.as_str().unwrap().ends_with("cat.jpg"),
        "{selected}"
    );
}

#[test]
fn the_page_follows_a_service_that_comes_back_as_another() {
    if !has("chromium") {
        return;
    }
    let mut porch = serve("tests/photos", &["--name=porch"]);
    let address = porch.socket_address();
    let mut browser = Browser::open(&porch.address());
    browser.wait_until("document.title.startsWith('porch')");
    browser.wait_until("document.querySelectorAll('#history li').length > 4");
    porch.end_by(Signal::TERM);
    browser.wait_until("document.getElementById('signal').textContent === 'no connection'");
    let _garden = Service::start([
        "--source=tests/photos/cat.jpg",
        "--loop",
        "--rate=10",
        "--name=garden",
        &format!("--http={address}"),
    ]);
    browser.wait_until("document.title.startsWith('garden')");
    browser.wait_until("document.getElementById('name').textContent === 'garden'");
    browser.wait_until("document.getElementById('signal').textContent === 'live'");
    browser.wait_until(
        "[...document.querySelectorAll('#history li span')].map(item => item.textContent).join() === 'cat appeared'",
    );
}

#[test]
fn the_page_says_when_the_camera_is_gone_and_that_it_is_back() {
    if !has("chromium") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plugged = folder.path().join("plugged");
    let script = format!(
        "exec:while [ -e {} ]; do cat tests/photos/cat.jpg; sleep 0.1; done; echo unplugged >&2; exit 1",
        plugged.display()
    );
    let service = serve(&script, &[]);
    let mut browser = Browser::open(&service.address());
    let gone = "document.getElementById('signal').textContent === 'no camera' \
         && document.getElementById('signal').classList.contains('bad') \
         && document.getElementById('no-picture').textContent.startsWith('No camera: ') \
         && document.getElementById('no-picture').textContent.includes('unplugged') \
         && document.getElementById('picture').classList.contains('old')";
    browser.wait_until(gone);
    // There is something to set already.
    browser.wait_until("labels.length === 80 && document.querySelectorAll('#tags li').length > 0");
    std::fs::write(&plugged, "").unwrap();
    browser.wait_until(
        "document.getElementById('signal').textContent === 'live' \
         && document.getElementById('no-picture').hidden \
         && !document.getElementById('picture').classList.contains('old') \
         && document.getElementById('picture').naturalWidth > 0",
    );
    std::fs::remove_file(&plugged).unwrap();
    browser.wait_until(gone);
}

#[test]
fn the_tags_stay_in_place_under_the_keyboard() {
    if !has("chromium") {
        return;
    }
    let service = serve("tests/photos", &[]);
    let mut browser = Browser::open(&service.address());
    browser.wait_until("document.querySelectorAll('#tags li').length > 4");
    const ORDER: &str =
        "[...document.querySelectorAll('#tags .label')].map(label => label.textContent).join()";
    let before = browser.evaluate(ORDER);
    browser.wait_until(&format!("{ORDER} !== {before}"));
    browser.press("Tab", 9);
    browser.evaluate(
        "document.querySelectorAll('#tags input')[2].focus(); window.begun = frame.frame.frame",
    );
    let before = browser.evaluate(ORDER);
    let focused = browser.evaluate("document.activeElement.getAttribute('aria-label')");
    browser.wait_until("frame.frame?.frame > begun + 20");
    assert_eq!(browser.evaluate(ORDER), before);
    assert_eq!(
        browser.evaluate("document.activeElement.getAttribute('aria-label')"),
        focused
    );
    browser.evaluate("document.activeElement.blur()");
    browser.wait_until(&format!("{ORDER} !== {before}"));
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
        let change = "{ event: 'vanished', label: 'a label of many words that needs two lines', score: 0, time: 45296, seconds: 1 }";
        browser.evaluate(&format!("addChange({change})"));
        let lines = browser.evaluate(
            "(() => {
               const range = document.createRange();
               range.selectNodeContents(document.querySelector('#history time'));
               return range.getClientRects().length;
             })()",
        );
        assert_eq!(lines, 1, "lines of the time");
    }
}
