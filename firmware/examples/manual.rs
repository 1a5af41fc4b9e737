//! Writes the manual's pages and the completions of shells: `cargo run -p graphtag --example manual`.
//!
//! They are made of what argh knows of the commands, which is what `--help` prints, and stand in
//! `firmware/package/manual`. A test fails while they are not current.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality, PositionalInfo};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};
use clap_complete::Shell;
use clap_mangen::Man;

fn main() -> io::Result<()> {
    fs::create_dir_all(folder())?;
    for (name, content) in files()? {
        fs::write(folder().join(name), content)?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("package/manual")
}

/// All files, by their names.
fn files() -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut graphtag = command("graphtag", graphtag::command_line())
        .disable_help_subcommand(true)
        .mut_subcommand("config", |config| {
            config.mut_arg("device", |device| {
                let names = PossibleValuesParser::new(graphtag::devices());
                device.value_parser(names).hide_possible_values(true)
            })
        });
    let mut files = BTreeMap::new();
    for (shell, name) in [
        (Shell::Bash, "graphtag.bash"),
        (Shell::Zsh, "_graphtag"),
        (Shell::Fish, "graphtag.fish"),
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut graphtag, "graphtag", &mut script);
        files.insert(name.into(), script);
    }
    let subcommands = graphtag.get_subcommands().cloned();
    for command in std::iter::once(graphtag.clone()).chain(subcommands) {
        let source = format!("graphtag {}", env!("CARGO_PKG_VERSION"));
        let man = Man::new(command).source(source).manual("graphtag");
        let mut page = Vec::new();
        man.render(&mut page)?;
        files.insert(man.get_filename(), page);
    }
    Ok(files)
}

/// What argh knows of a command, as clap describes one.
fn command(name: &'static str, information: CommandInfoWithArgs) -> Command {
    let description = information.description.trim();
    let summary = description.split_inclusive(". ").next().unwrap_or_default();
    Command::new(name)
        .about(summary.trim().trim_end_matches('.'))
        .long_about(description)
        .disable_help_flag(true)
        .args(information.flags.iter().map(option))
        .args(information.positionals.iter().map(positional))
        .subcommands(
            information
                .commands
                .into_iter()
                .map(|subcommand| command(subcommand.name, subcommand.command)),
        )
}

fn option(flag: &FlagInfo<'static>) -> Arg {
    let name = flag.long.trim_start_matches('-');
    let option = Arg::new(name).long(name).help(flag.description);
    let option = match flag.kind {
        FlagInfoKind::Switch => return option.action(ArgAction::SetTrue),
        FlagInfoKind::Option { arg_name } => option.value_name(arg_name),
    };
    match flag.optionality {
        Optionality::Repeating | Optionality::Greedy => option.action(ArgAction::Append),
        Optionality::Required => option.required(true),
        Optionality::Optional => option,
    }
}

fn positional(positional: &PositionalInfo<'static>) -> Arg {
    let argument = Arg::new(positional.name)
        .value_name(positional.name)
        .help(positional.description);
    match positional.optionality {
        Optionality::Repeating | Optionality::Greedy => argument.num_args(0..),
        Optionality::Required => argument.required(true),
        Optionality::Optional => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_current() {
        let files = files().unwrap();
        for (name, content) in &files {
            let committed = fs::read(folder().join(name)).unwrap_or_default();
            let remedy = "cargo run -p graphtag --example manual";
            assert!(&committed == content, "{name} is not current: {remedy}");
        }
        let committed = fs::read_dir(folder()).unwrap();
        assert_eq!(committed.count(), files.len());
    }

    #[test]
    fn every_command_has_a_page_with_every_option() {
        let files = files().unwrap();
        for subcommand in graphtag::command_line().commands {
            let page = &files[&format!("graphtag-{}.1", subcommand.name)];
            let page = String::from_utf8_lossy(page).replace('\\', "");
            for flag in subcommand.command.flags {
                assert!(
                    page.contains(flag.long),
                    "{}: {}",
                    subcommand.name,
                    flag.long
                );
            }
        }
    }
}
