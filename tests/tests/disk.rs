//! A disk that is full, or can be read only: snapshots stop, tagging goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use graphtag_tests::service::{RECOVERY, Service, Signal, wait_within};
use tempfile::TempDir;

/// A small file system of its own, in memory; it goes with this.
struct Disk(TempDir);

impl Disk {
    /// `None`, which it says, when only root may do so.
    fn mount() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return None;
        }
        let folder = TempDir::new().unwrap();
        let disk = Disk(folder);
        call(
            "mount",
            &["-t", "tmpfs", "-o", "size=200k", "tmpfs"],
            disk.0.path(),
        );
        Some(disk)
    }

    fn remount(&self, options: &str) {
        call(
            "mount",
            &["-o", &format!("remount,{options}")],
            self.0.path(),
        );
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        call("umount", &["--lazy"], self.0.path());
    }
}

fn call(program: &str, arguments: &[&str], folder: &Path) {
    let status = Command::new(program).args(arguments).arg(folder).status();
    assert!(status.unwrap().success(), "{program} {arguments:?}");
}

/// Waits until standard error contains `text` for the `count`th time.
fn says(service: &Service, text: &str, count: usize) {
    wait_within(2 * RECOVERY, text, || {
        (service.stderr().matches(text).count() >= count).then_some(())
    });
}

#[test]
fn snapshots_stop_on_a_full_or_read_only_disk_and_come_back_with_it() {
    let Some(disk) = Disk::mount() else {
        return;
    };
    let folder = disk.0.path().to_str().unwrap();
    let mut service = Service::watch(&[
        "--smoothing=0",
        "--vanish-after=0",
        "--snapshots",
        folder,
        "--snapshot-period=0",
        "--snapshot-quota=100",
    ]);
    for (number, (broken, mended)) in [("size=200k", "size=100m"), ("ro", "rw")]
        .into_iter()
        .enumerate()
    {
        disk.remount(broken);
        says(&service, "left out until it can be written", number + 1);
        service.goes_on(10);
        disk.remount(mended);
        says(&service, "they are written again", number + 1);
    }
    service.end_by(Signal::TERM);
    assert!(service.lines().iter().all(|line| line["error"].is_null()));
    for file in disk.files() {
        assert_eq!(
            file.extension().unwrap(),
            "jpg",
            "an unfinished {}",
            file.display()
        );
        let jpeg = fs::read(&file).unwrap();
        assert!(jpeg.ends_with(&[0xff, 0xd9]), "half of {}", file.display());
    }
}
