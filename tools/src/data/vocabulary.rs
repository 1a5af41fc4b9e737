//! A data set's label names against the list of labels that is asked for.

use std::collections::{BTreeMap, HashMap};

/// How many ignored labels a note names.
const NAMED: usize = 5;

/// Finds labels by name and counts those that are not in the list.
pub(super) struct Vocabulary<'a> {
    index: HashMap<&'a str, usize>,
    ignored: BTreeMap<String, usize>,
}

impl<'a> Vocabulary<'a> {
    pub(super) fn new(labels: &'a [String]) -> Self {
        let names = labels.iter().map(String::as_str);
        Vocabulary {
            index: names.zip(0..).collect(),
            ignored: BTreeMap::new(),
        }
    }

    /// The position of `label` in the list; counts it as ignored when it is not there.
    pub(super) fn find(&mut self, label: &str) -> Option<usize> {
        let found = self.index.get(label).copied();
        if found.is_none() {
            *self.ignored.entry(label.to_string()).or_default() += 1;
        }
        found
    }

    /// A line on the ignored labels, most frequent first.
    pub(super) fn note(self) -> Option<String> {
        let mut ignored: Vec<(String, usize)> = self.ignored.into_iter().collect();
        ignored.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        let named = ignored.iter().take(NAMED);
        let named: Vec<String> = named
            .map(|(label, times)| format!("{label} ({times})"))
            .collect();
        let rest = match ignored.len().saturating_sub(NAMED) {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        let named = named.join(", ");
        (!ignored.is_empty()).then(|| format!("labels not in the list, ignored: {named}{rest}"))
    }
}

/// A line on photos that the annotations name but that are not there.
pub(super) fn missing_note(missing: &[String]) -> Option<String> {
    let first = missing.first()?;
    Some(format!(
        "annotated photos that are missing, left out: {}, the first is {first}",
        missing.len()
    ))
}
