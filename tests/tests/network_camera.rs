//! Cameras in the network: behind HTTP another `graphtag run`, behind RTSP GStreamer's server.

use std::fs;
use std::process::Command;
use std::time::Instant;

use graphtag_tests::service::{RECOVERY, Service, Signal, skipped, wait_for, wait_within};
use graphtag_tests::{fixture, repository};
use tempfile::TempDir;

/// An RTSP server's program that shows the cat, at this port or any.
fn rtsp_camera(port: &str) -> Command {
    let mut command = Command::new(repository().join("tests/camera/rtsp.py"));
    command.args(["tests/photos/cat.jpg", port]);
    command.current_dir(repository());
    command
}

/// Whether GStreamer's server and what it needs to run are there.
fn has_rtsp_server() -> bool {
    let parts = "import gi; gi.require_version('GstRtspServer', '1.0')";
    let found = Command::new("/usr/bin/python3")
        .args(["-c", parts])
        .output();
    found.is_ok_and(|output| output.status.success())
        || skipped("python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good")
}

/// What any user of the machine sees of the processes that run.
fn command_lines() -> String {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " ") + "\n")
        .collect()
}

#[test]
fn an_rtsp_camera_shows_its_password_to_nobody_and_is_found_again() {
    if !has_rtsp_server() {
        return;
    }
    let camera = Service::spawn(&mut rtsp_camera("0"));
    let port = wait_for("the camera's port", || {
        let text = camera.stdout();
        text.contains('\n').then(|| text.trim().to_owned())
    });
    let folder = TempDir::new().unwrap();
    let configuration = folder.path().join("graphtag.toml");
    let source = format!("source = \"rtsp://me:se'cret@127.0.0.1:{port}/camera\"\n");
    fs::write(&configuration, source).unwrap();
    let configuration = format!("--config={}", configuration.display());
    let mut service = Service::start(["--output=frames", &configuration]);
    service.goes_on(3);
    let frame = &service.lines()[2];
    assert_eq!(frame["tags"][0]["label"], "cat", "{frame}");
    let running = command_lines();
    assert!(running.contains("ffmpeg"), "{running}");
    assert!(!running.contains("se'cret"), "{running}");

    camera.signal(Signal::KILL);
    service.says("trying again");
    let _camera = Service::spawn(&mut rtsp_camera(&port));
    let seen = service.count();
    wait_within(RECOVERY, "frames of the camera that is back", || {
        (service.count() > seen).then_some(())
    });
    service.end_by(Signal::TERM);
    let stderr = service.stderr();
    assert!(!stderr.contains("se'cret"), "{stderr}");
}

#[test]
fn a_network_camera_that_went_away_is_found_again() {
    let mut camera = Service::watch(&["--http=127.0.0.1:0"]);
    let address = camera.socket_address();
    let model = format!("--model={}", fixture("colours.onnx").display());
    let source = format!("--source=http://me:secret@{address}/live.mjpg");
    let mut service = Service::start(["--output=frames", &model, &source]);
    service.goes_on(3);
    camera.end_by(Signal::TERM);
    service.says("trying again");

    let camera = Service::watch(&[&format!("--http={address}")]);
    camera.address();
    let begin = Instant::now();
    service.goes_on(1);
    assert!(begin.elapsed() < RECOVERY, "{:?}", begin.elapsed());
    service.end_by(Signal::TERM);
    let stderr = service.stderr();
    assert!(
        stderr.contains(&format!("http://{address}/live.mjpg: ")),
        "{stderr}"
    );
    // But for the advice not to write it there.
    assert!(!stderr.contains("secret@"), "{stderr}");
}
