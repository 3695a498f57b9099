//! What goes to standard error besides logs and progress: notes, warnings, and the reason why a command was not done.
//!
//! Owns standard error for the commands. Refuses to fail: a closed standard error stops nothing.

use std::io::Write;

/// Writes a line; whoever closed standard error does not want to know.
pub fn tell(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{}", text.trim_end());
}

/// Something that a person should know although the command goes on.
pub fn warn(text: &str) {
    tell(&format!("warning: {text}"));
}

/// The known name that is most like a mistyped one, when one is like enough.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::damerau_levenshtein(typed, name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(2))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let known = ["acme-hubspot", "bright-hubspot"];
        assert_eq!(nearest("acme-hubsopt", known.into_iter()), Some("acme-hubspot"));
        assert_eq!(nearest("zzz", known.into_iter()), None);
    }
}
