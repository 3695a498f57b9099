//! What a folder's README.md must tell a person: the sections that a launch asks for.

use std::path::Path;

use super::{Check, Outcome};

/// The check's word, the words of which one must begin a heading or the first cell of a table's row, and what to write there.
const SECTIONS: [(&str, &[&str], &str); 8] = [
    ("readme_account_access", &["account access"], "who gives access in the provider's own screens, and where"),
    ("readme_auth", &["auth"], "how the credential is made, how long it is good, how it is sent"),
    ("readme_scopes", &["scopes", "auth model, scopes"], "the scopes or rights that each stream needs, and no more"),
    ("readme_limits", &["limits", "rate limits"], "the provider's limits, with the page of its documentation"),
    ("readme_revocation", &["revocation", "revoke"], "how access is taken away again"),
    ("readme_manual_fallback", &["manual fallback"], "what a person does while the provider cannot be read"),
    (
        "readme_documentation",
        &["pages of the documentation", "documentation"],
        "the pages of the provider's documentation that this follows",
    ),
    ("readme_tried", &["tried"], "what it was tried against: a simulator, a sandbox, a real account"),
];

/// One check for each section.
pub fn checks(dir: &Path, of_files: bool) -> Vec<Check> {
    let text = std::fs::read_to_string(dir.join("README.md")).unwrap_or_default().to_lowercase();
    let check = |(id, words, what): (&str, &[&str], &str)| {
        if of_files && id == "readme_documentation" {
            return Check::of(id, None, Outcome::not_applicable("there is no provider to be documented"));
        }
        let told = text.lines().any(|line| {
            let begin = line.trim_start().trim_start_matches(['#', '|', '*', ' ', '-']).trim_start();
            let heads = line.trim_start().starts_with(['#', '|']);
            let anywhere = id == "readme_tried" && line.contains("tried");
            anywhere || heads && words.iter().any(|word| begin.starts_with(word))
        });
        let wrong = (!told).then(|| format!("README.md has no heading and no row '{}'", words[0]));
        Check::of(id, None, Outcome::unless(wrong, &format!("add one to README.md: {what}")))
    };
    SECTIONS.into_iter().map(check).collect()
}
