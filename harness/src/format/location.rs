//! Which file, and which part of it: `FILE` or `FILE::NAME`.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What separates a file from the member or column that is meant.
const SEPARATOR: &str = "::";

/// A file, and the array, tensor or column in it that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub path: PathBuf,
    /// Member of a container, or column of a table.
    pub member: Option<String>,
}

impl Location {
    /// A whole file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            member: None,
        }
    }

    /// The file's name without its folders, with the member if there is one.
    pub fn short(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        let file = Self::file(name);
        Self {
            member: self.member.clone(),
            ..file
        }
        .to_string()
    }
}

impl FromStr for Location {
    type Err = Infallible;

    /// A file that exists under the whole text is taken as that file, whatever its name holds.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let found = match text.rsplit_once(SEPARATOR) {
            Some((path, member)) if !path.is_empty() && !member.is_empty() && !Path::new(text).exists() => {
                Self {
                    path: path.into(),
                    member: Some(member.to_owned()),
                }
            }
            _ => Self::file(text),
        };
        Ok(found)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match &self.member {
            None => Ok(()),
            Some(member) => write!(f, "{SEPARATOR}{member}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, Option<String>) {
        let Ok(found) = text.parse::<Location>();
        (found.path.display().to_string(), found.member)
    }

    #[test]
    fn the_last_separator_parts_file_and_member() {
        let member = |name: &str| Some(name.to_owned());
        assert_eq!(parse("a.npz::sims"), ("a.npz".into(), member("sims")));
        assert_eq!(
            parse("a.b/c.csv::video id"),
            ("a.b/c.csv".into(), member("video id"))
        );
        assert_eq!(parse("a::b.npz::c"), ("a::b.npz".into(), member("c")));
        assert_eq!(parse("a.npy"), ("a.npy".into(), None));
        assert_eq!(parse("a.npz::"), ("a.npz::".into(), None));
        assert_eq!(parse("::a"), ("::a".into(), None));
    }

    #[test]
    fn a_file_of_that_very_name_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odd::name");
        std::fs::write(&path, "").unwrap();
        assert_eq!(parse(path.to_str().unwrap()), (path.display().to_string(), None));
    }

    #[test]
    fn the_short_form_has_no_folders() {
        let Ok(found) = "data/run 3/a.npz::sims".parse::<Location>();
        assert_eq!(found.short(), "a.npz::sims");
        assert_eq!(found.to_string(), "data/run 3/a.npz::sims");
    }
}
