//! A configuration: whether it is right, and whether what it names is there.

use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use graphtag_runtime::source::{self, Next, SourceOptions};
use graphtag_runtime::{Model, golden};
use image::{Rgb, RgbImage};

use super::Finding;
use crate::arguments::PathArgument;
use crate::commands::run::reload;
use crate::service::settings::Settings;
use crate::service::snapshots::{SnapshotOptions, Store};

/// How long another machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a source may take to its first frame.
const FIRST_FRAME: Duration = Duration::from_secs(12);
/// Inferences that are timed.
const INFERENCES: usize = 5;
/// Beyond this time of an inference, what passes quickly is missed.
const SLOW: Duration = Duration::from_secs(1);

/// Looks at the configuration file `config`, or at the embedded model if there is none.
pub fn findings(config: Option<&PathArgument>) -> Vec<Finding> {
    let flags = Settings {
        config: config.cloned(),
        ..Settings::default()
    };
    let settings = match flags.with_file() {
        Ok(settings) => settings,
        Err(error) => return vec![wrong(&error)],
    };
    let mut findings = Vec::new();
    if config.is_some() {
        findings.extend(configuration(&settings));
    }
    findings.extend(model(&settings));
    findings
}

fn wrong(error: &anyhow::Error) -> Finding {
    let remedy = "correct the file; graphtag config prints one with every key explained";
    Finding::problem("configuration", format!("{error:#}"), remedy)
}

fn configuration(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    match settings.stream() {
        Ok(options) => findings.push(frame(&options.source)),
        Err(error) => findings.push(wrong(&error)),
    }
    match settings.http() {
        Ok(Some(options)) => findings.push(port(options.address)),
        Ok(None) => {}
        Err(error) => findings.push(wrong(&error)),
    }
    match settings.mqtt() {
        Ok(Some(options)) => {
            let (host, port) = (&options.broker.host, options.broker.port);
            findings.push(reach("broker", host, port, "mqtt"));
        }
        Ok(None) => {}
        Err(error) => findings.push(wrong(&error)),
    }
    match settings.webhook() {
        Ok(Some(options)) => {
            let (host, port) = (options.address.host(), options.address.port());
            findings.push(reach("webhook", host, port, "webhook"));
        }
        Ok(None) => {}
        Err(error) => findings.push(wrong(&error)),
    }
    match settings.snapshots() {
        Ok(Some(options)) => findings.push(folder(&options)),
        Ok(None) => {}
        Err(error) => findings.push(wrong(&error)),
    }
    let secrets = settings.secret_files();
    findings.extend(secrets.filter_map(|(_, file)| secret(file)));
    if findings
        .iter()
        .all(|finding| finding.subject != "configuration")
    {
        findings.insert(0, Finding::ok("configuration", "valid"));
    }
    findings
}

/// Waits for the first frame of a source.
fn frame(options: &SourceOptions) -> Finding {
    let begin = Instant::now();
    let name = &options.kind;
    let remedy =
        "check that the source is there and that nothing else uses it, such as a running graphtag";
    let mut source = match source::open(options) {
        Ok(source) => source,
        Err(error) => return Finding::problem("source", error.to_string(), remedy),
    };
    loop {
        match source.next(begin + FIRST_FRAME) {
            Ok(Next::Frame(frame)) => {
                let time = begin.elapsed().as_secs_f32();
                return match frame.picture.decode() {
                    Ok(picture) => {
                        let (width, height) = picture.dimensions();
                        let text = format!("{name}: {width} x {height} pixels after {time:.1} s");
                        Finding::ok("source", text)
                    }
                    Err(error) => Finding::problem("source", format!("{name}: {error}"), remedy),
                };
            }
            Ok(Next::Pending | Next::Broken) if begin.elapsed() < FIRST_FRAME => {}
            Ok(Next::Pending | Next::Broken | Next::End) => {
                return Finding::problem("source", format!("{name}: no frame"), remedy);
            }
            Err(error) => return Finding::problem("source", error.to_string(), remedy),
        }
    }
}

fn port(address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok("http", format!("{address} is free")),
        Err(error) => Finding::problem(
            "http",
            format!("{address}: {error}"),
            "stop what uses it, perhaps a running graphtag, or give another address",
        ),
    }
}

fn reach(subject: &'static str, host: &str, port: u16, key: &str) -> Finding {
    let remedy =
        format!("check {key}, and that the other side runs and no firewall stands between");
    let text = match (host, port).to_socket_addrs() {
        Ok(addresses) => {
            let mut last = "no address".to_owned();
            for address in addresses {
                match TcpStream::connect_timeout(&address, PATIENCE) {
                    Ok(_) => return Finding::ok(subject, format!("{host}:{port} answers")),
                    Err(error) => last = error.to_string(),
                }
            }
            last
        }
        Err(error) => error.to_string(),
    };
    Finding::problem(subject, format!("{host}:{port}: {text}"), remedy)
}

fn folder(options: &SnapshotOptions) -> Finding {
    let name = options.folder.display();
    let store = Store::new(options.folder.clone(), &options.name, options.quota);
    match store.probe() {
        Err(error) => Finding::problem(
            "snapshots",
            format!("{name}: {error}"),
            "make the folder, and have it belong to who runs graphtag",
        ),
        Ok(room) if room < options.quota => Finding::warning(
            "snapshots",
            format!("{name}: room for {} MB only", room / 1_000_000),
            "lower snapshot_quota below that, or make room",
        ),
        Ok(_) => Finding::ok("snapshots", format!("{name} can be written")),
    }
}

/// A secret that others can read.
fn secret(path: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let name = path.display();
    (mode & 0o077 != 0).then(|| {
        Finding::warning(
            "secret",
            format!("{name}: others can read it"),
            format!("chmod 600 {name}"),
        )
    })
}

fn model(settings: &Settings) -> Vec<Finding> {
    let remedy = "use the embedded model, or a file that graphtag inspect can read";
    let model = match reload::load(settings) {
        Ok(model) => model,
        Err(error) => return vec![Finding::problem("model", format!("{error:#}"), remedy)],
    };
    let mut findings = vec![inference(&model)];
    if let Err(error) = reload::thresholds(settings, model.metadata()) {
        findings.push(wrong(&error));
    }
    findings
}

/// Times a model that has passed its check.
fn inference(model: &Model) -> Finding {
    let checked = match golden::check(model) {
        Ok(golden::Check::Golden { difference }) => {
            format!("its golden photo is as it must be, within {difference:.4}")
        }
        Ok(golden::Check::Plain) => "it has no golden photo".into(),
        Err(error) => error.to_string(),
    };
    let plain = RgbImage::from_pixel(640, 480, Rgb([128; 3]));
    let times = (0..INFERENCES).filter_map(|_| {
        let begin = Instant::now();
        model.predict(&plain).ok().map(|_| begin.elapsed())
    });
    let time = times.min().unwrap_or_default();
    let name = &model.metadata().name;
    let text = format!(
        "{name}: {:.1} ms a photo; {checked}",
        time.as_secs_f64() * 1e3
    );
    if time > SLOW {
        return Finding::warning(
            "model",
            text,
            "give it more threads, or use a smaller model",
        );
    }
    Finding::ok("model", text)
}
