//! Lists of ids and the map from texts to videos, as files hold them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::format::{FormatError, Location, read_columns, read_ids, read_text};

/// Ids that a message names of each kind.
const NAMED: usize = 5;
/// Column names of a map.
const MAP_COLUMNS: [&str; 2] = ["text_id", "video_id"];
/// The same as the first line of a file.
const MAP_HEADER: &str = "text_id,video_id";

/// Ids in the order of the rows or columns that they name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdList {
    /// Where they come from.
    pub location: Location,
    /// The ids, blanks around them cut off.
    pub ids: Vec<String>,
}

/// Which text belongs to which video, in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    /// Where it comes from.
    pub location: Location,
    /// Id of a text and id of its video.
    pub pairs: Vec<(String, String)>,
}

impl IdList {
    /// Reads ids: one a line, or with `FILE::COLUMN` a column of a CSV file with a header, or texts in an `.npy`,
    /// `.npz` or HDF5 file, or the ids of a BigFile folder.
    ///
    /// Blank lines at the end do not count, nor does it matter whether the last line has an end.
    ///
    /// # Errors
    /// [`FormatError::Read`], [`FormatError::Line`] for text that is not UTF-8 or a blank line between others,
    /// [`FormatError::Column`] for a column that is not there, or a table whose column is not named,
    /// [`FormatError::Text`] for an array of anything else than texts, and those of the array's file.
    pub fn read(location: &Location) -> Result<Self, FormatError> {
        Ok(Self {
            location: location.clone(),
            ids: read_ids(location)?,
        })
    }
}

impl IdMap {
    /// Reads a CSV file with the header `text_id,video_id`; other columns are passed over.
    ///
    /// # Errors
    /// As [`IdList::read`], but [`FormatError::Header`] where a column is not there: no other can be named.
    pub fn read(location: &Location) -> Result<Self, FormatError> {
        let text = read_text(location)?;
        let rows = read_columns(location, &text, MAP_COLUMNS).map_err(|error| match error {
            FormatError::Column { location, known } => FormatError::Header {
                location,
                expected: MAP_HEADER,
                known,
            },
            error => error,
        })?;
        Ok(Self {
            location: location.clone(),
            pairs: rows.into_iter().map(|[text, video]| (text, video)).collect(),
        })
    }
}

/// What can be wrong between ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdProblemKind {
    /// Rows whose id an earlier row has.
    RepeatedText,
    /// Columns whose id an earlier column has.
    RepeatedVideo,
    /// Entries of the map for a text that an earlier entry has.
    RepeatedEntry,
    /// Rows that the map does not have or, without a map, whose id is no column's.
    UnknownText,
    /// Rows whose video, by the map, has no column.
    NoColumn,
    /// Entries of the map whose text has no row.
    NoRow,
    /// Columns that no row belongs to.
    VideoWithoutText,
    /// Queries of a run that its qrels do not have.
    QueryWithoutQrels,
    /// Queries of qrels that the run does not have.
    QueryWithoutRun,
    /// Queries of both without an item of a relevance above 0.
    QueryWithoutTrueItem,
    /// Items of a run, or true items of its qrels, that are not in the gallery given.
    UnknownItem,
}

impl IdProblemKind {
    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::RepeatedText => "repeated_texts",
            Self::RepeatedVideo => "repeated_videos",
            Self::RepeatedEntry => "repeated_map_entries",
            Self::UnknownText => "unknown_texts",
            Self::NoColumn => "texts_without_column",
            Self::NoRow => "map_entries_without_row",
            Self::VideoWithoutText => "videos_without_text",
            Self::QueryWithoutQrels => "queries_without_qrels",
            Self::QueryWithoutRun => "queries_without_run",
            Self::QueryWithoutTrueItem => "queries_without_true_item",
            Self::UnknownItem => "unknown_items",
        }
    }

    /// Whether trec_eval passes over such ids without a word.
    pub(super) fn is_silent_in_trec_eval(self) -> bool {
        matches!(self, Self::QueryWithoutQrels | Self::QueryWithoutRun)
    }

    /// Whether it is a problem of the map, in a join that has one.
    pub(super) fn is_of_map(self) -> bool {
        matches!(
            self,
            Self::RepeatedEntry | Self::UnknownText | Self::NoColumn | Self::NoRow
        )
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::RepeatedText => "rows repeat the id of an earlier text",
            Self::RepeatedVideo => "columns repeat the id of an earlier video",
            Self::RepeatedEntry => "entries of the map repeat a text",
            Self::UnknownText => "texts belong to no known video",
            Self::NoColumn => "texts belong to a video without a column",
            Self::NoRow => "entries of the map have no text among the rows",
            Self::VideoWithoutText => "videos have no text",
            Self::QueryWithoutQrels => "queries of the run are not in the qrels",
            Self::QueryWithoutRun => "queries of the qrels are not in the run",
            Self::QueryWithoutTrueItem => "queries have no item with a relevance above 0",
            Self::UnknownItem => "items of the run or the qrels are not among the videos",
        }
    }
}

/// How many ids have one problem, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdProblem {
    /// The problem.
    pub kind: IdProblemKind,
    /// How many ids have it.
    pub n: usize,
    /// The first five.
    pub first: Vec<String>,
}

impl IdProblem {
    /// The problem of these ids; `None` when there are none.
    pub(super) fn of<'a>(kind: IdProblemKind, ids: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut ids = ids.into_iter();
        let first: Vec<String> = ids.by_ref().take(NAMED).map(str::to_owned).collect();
        let n = first.len() + ids.count();
        (n > 0).then_some(Self { kind, n, first })
    }
}

impl fmt::Display for IdProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.n > self.first.len() { ", ..." } else { "" };
        write!(
            f,
            "{} {} (`{}`{more})",
            self.n,
            self.kind.sentence(),
            self.first.join("`, `")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, Location) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, Location::file(path))
    }

    fn column(location: &Location, column: &str) -> Location {
        Location {
            member: Some(column.to_owned()),
            ..location.clone()
        }
    }

    fn message(found: Result<IdList, FormatError>, location: &Location) -> String {
        let text = found.unwrap_err().to_string();
        text.replace(&location.path.display().to_string(), "F")
    }

    #[test]
    fn lines_of_any_system_with_or_without_a_last_end() {
        for text in [
            "a.b\nc d\n",
            "a.b\nc d",
            "a.b\r\nc d\r\n",
            "\u{feff} a.b \nc d\n\n\n",
        ] {
            let (_folder, location) = file("ids.txt", text);
            assert_eq!(IdList::read(&location).unwrap().ids, ["a.b", "c d"], "{text:?}");
        }
        let (_folder, location) = file("empty.txt", "");
        assert_eq!(IdList::read(&location).unwrap().ids, [""; 0]);
    }

    #[test]
    fn columns_under_any_usual_separator() {
        for text in [
            "key,video_id,sentence\nret0,video1,\"a, b\"\nret1,video2,c\n",
            "key;video_id;sentence\r\nret0;video1;a, b\r\nret1;video2;c",
            "key\tvideo_id\tsentence\nret0\tvideo1\ta\nret1\tvideo2\tc\n",
        ] {
            let (_folder, location) = file("ids.csv", text);
            let found = IdList::read(&column(&location, "video_id")).unwrap();
            assert_eq!(found.ids, ["video1", "video2"], "{text:?}");
            let unnamed = message(IdList::read(&location), &location);
            assert_eq!(unnamed, "`F` has the columns `key`, `video_id`, `sentence`");
            let absent = message(IdList::read(&column(&location, "id")), &location);
            assert_eq!(
                absent,
                "`F` has no column `id`, its columns are `key`, `video_id`, `sentence`"
            );
        }
        let (_folder, one) = file("ids.csv", "0\nvideo7000\nvideo7007\n");
        assert_eq!(
            IdList::read(&column(&one, "0")).unwrap().ids,
            ["video7000", "video7007"]
        );
        assert_eq!(IdList::read(&one).unwrap().ids.len(), 3);
    }

    #[test]
    fn a_map_needs_its_two_columns() {
        let (_folder, location) = file("map.csv", "video_id,note,text_id\nv1,x,t1\nv1,y,t2\n");
        let pair = |text: &str, video: &str| (text.to_owned(), video.to_owned());
        assert_eq!(
            IdMap::read(&location).unwrap().pairs,
            [pair("t1", "v1"), pair("t2", "v1")]
        );
        let (_folder, other) = file("map.csv", "text,video\nt,v\n");
        let (_folder, empty) = file("map.csv", "");
        for (location, expected) in [
            (
                other,
                "`F` needs a header text_id,video_id, its columns are `text`, `video`",
            ),
            (empty, "`F` needs a header text_id,video_id, and is empty"),
        ] {
            let error = IdMap::read(&location).unwrap_err();
            let text = error
                .to_string()
                .replace(&location.path.display().to_string(), "F");
            assert_eq!(text, expected);
            assert_eq!(error.file(), location.path);
            assert!(error.remedy().is_some_and(|remedy| !remedy.contains("::")));
        }
    }

    #[test]
    fn bad_lines_are_named() {
        for (name, bytes, expected) in [
            (
                "a.txt",
                &b"a\n\nb\n"[..],
                "`F`, line 2: expected an id, found a blank line",
            ),
            ("a.txt", b"a\nb\n\xff\n", "`F`, line 3: expected UTF-8"),
        ] {
            let (_folder, location) = file(name, bytes);
            assert_eq!(message(IdList::read(&location), &location), expected);
        }
        for (text, expected) in [
            ("i,j\na,b\nc\n", "`F::i`, line 3: expected 2 values, found 1"),
            (
                "i,j\na,b\n ,d\n",
                "`F::i`, line 3: expected an id in column `i`, found nothing",
            ),
        ] {
            let (_folder, location) = file("a.csv", text);
            assert_eq!(
                message(IdList::read(&column(&location, "i")), &location),
                expected
            );
        }
    }

    #[test]
    fn a_problem_names_five_and_counts_all() {
        let ids: Vec<String> = (0..7).map(|i| format!("v{i}")).collect();
        let problem = IdProblem::of(IdProblemKind::VideoWithoutText, ids.iter().map(String::as_str)).unwrap();
        assert_eq!(
            problem.to_string(),
            "7 videos have no text (`v0`, `v1`, `v2`, `v3`, `v4`, ...)"
        );
        assert_eq!(IdProblem::of(IdProblemKind::NoRow, []), None);
    }
}
