//! Metrics and counts as the records of a run hold them, and back.

use std::collections::HashMap;

use hitbench_kernels::RankCount;
use hitbench_reports::record::{DirectionRecord, RankRow};

use super::{Direction, DirectionCounts, DirectionMetrics, MetricError, SeedHits, TieRule};

impl From<&DirectionMetrics> for DirectionRecord {
    fn from(metrics: &DirectionMetrics) -> Self {
        let ci95 = |k: &u64| metrics.r_at_ci95.as_ref().and_then(|by_k| by_k.get(k)).copied();
        Self {
            n_queries: metrics.n_queries,
            denominator: Some(metrics.denominator),
            n_gallery: metrics.n_gallery,
            n_masked: metrics.n_masked,
            n_tied: metrics.n_tied,
            r_at: metrics.r_at.clone(),
            r_at_interval: metrics.r_at_interval.clone(),
            r_at_ci95: metrics.r_at.keys().map(|k| (*k, ci95(k))).collect(),
            median_rank: metrics.median_rank,
            median_rank_ci95: metrics.median_rank_ci95,
            mean_rank: metrics.mean_rank,
            mean_rank_ci95: metrics.mean_rank_ci95,
            sum_r: metrics.sum_r,
            geometric_mean: metrics.geometric_mean,
            mrr: Some(metrics.mrr),
            mrr_ci95: metrics.mrr_ci95,
            ndcg_at_10: metrics.ndcg_at_10,
            map: metrics.map,
            recall_at: metrics.recall_at.clone(),
        }
    }
}

impl DirectionCounts {
    /// One row a query; `captions` and `videos` are the ids of all captions and all videos.
    ///
    /// # Errors
    /// [`MetricError::Length`] when there are fewer ids than items that the counts name.
    pub fn rank_rows(&self, captions: &[String], videos: &[String]) -> Result<Vec<RankRow>, MetricError> {
        let id = |ids: &[String], what, item: u32| {
            ids.get(item as usize).cloned().ok_or(MetricError::Length {
                what,
                expected: item as usize + 1,
                found: ids.len(),
            })
        };
        let caption = |item| id(captions, "caption ids", item);
        let video = |item| id(videos, "video ids", item);
        self.counts
            .iter()
            .zip(self.queries.iter().zip(&self.true_items))
            .map(|(count, (&query, &true_item))| {
                let (query_id, true_id) = match self.direction {
                    Direction::T2v => (caption(query)?, video(true_item)?),
                    Direction::V2t if self.gallery_of_videos => (video(query)?, video(true_item)?),
                    Direction::V2t => (video(query)?, caption(true_item)?),
                };
                Ok(RankRow {
                    direction: self.direction,
                    query_id,
                    true_id,
                    greater: count.greater,
                    equal: count.equal,
                    own_equal: count.own_equal,
                    score: count.score,
                })
            })
            .collect()
    }
}

impl SeedHits {
    /// Of the rows of one direction of a finished trial, as [`new`](Self::new).
    ///
    /// Videos are told apart by their ids and numbered as they appear, which is the same for all trials that
    /// ranked the same test set.
    pub fn from_rows(
        rows: &[RankRow],
        direction: Direction,
        ties: TieRule,
        value: impl Fn(&RankCount) -> f64,
    ) -> Self {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let (mut counts, mut clusters) = (Vec::new(), Vec::new());
        for row in rows.iter().filter(|row| row.direction == direction) {
            let video = match direction {
                Direction::T2v => &row.true_id,
                Direction::V2t => &row.query_id,
            };
            let next = numbers.len() as u32;
            clusters.push(*numbers.entry(video).or_insert(next));
            counts.push(RankCount {
                greater: row.greater,
                equal: row.equal,
                own_equal: row.own_equal,
                score: row.score,
            });
        }
        Self::new(&counts, clusters, ties, value)
    }
}

#[cfg(test)]
mod tests {
    use hitbench_kernels::{Rows, RowsData};

    use super::super::{CaptionRule, Counts, Pairing, Resampling, Rules, count_matrix, summarize};
    use super::*;

    fn ids(prefix: &str, n: usize) -> Vec<String> {
        (0..n).map(|i| format!("{prefix}{i}")).collect()
    }

    /// Captions 0 and 1 describe video 0, caption 2 video 1.
    fn counts(captions: CaptionRule) -> Counts {
        let scores = [0.1, 0.9, 0.8, 0.2, 0.3, 0.7];
        let rows = Rows::new(RowsData::F32(&scores), 3, 2).unwrap();
        count_matrix(rows, &Pairing::new(vec![0, 0, 1], 2).unwrap(), captions).unwrap()
    }

    #[test]
    fn rows_name_query_and_best_true_item() {
        let (captions, videos) = (ids("c", 3), ids("v", 2));
        let pairs = |counts: &DirectionCounts| -> Vec<(String, String)> {
            let rows = counts.rank_rows(&captions, &videos).unwrap();
            rows.into_iter().map(|row| (row.query_id, row.true_id)).collect()
        };
        let pair = |query: &str, item: &str| (query.to_owned(), item.to_owned());
        let counts_of_both = counts(CaptionRule::MinRank);
        assert_eq!(
            pairs(&counts_of_both.t2v),
            [pair("c0", "v0"), pair("c1", "v0"), pair("c2", "v1")]
        );
        assert_eq!(pairs(&counts_of_both.v2t), [pair("v0", "c1"), pair("v1", "c2")]);
        let maxed = counts(CaptionRule::MaxOverCaptions);
        assert_eq!(pairs(&maxed.v2t), [pair("v0", "v0"), pair("v1", "v1")]);
        assert!(matches!(
            maxed.v2t.rank_rows(&captions, &videos[..1]),
            Err(MetricError::Length {
                what: "video ids",
                expected: 2,
                found: 1
            })
        ));
    }

    #[test]
    fn hits_of_rows_are_those_of_the_counts() {
        let counts = counts(CaptionRule::MinRank);
        let ties = TieRule::Average;
        let hit = |count: &RankCount| ties.hits(count, 1);
        for direction in [&counts.t2v, &counts.v2t] {
            let rows = direction.rank_rows(&ids("c", 3), &ids("v", 2)).unwrap();
            let found = SeedHits::from_rows(&rows, direction.direction, ties, hit);
            let expected = SeedHits::new(&direction.counts, direction.clusters.clone(), ties, hit);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_record_holds_every_cut_off_and_null_for_what_is_unknown() {
        let counts = counts(CaptionRule::MinRank);
        let plan = Resampling {
            seed: 0,
            resamples: 39,
        };
        let with = summarize(&counts.t2v, &Rules::default(), Some(plan)).unwrap();
        let record = DirectionRecord::from(&with);
        assert_eq!(record.r_at_ci95[&5], with.r_at_ci95.unwrap().get(&5).copied());
        assert_eq!((record.map, record.recall_at), (Some(with.mrr), Some(with.r_at)));
        assert!(record.median_rank_ci95.is_some() && record.mean_rank_ci95.is_some());
        assert_eq!(
            (
                record.denominator,
                record.median_rank_ci95,
                record.mean_rank_ci95,
                record.mrr_ci95
            ),
            (Some(3), with.median_rank_ci95, with.mean_rank_ci95, with.mrr_ci95)
        );
        let best_only = DirectionCounts {
            own: None,
            ..counts.v2t
        };
        let without = DirectionRecord::from(&summarize(&best_only, &Rules::default(), None).unwrap());
        assert_eq!(without.r_at_ci95.values().collect::<Vec<_>>(), [&None; 4]);
        assert_eq!((without.map, without.recall_at), (None, None));
        assert_eq!(
            (without.median_rank_ci95, without.mean_rank_ci95, without.mrr_ci95),
            (None, None, None)
        );
    }
}
