//! Text that fits where it is to stand.

/// Longer text is cut before it is measured.
const LONGEST: usize = 256;

/// `text`, or as much of it as `fits` together with `ellipsis`.
pub fn shorten(text: &str, ellipsis: &str, fits: impl Fn(&str) -> bool) -> String {
    let mut kept: String = text.chars().take(LONGEST).collect();
    if kept.len() == text.len() && fits(text) {
        return kept;
    }
    while kept.pop().is_some() {
        let cut = format!("{}{ellipsis}", kept.trim_end());
        if fits(&cut) {
            return cut;
        }
    }
    String::new()
}

/// The words of `text` in at most `most` lines each of which `fits`; the last ends in `ellipsis` when there is more.
pub fn wrap(text: &str, ellipsis: &str, most: usize, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let mut line = word.to_owned();
        while let Some(next) = words.next_if(|next| fits(&format!("{line} {next}"))) {
            line = format!("{line} {next}");
        }
        if lines.len() + 1 == most && words.peek().is_some() {
            line.extend(words.flat_map(|word| [" ", word]));
            lines.push(shorten(&line, ellipsis, &fits));
            break;
        }
        lines.push(shorten(&line, ellipsis, &fits));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(most: usize) -> impl Fn(&str) -> bool {
        move |text| text.chars().count() <= most
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        assert_eq!(shorten("cat", "…", within(3)), "cat");
        assert_eq!(shorten("dining table", "…", within(9)), "dining t…");
        assert_eq!(shorten("dining table", "…", within(8)), "dining…");
        assert_eq!(shorten("élan vital", "..", within(4)), "él..");
        assert_eq!(shorten("cat", "…", within(0)), "");
        assert_eq!(
            shorten(&"x".repeat(1 << 20), "…", within(9)).len(),
            8 + "…".len()
        );
    }

    #[test]
    fn lines_break_between_words_and_the_last_says_that_there_is_more() {
        let cause = "/dev/video0: no frame for 3 s";
        assert_eq!(
            wrap(cause, "…", 3, within(12)),
            ["/dev/video0:", "no frame for", "3 s"]
        );
        assert_eq!(
            wrap(cause, "…", 2, within(12)),
            ["/dev/video0:", "no frame fo…"]
        );
        assert_eq!(wrap("a-very-long-word", "…", 2, within(8)), ["a-very-…"]);
        assert!(wrap("", "…", 2, within(8)).is_empty());
    }
}
