//! From embeddings to counts and metrics of both directions, through a `rank_counts` kernel.

use half::f16;
use hitbench_kernels::{KernelError, RankCount, RankCounts, RankJob, RankOutput, Rows, RowsData, TrueItems};
use rayon::prelude::*;

use super::{
    CaptionRule, Counts, DirectionCounts, DirectionMetrics, MetricError, Pairing, Resampling, Rules,
    summarize,
};

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
/// The score of a pair is the dot product of its rows as given, as `kernel` computes it. Masked captions take no
/// part and their rows are not read. `rules.captions` decides `v2t` as [`count_matrix`](super::count_matrix) says.
///
/// # Errors
/// [`MetricError::Length`] when the rows are not the pairing's, [`MetricError::Kernel`] when the kernel refuses
/// them (to it, `text` is the query side and `video` the gallery), and those of [`summarize`].
pub fn evaluate(
    text: Rows<'_>,
    video: Rows<'_>,
    pairing: &Pairing,
    kernel: &(dyn RankCounts + Sync),
    rules: &Rules,
    resampling: Option<Resampling>,
) -> Result<Evaluation, MetricError> {
    let counts = count_embeddings(text, video, pairing, kernel, rules.captions)?;
    Evaluation::new(counts, rules, resampling)
}

/// Counts both directions of embeddings; see [`evaluate`].
///
/// # Errors
/// As [`evaluate`], without those of [`summarize`].
pub fn count_embeddings(
    text: Rows<'_>,
    video: Rows<'_>,
    pairing: &Pairing,
    kernel: &(dyn RankCounts + Sync),
    captions: CaptionRule,
) -> Result<Counts, MetricError> {
    for (what, expected, found) in [
        ("text rows", pairing.n_captions(), text.n_rows()),
        ("video rows", pairing.n_videos(), video.n_rows()),
    ] {
        if expected != found {
            return Err(MetricError::Length {
                what,
                expected,
                found,
            });
        }
    }
    let kept = pairing.kept_captions();
    let asking = pairing.videos_with_captions();
    let kept_text = Subset::new(text, &kept);
    let asking_video = Subset::new(video, &asking);
    let pass = Pass {
        text: kept_text.rows()?,
        asking_video: asking_video.rows()?,
        pairing,
        kept: &kept,
        asking: &asking,
        kernel,
    };
    let one_pass = captions == CaptionRule::MinRank && asking.len() == pairing.n_videos();
    let counted = if one_pass {
        pass.min_rank()?
    } else {
        let t2v = pass.text_to_all(video)?;
        let v2t = match captions {
            CaptionRule::MinRank => pass.min_rank()?.v2t,
            CaptionRule::MaxOverCaptions => Some(pass.max_over_captions(&t2v)?),
        };
        RankOutput { t2v, v2t }
    };
    let t2v = DirectionCounts::text_to_video(pairing, counted.t2v);
    let v2t = counted.v2t.expect("every pass above counts this direction");
    let v2t = DirectionCounts::video_to_text(pairing, captions, &t2v, v2t);
    Ok(Counts { t2v, v2t })
}

/// The rows that take part, and what the kernel is asked about them.
struct Pass<'a> {
    /// Rows of the captions `kept`.
    text: Rows<'a>,
    /// Rows of the videos `asking`, which have captions.
    asking_video: Rows<'a>,
    pairing: &'a Pairing,
    kept: &'a [u32],
    asking: &'a [u32],
    kernel: &'a (dyn RankCounts + Sync),
}

impl Pass<'_> {
    /// Every caption against all videos, those without captions included.
    fn text_to_all(&self, video: Rows<'_>) -> Result<Vec<RankCount>, MetricError> {
        let own = self.kept.iter().map(|&caption| [self.pairing.video_of(caption)]);
        let t2v = TrueItems::from_lists(video.n_rows(), own)?;
        Ok(self.run(&RankJob::new(self.text, video, &t2v))?.t2v)
    }

    /// Captions and videos that have some against each other, both directions in one pass.
    fn min_rank(&self) -> Result<RankOutput, MetricError> {
        let place = self.places();
        let mut own = vec![Vec::new(); self.asking.len()];
        for (row, &place) in (0u32..).zip(&place) {
            own[place as usize].push(row);
        }
        let t2v = TrueItems::from_lists(self.asking.len(), place.iter().map(|&place| [place]))?;
        let v2t = TrueItems::from_lists(self.kept.len(), own)?;
        self.run(&RankJob {
            v2t: Some(&v2t),
            ..RankJob::new(self.text, self.asking_video, &t2v)
        })
    }

    /// Every video that has captions against all such videos, each scored by its best caption; `t2v` has the score
    /// of each caption with its own video.
    ///
    /// The captions of one video at a time are the gallery of a job of their own and all of them true, so that the
    /// score of each count is the largest over them.
    fn max_over_captions(&self, t2v: &[RankCount]) -> Result<Vec<RankCount>, MetricError> {
        let mut own: Vec<(Vec<u32>, f64)> = vec![(Vec::new(), f64::NEG_INFINITY); self.asking.len()];
        for ((row, place), count) in (0u32..).zip(self.places()).zip(t2v) {
            let (rows, best) = &mut own[place as usize];
            rows.push(row);
            *best = best.max(count.score);
        }
        let zeros = || {
            let zero = |&(_, score): &(Vec<u32>, f64)| RankCount {
                greater: 0,
                equal: 0,
                own_equal: 1,
                score,
            };
            own.iter().map(zero).collect::<Vec<RankCount>>()
        };
        (0u32..)
            .zip(&own)
            .collect::<Vec<_>>()
            .into_par_iter()
            .try_fold(zeros, |mut counts, (place, (rows, _))| {
                let captions = Subset::new(self.text, rows);
                let job_t2v = TrueItems::from_lists(self.asking.len(), rows.iter().map(|_| [place]))?;
                let all = || 0..rows.len() as u32;
                let job_v2t = TrueItems::from_lists(rows.len(), self.asking.iter().map(|_| all()))?;
                let scores = self.kernel.rank_counts(&RankJob {
                    v2t: Some(&job_v2t),
                    ..RankJob::new(captions.rows()?, self.asking_video, &job_t2v)
                })?;
                for (count, other) in counts.iter_mut().zip(scores.v2t.unwrap_or_default()) {
                    count.greater += u64::from(other.score > count.score);
                    count.equal += u64::from(other.score == count.score);
                }
                Ok(counts)
            })
            .try_reduce(zeros, |mut counts, more| {
                for (count, more) in counts.iter_mut().zip(more) {
                    count.greater += more.greater;
                    count.equal += more.equal;
                }
                Ok(counts)
            })
    }

    /// For every kept caption, the place of its video among those asking.
    fn places(&self) -> Vec<u32> {
        let mut place = vec![0; self.pairing.n_videos()];
        for (at, &video) in (0u32..).zip(self.asking) {
            place[video as usize] = at;
        }
        let videos = self.kept.iter().map(|&caption| self.pairing.video_of(caption));
        videos.map(|video| place[video as usize]).collect()
    }

    /// Runs a job over all rows of `text`; an error names the row as the caller counts them.
    fn run(&self, job: &RankJob<'_>) -> Result<RankOutput, MetricError> {
        let counted = self.kernel.rank_counts(job);
        Ok(counted.map_err(|mut error| {
            if let KernelError::NotFinite {
                side: "query", row, ..
            }
            | KernelError::Overflow {
                side: "query", row, ..
            } = &mut error
            {
                *row = self.kept[*row] as usize;
            }
            error
        })?)
    }
}

/// Some rows of a matrix: borrowed when they are all of them, else copied.
enum Subset<'a> {
    All(Rows<'a>),
    F16(Vec<f16>, [usize; 2]),
    F32(Vec<f32>, [usize; 2]),
    F64(Vec<f64>, [usize; 2]),
}

impl<'a> Subset<'a> {
    /// The rows `chosen`, which are ascending and without repetition.
    fn new(rows: Rows<'a>, chosen: &[u32]) -> Self {
        fn copy<T: Copy>(data: &[T], dim: usize, chosen: &[u32]) -> Vec<T> {
            let rows = chosen.iter().map(|&row| &data[row as usize * dim..][..dim]);
            rows.flatten().copied().collect()
        }
        let shape = [chosen.len(), rows.dim()];
        if chosen.len() == rows.n_rows() {
            return Self::All(rows);
        }
        match rows.data() {
            RowsData::F16(data) => Self::F16(copy(data, rows.dim(), chosen), shape),
            RowsData::F32(data) => Self::F32(copy(data, rows.dim(), chosen), shape),
            RowsData::F64(data) => Self::F64(copy(data, rows.dim(), chosen), shape),
        }
    }

    fn rows(&self) -> Result<Rows<'_>, KernelError> {
        let (data, [n_rows, dim]) = match self {
            Self::All(rows) => return Ok(*rows),
            Self::F16(data, shape) => (RowsData::F16(data), *shape),
            Self::F32(data, shape) => (RowsData::F32(data), *shape),
            Self::F64(data, shape) => (RowsData::F64(data), *shape),
        };
        Rows::new(data, n_rows, dim)
    }
}

#[cfg(test)]
mod tests {
    use hitbench_kernels::{available_kernels, rank_counts_kernel};
    use proptest::prelude::*;

    use super::super::count_matrix;
    use super::*;

    const DIM: usize = 3;

    fn f32_rows(data: &[f32]) -> Rows<'_> {
        Rows::new(RowsData::F32(data), data.len() / DIM, DIM).unwrap()
    }

    /// Whole numbers, so that every kernel computes every score exactly.
    fn whole(levels: &[i8]) -> Vec<f32> {
        levels.iter().map(|&level| f32::from(level)).collect()
    }

    fn exact_scores(text: &[f32], video: &[f32]) -> Vec<f32> {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum();
        text.chunks_exact(DIM)
            .flat_map(|text| video.chunks_exact(DIM).map(move |video| dot(text, video)))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn every_kernel_counts_what_the_score_matrix_holds(
            video_of in prop::collection::vec(0u32..6, 1..30),
            text in prop::collection::vec(-2i8..3, 30 * DIM),
            video in prop::collection::vec(-2i8..3, 6 * DIM),
            masked in prop::collection::vec(prop::bool::weighted(0.2), 30),
        ) {
            let n_captions = video_of.len();
            let (text, video) = (whole(&text[..n_captions * DIM]), whole(&video));
            let mut kept: Vec<bool> = masked[..n_captions].iter().map(|masked| !masked).collect();
            kept[0] = true;
            let pairing = Pairing::new(video_of, 6).unwrap().with_mask(kept).unwrap();
            let scores = exact_scores(&text, &video);
            let matrix = Rows::new(RowsData::F32(&scores), n_captions, 6).unwrap();
            for captions in [CaptionRule::MinRank, CaptionRule::MaxOverCaptions] {
                let expected = count_matrix(matrix, &pairing, captions).unwrap();
                for id in available_kernels() {
                    let kernel = rank_counts_kernel(&id.to_string()).unwrap();
                    let found = count_embeddings(f32_rows(&text), f32_rows(&video), &pairing, &*kernel, captions);
                    prop_assert_eq!(&found.unwrap(), &expected, "{} {:?}", id, captions);
                }
            }
        }
    }

    #[test]
    fn errors_name_rows_as_the_caller_counts_them() {
        let kernel = rank_counts_kernel("reference/f64").unwrap();
        let mut text = [1.0; 4 * DIM];
        let video = [1.0; 4 * DIM];
        (text[0], text[2 * DIM + 1]) = (f32::NAN, f32::NAN);
        let pairing = Pairing::one_to_one(4).unwrap();
        let count = |pairing: &Pairing, text: &[f32], video: &[f32]| {
            count_embeddings(
                f32_rows(text),
                f32_rows(video),
                pairing,
                &*kernel,
                CaptionRule::MinRank,
            )
        };
        let masked = pairing.clone().with_mask(vec![false, true, true, true]).unwrap();
        let error = count(&masked, &text, &video).unwrap_err();
        assert_eq!(error.to_string(), "query row 2, column 1 is NaN");
        assert!(matches!(
            count(&pairing, &video, &video[DIM..]),
            Err(MetricError::Length {
                what: "video rows",
                expected: 4,
                found: 3
            })
        ));
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
            (1.0, 1.0, 20)
        );
        // The other way the largest i wins: video j is found at rank 20 - j, and video 0 ties with all.
        assert_eq!(found.v2t.n_tied, 1);
        assert_eq!(found.v2t.mean_rank, ((1..=19).sum::<u32>() as f64 + 10.5) / 20.0);
        assert_eq!(found.counts.v2t.true_items[7], 7);
    }
}
