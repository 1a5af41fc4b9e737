//! The text of a configuration file.

use anyhow::{Context, Result, bail};

use super::Settings;

/// Settings of a configuration file.
///
/// # Errors
/// One line that names the key, and for an unknown one the nearest that there is.
pub fn parse(text: &str) -> Result<Settings> {
    let error = match toml::from_str(text) {
        Ok(settings) => return Ok(settings),
        Err(error) => error,
    };
    let line = error
        .span()
        .map_or(0, |span| text[..span.start].matches('\n').count() + 1);
    let message = error.message().to_owned();
    if let Some((key, known)) = unknown_key(&message) {
        let nearest = known
            .iter()
            .max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key)))
            .context("no keys")?;
        bail!("line {line}: there is no key {key}; did you mean {nearest}?");
    }
    bail!(
        "line {line}: {}",
        message.split_whitespace().collect::<Vec<_>>().join(" ")
    )
}

/// The key and the known ones of serde's message for an unknown field.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let (key, known) = message.strip_prefix("unknown field `")?.split_once('`')?;
    let known = known.split('`').skip(1).step_by(2).collect();
    Some((key, known))
}

#[cfg(test)]
mod tests {
    use super::super::DEFAULT;
    use super::*;

    /// The keys of the commented configuration, whether commented out or not.
    fn keys_of_default() -> Vec<&'static str> {
        let lines = DEFAULT.lines().filter_map(|line| {
            let line = line.strip_prefix('#').unwrap_or(line);
            line.split_once(" = ").map(|(key, _)| key)
        });
        lines.filter(|key| !key.contains(' ')).collect()
    }

    #[test]
    fn the_commented_configuration_names_every_key_once() {
        let error = toml::from_str::<Settings>("nothing = 1").unwrap_err();
        let message = error.message().to_owned();
        let (_, mut known) = unknown_key(&message).unwrap();
        let mut named = keys_of_default();
        known.sort_unstable();
        named.sort_unstable();
        assert_eq!(named, known);
    }

    #[test]
    fn the_commented_configuration_is_valid_with_and_without_its_comment_signs() {
        let bare: String = DEFAULT
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if !key.starts_with(' ') => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        for text in [DEFAULT, &bare] {
            let settings = Settings {
                // Its example is of use with a program alone, which the default source is not.
                raw: None,
                ..parse(text).unwrap()
            };
            settings.stream().unwrap();
            settings.thresholds().unwrap();
            settings.display().unwrap();
            settings.snapshots().unwrap();
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_name() {
        let error = parse("source = \"test\"\nmax_fsp = 3\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: there is no key max_fsp; did you mean max_fps?"
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_names_its_line() {
        let error = parse("source = \"test\"\n\nrate = \"fast\"\n")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("line 3: "), "{error}");
        assert!(!error.contains('\n'));
    }
}
