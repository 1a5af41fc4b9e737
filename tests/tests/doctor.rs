//! `graphtag doctor` names what is wrong and what to do.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use graphtag_tests::{Run, repository, run};
use serde_json::Value;

fn doctor(config: &Path) -> (Run, Vec<Value>) {
    let run = run([
        "doctor".as_ref(),
        "--format".as_ref(),
        "json".as_ref(),
        "--config".as_ref(),
        config.as_os_str(),
    ]);
    let findings = serde_json::from_str(&run.stdout).unwrap();
    (run, findings)
}

fn finding<'a>(findings: &'a [Value], subject: &str) -> &'a Value {
    let mut found = findings
        .iter()
        .filter(|finding| finding["subject"] == subject);
    found
        .next()
        .unwrap_or_else(|| panic!("no {subject}: {findings:?}"))
}

#[test]
fn without_a_configuration_the_machine_and_the_model_are_looked_at() {
    let run = run(["doctor"]);
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    for subject in ["processor", "memory", "camera", "program", "model"] {
        assert!(run.stdout.contains(subject), "{}", run.stdout);
    }
    assert!(
        run.stdout.contains("its golden photo is as it must be"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_configuration_that_works_has_no_problem() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("graphtag.toml");
    let photos = repository().join("tests/photos");
    let text = format!(
        "source = {photos:?}\nhttp = \"127.0.0.1:0\"\nsnapshots = \"snapshots\"\nsnapshot_quota = 1\n"
    );
    fs::write(&config, text).unwrap();
    let (run, findings) = doctor(&config);
    assert_eq!(run.status, Some(0), "{}", run.stdout);
    for subject in ["configuration", "source", "http", "snapshots", "model"] {
        assert_eq!(finding(&findings, subject)["verdict"], "ok", "{subject}");
    }
    assert!(
        finding(&findings, "source")["text"]
            .as_str()
            .unwrap()
            .contains(" pixels after ")
    );
    assert_eq!(
        fs::read_dir(folder.path().join("snapshots"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn the_profile_of_every_device_is_a_valid_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("graphtag.toml");
    let photo = repository().join("tests/photos/cat.jpg");
    for device in [
        "pi-zero-2w",
        "pi3",
        "pi4",
        "pi5",
        "jetson-nano",
        "jetson-orin-nano",
    ] {
        let printed = run(["config", "--device", device]).stdout;
        // This machine has no camera of a board.
        let sources = ["source = \"rpicam\"", "source = \"jetson-csi\""];
        let source = sources.iter().find(|source| printed.contains(*source));
        let text = printed.replace(source.unwrap(), &format!("source = {photo:?}"));
        fs::write(&config, text).unwrap();
        let (_, findings) = doctor(&config);
        for subject in ["configuration", "source", "model"] {
            let finding = finding(&findings, subject);
            assert_eq!(finding["verdict"], "ok", "{device}: {finding}");
        }
    }
}

#[test]
fn every_problem_comes_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("graphtag.toml");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    fs::write(folder.path().join("token"), "secret").unwrap();
    let text = format!(
        "source = \"nowhere\"\nhttp = \"{}\"\ntoken_file = \"token\"\nmqtt = \"mqtt://{closed}\"\n\
         webhook = \"http://{closed}/\"\nsnapshots = \"not/there\"\nmodel = \"none.onnx\"\n",
        taken.local_addr().unwrap()
    );
    fs::write(&config, text).unwrap();
    let (run, findings) = doctor(&config);
    assert_eq!(run.status, Some(1));
    for subject in ["source", "http", "broker", "webhook", "snapshots", "model"] {
        let finding = finding(&findings, subject);
        assert_eq!(finding["verdict"], "problem", "{finding}");
        assert!(!finding["remedy"].as_str().unwrap().is_empty());
    }
    let secret = finding(&findings, "secret");
    assert_eq!(secret["verdict"], "warning");
    assert!(secret["remedy"].as_str().unwrap().starts_with("chmod 600 "));
}

#[test]
fn a_wrong_configuration_is_a_problem_and_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("graphtag.toml");
    fs::write(&config, "source = \"tests/photos\"\nmax_fsp = 3\n").unwrap();
    let (run, findings) = doctor(&config);
    assert_eq!(run.status, Some(1));
    let text = finding(&findings, "configuration")["text"]
        .as_str()
        .unwrap();
    assert!(
        text.ends_with("line 2: there is no key max_fsp; did you mean max_fps?"),
        "{text}"
    );
}
