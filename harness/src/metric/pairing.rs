//! Which caption describes which video, and which captions take part.

use super::MetricError;

/// The map from captions to videos that both directions are ranked with.
///
/// A video may have several captions, or none: then it is only a distractor in `t2v` and asks nothing in `v2t`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    video_of: Vec<u32>,
    kept: Vec<bool>,
    n_videos: usize,
}

impl Pairing {
    /// `video_of[c]` is the video of caption `c`.
    ///
    /// # Errors
    /// [`MetricError::NoSuchVideo`] for an index outside `0..n_videos`, [`MetricError::Empty`] for no caption.
    pub fn new(video_of: Vec<u32>, n_videos: usize) -> Result<Self, MetricError> {
        for (caption, &video) in video_of.iter().enumerate() {
            if video as usize >= n_videos {
                return Err(MetricError::NoSuchVideo {
                    caption,
                    video,
                    n_videos,
                });
            }
        }
        let pairing = Self {
            kept: vec![true; video_of.len()],
            video_of,
            n_videos,
        };
        pairing.not_empty()
    }

    /// Caption `i` describes video `i`.
    ///
    /// # Errors
    /// [`MetricError::Empty`] for `n = 0`.
    pub fn one_to_one(n: u32) -> Result<Self, MetricError> {
        Self::new((0..n).collect(), n as usize)
    }

    /// Leaves out every caption whose entry is false, as a query and as a gallery item.
    ///
    /// # Errors
    /// [`MetricError::Length`] when there is not one entry a caption, [`MetricError::Empty`] when none is left.
    pub fn with_mask(self, kept: Vec<bool>) -> Result<Self, MetricError> {
        if kept.len() != self.video_of.len() {
            return Err(MetricError::Length {
                what: "caption mask",
                expected: self.video_of.len(),
                found: kept.len(),
            });
        }
        Self { kept, ..self }.not_empty()
    }

    /// Number of captions, masked ones included.
    pub fn n_captions(&self) -> usize {
        self.video_of.len()
    }

    /// Number of videos, with or without captions.
    pub fn n_videos(&self) -> usize {
        self.n_videos
    }

    /// Number of captions left out by the mask.
    pub fn n_masked(&self) -> usize {
        self.kept.iter().filter(|&&kept| !kept).count()
    }

    /// Number of videos that no caption taking part describes.
    pub fn n_without_caption(&self) -> usize {
        self.n_videos - self.videos_with_captions().len()
    }

    /// The captions that take part, ascending.
    pub fn kept_captions(&self) -> Vec<u32> {
        (0u32..)
            .zip(&self.kept)
            .filter_map(|(caption, &kept)| kept.then_some(caption))
            .collect()
    }

    /// The video of a caption.
    ///
    /// # Panics
    /// When there is no such caption.
    pub fn video_of(&self, caption: u32) -> u32 {
        self.video_of[caption as usize]
    }

    /// The videos that a caption taking part describes, ascending.
    pub fn videos_with_captions(&self) -> Vec<u32> {
        (0u32..)
            .zip(self.captions_by_video())
            .filter_map(|(video, own)| (!own.is_empty()).then_some(video))
            .collect()
    }

    /// For every video, those of its captions that take part, ascending.
    pub fn captions_by_video(&self) -> Vec<Vec<u32>> {
        let mut lists = vec![Vec::new(); self.n_videos];
        for caption in self.kept_captions() {
            lists[self.video_of(caption) as usize].push(caption);
        }
        lists
    }

    fn not_empty(self) -> Result<Self, MetricError> {
        if self.kept.contains(&true) {
            return Ok(self);
        }
        Err(MetricError::Empty {
            n_captions: self.n_captions(),
            n_masked: self.n_masked(),
            n_videos: self.n_videos,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_pairings_are_refused() {
        assert!(matches!(
            Pairing::one_to_one(0),
            Err(MetricError::Empty { n_captions: 0, .. })
        ));
        assert!(matches!(
            Pairing::new(vec![0, 2], 2),
            Err(MetricError::NoSuchVideo {
                caption: 1,
                video: 2,
                ..
            })
        ));
        let two = Pairing::one_to_one(2).unwrap();
        assert!(matches!(
            two.clone().with_mask(vec![true]),
            Err(MetricError::Length {
                expected: 2,
                found: 1,
                ..
            })
        ));
        assert!(matches!(
            two.with_mask(vec![false, false]),
            Err(MetricError::Empty { n_masked: 2, .. })
        ));
    }

    #[test]
    fn masked_captions_belong_to_no_list() {
        let pairing = Pairing::new(vec![1, 0, 1], 3)
            .unwrap()
            .with_mask(vec![true, true, false])
            .unwrap();
        assert_eq!(pairing.captions_by_video(), vec![vec![1], vec![0], vec![]]);
        assert_eq!(pairing.kept_captions(), vec![0, 1]);
        assert_eq!(pairing.n_masked(), 1);
    }
}
