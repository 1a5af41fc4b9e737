//! Devices that the service may want, who may use them, and the programs that some sources are.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::Finding;

/// Beginnings of names of devices, what they are, and Debian's group for them.
const DEVICES: [(&str, &str, &str); 6] = [
    ("video", "camera", "video"),
    ("media", "camera", "video"),
    ("fb", "display", "video"),
    ("spidev", "display", "spi"),
    ("i2c-", "display", "i2c"),
    ("gpiochip", "display", "gpio"),
];
/// Programs, the sources that are made of them, and Debian's packages of them.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("rpicam-vid", "rpicam", "rpicam-apps"),
    ("ffmpeg", "rtsp:// and video:", "ffmpeg"),
    ("gst-launch-1.0", "jetson-csi", "gstreamer1.0-tools"),
];

pub fn findings() -> Vec<Finding> {
    let mut findings = devices(Path::new("/dev"));
    findings.extend(PROGRAMS.map(program));
    findings
}

fn devices(folder: &Path) -> Vec<Finding> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    let mut findings = Vec::new();
    for name in &names {
        let kind = DEVICES.iter().find(|(begin, ..)| {
            let number = name.strip_prefix(begin);
            number.is_some_and(|number| number.starts_with(|first: char| first.is_ascii_digit()))
        });
        if let Some(&(_, subject, group)) = kind {
            findings.push(device(&folder.join(name), subject, group));
        }
    }
    if !findings.iter().any(|finding| finding.subject == "camera") {
        findings.push(Finding::ok(
            "camera",
            "no camera device; other sources need none",
        ));
    }
    findings
}

fn device(path: &Path, subject: &'static str, group: &str) -> Finding {
    let name = path.display();
    match access(path, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => Finding::ok(subject, format!("{name} may be used")),
        Err(error) => Finding::warning(
            subject,
            format!("{name}: {error}"),
            format!(
                "add who runs graphtag to its group: sudo usermod -aG {group} USER; then log in anew"
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
    use super::*;

    #[test]
    fn devices_are_known_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["video0", "video-notes", "spidev0.0", "fb0", "full", "i2c-1"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let findings = devices(folder.path());
        let subjects: Vec<&str> = findings.iter().map(|finding| finding.subject).collect();
        assert_eq!(subjects, ["display", "display", "display", "camera"]);
    }

    #[test]
    fn a_machine_without_a_camera_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let findings = devices(folder.path());
        assert!(findings[0].text.starts_with("no camera"));
    }
}
