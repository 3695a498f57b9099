//! The score beside a folder: `conformance.json`, with a digest of the files that it was found with.
//!
//! Owns the file. A folder that was changed since, or a kit that asks for more, makes it stale: then there is no score until the checks
//! are run again. Listing providers reads it and runs nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Report;

/// The file's name.
pub const FILE: &str = "conformance.json";
/// Changes when checks are added or ask for more.
pub const KIT: u32 = 3;

/// What is kept of a folder's checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    pub kit: u32,
    /// SHA-256 over the folder's files.
    pub digest: String,
    pub passed: usize,
    pub applicable: usize,
    pub report: Report,
}

/// What a folder's file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    Score(Box<Score>),
    /// The folder or the kit changed since.
    Stale,
    /// The checks were never run, or the file cannot be read.
    None,
}

impl Known {
    /// For lists: `31/33`, or why there is none.
    pub fn word(&self) -> String {
        match self {
            Self::Score(score) => format!("{}/{}", score.passed, score.applicable),
            Self::Stale => "stale".to_owned(),
            Self::None => "not run".to_owned(),
        }
    }
}

/// The score that is kept in a folder.
pub fn read(dir: &Path) -> Known {
    let text = fs::read_to_string(dir.join(FILE)).ok();
    let Some(score) = text.and_then(|text| serde_json::from_str::<Score>(&text).ok()) else { return Known::None };
    let fresh = score.kit == KIT && digest(dir).is_ok_and(|digest| digest == score.digest);
    if fresh { Known::Score(Box::new(score)) } else { Known::Stale }
}

/// Keeps a report in its folder.
///
/// # Errors
/// The folder cannot be read or written.
pub fn write(dir: &Path, report: &Report) -> std::io::Result<()> {
    let score = Score {
        kit: KIT,
        digest: digest(dir)?,
        passed: report.passed(),
        applicable: report.applicable(),
        report: report.clone(),
    };
    let text = serde_json::to_string_pretty(&score).map_err(std::io::Error::other)?;
    fs::write(dir.join(FILE), text + "\n")
}

/// A digest of all files of a folder but the score itself, and hidden ones.
fn digest(dir: &Path) -> std::io::Result<String> {
    let mut files = Vec::new();
    list(dir, dir, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    for name in files {
        let bytes = fs::read(dir.join(&name))?;
        hash.update(name.to_string_lossy().replace('\\', "/").as_bytes());
        hash.update([0]);
        hash.update(Sha256::digest(&bytes));
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn list(root: &Path, dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            list(root, &path, files)?;
        } else if let Ok(name) = path.strip_prefix(root)
            && name != Path::new(FILE)
        {
            files.push(name.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_goes_stale_with_any_file_of_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("fixtures/things")).unwrap();
        fs::write(dir.path().join("fixtures/things/page.json"), "[]").unwrap();
        assert_eq!(read(dir.path()), Known::None);
        write(dir.path(), &Report::default()).unwrap();
        assert_eq!(read(dir.path()).word(), "0/0");
        fs::write(dir.path().join("fixtures/things/page.json"), "[1]").unwrap();
        assert_eq!(read(dir.path()), Known::Stale);
        fs::write(dir.path().join("fixtures/things/page.json"), "[]").unwrap();
        assert_eq!(read(dir.path()).word(), "0/0");
        fs::write(dir.path().join("fixtures/things/more.json"), "[]").unwrap();
        assert_eq!(read(dir.path()), Known::Stale);
    }
}
