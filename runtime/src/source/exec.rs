//! Frames from a program that writes them to its standard output.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::kind::without_credentials;
use super::pipe::Pipe;
use super::{Next, Source, SourceError, SourceKind, SourceOptions, preset};

/// How long a program may take to end when asked to.
const FAREWELL: Duration = Duration::from_millis(300);
/// How often it is looked whether something has ended.
const LOOK: Duration = Duration::from_millis(5);
/// How a shell ends that does not find a program (POSIX).
const NOT_FOUND: i32 = 127;
/// The most bytes of a line of the program's standard error that are kept.
const LONGEST_LINE: u64 = 1 << 10;

/// A running program, alone in its process group, so that whatever it starts ends with it.
pub(super) struct Exec {
    name: String,
    package: Option<&'static str>,
    group: Group,
    pipe: Pipe<ChildStdout>,
    last_words: Arc<Mutex<String>>,
    listening: JoinHandle<()>,
    /// Whether the program's success is the end of the source, not its loss.
    ends: bool,
}

impl Exec {
    /// Runs the command of `options` by the shell.
    pub fn open(options: &SourceOptions) -> Result<Self, SourceError> {
        let name = options.kind.to_string();
        let failed = SourceError::system(&name);
        if let SourceKind::Video(path) = &options.kind {
            fs::metadata(path).map_err(&failed)?;
        }
        let program =
            preset::program(options).ok_or_else(|| failed(io::ErrorKind::Unsupported.into()))?;
        let mut child = Command::new("/bin/sh")
            .args(["-c", &program.command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(&failed)?;
        if let Some(mut input) = child.stdin.take() {
            // Fails when the program has ended already, of which its output tells.
            let _ = input.write_all(program.input.as_bytes());
        }
        let pipes = child.stdout.take().zip(child.stderr.take());
        let group = Group::new(child);
        let (output, errors) = pipes.ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let last_words = Arc::new(Mutex::new(String::new()));
        let heard = last_words.clone();
        Ok(Exec {
            name: name.clone(),
            package: program.package,
            group,
            pipe: Pipe::new(output, options)?,
            last_words,
            listening: thread::spawn(move || listen(errors, &heard)),
            ends: matches!(options.kind, SourceKind::Video(_)),
        })
    }

    /// What the end of the program's output means.
    fn end(&mut self) -> Result<Next, SourceError> {
        let status = self.group.end();
        let problem = match status {
            Some(status) if status.success() && self.ends => return Ok(Next::End),
            Some(status)
                if status.code() == Some(NOT_FOUND)
                    && let Some(package) = self.package =>
            {
                format!("its program is not there; install {package}")
            }
            Some(status) => format!("it ended: {status}"),
            None => "it closed its output".into(),
        };
        // The last words may still be on their way.
        wait_for(FAREWELL, || self.listening.is_finished());
        let last_words = self.last_words.lock();
        let last_words = last_words.unwrap_or_else(PoisonError::into_inner);
        let problem = match last_words.as_str() {
            "" => problem,
            words => format!("{problem} ({})", without_credentials(words)),
        };
        let name = self.name.clone();
        Err(SourceError::Content { name, problem })
    }
}

impl Source for Exec {
    fn next(&mut self, deadline: Instant) -> Result<Next, SourceError> {
        match self.pipe.next(deadline)? {
            Next::End => self.end(),
            next => Ok(next),
        }
    }
}

/// A program and all that it has started. Dropping it ends them.
struct Group {
    /// Until the whole group is gone: only then may another bear its number.
    leader: Option<Child>,
}

impl Group {
    fn new(leader: Child) -> Self {
        let leader = Some(leader);
        Group { leader }
    }

    /// Waits for the program to end by itself, not for long, and ends what is left of the group. How the
    /// program ended; `None` if it had to be killed.
    fn end(&mut self) -> Option<ExitStatus> {
        let mut leader = self.leader.take()?;
        let ended = has_ended(&leader, FAREWELL);
        let status = bury(&mut leader);
        status.filter(|_| ended)
    }
}

impl Drop for Group {
    /// Asks the whole group to end, and makes it.
    fn drop(&mut self) {
        if let Some(mut leader) = self.leader.take() {
            // Fails when the group is gone.
            let _ = kill_process_group(Pid::from_child(&leader), Signal::TERM);
            has_ended(&leader, FAREWELL);
            bury(&mut leader);
        }
    }
}

/// Whether `child` has ended, waited for so long at most. It keeps its number.
fn has_ended(child: &Child, time: Duration) -> bool {
    let id = WaitId::Pid(Pid::from_child(child));
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    wait_for(time, || !matches!(waitid(id.clone(), look), Ok(None)))
}

/// Kills the group that `leader` leads, and lets go of its number.
fn bury(leader: &mut Child) -> Option<ExitStatus> {
    // Fails when nobody is left.
    let _ = kill_process_group(Pid::from_child(leader), Signal::KILL);
    leader.wait().ok()
}

/// Whether `done` came to hold within `time`.
fn wait_for(time: Duration, done: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + time;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOK);
    }
}

/// Keeps the last line of `errors`, so that the program never waits for a reader.
fn listen(errors: impl Read, last_words: &Mutex<String>) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    while let Ok(1..) = errors
        .by_ref()
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut line)
    {
        let text = String::from_utf8_lossy(&line);
        let printable: String = text.chars().filter(|c| !c.is_control()).collect();
        if !printable.trim().is_empty() {
            *last_words.lock().unwrap_or_else(PoisonError::into_inner) = printable.trim().into();
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use image::codecs::jpeg::JpegEncoder;
    use image::{Rgb, RgbImage};
    use tempfile::TempDir;

    use super::*;
    use crate::frame::Frame;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn open(script: &str) -> Exec {
        let options = SourceOptions {
            kind: SourceKind::Exec(script.into()),
            rate: None,
            size: None,
            raw: None,
            repeat: false,
        };
        Exec::open(&options).unwrap()
    }

    /// A folder with `card.jpg`, of 32 x 16 pixels.
    fn card() -> TempDir {
        let folder = TempDir::new().unwrap();
        let mut bytes = Vec::new();
        let picture = RgbImage::from_pixel(32, 16, Rgb([200, 100, 50]));
        JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
        fs::write(folder.path().join("card.jpg"), bytes).unwrap();
        folder
    }

    fn next(source: &mut Exec) -> Result<Next, SourceError> {
        match source.next(Instant::now() + PATIENCE) {
            Ok(Next::Pending) => panic!("nothing for {PATIENCE:?}"),
            next => next,
        }
    }

    fn frame(source: &mut Exec) -> Frame {
        match next(source) {
            Ok(Next::Frame(frame)) => frame,
            other => panic!("{other:?}"),
        }
    }

    fn gone(pid: &str) -> bool {
        let stat = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
        // Dead and not yet buried by its parent counts.
        stat.map_or(true, |stat| stat.contains(") Z "))
    }

    #[test]
    fn garbage_is_passed_over_and_half_frames_are_told_of() {
        let folder = card();
        let path = folder.path().join("card.jpg");
        let path = path.display();
        let mut source = open(&format!(
            "printf 'noise\\377'; cat {path}; head -c 640 {path}; cat {path}; printf noise; head -c 640 {path}"
        ));
        assert_eq!(frame(&mut source).picture.decode().unwrap().width(), 32);
        assert!(matches!(next(&mut source), Ok(Next::Broken)));
        assert_eq!(frame(&mut source).picture.decode().unwrap().height(), 16);
        assert!(matches!(next(&mut source), Ok(Next::Broken)));
        let error = next(&mut source).unwrap_err().to_string();
        assert_eq!(error, "exec:printf: it ended: exit status: 0");
    }

    #[test]
    fn a_frame_is_of_the_moment_when_it_was_complete() {
        let folder = card();
        let path = folder.path().join("card.jpg");
        let path = path.display();
        let before = Instant::now();
        let mut source = open(&format!(
            "head -c 100 {path}; sleep 0.2; tail -c +101 {path}; sleep 1000"
        ));
        let frame = frame(&mut source);
        assert!(frame.captured >= before + Duration::from_millis(200));
        assert!(frame.captured <= Instant::now());
    }

    #[test]
    fn a_program_s_end_is_told_with_its_last_words_but_no_password() {
        let mut source = open("echo starting >&2; echo no rtsp://me:secret@host/x >&2; exit 3");
        let error = next(&mut source).unwrap_err().to_string();
        assert_eq!(
            error,
            "exec:echo: it ended: exit status: 3 (no rtsp://host/x)"
        );
        let mut source = open("kill -9 $$");
        let error = next(&mut source).unwrap_err().to_string();
        assert_eq!(error, "exec:kill: it ended: signal: 9 (SIGKILL)");
        let mut source = open("printf ''; exec >&-; exec sleep 1000");
        let error = next(&mut source).unwrap_err().to_string();
        assert_eq!(error, "exec:printf: it closed its output");
    }

    #[test]
    fn endless_garbage_leaves_time_for_other_things() {
        let folder = card();
        let path = folder.path().join("card.jpg");
        let mut source = open(&format!("cat {} /dev/zero", path.display()));
        frame(&mut source);
        let deadline = Instant::now() + Duration::from_millis(50);
        assert!(matches!(source.next(deadline), Ok(Next::Pending)));
        let mut source = open("cat /dev/zero");
        let error = next(&mut source).unwrap_err().to_string();
        assert_eq!(error, "exec:cat: neither MJPEG nor Y4M comes from it");
    }

    #[test]
    fn all_that_a_hanging_program_has_started_ends_with_it() {
        let folder = card();
        let pid = folder.path().join("pid");
        // The inner one ignores the polite signal, and the outer one waits for it.
        let mut source = open(&format!(
            "(trap '' TERM; exec sh -c 'echo $$ >{0}.new; mv {0}.new {0}; while :; do sleep 1; done') & \
             while ! test -e {0}; do sleep 0.01; done; cat {1}; wait",
            pid.display(),
            folder.path().join("card.jpg").display()
        ));
        frame(&mut source);
        let pid = fs::read_to_string(pid).unwrap();
        assert!(!gone(&pid));
        let deadline = Instant::now() + Duration::from_millis(20);
        assert!(matches!(source.next(deadline), Ok(Next::Pending)));
        drop(source);
        assert!(wait_for(PATIENCE, || gone(&pid)));
    }

    #[test]
    fn raw_pictures_are_of_the_size_that_was_given() {
        let options = SourceOptions {
            kind: SourceKind::Exec(r"printf '\310\377\000\001\002\003'".into()),
            rate: None,
            size: Some((2, 1)),
            raw: Some(crate::source::pictures::RawFormat::Rgb),
            repeat: false,
        };
        let mut source = Exec::open(&options).unwrap();
        let picture = frame(&mut source).picture.decode().unwrap();
        assert_eq!(picture.dimensions(), (2, 1));
        assert_eq!(picture.get_pixel(0, 0).0, [200, 255, 0]);
    }
}
