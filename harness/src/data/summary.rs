//! What a data set holds, in numbers: sizes, lengths, times, what is missing and what occurs twice.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::dataset::{Dataset, Split};

/// Smallest, middle and largest of some counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The smallest.
    pub min: usize,
    /// The lower one of the two in the middle.
    pub median: usize,
    /// The largest.
    pub max: usize,
}

impl Range {
    /// Of counts; `None` without any.
    fn of(counts: impl IntoIterator<Item = usize>) -> Option<Self> {
        let mut counts: Vec<usize> = counts.into_iter().collect();
        counts.sort_unstable();
        let (&min, &max) = (counts.first()?, counts.last()?);
        let median = counts[(counts.len() - 1) / 2];
        Some(Self { min, median, max })
    }
}

/// A split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SplitSummary {
    /// `train`, `val` or `test`.
    pub name: &'static str,
    /// Its videos.
    pub n_videos: usize,
    /// Their captions.
    pub n_captions: usize,
    /// Captions a video.
    pub captions: Option<Range>,
    /// Words a caption, parted by white space.
    pub words: Option<Range>,
    /// Different texts among the captions, capitals apart.
    pub n_distinct_captions: usize,
    /// Texts that more than one video has: no model can tell these videos apart by them.
    pub n_shared_captions: usize,
    /// Videos whose features are, in every expert, those of another video of the split.
    pub n_duplicate_videos: usize,
}

/// An expert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExpertSummary {
    /// Its name.
    pub name: String,
    /// Length of a row.
    pub dim: usize,
    /// Rows of all videos.
    pub n_rows: usize,
    /// Rows a video that has any.
    pub rows: Option<Range>,
    /// First and last time in seconds.
    pub times_s: Option<[f32; 2]>,
    /// Videos on which it has nothing.
    pub videos_without: usize,
}

/// A data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Identity of its contents.
    pub content_hash: String,
    /// Its splits.
    pub splits: Vec<SplitSummary>,
    /// Its experts.
    pub experts: Vec<ExpertSummary>,
    /// What is missing, in words, with how often.
    pub gaps: Vec<(usize, &'static str)>,
}

impl Summary {
    /// Counts everything once.
    pub fn of(data: &Dataset) -> Self {
        let identities = identities(data);
        Self {
            name: data.name.clone(),
            about: data.about.clone(),
            content_hash: data.content_hash.clone(),
            splits: Split::ALL
                .map(|split| split_summary(data, split, &identities))
                .into(),
            experts: (0..data.experts.len())
                .map(|expert| expert_summary(data, expert))
                .collect(),
            gaps: data.gaps.counts().collect(),
        }
    }
}

/// For each video with features, the digests of all experts.
fn identities(data: &Dataset) -> Vec<Option<Vec<Option<blake3::Hash>>>> {
    let of_video = |video: &super::Video| -> Option<Vec<Option<blake3::Hash>>> {
        let experts = video.experts.iter().zip(&data.experts);
        let digests = experts.map(|(features, spec)| Some(features.as_ref()?.digest(spec.dim)));
        let digests: Vec<_> = digests.collect();
        digests.iter().any(Option::is_some).then_some(digests)
    };
    data.videos.iter().map(of_video).collect()
}

fn split_summary(
    data: &Dataset,
    split: Split,
    identities: &[Option<Vec<Option<blake3::Hash>>>],
) -> SplitSummary {
    let videos = data.splits.of(split);
    let of_videos = data.captions_of_videos();
    let captions: Vec<&super::Caption> = data
        .split_captions(split)
        .into_iter()
        .map(|caption| &data.captions[caption])
        .collect();
    let mut videos_by_text: HashMap<String, HashSet<usize>> = HashMap::new();
    for caption in &captions {
        videos_by_text
            .entry(caption.text.to_lowercase())
            .or_default()
            .insert(caption.video);
    }
    let mut seen = HashSet::new();
    let features = videos.iter().filter_map(|&video| identities[video].as_ref());
    SplitSummary {
        name: split.name(),
        n_videos: videos.len(),
        n_captions: captions.len(),
        captions: Range::of(videos.iter().map(|&video| of_videos[video].len())),
        words: Range::of(
            captions
                .iter()
                .map(|caption| caption.text.split_whitespace().count()),
        ),
        n_distinct_captions: videos_by_text.len(),
        n_shared_captions: videos_by_text.values().filter(|videos| videos.len() > 1).count(),
        n_duplicate_videos: features.filter(|&features| !seen.insert(features)).count(),
    }
}

fn expert_summary(data: &Dataset, expert: usize) -> ExpertSummary {
    let spec = &data.experts[expert];
    let recordings = || {
        data.videos
            .iter()
            .filter_map(|video| video.experts[expert].as_ref())
    };
    let n_rows = || recordings().map(|features| features.rows.n_rows(spec.dim));
    let times = recordings()
        .filter_map(|features| features.times_s.as_deref())
        .flatten();
    let times_s = times.fold(None, |range: Option<[f32; 2]>, &time| {
        let [first, last] = range.unwrap_or([time, time]);
        Some([first.min(time), last.max(time)])
    });
    ExpertSummary {
        name: spec.name.clone(),
        dim: spec.dim,
        n_rows: n_rows().sum(),
        rows: Range::of(n_rows()),
        times_s,
        videos_without: data.gaps.videos_without_expert[expert],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::config::{DataConfig, SyntheticConfig};

    #[test]
    fn generated_data_are_counted() {
        let config = SyntheticConfig {
            videos: 50,
            test_videos: 20,
            duplicate_rate: 0.1,
            ..SyntheticConfig::default()
        };
        let data = Dataset::load(&DataConfig::Synthetic(config)).unwrap();
        let summary = Summary::of(&data);
        let [train, val, test] = &summary.splits[..] else {
            panic!("three splits expected");
        };
        assert_eq!(
            (train.n_videos, train.n_captions, val.n_videos, test.n_videos),
            (30, 60, 0, 20)
        );
        let two = Range {
            min: 2,
            median: 2,
            max: 2,
        };
        assert_eq!((train.captions, val.captions), (Some(two), None));
        // A tenth of the videos are exact duplicates.
        assert_eq!((train.n_duplicate_videos, test.n_duplicate_videos), (3, 2));
        assert!(train.n_shared_captions > 0 && train.n_distinct_captions < 60);
        let words = train.words.unwrap();
        assert!(1 < words.min && words.min <= words.median && words.median <= words.max);
        assert!(
            summary
                .experts
                .iter()
                .all(|expert| expert.rows.is_some_and(|rows| rows.min > 0))
        );
    }

    #[test]
    fn a_range_has_the_lower_median() {
        assert_eq!(
            Range::of([4, 1, 3, 2]),
            Some(Range {
                min: 1,
                median: 2,
                max: 4
            })
        );
        assert_eq!(Range::of([]), None);
    }
}
