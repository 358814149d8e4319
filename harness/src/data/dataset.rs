//! What every data set becomes: videos with expert features, captions, and splits.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use hitbench_models::batch::RowsView;
use hitbench_models::config::ExpertSpec;

use super::config::DataConfig;
use super::error::DataError;
use super::features::{PackedRows, RowBytes, digest};
use super::{activitynet, didemo, folder, lsmdc, msrvtt, msvd, synthetic, two_annotators, vatex, youcook2};

/// Feature rows of one expert for one video.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureRows {
    /// Rows of their own, `[n_rows, dim]` row-major.
    Dense(Vec<f32>),
    /// Rows of a table shared by many videos (word vectors).
    Indexed {
        /// The table `[n, dim]`, row-major.
        table: Arc<Vec<f32>>,
        /// Row of the table for each feature row.
        rows: Vec<u32>,
    },
    /// Rows in a packed file, f32 or f16.
    Packed(PackedRows),
}

impl FeatureRows {
    /// Number of rows, each of length `dim`.
    pub fn n_rows(&self, dim: usize) -> usize {
        match self {
            Self::Dense(values) => values.len() / dim,
            Self::Indexed { rows, .. } => rows.len(),
            Self::Packed(rows) => rows.n_rows(),
        }
    }

    /// The rows as a batch takes them.
    pub fn view(&self) -> RowsView<'_> {
        match self {
            Self::Dense(values) => RowsView::Dense(values),
            Self::Indexed { table, rows } => RowsView::Indexed { table, rows },
            Self::Packed(rows) => rows.view(),
        }
    }

    /// Checks rows that lie in a file, when they are first used.
    ///
    /// # Errors
    /// [`DataError::DamagedPack`].
    pub fn check(&self) -> Result<(), DataError> {
        match self {
            Self::Packed(rows) => rows.check(),
            Self::Dense(_) | Self::Indexed { .. } => Ok(()),
        }
    }

    /// The packed file that has the rows, if one has.
    pub fn pack(&self) -> Option<&Path> {
        match self {
            Self::Packed(rows) => Some(rows.path()),
            Self::Dense(_) | Self::Indexed { .. } => None,
        }
    }

    /// The rows `[n_rows, dim]` as f32, one after another.
    pub fn to_f32(&self, dim: usize) -> Cow<'_, [f32]> {
        match self.view() {
            RowsView::Dense(values) => Cow::Borrowed(values),
            RowsView::Half(values) => Cow::Owned(values.to_f32_vec()),
            RowsView::Indexed { table, rows } => {
                let row = |&row: &u32| &table[row as usize * dim..][..dim];
                Cow::Owned(rows.iter().flat_map(row).copied().collect())
            }
        }
    }
}

impl ExpertFeatures {
    /// Identity of rows and times.
    pub(super) fn digest(&self, dim: usize) -> blake3::Hash {
        let times_s = self.times_s.as_deref();
        match &self.rows {
            FeatureRows::Packed(rows) => rows.digest(),
            FeatureRows::Dense(values) => digest([RowBytes::F32(values)], times_s),
            FeatureRows::Indexed { table, rows } => {
                let row = |&row: &u32| RowBytes::F32(&table[row as usize * dim..][..dim]);
                digest(rows.iter().map(row), times_s)
            }
        }
    }
}

/// What one expert saw of one video; at least one row.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpertFeatures {
    /// The rows, in time order where times are known.
    pub rows: FeatureRows,
    /// Mean time of each row in seconds, `None` when the format has no times.
    pub times_s: Option<Vec<f32>>,
}

/// A video: an id and, for each expert of the data set, its features or their absence.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// Id, unique in the data set.
    pub id: String,
    /// One entry an expert, in the order of [`Dataset::experts`].
    pub experts: Vec<Option<ExpertFeatures>>,
}

/// A caption of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// Id, unique in the data set.
    pub id: String,
    /// Index of its video in [`Dataset::videos`].
    pub video: usize,
    /// The text as given.
    pub text: String,
}

/// One of the three parts of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Training videos.
    Train,
    /// Validation videos.
    Val,
    /// Test videos.
    Test,
}

impl Split {
    /// All three, in the order of the fields of [`Splits`].
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// Its name in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// Indices into [`Dataset::videos`]; disjoint, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Splits {
    /// Training videos.
    pub train: Vec<usize>,
    /// Validation videos; may be empty.
    pub val: Vec<usize>,
    /// Test videos.
    pub test: Vec<usize>,
}

impl Splits {
    /// Videos of one split.
    pub fn of(&self, split: Split) -> &[usize] {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
            Split::Test => &self.test,
        }
    }
}

/// What is missing; printed with the data set, because it moves results without a word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Videos that lack an expert, in the order of [`Dataset::experts`].
    pub videos_without_expert: Vec<usize>,
    /// Videos without any expert; they stay in the gallery with `[CLS]` alone.
    pub videos_without_features: usize,
    /// Of those, videos of which the features have no file or entry at all.
    pub videos_without_file: usize,
    /// Pairs of a video and an expert with features but without times; their position is "unknown".
    pub features_without_times: usize,
    /// Videos of a split without a caption; they stay in the gallery and are never a query.
    pub videos_without_captions: usize,
    /// Ids that the source's lists name but for which it has no captions; not in the data set.
    pub ids_without_captions: usize,
    /// Videos that have captions but are in no split; not in the data set.
    pub videos_without_split: usize,
    /// Captions without a word; not in the data set.
    pub captions_without_words: usize,
    /// Recordings whose files had times for more rows than there are; the times too many were cut off.
    pub recordings_with_more_times: usize,
}

impl Gaps {
    /// What is counted, with how often, in words; what does not occur is left out.
    pub fn counts(&self) -> impl Iterator<Item = (usize, &'static str)> {
        let counts = [
            (
                self.videos_without_features,
                "videos without any features, kept in the gallery",
            ),
            (
                self.videos_without_file,
                "of them without a file or entry of features at all",
            ),
            (
                self.features_without_times,
                "recordings of an expert without times, at position \"unknown\"",
            ),
            (
                self.videos_without_captions,
                "videos without a caption, kept in the gallery",
            ),
            (
                self.ids_without_captions,
                "ids of the source's lists without captions, left out",
            ),
            (
                self.videos_without_split,
                "videos with captions but in no split, left out",
            ),
            (self.captions_without_words, "captions without a word, left out"),
            (
                self.recordings_with_more_times,
                "recordings of an expert with more times than rows, cut off",
            ),
        ];
        counts.into_iter().filter(|&(count, _)| count > 0)
    }
}

/// A checked data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Short name.
    pub name: String,
    /// What it is and where it comes from, in full sentences; printed in reports.
    pub about: String,
    /// Experts in alphabetical order.
    pub experts: Vec<ExpertSpec>,
    /// All videos.
    pub videos: Vec<Video>,
    /// All captions, those of one video in file order.
    pub captions: Vec<Caption>,
    /// The splits.
    pub splits: Splits,
    /// Text of each video for the lexical TF-IDF baseline, where the "video" was made of words; else empty.
    pub lexical: Vec<String>,
    /// What is missing.
    pub gaps: Gaps,
    /// BLAKE3 of everything above that can move a number (all but `name`, `about` and the gaps), as
    /// lower-case hex.
    pub content_hash: String,
}

impl Dataset {
    /// Loads or generates what the configuration names.
    ///
    /// Relative paths are taken from the working directory. Features of published data sets are packed into the cache
    /// folder when they are first read.
    ///
    /// # Errors
    /// [`DataError`], by source of the data.
    pub fn load(config: &DataConfig) -> Result<Self, DataError> {
        match config {
            DataConfig::Synthetic(config) => synthetic::generate(config),
            DataConfig::TwoAnnotators(config) => two_annotators::load(config),
            DataConfig::Folder(config) => folder::load(config),
            DataConfig::Msrvtt(config) => msrvtt::annotated(config)?.with_features(config),
            DataConfig::Activitynet(config) => activitynet::annotated(config)?.with_features(config),
            DataConfig::Lsmdc(config) => lsmdc::annotated(config)?.with_features(config),
            DataConfig::Msvd(config) => msvd::annotated(config)?.with_features(config),
            DataConfig::Didemo(config) => didemo::annotated(config)?.with_features(config),
            DataConfig::Vatex(config) => vatex::annotated(config)?.with_features(config),
            DataConfig::Youcook2(config) => youcook2::annotated(config)?.with_features(config),
        }
    }

    /// As [`Self::load`], but leaves out the features of published data sets: no expert, for a look at captions and splits.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_captions(config: &DataConfig) -> Result<Self, DataError> {
        let annotated = match config {
            DataConfig::Synthetic(_) | DataConfig::TwoAnnotators(_) | DataConfig::Folder(_) => {
                return Self::load(config);
            }
            DataConfig::Msrvtt(config) => msrvtt::annotated(config),
            DataConfig::Activitynet(config) => activitynet::annotated(config),
            DataConfig::Lsmdc(config) => lsmdc::annotated(config),
            DataConfig::Msvd(config) => msvd::annotated(config),
            DataConfig::Didemo(config) => didemo::annotated(config),
            DataConfig::Vatex(config) => vatex::annotated(config),
            DataConfig::Youcook2(config) => youcook2::annotated(config),
        };
        annotated?.without_features()
    }

    /// Fills in the gaps that can be counted and the hash, and checks that train and test can be used.
    ///
    /// # Errors
    /// [`DataError::EmptySplit`] when the train or test split has no video with a caption.
    pub(crate) fn finish(mut self) -> Result<Self, DataError> {
        debug_assert!(
            self.experts.is_sorted_by(|a, b| a.name < b.name),
            "experts are sorted"
        );
        debug_assert!(
            self.captions.is_sorted_by_key(|caption| caption.video),
            "captions follow videos"
        );
        let mut captioned = vec![false; self.videos.len()];
        for caption in &self.captions {
            captioned[caption.video] = true;
        }
        for split in [Split::Train, Split::Test] {
            if !self.splits.of(split).iter().any(|&video| captioned[video]) {
                return Err(DataError::EmptySplit {
                    split: split.name(),
                    name: self.name,
                });
            }
        }
        let lacks = |expert: usize| {
            self.videos
                .iter()
                .filter(|video| video.experts[expert].is_none())
                .count()
        };
        self.gaps.videos_without_expert = (0..self.experts.len()).map(lacks).collect();
        self.gaps.videos_without_features = self
            .videos
            .iter()
            .filter(|video| video.experts.iter().all(Option::is_none))
            .count();
        let features = self
            .videos
            .iter()
            .flat_map(|video| video.experts.iter().flatten());
        self.gaps.features_without_times = features.filter(|features| features.times_s.is_none()).count();
        self.gaps.videos_without_captions = captioned.iter().filter(|&&has| !has).count();
        self.content_hash = self.hash();
        Ok(self)
    }

    /// Whether every expert has features on some video of each of these splits, without which it is of no use and its
    /// files most likely go by other ids.
    ///
    /// # Errors
    /// [`DataError::ExpertWithoutVideos`].
    pub fn check_experts(&self, splits: &[Split]) -> Result<(), DataError> {
        for &split in splits {
            let videos = self.splits.of(split);
            for (index, expert) in self.experts.iter().enumerate() {
                if videos
                    .iter()
                    .all(|&video| self.videos[video].experts[index].is_none())
                {
                    return Err(DataError::ExpertWithoutVideos {
                        expert: expert.name.clone(),
                        name: self.name.clone(),
                        split: split.name(),
                        n_videos: videos.len(),
                        video: videos
                            .first()
                            .map_or(String::new(), |&video| self.videos[video].id.clone()),
                    });
                }
            }
        }
        Ok(())
    }

    /// `about`, and a sentence on what is missing if anything is.
    pub fn description(&self) -> String {
        let lacks = self.experts.iter().zip(&self.gaps.videos_without_expert);
        let lacks = lacks.filter(|&(_, &count)| count > 0).map(|(expert, count)| {
            let name = &expert.name;
            format!("expert `{name}` in {count} of {} videos", self.videos.len())
        });
        let missing: Vec<String> = lacks
            .chain(self.gaps.counts().map(|(count, what)| format!("{count} {what}")))
            .collect();
        match missing.is_empty() {
            true => self.about.clone(),
            false => format!("{} Missing: {}.", self.about, missing.join("; ")),
        }
    }

    /// Indices of the captions of each video, in caption order.
    pub fn captions_of_videos(&self) -> Vec<Vec<usize>> {
        let mut of = vec![Vec::new(); self.videos.len()];
        for (index, caption) in self.captions.iter().enumerate() {
            of[caption.video].push(index);
        }
        of
    }

    /// Training videos that have a caption, in the split's order: those that batches are made of.
    pub fn training_videos(&self) -> Vec<usize> {
        let of = self.captions_of_videos();
        let train = self.splits.train.iter().copied();
        train.filter(|&video| !of[video].is_empty()).collect()
    }

    /// Captions of a split as indices into `captions`: video by video in the split's order.
    pub fn split_captions(&self, split: Split) -> Vec<usize> {
        let of = self.captions_of_videos();
        self.splits
            .of(split)
            .iter()
            .flat_map(|&video| of[video].iter().copied())
            .collect()
    }

    /// Indexed, dense and packed rows of the same values hash alike.
    fn hash(&self) -> String {
        let mut hash = Fields(blake3::Hasher::new());
        hash.count(self.experts.len());
        for expert in &self.experts {
            hash.text(&expert.name);
            hash.count(expert.dim);
        }
        hash.count(self.videos.len());
        for video in &self.videos {
            hash.text(&video.id);
            for (features, spec) in video.experts.iter().zip(&self.experts) {
                let Some(features) = features else {
                    hash.count(0);
                    continue;
                };
                hash.count(features.rows.n_rows(spec.dim));
                hash.0.update(features.digest(spec.dim).as_bytes());
            }
        }
        hash.count(self.captions.len());
        for caption in &self.captions {
            hash.text(&caption.id);
            hash.count(caption.video);
            hash.text(&caption.text);
        }
        for split in Split::ALL {
            hash.count(self.splits.of(split).len());
            for &video in self.splits.of(split) {
                hash.count(video);
            }
        }
        hash.count(self.lexical.len());
        for text in &self.lexical {
            hash.text(text);
        }
        hash.0.finalize().to_hex().to_string()
    }
}

/// A hasher that keeps neighbouring fields apart by writing lengths.
struct Fields(blake3::Hasher);

impl Fields {
    fn count(&mut self, number: usize) {
        self.0.update(&(number as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_videos() -> Dataset {
        let features = |values: Vec<f32>| {
            Some(ExpertFeatures {
                rows: FeatureRows::Dense(values),
                times_s: Some(vec![1.0, 2.0]),
            })
        };
        Dataset {
            name: "two".into(),
            about: "Two videos.".into(),
            experts: vec![
                ExpertSpec {
                    name: "a".into(),
                    dim: 2,
                },
                ExpertSpec {
                    name: "b".into(),
                    dim: 1,
                },
            ],
            videos: vec![
                Video {
                    id: "x".into(),
                    experts: vec![features(vec![1.0, 2.0, 3.0, 4.0]), None],
                },
                Video {
                    id: "y".into(),
                    experts: vec![features(vec![3.0, 4.0, 3.0, 4.0]), None],
                },
            ],
            captions: vec![
                Caption {
                    id: "0".into(),
                    video: 0,
                    text: "one".into(),
                },
                Caption {
                    id: "1".into(),
                    video: 1,
                    text: "two".into(),
                },
                Caption {
                    id: "2".into(),
                    video: 1,
                    text: "deux".into(),
                },
            ],
            splits: Splits {
                train: vec![0],
                val: vec![],
                test: vec![1],
            },
            lexical: vec![],
            gaps: Gaps::default(),
            content_hash: String::new(),
        }
    }

    #[test]
    fn gaps_are_counted() {
        let data = two_videos().finish().unwrap();
        assert_eq!(data.gaps.videos_without_expert, [0, 2]);
        assert_eq!(
            (
                data.gaps.videos_without_features,
                data.gaps.videos_without_captions
            ),
            (0, 0)
        );
        assert_eq!(data.split_captions(Split::Test), [1, 2]);
        assert_eq!(
            data.description(),
            "Two videos. Missing: expert `b` in 2 of 2 videos."
        );
    }

    #[test]
    fn an_expert_on_no_video_of_a_split_is_refused() {
        let mut data = two_videos();
        data.experts.truncate(1);
        let both = [Split::Train, Split::Test];
        assert!(data.check_experts(&both).is_ok());
        for (video, split) in [(0, "train"), (1, "test")] {
            let mut data = data.clone();
            data.videos[video].experts[0] = None;
            let id = &data.videos[video].id;
            assert_eq!(
                data.check_experts(&both).unwrap_err().to_string(),
                format!(
                    "expert `a` of `two` has features on none of the 1 videos of the {split} split, such as `{id}`"
                )
            );
        }
    }

    #[test]
    fn a_split_without_captions_is_refused() {
        let mut data = two_videos();
        data.captions.truncate(1);
        assert_eq!(
            data.finish().unwrap_err().to_string(),
            "the test split of `two` has no video with a caption"
        );
    }

    #[test]
    fn indexed_rows_hash_as_the_dense_rows_they_stand_for() {
        let dense = two_videos().finish().unwrap();
        let mut data = two_videos();
        let table = Arc::new(vec![3.0, 4.0, 1.0, 2.0]);
        for (video, rows) in [(0, vec![1, 0]), (1, vec![0, 0])] {
            let rows = FeatureRows::Indexed {
                table: Arc::clone(&table),
                rows,
            };
            data.videos[video].experts[0] = Some(ExpertFeatures {
                rows,
                times_s: Some(vec![1.0, 2.0]),
            });
        }
        assert_eq!(data.finish().unwrap().content_hash, dense.content_hash);
    }

    #[test]
    fn everything_that_can_move_a_number_moves_the_hash() {
        let reference = two_videos().finish().unwrap().content_hash;
        let changes: [fn(&mut Dataset); 9] = [
            |data| data.experts[0].name = "A".into(),
            |data| data.videos[1].id = "z".into(),
            |data| data.captions[0].text = "One".into(),
            |data| data.captions[1].id = "3".into(),
            |data| data.captions[1].video = 0,
            |data| data.splits.test = vec![0, 1],
            |data| data.lexical = vec!["words".into(), String::new()],
            |data| data.videos[0].experts[0].as_mut().unwrap().times_s = None,
            |data| {
                let rows = FeatureRows::Dense(vec![1.0, 2.0, 3.0, -4.0]);
                data.videos[0].experts[0].as_mut().unwrap().rows = rows;
            },
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut data = two_videos();
            change(&mut data);
            assert_ne!(data.finish().unwrap().content_hash, reference, "change {index}");
        }
        let mut data = two_videos();
        data.about = "Said otherwise.".into();
        assert_eq!(data.finish().unwrap().content_hash, reference);
    }
}
