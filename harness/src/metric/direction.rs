//! Counts of one direction with what they were counted over, whoever counted them.

use std::ops::Range;

use hitbench_kernels::RankCount;

use super::{CaptionRule, Direction, OwnCounts, Pairing};

/// Counts of all queries of one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectionCounts {
    /// Who asks.
    pub direction: Direction,
    /// One entry a query.
    pub counts: Vec<RankCount>,
    /// The caption (`t2v`) or video (`v2t`) behind each entry of `counts`, ascending.
    pub queries: Vec<u32>,
    /// The best true item of each query, the first of several at the same score: a video in `t2v`, and in `v2t` a
    /// caption, or the video itself where captions are maxed over.
    pub true_items: Vec<u32>,
    /// The video of each query: queries of one video are not independent and are resampled together.
    pub clusters: Vec<u32>,
    /// Items that every query was ranked against.
    pub n_gallery: usize,
    /// Captions left out by the mask: queries in `t2v`, gallery items in `v2t`.
    pub n_masked: usize,
    /// Videos without a caption left: they stay in the gallery of `t2v` and ask nothing in `v2t`.
    pub n_without_caption: usize,
    /// Whether the gallery consists of videos: in `t2v`, and in `v2t` where captions are maxed over.
    pub gallery_of_videos: bool,
    /// Whether every query has exactly one true item.
    pub one_true_item: bool,
    /// All true items of each query. Always `None` where each has one: its count says everything; where some have
    /// several, `None` when the kernel's scores cannot tell.
    pub own: Option<OwnCounts>,
}

/// Counts of both directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Text to video.
    pub t2v: DirectionCounts,
    /// Video to text.
    pub v2t: DirectionCounts,
}

impl DirectionCounts {
    /// Text to video: one count for each caption that takes part.
    pub(super) fn text_to_video(pairing: &Pairing, counts: Vec<RankCount>) -> Self {
        let queries = pairing.kept_captions();
        let videos: Vec<u32> = queries.iter().map(|&caption| pairing.video_of(caption)).collect();
        Self {
            direction: Direction::T2v,
            counts,
            queries,
            true_items: videos.clone(),
            clusters: videos,
            n_gallery: pairing.n_videos(),
            n_masked: pairing.n_masked(),
            n_without_caption: pairing.n_without_caption(),
            gallery_of_videos: true,
            one_true_item: true,
            own: None,
        }
    }

    /// Video to text: one count for each of `videos` with a caption. `t2v` knows how each caption scores with its
    /// video. Counts of all true items are for the caller to add, see [`own`](super::own).
    pub(super) fn video_to_text(
        pairing: &Pairing,
        captions: CaptionRule,
        t2v: &Self,
        videos: Range<usize>,
        counts: Vec<RankCount>,
    ) -> Self {
        let own = pairing.captions_by_video();
        let mut queries = pairing.videos_with_captions();
        let n_with_captions = queries.len();
        queries.retain(|&video| videos.contains(&(video as usize)));
        let mut best: Vec<Option<(f64, u32)>> = vec![None; pairing.n_videos()];
        for (count, (&caption, &video)) in t2v.counts.iter().zip(t2v.queries.iter().zip(&t2v.clusters)) {
            let best = &mut best[video as usize];
            if best.is_none_or(|(score, _)| count.score > score) {
                *best = Some((count.score, caption));
            }
        }
        let (true_items, n_gallery, one_true_item) = match captions {
            CaptionRule::MinRank => (
                best[videos]
                    .iter()
                    .flatten()
                    .map(|&(_, caption)| caption)
                    .collect(),
                t2v.queries.len(),
                own.iter().all(|list| list.len() <= 1),
            ),
            CaptionRule::MaxOverCaptions => (queries.clone(), n_with_captions, true),
        };
        Self {
            direction: Direction::V2t,
            counts,
            true_items,
            clusters: queries.clone(),
            queries,
            n_gallery,
            n_masked: t2v.n_masked,
            n_without_caption: t2v.n_without_caption,
            gallery_of_videos: captions == CaptionRule::MaxOverCaptions,
            one_true_item,
            own: None,
        }
    }
}
