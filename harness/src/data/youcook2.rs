//! YouCook2: the steps of recipes, each a clip with a sentence, as `youcookii_annotations_trainval.json` has them.
//!
//! Clip `n` of a video, counted from 0, has the id `VIDEO_n`, as VALUE names it.

use serde::Deserialize;

use super::annotations::{Annotated, Folders, Ordered, read_json};
use super::config::{PublishedConfig, Youcook2Split};
use super::dataset::Split;
use super::error::DataError;

const NAME: &str = "youcook2";
const HELP: &str = "\
YouCook2 is expected as its authors distribute it. In the folders of `annotations`:
  youcookii_annotations_trainval.json (youcook2.eecs.umich.edu)
In `features`: a file or folder for each expert, with clips named VIDEO_0, VIDEO_1, ...";

const FILE: &str = "youcookii_annotations_trainval.json";

#[derive(Deserialize)]
#[serde(expecting = "an object with `database`")]
struct Wire {
    database: Ordered<WireVideo>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `subset` and `annotations`")]
struct WireVideo {
    subset: String,
    annotations: Vec<WireStep>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `id` and `sentence`")]
struct WireStep {
    id: u32,
    sentence: String,
}

/// Clips, captions and splits.
///
/// # Errors
/// Those of the file.
pub(super) fn annotated(config: &PublishedConfig<Youcook2Split>) -> Result<Annotated, DataError> {
    let Youcook2Split::Val = config.split;
    let folders = Folders {
        name: NAME,
        folders: &config.annotations,
        help: HELP,
    };
    let mut data = Annotated::new(NAME, HELP);
    let path = folders.need("annotations", &[FILE])?;
    let Wire {
        database: Ordered(videos),
    } = read_json(&path, "YouCook2")?;
    for (split, subset) in [(Split::Train, "training"), (Split::Test, "validation")] {
        let first = data.videos.len();
        let of_subset = videos.iter().filter(|(_, video)| video.subset == subset);
        let steps = of_subset.flat_map(|(id, video)| {
            video
                .annotations
                .iter()
                .map(move |step| (format!("{id}_{}", step.id), step))
        });
        let steps: Vec<(String, &WireStep)> = steps.collect();
        data.add_split(split, &path, steps.iter().map(|(id, _)| id.clone()))?;
        for (video, (id, step)) in (first..).zip(steps) {
            data.add_captions(video, [(id, &step.sentence)]);
        }
    }
    data.about = format!(
        "YouCook2: {} training clips, {} clips of the validation videos for testing ({FILE}).",
        data.splits.train.len(),
        data.splits.test.len()
    );
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::config::FeatureDtype;

    #[test]
    fn the_real_file_has_the_sizes_of_the_data_set() {
        let Some(folder) = hitbench_tests::test_data("coot/annotations/youcook2") else {
            return;
        };
        let data = annotated(&PublishedConfig {
            annotations: vec![folder],
            features: "none".into(),
            split: Youcook2Split::Val,
            experts: Vec::new(),
            dtype: FeatureDtype::F32,
        })
        .expect("the file is right");
        assert_eq!((data.splits.train.len(), data.splits.test.len()), (10_337, 3492));
        assert_eq!(data.captions.len(), 10_337 + 3492);
        assert_eq!(
            (data.videos[0].as_str(), data.captions[0].text.as_str()),
            ("GLd3aX16zBg_0", "spread margarine on two slices of white bread")
        );
    }
}
