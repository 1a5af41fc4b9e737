//! Cameras, displays and who may use them, and the programs that some sources are.

use std::fs;
use std::path::{Path, PathBuf};

use graphtag_runtime::source::v4l2::{self, Camera};
use rustix::fs::{Access, access};

use super::Finding;

/// Beginnings of names of the devices of displays, and Debian's groups for them.
const DISPLAYS: [(&str, &str); 4] = [
    ("fb", "video"),
    ("spidev", "spi"),
    ("i2c-", "i2c"),
    ("gpiochip", "gpio"),
];
/// Programs, the sources that are made of them, and Debian's packages of them.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("rpicam-vid", "rpicam", "rpicam-apps"),
    ("ffmpeg", "rtsp:// and video:", "ffmpeg"),
    ("gst-launch-1.0", "jetson-csi", "gstreamer1.0-tools"),
];

pub fn findings() -> Vec<Finding> {
    let mut findings = cameras(&v4l2::cameras());
    findings.extend(displays(Path::new("/dev")));
    findings.extend(PROGRAMS.map(program));
    findings
}

fn cameras(cameras: &[Camera]) -> Vec<Finding> {
    if cameras.is_empty() {
        let text = "none at /dev/video*; a ribbon's, a network's and the test card need none";
        return vec![Finding::ok("camera", text)];
    }
    cameras.iter().map(camera).collect()
}

fn camera(camera: &Camera) -> Finding {
    let name = format!("{} at {}", camera.name, camera.path.display());
    match (&camera.problem, &camera.choice) {
        (Some(problem), _) => Finding::warning(
            "camera",
            format!("{name}: {problem}"),
            "graphtag cameras tells more",
        ),
        (None, Some(choice)) => {
            let ((width, height), format) = (choice.size, choice.code);
            let rate = choice.rate;
            let text = format!("{name}: {format} {width}x{height} at {rate:.0} frames a second");
            Finding::ok("camera", text)
        }
        (None, None) => Finding::ok("camera", name),
    }
}

/// The devices in `folder` that displays stand on.
fn displays(folder: &Path) -> Vec<Finding> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    let group = |name: &str| {
        let known = DISPLAYS.iter().find(|(begin, _)| {
            let number = name.strip_prefix(begin);
            number.is_some_and(|number| number.starts_with(|first: char| first.is_ascii_digit()))
        });
        known.map(|(_, group)| *group)
    };
    let known = names
        .iter()
        .filter_map(|name| Some(display(&folder.join(name), group(name)?)));
    known.collect()
}

fn display(path: &Path, group: &str) -> Finding {
    let name = path.display();
    match access(path, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => Finding::ok("display", format!("{name} may be used")),
        Err(error) => Finding::warning(
            "display",
            format!("{name}: {error}"),
            format!(
                "to show tags there, add who runs graphtag to its group: sudo usermod -aG {group} USER"
            ),
        ),
    }
}

fn program((name, sources, package): (&str, &str, &str)) -> Finding {
    match find(name) {
        Some(path) => Finding::ok("program", format!("{} for {sources}", path.display())),
        None => Finding::ok(
            "program",
            format!("no {name}: the sources {sources} need it (sudo apt install {package})"),
        ),
    }
}

/// Where a shell finds the program `name`.
fn find(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(name));
    paths.find(|path| path.is_file() && access(path, Access::EXEC_OK).is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn devices_of_displays_are_known_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["video0", "fb-notes", "spidev0.0", "fb0", "full", "i2c-1"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let findings = displays(folder.path());
        let name = |finding: &Finding| finding.text.split(' ').next().unwrap().to_owned();
        let names: Vec<String> = findings.iter().map(name).collect();
        let expected = ["fb0", "i2c-1", "spidev0.0"].map(|name| folder.path().join(name));
        assert_eq!(names, expected.map(|path| path.display().to_string()));
    }

    #[test]
    fn a_camera_that_can_not_be_used_is_a_warning_with_its_cause() {
        let locked = Camera {
            name: "HD Webcam".into(),
            driver: None,
            path: "/dev/video0".into(),
            by_id: None,
            by_path: None,
            formats: Vec::new(),
            choice: None,
            problem: Some("Permission denied: the user must be in the group video".into()),
        };
        let findings = cameras(&[locked]);
        assert_eq!(findings[0].verdict, Verdict::Warning);
        assert!(
            findings[0]
                .text
                .contains("HD Webcam at /dev/video0: Permission denied")
        );
        assert_eq!(cameras(&[])[0].verdict, Verdict::Ok);
    }
}
