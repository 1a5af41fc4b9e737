//! The folder of snapshots: names, whole files only, and a quota.
//!
//! A file is `graphtag-NAME-TIME-LABELS.jpg`, such as `graphtag-porch-2025-03-09T17-04-05.123Z-cat+dog.jpg`, so that
//! names sort by time (UTC). Only files of such names with this device's NAME count and are removed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::service::mqtt::slug;

/// Stands for a digit in [`TIME`].
const DIGIT: char = '0';
/// The form of a time in a name.
const TIME: &str = "0000-00-00T00-00-00.000Z";
/// The most bytes of labels in a name; file systems take names of 255.
const LABEL_BYTES: usize = 120;
/// The end of the name of a file that is not whole yet.
const PART: &str = ".part";

/// Snapshots of one device in a folder, which may be that of others too.
pub struct Store {
    folder: PathBuf,
    prefix: String,
    quota: u64,
}

impl Store {
    /// The snapshots of the device `name`, which take at most `quota` bytes.
    pub fn new(folder: PathBuf, name: &str, quota: u64) -> Self {
        Store {
            folder,
            prefix: format!("graphtag-{name}-"),
            quota,
        }
    }

    /// Where the snapshots are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether files can be written, and how many more bytes there is room for, own snapshots included.
    ///
    /// # Errors
    /// When they can't.
    pub fn probe(&self) -> io::Result<u64> {
        self.create_folder()?;
        let part = self
            .folder
            .join(format!(".{}{PART}", self.name(SystemTime::now(), &[])));
        write(&part, b"probe").and_then(|()| fs::remove_file(&part))?;
        let system = rustix::fs::statvfs(&self.folder)?;
        let own: u64 = self.own().iter().map(|(_, _, bytes)| bytes).sum();
        Ok(system
            .f_bavail
            .saturating_mul(system.f_frsize)
            .saturating_add(own))
    }

    /// Removes the oldest snapshots until there is room for `jpeg` within the quota, and writes it.
    ///
    /// # Errors
    /// When the disk is full, read-only or not there; nothing of the new file is left then.
    pub fn add(&self, time: SystemTime, labels: &[String], jpeg: &[u8]) -> io::Result<PathBuf> {
        self.create_folder()?;
        self.make_room(jpeg.len() as u64)?;
        let path = self.folder.join(self.name(time, labels));
        let part = self
            .folder
            .join(format!(".{}{PART}", self.name(time, labels)));
        let written = write(&part, jpeg).and_then(|()| fs::rename(&part, &path));
        if written.is_err() {
            // It may not even have come to be.
            let _ = fs::remove_file(&part);
        }
        written.map(|()| path)
    }

    /// Removes files that a run before this one left unfinished.
    pub fn remove_parts(&self) {
        for (path, name) in self.files() {
            let whole = name
                .strip_prefix('.')
                .and_then(|name| name.strip_suffix(PART));
            if whole.is_some_and(|name| self.is_own(name)) {
                // A read-only disk keeps it, which is no harm.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn make_room(&self, bytes: u64) -> io::Result<()> {
        if bytes > self.quota {
            return Err(io::Error::other(format!(
                "a picture of {bytes} bytes is more than snapshot_quota"
            )));
        }
        let own = self.own();
        let mut total: u64 = own.iter().map(|(_, _, bytes)| bytes).sum();
        for (_, path, length) in own {
            if total + bytes <= self.quota {
                break;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => total -= length,
            }
        }
        Ok(())
    }

    /// Only the last part of its path, since the others may be a disk that is not there at the moment.
    fn create_folder(&self) -> io::Result<()> {
        match fs::create_dir(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Name, path and bytes of this device's snapshots, the oldest first.
    fn own(&self) -> Vec<(String, PathBuf, u64)> {
        let own = self.files().filter(|(_, name)| self.is_own(name));
        let own = own.filter_map(|(path, name)| {
            let bytes = fs::symlink_metadata(&path).ok()?.len();
            Some((name, path, bytes))
        });
        let mut own: Vec<_> = own.collect();
        own.sort_unstable();
        own
    }

    /// Path and name of every regular file of the folder.
    fn files(&self) -> impl Iterator<Item = (PathBuf, String)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        files.filter_map(|entry| Some((entry.path(), entry.file_name().into_string().ok()?)))
    }

    fn name(&self, time: SystemTime, labels: &[String]) -> String {
        let time = humantime::format_rfc3339_millis(time).to_string();
        let slugs: Vec<String> = labels.iter().map(|label| slug(label)).collect();
        let mut slugs = slugs.join("+");
        slugs.truncate(LABEL_BYTES);
        // Some file systems take no colons.
        format!("{}{}-{slugs}.jpg", self.prefix, time.replace(':', "-"))
    }

    fn is_own(&self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.prefix);
        let Some((time, labels)) = rest.and_then(|rest| rest.split_at_checked(TIME.len())) else {
            return false;
        };
        let is_time = time
            .chars()
            .zip(TIME.chars())
            .all(|(found, form)| match form {
                DIGIT => found.is_ascii_digit(),
                form => found == form,
            });
        is_time && labels.starts_with('-') && labels.ends_with(".jpg")
    }
}

/// Writes `bytes` so that they are on the disk when this returns.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_741_539_845 + seconds)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_name_tells_time_and_labels() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("new"), "porch", 100);
        let labels = ["dining table".into(), "../cat".into()];
        let path = store.add(at(0), &labels, b"jpeg").unwrap();
        assert_eq!(
            path.file_name().unwrap(),
            "graphtag-porch-2025-03-09T17-04-05.000Z-dining_table+___cat.jpg"
        );
        assert_eq!(fs::read(path).unwrap(), b"jpeg");
    }

    #[test]
    fn the_oldest_make_room_and_files_of_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let others = [
            "holiday.jpg",
            "graphtag-attic-2020-03-09T17-04-05.000Z-cat.jpg",
            "graphtag-porch-2020-best-of-the-whole-year-cat.jpg",
            "graphtag-porch-2020-03-09T17-04-05.000Z-cat.jpg.bak",
            ".graphtag-porch-notes.part",
        ];
        for name in others {
            fs::write(folder.path().join(name), [0; 1000]).unwrap();
        }
        let unfinished = ".graphtag-porch-2020-03-09T17-04-05.000Z-cat.jpg.part";
        fs::write(folder.path().join(unfinished), "half").unwrap();
        let store = Store::new(folder.path().into(), "porch", 250);
        store.remove_parts();
        for second in 0..5 {
            store.add(at(second), &["cat".into()], &[0; 100]).unwrap();
        }
        let mut expected: Vec<String> = others.map(String::from).to_vec();
        expected.extend((3..5).map(|second| {
            format!(
                "graphtag-porch-2025-03-09T17-04-{:02}.000Z-cat.jpg",
                5 + second
            )
        }));
        expected.sort();
        assert_eq!(names(folder.path()), expected);
    }

    #[test]
    fn a_picture_above_the_quota_removes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().into(), "porch", 150);
        store.add(at(0), &["cat".into()], &[0; 100]).unwrap();
        let error = store.add(at(1), &["cat".into()], &[0; 151]).unwrap_err();
        assert!(error.to_string().contains("snapshot_quota"), "{error}");
        assert_eq!(names(folder.path()).len(), 1);
    }

    #[test]
    fn many_labels_still_make_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().into(), "porch", 150);
        let labels: Vec<String> = (0..80).map(|label| format!("label {label}")).collect();
        let path = store.add(at(0), &labels, &[0; 1]).unwrap();
        assert!(store.is_own(path.file_name().unwrap().to_str().unwrap()));
    }
}
