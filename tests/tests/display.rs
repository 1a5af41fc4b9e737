//! `graphtag run --display`: what is present, on a panel.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use graphtag_tests::{fixture, graphtag, repository, run, write_photo};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running graphtag that shows `photos` on `display`; it ends with the test.
struct Showing {
    child: Child,
    log: PathBuf,
}

impl Showing {
    /// Its log goes to a file in `folder`.
    fn start(folder: &Path, display: &str) -> Self {
        let photos = folder.join("photos");
        fs::create_dir(&photos).unwrap();
        write_photo(&photos.join("1.ppm"), [255, 0, 0]);
        write_photo(&photos.join("2.ppm"), [0, 0, 255]);
        let log = folder.join("log");
        let child = graphtag()
            .args(["run", "--loop", "--rate", "20", "--output", "none"])
            .args(["--source".as_ref(), photos.as_os_str()])
            .args(["--model".as_ref(), fixture("colours.onnx").as_os_str()])
            .args(["--display", display])
            .current_dir(repository())
            .stdin(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn();
        Showing {
            child: child.unwrap(),
            log,
        }
    }

    /// Waits until the log has `line`.
    fn wait_for(&self, line: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(&self.log).unwrap().contains(line) {
            assert!(Instant::now() < deadline, "no {line} in the log");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Waits until `path` is a whole picture other than `before`, and gives it.
fn picture(path: &Path, before: &[u8]) -> Vec<u8> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(png) = fs::read(path)
            && png != before
        {
            assert!(png.starts_with(b"\x89PNG"), "it is never seen half written");
            assert_eq!(&png[png.len() - 8..png.len() - 4], b"IEND");
            return png;
        }
        assert!(
            Instant::now() < deadline,
            "{} has not changed",
            path.display()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Columns and rows of a PNG file, from its header.
fn size(png: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn the_picture_file_follows_the_photos() {
    let folder = tempfile::tempdir().unwrap();
    let panel = folder.path().join("panel.png");
    let _showing = Showing::start(folder.path(), &format!("png:{},240x200", panel.display()));
    let first = picture(&panel, &[]);
    let second = picture(&panel, &first);
    let third = picture(&panel, &second);
    assert_eq!(
        [&first, &second, &third].map(|png| size(png)),
        [(240, 200); 3]
    );
}

#[test]
fn a_display_that_is_lost_comes_back_and_tagging_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = folder.path().join("shelf");
    fs::create_dir(&shelf).unwrap();
    let panel = shelf.join("panel.png");
    let mut showing = Showing::start(
        folder.path(),
        &format!("png:{},64x48,mono", panel.display()),
    );
    picture(&panel, &[]);
    fs::rename(&shelf, folder.path().join("away")).unwrap();
    showing.wait_for("trying again");
    assert!(showing.child.try_wait().unwrap().is_none(), "it still runs");
    fs::create_dir(&shelf).unwrap();
    assert_eq!(size(&picture(&panel, &[])), (64, 48));
    showing.wait_for("is back");
}

#[test]
fn a_display_that_can_not_be_is_refused_with_the_remedy() {
    for (display, named) in [
        (
            "png:/no/such/folder/x.png",
            "display: /no/such/folder/x.png: No such file",
        ),
        ("st7789:/dev/no-spi,25,27", "dtparam=spi=on"),
        ("ssd1306:/dev/no-i2c", "dtparam=i2c_arm=on"),
        ("hdmi", "display: hdmi is none of fb:/dev/fb0"),
    ] {
        let run = run(["run", "--source", "tests/photos", "--display", display]);
        assert_eq!(run.status, Some(2), "{display}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains(named), "{}", run.stderr);
    }
}
