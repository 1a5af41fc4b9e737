//! A camera behind HTTP: another `graphtag run`.

use std::time::Instant;

use graphtag_tests::fixture;
use graphtag_tests::service::{RECOVERY, Service, Signal};

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
