//! From embeddings to counts and metrics of both directions, through a `rank_counts` kernel.

use hitbench_kernels::{RankCounts, Rows};

use super::{Counts, DirectionMetrics, MetricError, Pairing, Resampling, Rules, count_embeddings, summarize};

/// Both directions: the counts and what they sum up to.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Counts of every query.
    pub counts: Counts,
    /// Metrics of text to video.
    pub t2v: DirectionMetrics,
    /// Metrics of video to text.
    pub v2t: DirectionMetrics,
}

impl Evaluation {
    /// Sums up both directions; `resampling` adds the 95 % intervals.
    ///
    /// # Errors
    /// As [`summarize`].
    pub fn new(counts: Counts, rules: &Rules, resampling: Option<Resampling>) -> Result<Self, MetricError> {
        Ok(Self {
            t2v: summarize(&counts.t2v, rules, resampling)?,
            v2t: summarize(&counts.v2t, rules, resampling)?,
            counts,
        })
    }
}

/// Ranks embeddings in both directions: `text [n_captions, dim]` against `video [n_videos, dim]`.
///
/// Counted as [`count_embeddings`] says, under `rules.captions`.
///
/// # Errors
/// Those of [`count_embeddings`] and of [`summarize`].
pub fn evaluate(
    text: Rows<'_>,
    video: Rows<'_>,
    pairing: &Pairing,
    kernel: &(dyn RankCounts + Sync),
    rules: &Rules,
    resampling: Option<Resampling>,
) -> Result<Evaluation, MetricError> {
    let counts = count_embeddings(text, video, pairing, kernel, rules.captions, &mut |_| ())?;
    Evaluation::new(counts, rules, resampling)
}

#[cfg(test)]
mod tests {
    use hitbench_kernels::{RowsData, rank_counts_kernel};

    use super::*;

    const DIM: usize = 3;

    fn f32_rows(data: &[f32]) -> Rows<'_> {
        Rows::new(RowsData::F32(data), data.len() / DIM, DIM).unwrap()
    }

    #[test]
    fn metrics_come_with_the_counts() {
        let rows: Vec<f32> = (0..20)
            .flat_map(|i| [1.0, i as f32, -0.5 * (i * i) as f32])
            .collect();
        let text: Vec<f32> = (0..20).flat_map(|i| [0.0, i as f32, 1.0]).collect();
        // Scores i * j - j * j / 2 are largest at j = i, so that everything is found at rank 1 in `t2v`.
        let kernel = rank_counts_kernel("cpu/auto/f32").unwrap();
        let plan = Resampling {
            seed: 1,
            resamples: 99,
        };
        let pairing = Pairing::one_to_one(20).unwrap();
        let rules = Rules::default();
        let found = evaluate(
            f32_rows(&text),
            f32_rows(&rows),
            &pairing,
            &*kernel,
            &rules,
            Some(plan),
        )
        .unwrap();
        assert_eq!(
            (found.t2v.r_at[&1], found.t2v.mean_rank, found.t2v.n_queries),
            (1.0, Some(1.0), 20)
        );
        // The other way the largest i wins: video j is found at rank 20 - j, and video 0 ties with all.
        assert_eq!(found.v2t.n_tied, 1);
        assert_eq!(
            found.v2t.mean_rank,
            Some(((1..=19).sum::<u32>() as f64 + 10.5) / 20.0)
        );
        assert_eq!(found.counts.v2t.true_items[7], 7);
    }
}
