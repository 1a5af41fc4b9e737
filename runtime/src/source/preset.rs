//! The commands behind the sources that name a camera or a film instead of a command.

use std::path::Path;

use super::{SourceKind, SourceOptions};

/// Enough for any model here, and little to decode.
const SIZE: (u32, u32) = (640, 480);
/// Frames a second: as many as tags are of use for.
const RATE: f64 = 10.0;

/// A program whose output is a source.
pub(super) struct Program {
    /// What the shell runs.
    pub command: String,
    /// What the program's standard input says.
    pub input: String,
    /// What to install if the program is not there; `None` for a program of the user's own.
    pub package: Option<&'static str>,
}

/// The program of a source that is a program's output; `None` for other sources.
pub(super) fn program(options: &SourceOptions) -> Option<Program> {
    let input = match &options.kind {
        SourceKind::Rtsp(address) => playlist(address),
        _ => String::new(),
    };
    let package = match options.kind {
        SourceKind::Rpicam => Some("rpicam-apps"),
        SourceKind::JetsonCsi => Some("gstreamer1.0-tools"),
        SourceKind::Rtsp(_) | SourceKind::Video(_) => Some("ffmpeg"),
        _ => None,
    };
    let command = command(options)?;
    Some(Program {
        command,
        input,
        package,
    })
}

fn command(options: &SourceOptions) -> Option<String> {
    let (width, height) = options.size.unwrap_or(SIZE);
    let rate = options.rate.unwrap_or(RATE);
    match &options.kind {
        SourceKind::Exec(command) => Some(command.clone()),
        SourceKind::Rpicam => Some(format!(
            "exec rpicam-vid --nopreview --timeout 0 --codec mjpeg --width {width} --height {height} \
             --framerate {rate} --flush --output -"
        )),
        SourceKind::JetsonCsi => {
            // GStreamer takes fractions alone.
            let rate = format!("{}/1000", (rate * 1000.0).round().max(1.0));
            Some(format!(
                "exec gst-launch-1.0 -q nvarguscamerasrc ! 'video/x-raw(memory:NVMM)' ! nvvidconv ! videorate ! \
                 'video/x-raw(memory:NVMM),format=I420,width={width},height={height},framerate={rate}' ! \
                 nvjpegenc ! fdsink fd=1"
            ))
        }
        SourceKind::Rtsp(_) => {
            let input = "-f concat -safe 0 -protocol_whitelist pipe,tcp,tls,rtp,srtp -i pipe:0";
            Some(ffmpeg(input, options.size, rate))
        }
        SourceKind::Video(path) => {
            let repeat = if options.repeat {
                "-stream_loop -1 "
            } else {
                ""
            };
            let input = format!("-re {repeat}-i {}", quoted(&file(path)));
            Some(ffmpeg(&input, options.size, rate))
        }
        SourceKind::Test
        | SourceKind::StandardInput
        | SourceKind::Http(_)
        | SourceKind::V4l2 { .. }
        | SourceKind::Folder(_) => None,
    }
}

/// Uncompressed, since encoding pictures to decode them again costs more than the pipe; in the colours of
/// [`Yuv`](crate::frame::Yuv).
fn ffmpeg(input: &str, size: Option<(u32, u32)>, rate: f64) -> String {
    let scale = match size {
        Some((width, height)) => format!("{width}:{height}"),
        None => format!("'min({},iw)':-2", SIZE.0),
    };
    let filter = format!("fps={rate},scale={scale}:out_color_matrix=bt601:out_range=tv");
    format!(
        "exec ffmpeg -nostdin -hide_banner -loglevel error {input} -an -vf {} -pix_fmt yuv420p -f yuv4mpegpipe -",
        quoted(&filter)
    )
}

/// A playlist of ffmpeg's (from version 5 on) with nothing but an RTSP address: every user of the machine could read
/// the address's password among the program's arguments.
fn playlist(address: &str) -> String {
    let address = quoted(address);
    format!("ffconcat version 1.0\nfile {address}\noption rtsp_transport tcp\n")
}

/// A file that ffmpeg takes for neither an option nor an address.
fn file(path: &Path) -> String {
    format!("file:{}", path.display())
}

/// One word of a shell command or of a playlist.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use tempfile::TempDir;

    use super::*;
    use crate::source::{Next, open};

    #[test]
    fn a_quoted_word_reaches_the_program_as_it_is() {
        for word in ["it's $HOME `x` \"y\" \\ ;|&", "", "a\nb", "'''"] {
            let script = format!("printf %s {}", quoted(word));
            let output = Command::new("/bin/sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn a_film_shows_in_its_own_time_and_colours_and_ends() {
        let folder = TempDir::new().unwrap();
        let film = folder.path().join("it's a film, 50%.avi");
        let made = Command::new("ffmpeg")
            .args(["-loglevel", "error", "-f", "lavfi", "-i"])
            .args([
                "color=0xc86432:size=1280x720:rate=25:duration=0.8",
                "-c:v",
                "mjpeg",
            ])
            .arg(&film)
            .status();
        if made.is_err() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "no ffmpeg");
            eprintln!("skipped: needs ffmpeg");
            return;
        }
        let begin = Instant::now();
        let mut source = open(&SourceOptions {
            kind: SourceKind::Video(film),
            rate: Some(5.0),
            size: None,
            raw: None,
            repeat: false,
        })
        .unwrap();
        let mut frames = 0;
        loop {
            match source.next(begin + Duration::from_secs(60)).unwrap() {
                Next::Frame(frame) => {
                    let picture = frame.picture.decode().unwrap();
                    assert_eq!(picture.dimensions(), (640, 360));
                    let [red, green, blue] = picture.get_pixel(320, 180).0;
                    assert!(
                        red.abs_diff(200) < 6 && green.abs_diff(100) < 6 && blue.abs_diff(50) < 6
                    );
                    frames += 1;
                }
                Next::End => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(frames, 4);
        assert!(begin.elapsed() >= Duration::from_millis(500));
    }
}
