//! One part of an evaluation in a file, and the whole out of all parts.
//!
//! A shard counts against a part of the videos and reads the true videos of all texts, so that every shard holds each
//! text against the same scores. Counts of all shards add up to those of one process, exactly, and everything that is
//! made from counts is made from them as in one process: the results are the same to the byte. A shard knows by a hash
//! what it was counted from, and shards of different inputs, settings or builds are refused.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hitbench_reports::record::{RecordError, SHARDS, replace_file};

use super::error::EvalError;
use super::evaluate::{About, Evaluated, conclude, narrows};
use super::join::Joined;
use super::narrow::NOTHING_NARROWED;
use super::notice::Notice;
use super::prepare::Prepared;
use crate::machine;
use crate::metric::{Observer, PartialCounts};
use crate::part::Part;
use crate::trial::merge::find_shards;

mod wire;

/// A counted part of an evaluation, with all that the whole needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Shard {
    /// Hash of what was evaluated.
    contents: String,
    /// The program that counted.
    build_id: String,
    /// The command that makes the whole evaluation.
    command: Vec<String>,
    about: About,
    joined: Joined,
    notices: Vec<Notice>,
    /// Whether an f16 kernel counted, as f32 would have.
    in_f16: bool,
    counts: PartialCounts,
    /// Where it was read; empty for one that was just counted.
    path: PathBuf,
}

/// All parts put together.
#[derive(Debug)]
pub struct Merged {
    /// The evaluation.
    pub found: Evaluated,
    /// Hash of what was evaluated.
    pub contents: String,
    /// The command that makes the same evaluation in one process.
    pub command: Vec<String>,
}

impl Shard {
    /// Counts one part of the videos. `command` makes the whole evaluation.
    ///
    /// # Errors
    /// [`EvalError::Usage`] where parts do not make the whole: post-processing needs all scores, and what an f16 kernel
    /// does to ranks is found over all videos. Else as [`Prepared::evaluate`].
    pub fn count(
        prepared: &Prepared,
        part: Part,
        command: Vec<String>,
        observe: Observer<'_>,
    ) -> Result<Self, EvalError> {
        let request = &prepared.request;
        if request.post.is_some() {
            return Err(EvalError::Usage {
                problem: "--post changes scores by those of all videos, and --shard has those of a part",
                remedy: "leave --shard out",
            });
        }
        if narrows(&request.given) {
            return Err(EvalError::Usage {
                problem: "--shard cannot tell what an f16 kernel does to ranks of rows that are not stored in f16",
                remedy: "name an f32 kernel, or store the rows in f16",
            });
        }
        let about = prepared.about();
        Ok(Self {
            contents: prepared.content_hash(),
            build_id: machine::tool().map_err(EvalError::Build)?.build_id,
            command,
            in_f16: about
                .kernel
                .is_some_and(|kernel| kernel.dtype() == hitbench_kernels::Dtype::F16),
            about,
            joined: prepared.joined.clone(),
            notices: prepared.notices.clone(),
            counts: prepared.count(part, observe)?,
            path: PathBuf::new(),
        })
    }

    /// Which part it is.
    pub fn part(&self) -> Part {
        self.counts.part
    }

    /// Checks, before the work is done, that a folder is one for this part: it is new, empty, or has shards of as many
    /// parts.
    ///
    /// # Errors
    /// [`EvalError::OtherRun`].
    pub fn check_folder(run: &Path, part: Part) -> Result<(), EvalError> {
        let is_empty = fs::read_dir(run).map_or(true, |mut entries| entries.next().is_none());
        let found = if is_empty {
            return Ok(());
        } else if !find_shards(run)?.is_empty() {
            "parts of a sweep".to_owned()
        } else if run.join(SHARDS).is_dir() {
            let end = format!("-of-{}.json", part.of());
            let of_others = |path: &PathBuf| !path.to_string_lossy().ends_with(&end);
            match files(&run.join(SHARDS))?.into_iter().find(of_others) {
                None => return Ok(()),
                Some(path) => {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    format!("the shard `{name}` of another number of parts")
                }
            }
        } else {
            "files, and no shards".to_owned()
        };
        Err(EvalError::OtherRun {
            path: run.to_owned(),
            found,
        })
    }

    /// Writes the shard into a run folder, in place of an older one of the same part, and returns its file.
    ///
    /// # Errors
    /// [`EvalError::Record`] when it cannot be written.
    pub fn write(&self, run: &Path) -> Result<PathBuf, EvalError> {
        let folder = run.join(SHARDS);
        let part = self.part();
        let path = folder.join(format!("{}.json", part.file_stem()));
        fs::create_dir_all(&folder).map_err(|source| RecordError::Write { path: folder, source })?;
        replace_file(&path, &wire::bytes(self))?;
        Ok(path)
    }

    /// Whether a run folder has shards of an evaluation.
    ///
    /// # Errors
    /// [`EvalError::Record`] when it cannot be listed.
    pub fn is_in(run: &Path) -> Result<bool, EvalError> {
        Ok(!files(&run.join(SHARDS))?.is_empty())
    }

    /// All shards of some run folders, by name.
    ///
    /// # Errors
    /// [`EvalError::NoShards`] when there is none, [`EvalError::Shard`] for a file that is none.
    pub fn read_all(runs: &[PathBuf]) -> Result<Vec<Self>, EvalError> {
        let mut shards = Vec::new();
        for run in runs {
            for path in files(&run.join(SHARDS))? {
                shards.push(wire::read(&path)?);
            }
        }
        if shards.is_empty() {
            return Err(EvalError::NoShards { runs: runs.to_vec() });
        }
        Ok(shards)
    }

    /// What differs from another shard, in a word or two; `None` for shards of one evaluation.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        let (a, b) = (&self.about, &other.about);
        [
            (self.contents != other.contents, "contents of the files"),
            (self.joined != other.joined, "ids"),
            (a.kernel != b.kernel, "kernel"),
            (a.protocol != b.protocol, "protocol"),
            (a.rules != b.rules, "rules"),
            (a.resampling != b.resampling, "intervals"),
            (a.score != b.score, "normalization"),
            (self.build_id != other.build_id, "build of hitbench"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }
}

impl Merged {
    /// Puts all shards of one evaluation together, in whatever order they come. A shard that is there several times
    /// with the same counts counts once.
    ///
    /// # Errors
    /// [`EvalError::OtherShards`] for shards of different evaluations, [`EvalError::Metric`] for one that is missing, or
    /// there twice with other counts.
    pub fn new(shards: Vec<Shard>) -> Result<Self, EvalError> {
        let mut different: Vec<Shard> = Vec::with_capacity(shards.len());
        for shard in shards {
            if let Some(first) = different.first()
                && let Some(what) = first.difference(&shard)
            {
                return Err(EvalError::OtherShards {
                    what,
                    first: first.path.clone(),
                    other: shard.path.clone(),
                });
            }
            let is_known = |known: &Shard| known.counts == shard.counts;
            if !different.iter().any(is_known) {
                different.push(shard);
            }
        }
        let Some(first) = different.first().cloned() else {
            return Err(EvalError::NoShards { runs: Vec::new() });
        };
        let counts = PartialCounts::merge(different.into_iter().map(|shard| shard.counts))?;
        let narrowing = first.in_f16.then_some(NOTHING_NARROWED);
        let directions = (counts.t2v, Some(counts.v2t));
        Ok(Self {
            found: conclude(first.about, first.joined, first.notices, directions, narrowing)?,
            contents: first.contents,
            command: first.command,
        })
    }
}

/// The shard files of a folder by name; none where there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, EvalError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(source) => {
            let path = folder.to_owned();
            return Err(RecordError::Read { path, source }.into());
        }
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
