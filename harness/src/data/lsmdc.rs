//! LSMDC16: clips of films, as the tab-separated files of the challenge have them.
//!
//! A line has six fields without quoting: clip id, start and end aligned, start and end extracted, sentence. A training
//! clip may have several lines; ids have dots.

use std::collections::HashMap;
use std::path::Path;

use super::annotations::{Annotated, Folders};
use super::config::{LsmdcSplit, PublishedConfig};
use super::dataset::Split;
use super::error::DataError;
use crate::format::{Location, read_text};

const NAME: &str = "lsmdc";
const HELP: &str = "\
LSMDC16 is expected as its organisers distribute it. In the folders of `annotations`:
  LSMDC16_annos_training.csv, LSMDC16_challenge_1000_publictect.csv (the name is misspelt at the source)
They are given out after registration at sites.google.com/site/describingmovies/download.
In `features`: MMT's vid_feat_files/mult_h5, the structured-symlinks of Collaborative Experts, or a file or folder for \
each expert. MMT's archive LSMDC.tar.gz, named in the README of github.com/gabeur/mmt, has its features.";

const TRAIN: &str = "LSMDC16_annos_training.csv";
/// As the file is really called.
const TEST: &str = "LSMDC16_challenge_1000_publictect.csv";
const FIELDS: usize = 6;

/// Videos, captions and splits.
///
/// # Errors
/// Those of the files.
pub(super) fn annotated(config: &PublishedConfig<LsmdcSplit>) -> Result<Annotated, DataError> {
    let LsmdcSplit::Public1000 = config.split;
    let folders = Folders {
        name: NAME,
        folders: &config.annotations,
        help: HELP,
    };
    let mut data = Annotated::new(NAME, HELP);
    for (split, what, file) in [
        (Split::Train, "training clips", TRAIN),
        (Split::Test, "test clips", TEST),
    ] {
        let path = folders.need(what, &[file])?;
        let clips = read_clips(&path)?;
        let first = data.videos.len();
        data.add_split(split, &path, clips.iter().map(|(id, _)| id.clone()))?;
        for (video, (_, sentences)) in (first..).zip(&clips) {
            data.add_numbered(video, sentences, None)?;
        }
    }
    data.about = format!(
        "LSMDC16: {} training clips ({TRAIN}), {} test clips ({TEST}); white space of sentences is normalised.",
        data.splits.train.len(),
        data.splits.test.len()
    );
    Ok(data)
}

/// Clips in the order of their first lines, with their sentences.
fn read_clips(path: &Path) -> Result<Vec<(String, Vec<String>)>, DataError> {
    let text = read_text(&Location::file(path))?;
    let mut clips: Vec<(String, Vec<String>)> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (line, text) in (1..)
        .zip(text.lines())
        .filter(|(_, text)| !text.trim().is_empty())
    {
        let fields: Vec<&str> = text.split('\t').collect();
        let &[id, .., sentence] = &fields[..] else {
            continue;
        };
        if fields.len() != FIELDS {
            return Err(DataError::Line {
                path: path.to_owned(),
                line,
                problem: format!("expected {FIELDS} fields parted by tabs, found {}", fields.len()),
            });
        }
        let clip = *known.entry(id.trim()).or_insert_with(|| {
            clips.push((id.trim().to_owned(), Vec::new()));
            clips.len() - 1
        });
        clips[clip].1.push(sentence.to_owned());
    }
    Ok(clips)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::config::FeatureDtype;

    fn read(train: &str, test: &str) -> Result<Annotated, DataError> {
        let folder = tempfile::tempdir().expect("a folder for tests");
        fs::write(folder.path().join(TRAIN), train).expect("the file can be written");
        fs::write(folder.path().join(TEST), test).expect("the file can be written");
        annotated(&PublishedConfig {
            annotations: vec![folder.path().to_owned()],
            features: folder.path().join("none"),
            split: LsmdcSplit::Public1000,
            experts: Vec::new(),
            dtype: FeatureDtype::F32,
        })
    }

    const TIMES: &str = "01.25.49.077\t01.25.54.718\t01.25.49.077\t01.25.54.718";

    #[test]
    fn clips_repeat_quotes_are_text_and_dots_belong_to_ids() {
        let train = format!(
            "1_A_00.1-00.2\t{TIMES}\tSOMEONE says \"no.\r\n2_B.C_00.1-00.2\t{TIMES}\tHe  runs\" away.\n\
             1_A_00.1-00.2\t{TIMES}\tShe nods.\n3_D_0.1-0.2\t{TIMES}\t \n"
        );
        let data =
            read(&train, &format!("9_T_0.1-0.2\t{TIMES}\tA door opens.")).expect("the files are right");
        assert_eq!(
            data.videos,
            ["1_A_00.1-00.2", "2_B.C_00.1-00.2", "3_D_0.1-0.2", "9_T_0.1-0.2"]
        );
        let captions: Vec<(&str, usize, &str)> = data
            .captions
            .iter()
            .map(|c| (c.id.as_str(), c.video, c.text.as_str()))
            .collect();
        assert_eq!(
            captions,
            [
                ("1_A_00.1-00.2#0", 0, "SOMEONE says \"no."),
                ("1_A_00.1-00.2#1", 0, "She nods."),
                ("2_B.C_00.1-00.2#0", 1, "He runs\" away."),
                ("9_T_0.1-0.2#0", 3, "A door opens."),
            ]
        );
        assert_eq!(data.gaps.captions_without_words, 1);
        assert_eq!((data.splits.train.len(), data.splits.test.len()), (3, 1));
    }

    #[test]
    fn lines_with_other_fields_and_clips_in_both_files_are_refused() {
        let line = |id: &str| format!("{id}\t{TIMES}\tA door opens.\n");
        let error = read(&format!("{}x\ty\n", line("a")), &line("b")).expect_err("two fields");
        assert!(
            error
                .to_string()
                .ends_with("training.csv`, line 2: expected 6 fields parted by tabs, found 2"),
            "{error}"
        );
        let error = read(&line("a"), &line("a")).expect_err("a clip trains and is tested");
        assert!(error.to_string().ends_with("video `a` occurs twice"), "{error}");
    }
}
