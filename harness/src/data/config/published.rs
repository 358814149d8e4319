//! Settings of published data sets: where annotations and features are, and which split is tested.

use std::path::PathBuf;

use hitbench_models::config::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{refuse, some_folder};

/// A published data set in the user's folders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishedConfig<S> {
    /// Folders with captions and lists: each file is taken from the first folder that has it.
    pub annotations: Vec<PathBuf>,
    /// Folder with features: MMT's tree `vid_feat_files`, the `structured-symlinks` of Collaborative Experts, or a file or
    /// folder for each expert. They are packed once into the cache folder.
    pub features: PathBuf,
    /// What trains and what is tested.
    pub split: S,
    /// Experts that are used; empty for all that there are features of.
    pub experts: Vec<String>,
    /// What packed features are kept as: `f16` takes half the space and rounds every value.
    pub dtype: FeatureDtype,
}

impl<S> PublishedConfig<S> {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ConfigError`] with a path relative to the data set's section.
    pub fn validate(&self) -> Result<(), ConfigError> {
        some_folder(&self.annotations)?;
        for (index, expert) in self.experts.iter().enumerate() {
            // Names become parts of tensor names, where a dot separates levels.
            if expert.is_empty() || expert.contains('.') {
                return Err(refuse(
                    "experts",
                    format!("`{expert}`"),
                    "names that are not empty and have no dot",
                ));
            }
            if self.experts[..index].contains(expert) {
                return Err(refuse("experts", format!("`{expert}` twice"), "each expert once"));
            }
        }
        Ok(())
    }
}

/// What packed features are kept as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeatureDtype {
    /// As they are; f64 is rounded.
    F32,
    /// Rounded to half precision.
    F16,
}

impl FeatureDtype {
    /// Its name in suites and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// Bytes of a value.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// Splits of MSR-VTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MsrvttSplit {
    /// 1k-A (JSFusion): 9,000 videos train, 1,000 are tested with one caption each.
    #[serde(rename = "1k-a")]
    OneKA,
    /// The test set of 1k-A; the 7,010 videos of the full train and val splits train.
    #[serde(rename = "1k-a-7k")]
    OneKA7k,
    /// 1k-B (Miech): 6,656 videos train, 1,000 are tested with their first caption.
    #[serde(rename = "1k-b")]
    OneKB,
    /// Full: 6,513 videos train, 497 validate, 2,990 are tested with all captions.
    #[serde(rename = "full")]
    Full,
    /// Full, tested with the first caption of each video, as MMT does.
    #[serde(rename = "full-first")]
    FullFirst,
}

/// Splits of ActivityNet Captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ActivitynetSplit {
    /// 10,009 videos train, the 4,917 of `val_1.json` are tested.
    #[serde(rename = "val_1")]
    Val1,
    /// 10,009 videos train, the 4,885 of `val_2.json` are tested.
    #[serde(rename = "val_2")]
    Val2,
}

/// The split of LSMDC16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LsmdcSplit {
    /// The training clips train, the 1,000 public clips are tested.
    #[serde(rename = "public-1000")]
    Public1000,
}

/// The split of MSVD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MsvdSplit {
    /// 1,200 videos train, 100 validate, 670 are tested with all captions.
    #[serde(rename = "official")]
    Official,
}

/// The split of DiDeMo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DidemoSplit {
    /// The official files, cut to the lists of Collaborative Experts where they are there: 1,065 videos validate, 1,004
    /// are tested.
    #[serde(rename = "official")]
    Official,
}

/// Splits of VATEX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VatexSplit {
    /// HGR: 25,991 videos train, 1,500 validate, 1,500 are tested.
    #[serde(rename = "hgr")]
    Hgr,
    /// The training videos of HGR; the 1,500 test videos that CLIP2Video drew.
    #[serde(rename = "random-1k5")]
    Random1k5,
}

/// The split of YouCook2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Youcook2Split {
    /// 10,337 clips train, the 3,492 clips of the validation videos are tested.
    #[serde(rename = "val")]
    Val,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experts_are_names_without_dots_each_once() {
        let check = |experts: &[&str]| {
            let config = PublishedConfig {
                annotations: vec!["a".into()],
                features: "f".into(),
                split: LsmdcSplit::Public1000,
                experts: experts.iter().map(|&name| name.to_owned()).collect(),
                dtype: FeatureDtype::F32,
            };
            config.validate().map_err(|error| error.to_string())
        };
        assert_eq!(check(&["s3d", "rgb"]), Ok(()));
        let dot = "`experts` is `a.b`, allowed: names that are not empty and have no dot";
        assert_eq!(check(&["a.b"]), Err(dot.to_owned()));
        let twice = "`experts` is `s3d` twice, allowed: each expert once";
        assert_eq!(check(&["s3d", "s3d"]), Err(twice.to_owned()));
    }
}
