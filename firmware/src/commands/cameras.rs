//! `graphtag cameras`: which cameras there are, and how to name them.

use std::io::{self, BufWriter, Write};

use anyhow::Result;
use argh::{ArgsInfo, FromArgs};
use graphtag_runtime::source::v4l2::{self, Camera, Choice, Format, Rates, Sizes};
use serde_json::{Value, json};

use super::Outcome;
use super::inspect::Format as OutputFormat;

/// List the cameras of this machine, what they offer and how to name them.
#[derive(ArgsInfo, FromArgs)]
#[argh(subcommand, name = "cameras")]
pub struct Cameras {
    /// text (default) or json
    #[argh(option, default = "OutputFormat::Text")]
    format: OutputFormat,
}

/// Prints the cameras that Video4Linux2 knows.
///
/// # Errors
/// Output that can't be written.
pub fn run(options: &Cameras) -> Result<Outcome> {
    let cameras = v4l2::cameras();
    let mut to = BufWriter::new(io::stdout().lock());
    match options.format {
        OutputFormat::Text => write_text(&mut to, &cameras)?,
        OutputFormat::Json => {
            let cameras: Vec<Value> = cameras.iter().map(json).collect();
            serde_json::to_writer_pretty(&mut to, &cameras).map_err(io::Error::from)?;
            writeln!(to)?;
        }
    }
    to.flush()?;
    Ok(Outcome::AllWell)
}

fn write_text(to: &mut impl Write, cameras: &[Camera]) -> io::Result<()> {
    if cameras.is_empty() {
        writeln!(
            to,
            "no camera at /dev/video*. One on a Raspberry Pi's or Jetson's ribbon is --source rpicam or jetson-csi, \
             a network camera is --source rtsp://ADDRESS, and --source test needs none."
        )?;
    }
    for camera in cameras {
        write!(to, "{}  {}", camera.name, camera.path.display())?;
        if let Some(driver) = &camera.driver {
            write!(to, "  driver {driver}")?;
        }
        writeln!(to)?;
        for link in [&camera.by_id, &camera.by_path].into_iter().flatten() {
            writeln!(to, "  {}", link.display())?;
        }
        match (&camera.problem, &camera.choice) {
            (Some(problem), _) => writeln!(to, "  not usable: {problem}")?,
            (None, Some(choice)) => {
                let (width, height) = choice.size;
                writeln!(
                    to,
                    "  --source {}  ({} {width}x{height}, {} fps)",
                    quoted(&camera.source()),
                    choice.code,
                    number(choice.rate)
                )?;
            }
            (None, None) => {}
        }
        for format in &camera.formats {
            write_format(to, format)?;
        }
    }
    Ok(())
}

fn write_format(to: &mut impl Write, format: &Format) -> io::Result<()> {
    let read = if format.code.is_readable() {
        ""
    } else {
        "  not read"
    };
    writeln!(to, "    {}{read}", format.code)?;
    for sizes in &format.sizes {
        write!(to, "      {}", size_text(sizes))?;
        if !sizes.rates.is_empty() {
            let rates: Vec<String> = sizes.rates.iter().map(rate_text).collect();
            write!(to, "  {} fps", rates.join(", "))?;
        }
        writeln!(to)?;
    }
    Ok(())
}

fn size_text(sizes: &Sizes) -> String {
    let (width, height) = sizes.smallest;
    let smallest = format!("{width}x{height}");
    if sizes.smallest == sizes.largest {
        return smallest;
    }
    let (width, height) = sizes.largest;
    let (columns, rows) = sizes.step;
    format!("{smallest} to {width}x{height} in steps of {columns}x{rows}")
}

fn rate_text(rates: &Rates) -> String {
    if rates.slowest == rates.fastest {
        return number(rates.fastest);
    }
    format!("{} to {}", number(rates.slowest), number(rates.fastest))
}

/// Two digits after the point, where they say anything.
fn number(rate: f64) -> String {
    format!("{}", (rate * 100.0).round() / 100.0)
}

/// As a shell takes it.
fn quoted(source: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/:._-+@,=".contains(letter);
    if source.chars().all(plain) {
        return source.into();
    }
    format!("'{}'", source.replace('\'', r"'\''"))
}

/// The keys are stable.
fn json(camera: &Camera) -> Value {
    json!({
        "name": camera.name,
        "driver": camera.driver,
        "path": camera.path,
        "by_id": camera.by_id,
        "by_path": camera.by_path,
        "source": camera.source(),
        "problem": camera.problem,
        "choice": camera.choice.map(choice_json),
        "formats": camera.formats.iter().map(format_json).collect::<Vec<_>>(),
    })
}

fn choice_json(choice: Choice) -> Value {
    json!({
        "format": choice.code.to_string(),
        "width": choice.size.0,
        "height": choice.size.1,
        "rate": choice.rate,
    })
}

fn format_json(format: &Format) -> Value {
    let sizes = format.sizes.iter().map(|sizes| {
        let rates = sizes.rates.iter();
        json!({
            "smallest": sizes.smallest,
            "largest": sizes.largest,
            "step": sizes.step,
            "rates": rates.map(|rates| (rates.slowest, rates.fastest)).collect::<Vec<_>>(),
        })
    });
    json!({
        "format": format.code.to_string(),
        "readable": format.code.is_readable(),
        "sizes": sizes.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphtag_runtime::source::v4l2::FourCc;

    fn camera() -> Camera {
        let rates = |slowest, fastest| Rates { slowest, fastest };
        let webcam = Sizes {
            rates: vec![rates(30.0, 30.0), rates(7.5, 7.5)],
            ..Sizes::one((640, 480))
        };
        let range = Sizes {
            smallest: (32, 32),
            largest: (1920, 1080),
            step: (4, 1),
            rates: vec![rates(1.0, 29.970_029_97)],
        };
        let format = |code: &[u8; 4], sizes| Format {
            code: FourCc(*code),
            sizes: vec![sizes],
        };
        let formats = vec![format(b"YUYV", webcam), format(b"H264", range)];
        Camera {
            name: "HD Webcam".into(),
            driver: Some("uvcvideo".into()),
            path: "/dev/video0".into(),
            by_id: Some("/dev/v4l/by-id/usb-HD_Webcam-video-index0".into()),
            by_path: None,
            choice: v4l2::choose(&formats, None, None),
            formats,
            problem: None,
        }
    }

    fn text(camera: Camera) -> String {
        let mut text = Vec::new();
        write_text(&mut text, &[camera]).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_text_says_how_to_name_a_camera_and_what_it_offers() {
        assert_eq!(
            text(camera()),
            "\
HD Webcam  /dev/video0  driver uvcvideo
  /dev/v4l/by-id/usb-HD_Webcam-video-index0
  --source v4l2:/dev/v4l/by-id/usb-HD_Webcam-video-index0  (YUYV 640x480, 30 fps)
    YUYV
      640x480  30, 7.5 fps
    H264  not read
      32x32 to 1920x1080 in steps of 4x1  1 to 29.97 fps
"
        );
    }

    #[test]
    fn a_problem_stands_where_the_source_would() {
        let locked = Camera {
            driver: None,
            formats: Vec::new(),
            choice: None,
            problem: Some("Permission denied: the user must be in the group video".into()),
            ..camera()
        };
        let text = text(locked);
        assert!(text.contains("\n  not usable: Permission denied"), "{text}");
        assert!(!text.contains("--source"), "{text}");
    }

    #[test]
    fn json_has_the_choice_and_every_rate() {
        let json = json(&camera());
        assert_eq!(json["choice"]["format"], "YUYV");
        assert_eq!(
            json["source"],
            "v4l2:/dev/v4l/by-id/usb-HD_Webcam-video-index0"
        );
        assert_eq!(
            json["formats"][0]["sizes"][0]["rates"],
            json!([[30.0, 30.0], [7.5, 7.5]])
        );
        assert_eq!(json["formats"][1]["readable"], false);
    }

    #[test]
    fn a_path_with_spaces_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("v4l2:/dev/video0"), "v4l2:/dev/video0");
        assert_eq!(quoted("v4l2:Bob's cam"), r"'v4l2:Bob'\''s cam'");
    }
}
