//! Metrics of ranked lists, which need not hold the whole gallery.
//!
//! A list is the best items of a query, best first; what it leaves out lies below all of it. A true item outside its
//! list has a rank that is unknown but for being larger than the list is long:
//!
//! - R@K and true recall are known for K up to the shortest list, and such an item misses there; larger K have no
//!   value, unless every list holds the whole gallery.
//! - MdR is known where the middle of all ranks lies before the unknown ones, MnR where all queries found a true item.
//! - MRR, mAP and nDCG@10 have what trec_eval has: an item outside its list adds nothing.
//!
//! Items of a list that score alike tie under the tie rule, as everywhere here; trec_eval orders them by their ids,
//! larger ones first, so that its numbers lie between those of `pessimistic` and `optimistic`.

use std::collections::BTreeMap;

use hitbench_kernels::RankCount;

use super::bootstrap::Resampling;
use super::intervals::{Intervals, known_ranks};
use super::relevance::{alone, discounted, n_own};
use super::summary::{DEPTH, OfAll, median, possible, reciprocal};
use super::{DirectionMetrics, MetricError, OwnGroup, Rules, TieRule};

/// What its list says about one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedQuery {
    /// The true items that the list holds, those of one score together, best first; counts are within the list.
    pub found: Vec<OwnGroup>,
    /// All true items of the query, at least 1.
    pub n_true: u64,
    /// Items in the list.
    pub depth: u64,
    /// Queries with the same number are not independent and are resampled together.
    pub cluster: u32,
}

/// The lists of all queries of `t2v`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCounts {
    /// One entry a query.
    pub queries: Vec<ListedQuery>,
    /// Items of the gallery, where they are known.
    pub n_gallery: Option<u64>,
    /// Texts left out.
    pub n_masked: u64,
    /// Videos of a known gallery that are true for no query.
    pub n_without_caption: u64,
}

impl ListedQuery {
    /// How many true items the list holds.
    pub fn n_found(&self) -> u64 {
        n_own(&self.found)
    }
}

impl ListCounts {
    /// Length of the shortest list.
    pub fn shortest(&self) -> u64 {
        self.queries.iter().map(|query| query.depth).min().unwrap_or(0)
    }

    /// Whether every list holds the whole gallery.
    pub fn is_complete(&self) -> bool {
        self.n_gallery == Some(self.shortest())
    }

    /// The cut-offs of `rules` whose R@K is known.
    pub fn known_cuts(&self, rules: &Rules) -> Vec<u64> {
        let cuts = rules.recall_at.iter().copied();
        cuts.filter(|&k| self.is_known(k)).collect()
    }

    fn is_known(&self, k: u64) -> bool {
        k <= self.shortest() || self.is_complete()
    }
}

/// Sums up lists; `resampling` adds the 95 % intervals.
///
/// # Errors
/// As [`summarize`](super::summarize).
pub fn summarize_lists(
    lists: &ListCounts,
    rules: &Rules,
    resampling: Option<Resampling>,
) -> Result<DirectionMetrics, MetricError> {
    check(lists, rules)?;
    let ties = rules.ties;
    let queries = &lists.queries;
    let best: Vec<Option<RankCount>> = queries
        .iter()
        .map(|query| query.found.first().map(alone))
        .collect();
    let weight = |count: &Option<RankCount>| count.as_ref().map_or(1, |count| ties.weight(count));
    let denominator: u64 = best.iter().map(weight).sum();
    // The empty sum of floats is -0.0, and the sum over no found item must be 0.
    let sum = |value: &dyn Fn(&RankCount) -> f64| 0.0 + best.iter().flatten().map(value).sum::<f64>();
    let mean = |value: &dyn Fn(&RankCount) -> f64| sum(value) / denominator as f64;
    let r_at = |k: u64| mean(&|count| ties.hits(count, k));
    let bound = |rule: TieRule, k: u64| sum(&|count| rule.hits(count, k)) / queries.len() as f64;

    let rules = Rules {
        recall_at: lists.known_cuts(rules),
        ..rules.clone()
    };
    let by_k: BTreeMap<u64, f64> = rules.recall_at.iter().map(|&k| (k, r_at(k))).collect();
    let usual = lists.is_known(10).then(|| [r_at(1), r_at(5), r_at(10)]);
    let lost = queries.iter().filter(|query| query.found.is_empty());
    let last_known = lost
        .map(|query| (query.depth + 1) as f64)
        .fold(f64::INFINITY, f64::min);
    let ranks = best
        .iter()
        .flat_map(|count| known_ranks(ties, count.as_ref(), last_known));
    let middle = median(&mut ranks.collect::<Vec<f64>>(), rules.median);
    let all_found = best.iter().all(Option::is_some);
    let mrr = mean(&|count| ties.gain(count, reciprocal));
    let of_all = if queries.iter().all(|query| query.n_true == 1) {
        Some(OfAll {
            ndcg_at_10: mean(&|count| ties.gain(count, |rank| discounted(rank, DEPTH))),
            map: mrr,
            recall_at: by_k.clone(),
        })
    } else {
        OfAll::new(
            queries.iter().map(|query| (&query.found[..], query.n_true)),
            &rules,
        )
    };
    let intervals = resampling
        .map(|resampling| {
            let counted = best
                .iter()
                .map(Option::as_ref)
                .zip(queries.iter().map(|query| query.cluster));
            Intervals::new(counted, &rules, last_known, resampling)
        })
        .transpose()?;

    Ok(DirectionMetrics {
        n_queries: queries.len() as u64,
        denominator,
        n_gallery: lists.n_gallery,
        n_masked: lists.n_masked,
        n_without_caption: lists.n_without_caption,
        n_tied: best.iter().flatten().filter(|c| c.equal > c.own_equal).count() as u64,
        r_at_interval: by_k
            .keys()
            .map(|&k| (k, [bound(TieRule::Pessimistic, k), bound(TieRule::Optimistic, k)]))
            .collect(),
        r_at_ci95: intervals.as_ref().map(|i| i.r_at.clone()),
        median_rank: middle.is_finite().then_some(middle),
        median_rank_ci95: intervals.as_ref().and_then(|i| i.median_rank),
        mean_rank: all_found.then(|| mean(&|count| ties.weight(count) as f64 * ties.rank(count))),
        mean_rank_ci95: intervals.as_ref().and_then(|i| i.mean_rank),
        sum_r: usual.map(|usual| usual.iter().sum()),
        geometric_mean: usual.map(|usual| usual.iter().product::<f64>().cbrt()),
        mrr,
        mrr_ci95: intervals.as_ref().map(|i| i.mrr),
        ndcg_at_10: of_all.as_ref().map(|of_all| of_all.ndcg_at_10),
        map: of_all.as_ref().map(|of_all| of_all.map),
        recall_at: of_all.map(|of_all| of_all.recall_at),
        r_at: by_k,
    })
}

fn check(lists: &ListCounts, rules: &Rules) -> Result<(), MetricError> {
    if lists.queries.is_empty() {
        return Err(MetricError::Empty {
            n_captions: lists.n_masked as usize,
            n_masked: lists.n_masked as usize,
            n_videos: lists.n_without_caption as usize,
        });
    }
    for (index, query) in lists.queries.iter().enumerate() {
        let best = query.found.first();
        let groups = best.map_or(Ok(()), |best| possible(best, &query.found, query.depth));
        groups.map_err(|impossible| MetricError::ImpossibleCounts {
            index,
            greater: impossible.greater,
            equal: impossible.equal,
            own_equal: impossible.own_equal,
            n_gallery: query.depth as usize,
        })?;
        if query.n_true < query.n_found().max(1) {
            return Err(MetricError::TrueItems {
                index,
                found: query.n_found(),
                n_true: query.n_true,
            });
        }
    }
    match rules.recall_at.iter().find(|&&k| k == 0) {
        Some(&k) => Err(MetricError::CutOff { k }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
