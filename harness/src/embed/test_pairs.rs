//! The pairs of a test split as the metrics see them.

use std::collections::BTreeMap;

use crate::data::dataset::Caption;
use crate::data::{Dataset, Split};
use crate::metric::{MetricError, Pairing};

/// Captions and videos of a test split, in its order, and which belong together.
pub(crate) struct TestPairs<'a> {
    pub(crate) data: &'a Dataset,
    /// Captions, in the order of the split.
    pub(crate) captions: Vec<usize>,
    pub(crate) pairing: Pairing,
}

impl<'a> TestPairs<'a> {
    /// Pairs the captions of the test split with its videos.
    ///
    /// # Errors
    /// [`MetricError::Empty`] when the split has no caption.
    pub(crate) fn new(data: &'a Dataset) -> Result<Self, MetricError> {
        let captions = data.split_captions(Split::Test);
        let place: BTreeMap<usize, u32> = data.splits.test.iter().copied().zip(0..).collect();
        let video_of = captions
            .iter()
            .map(|&caption| place[&data.captions[caption].video])
            .collect();
        let pairing = Pairing::new(video_of, data.splits.test.len())?;
        Ok(Self {
            data,
            captions,
            pairing,
        })
    }

    /// Ids of captions and videos in the order of the split.
    pub(crate) fn ids(&self) -> (Vec<String>, Vec<String>) {
        let captions = self.captions.iter();
        let captions = captions.map(|&caption| self.data.captions[caption].id.clone());
        let videos = self.data.splits.test.iter();
        let videos = videos.map(|&video| self.data.videos[video].id.clone());
        (captions.collect(), videos.collect())
    }

    /// The captions in the order of the split, each with the id of its video.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Caption, &str)> {
        self.captions.iter().map(|&caption| {
            let caption = &self.data.captions[caption];
            (caption, &*self.data.videos[caption.video].id)
        })
    }
}
