//! What systemd is told, and the unit that it is given.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use graphtag_tests::service::{Service, Signal, has};
use graphtag_tests::{finish, graphtag, repository};

/// The messages of a service, each of one or more lines.
struct Manager(UnixDatagram);

impl Manager {
    /// The next message that is no ping.
    fn next(&self) -> String {
        loop {
            let message = self.any();
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }

    fn any(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).expect("a message");
        String::from_utf8(bytes[..length].into())
            .unwrap()
            .trim_end()
            .into()
    }
}

/// A service that sees photos, under a manager that waits for a ping each second.
fn managed(folder: &Path, further: &[&str]) -> (Service, Manager) {
    let socket = folder.join("notify");
    let manager = Manager(UnixDatagram::bind(&socket).unwrap());
    manager
        .0
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut command = graphtag();
    command
        .args(["run", "--source", "tests/photos", "--loop", "--rate", "10"])
        .args(further)
        .current_dir(repository())
        .stdin(Stdio::null())
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "1000000");
    (Service::spawn(&mut command), manager)
}

#[test]
fn a_low_rate_is_progress_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (mut service, manager) = managed(folder.path(), &["--max-fps=0.001"]);
    assert_eq!(manager.next(), "READY=1");
    for _ in 0..4 {
        assert_eq!(manager.any(), "WATCHDOG=1");
    }
    service.end_by(Signal::TERM);
}

#[test]
fn the_service_manager_is_told_of_every_stage() {
    let folder = tempfile::tempdir().unwrap();
    let (mut service, manager) = managed(folder.path(), &[]);
    assert_eq!(manager.next(), "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.any(), "WATCHDOG=1");
    }
    service.signal(Signal::HUP);
    let reloading = manager.next();
    let (reloading, time) = reloading.split_once('\n').expect("two lines");
    assert_eq!(reloading, "RELOADING=1");
    let time = time.strip_prefix("MONOTONIC_USEC=").expect("a time");
    assert!(time.parse::<u64>().unwrap() > 0);
    assert_eq!(manager.next(), "READY=1");
    service.signal(Signal::TERM);
    assert_eq!(manager.next(), "STOPPING=1");
    assert_eq!(service.end().0, Some(0));
}

#[test]
fn the_unit_is_valid_and_hardened() {
    if !has("systemd-analyze") {
        return;
    }
    let unit = fs::read_to_string(repository().join("firmware/systemd/graphtag.service")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graphtag.service");
    let binary = graphtag().get_program().to_str().unwrap().to_owned();
    let installed = unit.replace("/usr/bin/graphtag", &binary);
    assert_ne!(installed, unit);
    fs::write(&path, installed).unwrap();
    let verified = finish(Command::new("systemd-analyze").arg("verify").arg(&path));
    assert_eq!((verified.status, verified.stderr.as_str()), (Some(0), ""));
    // Of 100, where 0 is a service that can do nothing; cameras and the network are what is left.
    let secure = ["security", "--offline=true", "--threshold=20"];
    let secured = finish(Command::new("systemd-analyze").args(secure).arg(&path));
    assert_eq!(secured.status, Some(0), "{}", secured.stdout);
}
