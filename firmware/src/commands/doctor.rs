//! `graphtag doctor`: whether this machine and a configuration have what a service needs, and what to do if not.

mod devices;
mod machine;
mod service;

use std::io::{self, BufWriter, Write};

use anyhow::Result;
use argh::{ArgsInfo, FromArgs};
use serde::Serialize;

use super::Outcome;
use super::inspect::Format;
use crate::arguments::PathArgument;

/// Check this machine and a configuration, and say what to do about each problem. Exit status: 0 no problem, 1 some.
#[derive(ArgsInfo, FromArgs)]
#[argh(subcommand, name = "doctor")]
pub struct Doctor {
    /// configuration file; without one only the machine and the embedded model are looked at
    #[argh(option)]
    config: Option<PathArgument>,
    /// text (default) or json
    #[argh(option, default = "Format::Text")]
    format: Format,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// It may do harm.
    Warning,
    /// The service, or a part of it, can't work so.
    Problem,
}

/// What was looked at and how it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Finding {
    verdict: Verdict,
    subject: &'static str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Finding {
            verdict: Verdict::Ok,
            subject,
            text: text.into(),
            remedy: None,
        }
    }

    fn warning(subject: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding {
            verdict: Verdict::Warning,
            remedy: Some(remedy.into()),
            ..Finding::ok(subject, text)
        }
    }

    fn problem(subject: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding {
            verdict: Verdict::Problem,
            ..Finding::warning(subject, text, remedy)
        }
    }
}

/// Looks at everything and prints what it finds.
///
/// # Errors
/// Output that can't be written.
pub fn run(options: &Doctor) -> Result<Outcome> {
    let mut findings = machine::findings();
    findings.extend(devices::findings());
    findings.extend(service::findings(options.config.as_ref()));
    let mut to = BufWriter::new(io::stdout().lock());
    match options.format {
        Format::Text => write_text(&mut to, &findings)?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut to, &findings).map_err(io::Error::from)?;
            writeln!(to)?;
        }
    }
    to.flush()?;
    let problems = findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Problem);
    Ok(if problems {
        Outcome::SomeFailed
    } else {
        Outcome::AllWell
    })
}

fn write_text(to: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    let column = findings.iter().map(|finding| finding.subject.len());
    let column = column.max().unwrap_or(0);
    for Finding {
        verdict,
        subject,
        text,
        remedy,
    } in findings
    {
        let verdict = match verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Problem => "problem",
        };
        writeln!(to, "{verdict:<7}  {subject:<column$}  {text}")?;
        if let Some(remedy) = remedy {
            writeln!(to, "{:<7}  {:<column$}  -> {remedy}", "", "")?;
        }
    }
    Ok(())
}
