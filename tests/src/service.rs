//! A `graphtag run` that goes on while a test looks at it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;

use crate::{graphtag, repository};

/// What must happen happens within this time, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most time from a signal to the end of the process.
pub const FAREWELL: Duration = Duration::from_secs(2);
/// The most time from the end of a fault until all is as before.
pub const RECOVERY: Duration = Duration::from_secs(5);

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none in 30 s; `what` says what for.
pub fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, ask)
}

/// As [`wait_for`], for what must happen within `time`.
///
/// # Panics
/// When it does not.
pub fn wait_within<T>(time: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + time;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether `program` is there. Without it a test is skipped, which it says; under `CI=true` it fails.
///
/// # Panics
/// When it is not there under `CI=true`.
pub fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    found || skipped(program)
}

/// The file at the first of `paths` that is there; a test without it is skipped as by [`has`].
///
/// # Panics
/// When none is there under `CI=true`.
pub fn first_of<'a>(what: &str, paths: &[&'a str]) -> Option<&'a str> {
    let found = paths.iter().find(|path| Path::new(path).exists());
    if found.is_none() {
        skipped(what);
    }
    found.copied()
}

/// Says that a test is skipped for want of `what`, and gives `false`.
///
/// # Panics
/// Under `CI=true`.
pub fn skipped(what: &str) -> bool {
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "needs {what}"
    );
    eprintln!("skipped: needs {what}");
    false
}

/// A running service; it is killed when dropped.
pub struct Service {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Service {
    /// Starts `graphtag run` with `arguments` in the repository's top folder.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = graphtag();
        command
            .arg("run")
            .args(arguments)
            .current_dir(repository())
            .stdin(Stdio::null());
        Service::spawn(&mut command)
    }

    /// Starts `graphtag run` on the photos of `tests/photos`, ten a second and again and again, with a line for
    /// each.
    pub fn watch(further: &[&str]) -> Self {
        let arguments = [
            "--source=tests/photos",
            "--loop",
            "--rate=10",
            "--output=frames",
        ];
        Service::start([&arguments, further].concat())
    }

    /// Starts `command`, whatever it is.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn spawn(command: &mut Command) -> Self {
        Service::spawn_to(command, Stdio::piped())
    }

    /// As [`Service::spawn`], with another standard output than what this reads.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn spawn_to(command: &mut Command, stdout: Stdio) -> Self {
        let mut child = command
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().map(collect).unwrap_or_default();
        let stderr = collect(child.stderr.take().unwrap());
        Service {
            child,
            stdout,
            stderr,
        }
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What was written to standard error so far.
    ///
    /// # Panics
    /// When a test has.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// What was written to standard output so far.
    ///
    /// # Panics
    /// When a test has.
    pub fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// The JSON lines of standard output so far.
    ///
    /// # Panics
    /// When a line is no JSON.
    pub fn lines(&self) -> Vec<Value> {
        let stdout = self.stdout();
        let lines = stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// How many lines standard output has so far.
    pub fn count(&self) -> usize {
        self.stdout().lines().count()
    }

    /// Waits for `count` lines more than there are now.
    pub fn goes_on(&self, count: usize) {
        let wanted = self.count() + count;
        wait_for("further lines", || (self.count() >= wanted).then_some(()));
    }

    /// Waits until standard error contains `text`.
    pub fn says(&self, text: &str) {
        wait_for(&format!("{text:?} on standard error"), || {
            self.stderr().contains(text).then_some(())
        });
    }

    /// The address of the live page, such as `http://127.0.0.1:40123`.
    pub fn address(&self) -> String {
        wait_for("the page's address", || {
            let stderr = self.stderr();
            let (_, rest) = stderr.split_once("live page at ")?;
            let (address, _) = rest.split_once("/\n")?;
            Some(address.to_owned())
        })
    }

    /// As [`Service::address`], for sockets.
    ///
    /// # Panics
    /// When it is none.
    pub fn socket_address(&self) -> SocketAddr {
        let address = self.address();
        address.trim_start_matches("http://").parse().unwrap()
    }

    /// `/api/state`.
    ///
    /// # Panics
    /// When there is none.
    pub fn state(&self) -> Value {
        get(&format!("{}/api/state", self.address())).json()
    }

    /// The resident memory, in bytes.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kilobytes.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end: the exit status (`None` after a signal), and how long it took.
    ///
    /// # Panics
    /// When it does not end.
    pub fn end(&mut self) -> (Option<i32>, Duration) {
        let begin = Instant::now();
        let status = wait_for("the end of the process", || self.child.try_wait().unwrap());
        (status.code(), begin.elapsed())
    }

    /// Sends `signal`, which ends it well and in time.
    ///
    /// # Panics
    /// When it does not.
    pub fn end_by(&mut self, signal: Signal) {
        self.signal(signal);
        let (status, time) = self.end();
        assert_eq!(status, Some(0), "{}", self.stderr());
        assert!(time < FAREWELL, "{time:?}: {}", self.stderr());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let collected = Arc::new(Mutex::new(String::new()));
    let collecting = collected.clone();
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = String::new();
        while let Ok(1..) = from.read_line(&mut line) {
            collecting.lock().unwrap().push_str(&line);
            line.clear();
        }
    });
    collected
}

/// A client that asks for `path` and reads nothing; `None` when it is not let in.
pub fn viewer(address: SocketAddr, path: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, RECOVERY).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    Some(stream)
}

/// An answer over HTTP.
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }
}

/// The answer to GET.
///
/// # Panics
/// When there is no answer.
pub fn get(address: &str) -> Answer {
    ask("GET", address, &[], "")
}

/// The answer to any request.
///
/// # Panics
/// When there is no answer.
pub fn ask(method: &str, address: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
    let headers = response.headers().iter();
    Answer {
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
            .collect(),
        status: response.status().as_u16(),
        body: response.body_mut().read_to_vec().unwrap(),
    }
}
