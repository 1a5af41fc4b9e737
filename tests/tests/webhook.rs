//! `--webhook`: every event is posted, signed and not lost by a receiver that is away for a moment.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use graphtag_tests::service::{Service, Signal};
use graphtag_tests::{finish, fixture, graphtag, write_photo};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

const SECRET: &str = "a secret of the receiver";
const TOKEN: &str = "a-token-of-the-receiver";

/// A request as it came.
struct Post {
    head: String,
    body: String,
}

impl Post {
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

/// Answers with each of `statuses`, then with 204.
fn receive(listener: TcpListener, statuses: &'static [u16]) -> Receiver<Post> {
    let (sender, posts) = channel();
    thread::spawn(move || {
        let mut statuses = statuses.iter();
        for connection in listener.incoming().flatten() {
            while let Some(post) = read(&connection) {
                let status = statuses.next().unwrap_or(&204);
                let answer = format!("HTTP/1.1 {status} -\r\nContent-Length: 0\r\n\r\n");
                if sender.send(post).is_err() || (&connection).write_all(answer.as_bytes()).is_err()
                {
                    return;
                }
            }
        }
    });
    posts
}

fn read(connection: &TcpStream) -> Option<Post> {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut post = Post {
        head,
        body: String::new(),
    };
    let mut body = vec![0; post.header("content-length").parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    post.body = String::from_utf8(body).unwrap();
    Some(post)
}

/// A source whose labels come and go.
fn colours(folder: &Path) -> Vec<String> {
    write_photo(&folder.join("1.ppm"), [255, 0, 0]);
    write_photo(&folder.join("2.ppm"), [0, 255, 0]);
    let model = fixture("colours.onnx");
    let arguments = [
        "--loop",
        "--rate",
        "5",
        "--smoothing",
        "0",
        "--vanish-after",
        "0",
        "--source",
    ];
    let mut arguments = arguments.map(String::from).to_vec();
    arguments.extend([folder, "--model".as_ref(), &model].map(|path| path.display().to_string()));
    arguments
}

fn next(posts: &Receiver<Post>) -> Post {
    posts.recv_timeout(Duration::from_secs(30)).expect("a post")
}

#[test]
fn events_are_posted_signed_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!(
        "http://{}/hooks/hidden-path",
        listener.local_addr().unwrap()
    );
    let posts = receive(listener, &[503, 503]);
    let secret = folder.path().join("secret");
    let token = folder.path().join("token");
    fs::write(&secret, SECRET).unwrap();
    fs::write(&token, TOKEN).unwrap();
    let mut arguments = colours(folder.path());
    arguments.extend(["--webhook".into(), address]);
    for (option, file) in [
        ("--webhook-secret-file", &secret),
        ("--webhook-token-file", &token),
    ] {
        arguments.extend([option.into(), file.display().to_string()]);
    }
    let mut service = Service::start(arguments);
    let (first, second, third) = (next(&posts), next(&posts), next(&posts));
    assert!(first.head.starts_with("POST /hooks/hidden-path HTTP/1.1"));
    assert_eq!(first.header("authorization"), format!("Bearer {TOKEN}"));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(first.body.as_bytes());
    let signature: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        first.header("x-hub-signature-256"),
        format!("sha256={signature}")
    );
    assert_eq!(
        (&second.body, &third.body),
        (&first.body, &first.body),
        "until it is taken"
    );
    let event: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(
        (&event["event"], &event["label"]),
        (&"appeared".into(), &"red".into())
    );
    let next: Value = serde_json::from_str(&next(&posts).body).unwrap();
    assert_ne!(next, event);
    service.says("events are taken again");
    service.end_by(Signal::TERM);
    for secret in [SECRET, TOKEN, "hidden-path"] {
        assert!(!service.stderr().contains(secret), "{}", service.stderr());
    }
}

#[test]
fn every_event_of_a_folder_is_posted_however_slow_the_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let refusals = &[503, 503];
    let posts = receive(listener, refusals);
    write_photo(&folder.path().join("1.ppm"), [255, 0, 0]);
    write_photo(&folder.path().join("2.ppm"), [0, 255, 0]);
    let mut command = graphtag();
    command.args(["run", "--webhook", &address, "--source"]);
    command.arg(folder.path());
    command.arg("--model").arg(fixture("colours.onnx"));
    let run = finish(command.stdin(Stdio::null()));
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let posted: Vec<_> = posts.try_iter().map(|post| post.body).collect();
    let lines: Vec<_> = run.stdout.lines().collect();
    assert!(lines.len() >= 4, "{lines:?}");
    assert_eq!(posted[refusals.len()..], lines);
}

#[test]
fn a_receiver_that_never_answers_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let mut arguments = colours(folder.path());
    arguments.extend(["--webhook".into(), address]);
    let mut service = Service::start(arguments);
    graphtag_tests::service::wait_for("ten events", || (service.lines().len() >= 10).then_some(()));
    service.end_by(Signal::TERM);
    let stderr = service.stderr();
    assert!(
        stderr.contains("the last events were not delivered"),
        "{stderr}"
    );
}
