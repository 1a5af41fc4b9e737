//! A camera's program that is killed, hangs or writes what is no picture, and its way back.

use std::fs;
use std::path::Path;
use std::process::Command;

use graphtag_tests::broker::Broker;
use graphtag_tests::service::{RECOVERY, Service, Signal, has, wait_for, wait_within};
use graphtag_tests::{graphtag, repository};
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

/// A service that sees what a shell command writes.
fn watch(command: &str, further: &[&str]) -> Service {
    let source = format!("exec:{command}");
    Service::start([&["--output=frames", "--source", &source], further].concat())
}

/// Whether the process is gone, or dead and not yet buried.
fn gone(pid: &str) -> bool {
    fs::read_to_string(Path::new("/proc").join(pid).join("stat"))
        .map_or(true, |stat| stat.contains(") Z "))
}

/// Waits until the last frame shows a cat, at most as long as a recovery may take.
fn shows_the_cat_again(service: &Service) {
    let seen = service.count();
    wait_within(RECOVERY, "the cat again", || {
        let lines = service.lines();
        let last = lines[seen..].last()?;
        (last["tags"][0]["label"] == "cat").then_some(())
    });
}

#[test]
fn a_program_that_is_killed_is_started_again_in_time() {
    let folder = TempDir::new().unwrap();
    let pid = folder.path().join("pid");
    let script = format!(
        "echo $$ > {}; while :; do cat tests/photos/cat.jpg; sleep 0.1; done",
        pid.display()
    );
    let mut service = watch(&script, &[]);
    shows_the_cat_again(&service);
    for _ in 0..2 {
        let number: i32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(number).unwrap(), Signal::KILL).unwrap();
        service.says("trying again");
        wait_for("another process", || {
            let text = fs::read_to_string(&pid).ok()?;
            (text.trim().parse::<i32>().ok()? != number).then_some(())
        });
        shows_the_cat_again(&service);
    }
    service.end_by(Signal::TERM);
}

/// A command that does `once` when it is first started, and then shows the cat.
fn at_first(folder: &Path, once: &str) -> String {
    format!(
        "if mkdir {}/been 2>/dev/null; then {once}; fi; \
         while :; do cat tests/photos/cat.jpg; sleep 0.1; done",
        folder.display()
    )
}

#[test]
fn a_program_that_hangs_or_writes_garbage_is_replaced_in_time() {
    for once in [
        "sleep 1000",
        "trap '' TERM; cat tests/photos/cat.jpg; while :; do sleep 1; done",
        "head -c 3000000 /dev/urandom; exit",
        "cat /dev/zero",
        "echo YUV4MPEG2 W99999999 H99999999; exit",
        "head -c 9000 tests/photos/cat.jpg; exit 1",
    ] {
        let folder = TempDir::new().unwrap();
        let mut service = watch(&at_first(folder.path(), once), &["--patience=0.5"]);
        shows_the_cat_again(&service);
        assert!(service.memory() < 128_000_000, "{once}");
        service.end_by(Signal::TERM);
    }
}

#[test]
fn the_last_words_of_a_program_tell_why_it_ended() {
    let mut service = watch(
        "cat tests/photos/cat.jpg; echo no more memory >&2; exit 3",
        &[],
    );
    service.says("it ended: exit status: 3 (no more memory); trying again");
    service.goes_on(1);
    service.end_by(Signal::TERM);
}

#[test]
fn a_program_that_is_not_there_is_named_by_what_to_install() {
    let mut command = graphtag();
    command
        .args(["run", "--source=rpicam"])
        .env("PATH", "/nowhere");
    let mut service = Service::spawn(&mut command);
    service.says("rpicam: its program is not there; install rpicam-apps");
    service.end_by(Signal::TERM);
}

#[test]
fn a_program_that_hangs_is_killed_with_all_it_started() {
    let folder = TempDir::new().unwrap();
    let pids = folder.path().join("pids");
    // The child ignores the polite signal.
    let script = format!(
        "cat tests/photos/cat.jpg; (trap '' TERM; exec sh -c 'echo $$ >> {}; sleep 1000; :') & wait",
        pids.display()
    );
    let mut service = watch(&script, &["--patience=0.3"]);
    service.says("no frame for 0.3 s; trying again");
    service.goes_on(1);
    service.end_by(Signal::TERM);
    for pid in fs::read_to_string(pids).unwrap().lines() {
        wait_for("the end of the program's child", || gone(pid).then_some(()));
    }
}

#[test]
fn a_second_signal_still_ends_the_program() {
    let folder = TempDir::new().unwrap();
    let pid = folder.path().join("pid");
    let script = format!(
        "trap '' TERM INT; echo $$ > {}; cat tests/photos/cat.jpg; exec sleep 1000",
        pid.display()
    );
    let mut service = watch(&script, &["--patience=60"]);
    service.goes_on(1);
    service.signal(Signal::INT);
    service.end_by(Signal::INT);
    let pid = fs::read_to_string(pid).unwrap();
    wait_for("the end of the program", || gone(pid.trim()).then_some(()));
}

#[test]
fn damaged_frames_alone_end_what_was_present() {
    let script = "for i in 1 2 3; do cat tests/photos/cat.jpg; sleep 0.1; done; \
        while :; do printf '\\377\\330\\377\\331'; sleep 0.1; done";
    let mut service = watch(script, &["--patience=0.5"]);
    wait_for("a frame without the cat", || {
        let lines = service.lines();
        let last = lines.last()?;
        let gone = last["tags"].as_array()?.is_empty() && last["error"].is_string();
        let mut before = lines.iter();
        (before.any(|line| line["tags"][0]["label"] == "cat") && gone).then_some(())
    });
    service.end_by(Signal::TERM);
}

#[test]
fn half_and_damaged_frames_are_counted_and_the_next_is_tagged() {
    let damaged =
        r"printf '\377\330\377\340\000\020JFIF\000\001\001\000\000\001\000\001\000\000\377\331'";
    for bad in ["head -c 5000 tests/photos/cat.jpg", damaged] {
        let script = format!("while :; do {bad}; cat tests/photos/cat.jpg; sleep 0.1; done");
        let mut service = watch(&script, &["--http=127.0.0.1:0"]);
        shows_the_cat_again(&service);
        wait_for("three bad frames that are counted", || {
            let state = service.state();
            let failed = &state["health"]["frames"]["failed"];
            (failed.as_u64().unwrap() >= 3).then_some(())
        });
        shows_the_cat_again(&service);
        service.end_by(Signal::TERM);
    }
}

#[test]
fn a_signal_ends_it_whatever_the_program_does_and_offline_is_said() {
    if !has("mosquitto") || !has("mosquitto_sub") {
        return;
    }
    let states = [
        "sleep 1000",
        "exit 1",
        "trap '' TERM; while :; do sleep 1; done",
    ];
    for state in states {
        let mut without_frames = watch(state, &["--http=127.0.0.1:0"]);
        without_frames.address();
        without_frames.end_by(Signal::TERM);

        let broker = Broker::start();
        let mqtt = broker.address();
        let script = format!("cat tests/photos/cat.jpg; {state}");
        let mut service = watch(&script, &["--patience=60", "--name=porch", "--mqtt", &mqtt]);
        let listener = broker.listen();
        listener.hears("graphtag/porch/availability", "online");
        service.end_by(Signal::TERM);
        listener.hears("graphtag/porch/availability", "offline");
    }
}

/// A JPEG without its Huffman tables, as many webcams send it.
fn without_huffman_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut kept = jpeg[..2].to_vec();
    let mut rest = &jpeg[2..];
    while let &[0xff, marker, high, low, ..] = rest {
        let length = 2 + usize::from(u16::from_be_bytes([high, low]));
        if marker == 0xda {
            break;
        }
        if marker != 0xc4 {
            kept.extend_from_slice(&rest[..length]);
        }
        rest = &rest[length..];
    }
    kept.extend_from_slice(rest);
    kept
}

#[test]
fn jpeg_without_huffman_tables_is_tagged() {
    if !has("ffmpeg") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("webcam.jpg");
    let mut ffmpeg = Command::new("ffmpeg");
    // The standard's tables, which a decoder is to assume.
    ffmpeg.args([
        "-v",
        "error",
        "-i",
        "tests/photos/cat.jpg",
        "-pix_fmt",
        "yuvj422p",
    ]);
    ffmpeg.args([
        "-c:v", "mjpeg", "-huffman", "default", "-q:v", "3", "-f", "mjpeg",
    ]);
    let status = ffmpeg.arg(&path).current_dir(repository()).status();
    assert!(status.unwrap().success());
    let whole = fs::read(&path).unwrap();
    let stripped = without_huffman_tables(&whole);
    assert!(stripped.len() < whole.len() - 400, "there were tables");
    fs::write(&path, stripped).unwrap();
    let script = format!("while :; do cat {}; sleep 0.1; done", path.display());
    let mut service = watch(&script, &[]);
    shows_the_cat_again(&service);
    service.end_by(Signal::TERM);
}
