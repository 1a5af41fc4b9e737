//! The cameras of this machine: which there are, and which one a name means.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::device::Device;
use super::formats::{self, Choice, Format};
use super::remedy;
use super::structures::Capabilities;
use crate::source::SourceError;

/// A camera as Video4Linux2 knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// Its name, by which `v4l2:NAME` finds it as long as no other has the same.
    pub name: String,
    /// Its driver; `None` when the device can't be opened.
    pub driver: Option<String>,
    /// The device, such as `/dev/video0`, whose number may be another after a restart.
    pub path: PathBuf,
    /// The same device by what it is, below `/dev/v4l/by-id`.
    pub by_id: Option<PathBuf>,
    /// The same device by where it is plugged in, below `/dev/v4l/by-path`.
    pub by_path: Option<PathBuf>,
    /// What it offers.
    pub formats: Vec<Format>,
    /// What it is asked for unless the user names a size or a rate.
    pub choice: Option<Choice>,
    /// Why no frames can be had from it, in one line with the remedy.
    pub problem: Option<String>,
}

impl Camera {
    /// The name of the source that stays right longest: by id, else by path, else by number.
    pub fn source(&self) -> String {
        let path = self.by_id.as_ref().or(self.by_path.as_ref());
        format!("v4l2:{}", path.unwrap_or(&self.path).display())
    }
}

/// The cameras of this machine, by their numbers.
pub fn cameras() -> Vec<Camera> {
    Machine::default().cameras()
}

/// The device that `name` means: a path, what stands below `/dev/v4l`, or the name of a camera.
///
/// # Errors
/// When there is none, or several cameras have the name.
pub(super) fn find(name: &str) -> Result<PathBuf, SourceError> {
    Machine::default()
        .find(name)
        .map_err(|problem| SourceError::Content {
            name: name.into(),
            problem,
        })
}

/// Where the kernel and udev leave what they know.
struct Machine {
    devices: PathBuf,
    classes: PathBuf,
}

impl Default for Machine {
    fn default() -> Self {
        Machine {
            devices: "/dev".into(),
            classes: "/sys/class/video4linux".into(),
        }
    }
}

impl Machine {
    fn cameras(&self) -> Vec<Camera> {
        let nodes = self.nodes();
        nodes.iter().filter_map(|node| self.camera(node)).collect()
    }

    /// Names such as `video0`, by number.
    fn nodes(&self) -> Vec<String> {
        let number = |name: &str| name.strip_prefix("video")?.parse::<u32>().ok();
        let entries = fs::read_dir(&self.devices).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut nodes: Vec<String> = names.filter(|name| number(name).is_some()).collect();
        nodes.sort_by_key(|name| number(name));
        nodes
    }

    /// `None` for what is no camera: metadata, outputs, codecs.
    fn camera(&self, node: &str) -> Option<Camera> {
        let path = self.devices.join(node);
        let mut camera = Camera {
            name: self.name(node).unwrap_or_else(|| node.into()),
            driver: None,
            by_id: self.link("by-id", &path),
            by_path: self.link("by-path", &path),
            path,
            formats: Vec::new(),
            choice: None,
            problem: None,
        };
        let opened = Device::open(&camera.path)
            .and_then(|device| device.capabilities().map(|known| (device, known)));
        match opened {
            Ok((device, known)) => {
                if !known.captures() {
                    return None;
                }
                if self.name(node).is_none() {
                    camera.name = known.card();
                }
                camera.driver = Some(known.driver());
                camera.formats = device.formats();
                camera.choice = formats::choose(&camera.formats, None, None);
                camera.problem = obstacle(&known, &camera);
            }
            // Whether it is a camera can't be asked; the other devices of one are not worth a line.
            Err(_) if !self.is_first(node) => return None,
            Err(error) => camera.problem = Some(problem(&error)),
        }
        Some(camera)
    }

    fn find(&self, name: &str) -> Result<PathBuf, String> {
        if Path::new(name).is_absolute() {
            return Ok(name.into());
        }
        let places =
            ["v4l/by-id", "v4l/by-path", ""].map(|place| self.devices.join(place).join(name));
        if let Some(path) = places.into_iter().find(|path| path.exists()) {
            return Ok(path);
        }
        let mut nodes = self.nodes();
        nodes.retain(|node| self.is_first(node) && self.name(node).as_deref() == Some(name));
        match &nodes[..] {
            [] => Err("no such camera; graphtag cameras lists those that are there".into()),
            [node] => Ok(self.devices.join(node)),
            several => Err(format!(
                "{} cameras have this name; graphtag cameras lists their paths",
                several.len()
            )),
        }
    }

    fn name(&self, node: &str) -> Option<String> {
        let name = fs::read(self.classes.join(node).join("name")).ok()?;
        Some(String::from_utf8_lossy(&name).trim().into())
    }

    /// Whether it is the first, or only, device of its hardware: with a webcam, that of pictures.
    fn is_first(&self, node: &str) -> bool {
        let index = fs::read_to_string(self.classes.join(node).join("index"));
        index.is_ok_and(|index| index.trim() == "0")
    }

    fn link(&self, place: &str, device: &Path) -> Option<PathBuf> {
        let device = fs::canonicalize(device).ok()?;
        let links = fs::read_dir(self.devices.join("v4l").join(place)).ok()?;
        let links = links.flatten().map(|link| link.path());
        links
            .filter(|link| fs::canonicalize(link).is_ok_and(|path| path == device))
            .min()
    }
}

fn problem(error: &io::Error) -> String {
    remedy(error).map_or_else(|| error.to_string(), |remedy| format!("{error}: {remedy}"))
}

/// Why frames can't be had from a camera that could be opened.
fn obstacle(known: &Capabilities, camera: &Camera) -> Option<String> {
    let codes: Vec<String> = camera
        .formats
        .iter()
        .map(|format| format.code.to_string())
        .collect();
    if known.is_multiplanar() {
        Some("its pictures come in several planes of memory, which is not read; use --source exec: with GStreamer".into())
    } else if known.needs_pipeline() {
        Some(
            "a sensor behind a media pipeline; use --source rpicam on a Raspberry Pi, jetson-csi on a Jetson"
                .into(),
        )
    } else if !known.streams() {
        Some("it has no streaming; use --source exec: with a program of its maker".into())
    } else if camera.choice.is_none() {
        Some(format!(
            "none of its formats is read ({}); use --source exec: with ffmpeg",
            codes.join(", ")
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Two webcams of one kind, each with a device for metadata, and a third camera.
    fn machine(root: &Path) -> Machine {
        let machine = Machine {
            devices: root.join("dev"),
            classes: root.join("sys"),
        };
        let by_id = machine.devices.join("v4l/by-id");
        fs::create_dir_all(&by_id).unwrap();
        for (node, name, index) in [
            ("video0", "HD Webcam", "0"),
            ("video1", "HD Webcam", "1"),
            ("video2", "HD Webcam", "0"),
            ("video10", "unicam-image", "0"),
        ] {
            let class = machine.classes.join(node);
            fs::create_dir_all(&class).unwrap();
            fs::write(class.join("name"), format!("{name}\n")).unwrap();
            fs::write(class.join("index"), format!("{index}\n")).unwrap();
            fs::write(machine.devices.join(node), "").unwrap();
        }
        symlink("../../video2", by_id.join("usb-Maker_42-video-index0")).unwrap();
        machine
    }

    #[test]
    fn a_camera_is_found_by_path_id_number_or_name() {
        let root = tempfile::tempdir().unwrap();
        let machine = machine(root.path());
        for (name, path) in [
            ("/dev/anything", PathBuf::from("/dev/anything")),
            ("video1", machine.devices.join("video1")),
            ("unicam-image", machine.devices.join("video10")),
            (
                "usb-Maker_42-video-index0",
                machine.devices.join("v4l/by-id/usb-Maker_42-video-index0"),
            ),
        ] {
            assert_eq!(machine.find(name), Ok(path));
        }
        let several = machine.find("HD Webcam").unwrap_err();
        assert!(several.starts_with("2 cameras have this name"), "{several}");
        let none = machine.find("Webcam").unwrap_err();
        assert!(none.starts_with("no such camera"), "{none}");
    }

    /// The files of this machine are no devices, which each line says; metadata devices have no line.
    #[test]
    fn a_device_that_cannot_be_asked_is_listed_with_its_problem() {
        let root = tempfile::tempdir().unwrap();
        let cameras = machine(root.path()).cameras();
        let listed: Vec<_> = cameras
            .iter()
            .map(|camera| (camera.path.file_name().unwrap(), camera.name.as_str()))
            .collect();
        assert_eq!(
            listed,
            [
                ("video0".as_ref(), "HD Webcam"),
                ("video2".as_ref(), "HD Webcam"),
                ("video10".as_ref(), "unicam-image"),
            ]
        );
        let webcam = &cameras[1];
        assert!(
            webcam
                .source()
                .ends_with("/v4l/by-id/usb-Maker_42-video-index0")
        );
        assert!(cameras[0].source().ends_with("/dev/video0"));
        let problem = webcam.problem.as_deref().unwrap();
        assert!(problem.contains("not a video device"), "{problem}");
    }
}
