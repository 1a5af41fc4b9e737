//! Runs the real `graphtag` as a user does, and sees what the user sees.

pub mod broker;
pub mod browser;
pub mod schema;
pub mod service;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use wait4::Wait4;

/// The most memory that any run may take, in bytes.
pub const MEMORY_LIMIT: u64 = 512_000_000;

/// What a finished run left.
#[derive(Debug)]
pub struct Run {
    /// The exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
    /// The largest resident memory, in bytes.
    pub peak_memory: u64,
}

impl Run {
    /// The JSON objects of standard output, one a line.
    ///
    /// # Panics
    /// When a line is no JSON.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

/// The top folder of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The small models and label files in `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// The corpus in `tests/bad`.
pub fn bad(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bad").join(name)
}

/// A command of `graphtag`: the file that `GRAPHTAG_BINARY` names, such as one of a package, or else as it is
/// released, built when first asked for.
///
/// # Panics
/// When the build fails.
pub fn graphtag() -> Command {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let given = || std::env::var_os("GRAPHTAG_BINARY").map(PathBuf::from);
    Command::new(BINARY.get_or_init(|| given().unwrap_or_else(build)))
}

fn build() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "graphtag"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(repository())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "graphtag is built");
    let messages = String::from_utf8(output.stdout).expect("cargo writes JSON");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the executable")
}

/// Runs `graphtag` with `arguments` in the repository's top folder, without input.
///
/// # Panics
/// When it can't be started.
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    finish(
        graphtag()
            .args(arguments)
            .current_dir(repository())
            .stdin(Stdio::null()),
    )
}

/// Runs `command` to its end.
///
/// # Panics
/// When it can't be started.
pub fn finish(command: &mut Command) -> Run {
    let mut stdout = tempfile::tempfile().unwrap();
    let mut stderr = tempfile::tempfile().unwrap();
    let mut child = command
        .stdout(stdout.try_clone().unwrap())
        .stderr(stderr.try_clone().unwrap())
        .spawn()
        .unwrap();
    let used = child.wait4().unwrap();
    Run {
        status: used.status.code(),
        stdout: content(&mut stdout),
        stderr: content(&mut stderr),
        peak_memory: used.rusage.maxrss,
    }
}

fn content(file: &mut File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Writes an 8 x 8 photo of one colour, in the PPM format.
///
/// # Panics
/// When it can't be written.
pub fn write_photo(path: &Path, colour: [u8; 3]) {
    let mut bytes = b"P6 8 8 255\n".to_vec();
    bytes.extend(colour.repeat(64));
    std::fs::write(path, bytes).unwrap();
}
