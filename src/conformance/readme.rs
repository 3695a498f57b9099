//! What a folder's README.md must tell a person: the sections that a launch asks for.
//!
//! Owns which rows and headings they are, and the word of the started folder by which an unfilled one is known. Refuses to judge what
//! stands in them.

use std::path::Path;

use super::{Check, Outcome};

/// What a started folder (`tidegate connector new`) writes where a person is to write.
const UNFILLED: &str = "CHANGE";

/// A section that is asked for.
struct Section {
    /// The check's word.
    id: &'static str,
    /// With one of these a heading or the first cell of a table's row must begin.
    words: &'static [&'static str],
    /// Rows and headings that need not be there, and belong to it where they are.
    beside: &'static [&'static str],
    /// What to write there.
    what: &'static str,
}

const SECTIONS: [Section; 8] = [
    Section {
        id: "readme_account_access",
        words: &["account access"],
        beside: &["provider_account_id", "`provider_account_id`"],
        what: "who gives access in the provider's own screens, and where",
    },
    Section {
        id: "readme_auth",
        words: &["auth"],
        beside: &[],
        what: "how the credential is made, how long it is good, how it is sent",
    },
    Section {
        id: "readme_scopes",
        words: &["scopes", "auth model, scopes"],
        beside: &[],
        what: "the scopes or rights that each stream needs, and no more",
    },
    Section {
        id: "readme_limits",
        words: &["limits", "rate limits"],
        beside: &[],
        what: "the provider's limits, with the page of its documentation",
    },
    Section {
        id: "readme_revocation",
        words: &["revocation", "revoke"],
        beside: &[],
        what: "how access is taken away again",
    },
    Section {
        id: "readme_manual_fallback",
        words: &["manual fallback"],
        beside: &[],
        what: "what a person does while the provider cannot be read",
    },
    Section {
        id: "readme_documentation",
        words: &["pages of the documentation", "documentation"],
        beside: &["streams"],
        what: "the pages of the provider's documentation that this follows",
    },
    Section {
        id: "readme_tried",
        words: &["tried"],
        beside: &[],
        what: "what it was tried against: a simulator, a sandbox, a real account",
    },
];

/// One check for each section.
pub fn checks(dir: &Path, of_files: bool) -> Vec<Check> {
    let text = std::fs::read_to_string(dir.join("README.md")).unwrap_or_default();
    let check = |section: &Section| {
        if of_files && section.id == "readme_documentation" {
            return Check::of(section.id, None, Outcome::not_applicable("there is no provider to be documented"));
        }
        let remedy = format!("write it into README.md: {}", section.what);
        Check::of(section.id, None, Outcome::unless(wrong(section, &text), &remedy))
    };
    SECTIONS.iter().map(check).collect()
}

/// Why a section does not say what it should.
fn wrong(section: &Section, text: &str) -> Option<String> {
    let (mut told, mut below) = (false, false);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        let heading = line.starts_with('#');
        let begin = line.trim_start_matches(['#', '|', '*', ' ', '-']).to_lowercase();
        let heads = |words: &[&str]| line.starts_with(['#', '|']) && words.iter().any(|word| begin.starts_with(word));
        // That it was tried may be said in any sentence.
        let is_it = heads(section.words) || section.id == "readme_tried" && begin.contains("tried");
        let belongs = is_it || heads(section.beside);
        told |= is_it;
        // What stands below a heading is its section, to the next one.
        if heading {
            below = belongs;
        }
        if (belongs || below) && is_unfilled(line) {
            return Some(format!("README.md, line {number}, still says {UNFILLED}"));
        }
    }
    (!told).then(|| format!("README.md has no heading and no row '{}'", section.words[0]))
}

fn is_unfilled(line: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == UNFILLED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> Vec<&'static str> {
        SECTIONS.iter().filter(|section| wrong(section, text).is_some()).map(|section| section.id).collect()
    }

    #[test]
    fn a_row_or_a_section_that_was_never_filled_in_is_none() {
        let whole = "# Acme\n| | |\n| --- | --- |\n| Account access | x |\n| Auth model | x |\n| Scopes | x |\n| Limits | x |\n\
            | Revocation | x |\n| Manual fallback | x |\n| `provider_account_id` | x |\n\nTried against a simulator.\n\n\
            ## Streams\n| a | b |\n\n## Pages of the documentation\nx\ny\n\n## Else\nCHANGE\n";
        assert_eq!(failed(whole), Vec::<&str>::new());
        for (from, to, id) in [
            ("Account access | x", "Account access | CHANGE: who", "readme_account_access"),
            ("`provider_account_id` | x", "`provider_account_id` | CHANGE", "readme_account_access"),
            ("Auth model | x", "Auth model | CHANGE", "readme_auth"),
            ("| a | b |", "| a | CHANGE |", "readme_documentation"),
            ("\ny\n", "\nCHANGE\n", "readme_documentation"),
            ("a simulator", "CHANGE", "readme_tried"),
        ] {
            let text = whole.replace(from, to);
            assert_eq!(failed(&text), [id], "{to}");
        }
        let words = whole.replace("Limits | x", "Limits | they CHANGED, EXCHANGE, a change");
        assert_eq!(failed(&words), Vec::<&str>::new(), "only the word itself");
        let reason = wrong(&SECTIONS[1], "\n| Auth model | CHANGE |\n").unwrap();
        assert_eq!(reason, "README.md, line 2, still says CHANGE");
    }
}
