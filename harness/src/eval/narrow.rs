//! What an f16 kernel does to ranks: how many differ from those of f32, and how many could, by the error bounds.

use hitbench_kernels::tolerance::score_bound;
use hitbench_kernels::{Dtype, KernelError, KernelId, RankCount, Rows, RowsData, scores_kernel};
use serde::Serialize;

use super::error::EvalError;
use super::norms::lengths;
use crate::format::Matrix;
use crate::format::{Aligned, OutOfMemory};
use crate::metric::{Counts, DirectionCounts, MetricError, Pairing};

/// Bytes of scores that are held at a time.
const BLOCK_BYTES: usize = 16 << 20;

/// Queries of one direction whose rank f16 changed or could change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Narrowed {
    /// Queries with other counts than under the f32 kernel.
    pub changed: u64,
    /// Queries with an item of others so near the true one that rounding could put it on either side.
    pub could_change: u64,
}

/// Both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Narrowing {
    /// Text to video.
    pub t2v: Narrowed,
    /// Video to text.
    pub v2t: Narrowed,
}

/// Where the f16 kernel computes what the f32 kernel does.
pub(super) const NOTHING_NARROWED: Narrowing = {
    let none = Narrowed {
        changed: 0,
        could_change: 0,
    };
    Narrowing { t2v: none, v2t: none }
};

/// Holds the counts of `kernel`, which works in f16, against those of the kernel `wide`.
///
/// # Errors
/// Those of the kernel `wide`, and [`EvalError::Memory`].
pub(super) fn narrowing(
    (text, video): (&Matrix, &Matrix),
    pairing: &Pairing,
    (kernel, counts): (KernelId, &Counts),
    (wide, wide_counts): (KernelId, &Counts),
) -> Result<Narrowing, EvalError> {
    let bounds = Bounds {
        kernels: [kernel, wide],
        stored: text.dtype().max(video.dtype()),
        dim: text.n_columns(),
    };
    let could = could_change((text, video), pairing, wide, wide_counts, &bounds)?;
    let narrowed = |narrow: &DirectionCounts, wide: &DirectionCounts, could_change| Narrowed {
        changed: narrow
            .counts
            .iter()
            .zip(&wide.counts)
            .filter(|(a, b)| differ(a, b))
            .count() as u64,
        could_change,
    };
    Ok(Narrowing {
        t2v: narrowed(&counts.t2v, &wide_counts.t2v, could.0),
        v2t: narrowed(&counts.v2t, &wide_counts.v2t, could.1),
    })
}

fn differ(a: &RankCount, b: &RankCount) -> bool {
    (a.greater, a.equal, a.own_equal) != (b.greater, b.equal, b.own_equal)
}

/// How far the scores of both kernels may lie apart.
struct Bounds {
    kernels: [KernelId; 2],
    stored: Dtype,
    dim: usize,
}

impl Bounds {
    fn of(&self, text_norm: f64, video_norm: f64) -> f64 {
        let bound = |kernel| score_bound(kernel, self.stored, self.dim, text_norm, video_norm);
        self.kernels.into_iter().map(bound).sum()
    }
}

/// Texts and videos with an item of others within the bounds of their true one. The bound of an item is that of
/// the longest row on its side, which is the same for rows of one length.
fn could_change(
    (text, video): (&Matrix, &Matrix),
    pairing: &Pairing,
    wide: KernelId,
    counts: &Counts,
    bounds: &Bounds,
) -> Result<(u64, u64), EvalError> {
    let kept = pairing.kept_captions();
    let (text_norms, video_norms) = (lengths(text), lengths(video));
    let longest_text = kept
        .iter()
        .map(|&row| text_norms[row as usize])
        .fold(0.0, f64::max);
    let longest_video = video_norms.iter().copied().fold(0.0, f64::max);
    let own_text = |video: u32, own: &[u32]| {
        let own = own
            .iter()
            .map(|&row| text_norms[row as usize])
            .fold(0.0, f64::max);
        bounds.of(own, video_norms[video as usize]) + bounds.of(longest_text, video_norms[video as usize])
    };
    let own = pairing.captions_by_video();
    let mut best = vec![f64::NAN; pairing.n_videos()];
    let mut reach = vec![0.0; pairing.n_videos()];
    for (&asking, count) in counts.v2t.queries.iter().zip(&counts.v2t.counts) {
        best[asking as usize] = count.score;
        reach[asking as usize] = own_text(asking, &own[asking as usize]);
    }

    let kernel = scores_kernel(&wide.to_string()).map_err(MetricError::from)?;
    let memory = |error| EvalError::memory(text.location(), error);
    let per_block = (BLOCK_BYTES / size_of::<f32>() / video.n_rows()).clamp(1, kept.len());
    let mut scores = vec![0f32; per_block * video.n_rows()];
    let (mut n_texts, mut near_video) = (0, vec![false; pairing.n_videos()]);
    for (block, counts) in kept.chunks(per_block).zip(counts.t2v.counts.chunks(per_block)) {
        let rows = gathered(text, block).map_err(memory)?;
        let scores = &mut scores[..block.len() * video.n_rows()];
        let rows = typed(&rows, text.dtype(), block.len(), text.n_columns()).map_err(MetricError::from)?;
        kernel
            .scores(rows, video.rows(), scores)
            .map_err(|error| EvalError::of_kernel(error, text.location(), video.location()))?;
        for ((&row, count), scores) in block.iter().zip(counts).zip(scores.chunks(video.n_rows())) {
            let own = pairing.video_of(row) as usize;
            let norm = text_norms[row as usize];
            let text_reach = bounds.of(norm, video_norms[own]) + bounds.of(norm, longest_video);
            let mut near_text = false;
            for (column, &score) in scores.iter().enumerate() {
                let score = f64::from(score);
                let others = column != own;
                near_text |= others && (score - count.score).abs() <= text_reach;
                // No comparison with NaN, the best score of a video without text, is true.
                near_video[column] |= others && (score - best[column]).abs() <= reach[column];
            }
            n_texts += u64::from(near_text);
        }
    }
    Ok((n_texts, near_video.iter().filter(|&&near| near).count() as u64))
}

/// A copy of some rows.
fn gathered(matrix: &Matrix, rows: &[u32]) -> Result<Aligned, OutOfMemory> {
    let row_bytes = matrix.bytes().len() / matrix.n_rows();
    let mut copy = Aligned::zeros(rows.len() * row_bytes)?;
    for (&row, out) in rows.iter().zip(copy.bytes_mut().chunks_exact_mut(row_bytes)) {
        out.copy_from_slice(&matrix.bytes()[row as usize * row_bytes..][..row_bytes]);
    }
    Ok(copy)
}

fn typed(rows: &Aligned, dtype: Dtype, n_rows: usize, dim: usize) -> Result<Rows<'_>, KernelError> {
    let bytes = rows.bytes();
    let data = match dtype {
        Dtype::F16 => RowsData::F16(bytemuck::cast_slice(bytes)),
        Dtype::F32 => RowsData::F32(bytemuck::cast_slice(bytes)),
        Dtype::F64 => RowsData::F64(bytemuck::cast_slice(bytes)),
    };
    Rows::new(data, n_rows, dim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{EvalRequest, Given, Names, evaluate};
    use crate::format::tests::matrix_f32;
    use crate::metric::{Protocol, Rules};

    fn narrowing_of(text: &[&[f32]], video: &[&[f32]], kernel: &str) -> Option<Narrowing> {
        let (_texts, text) = matrix_f32(text);
        let (_videos, video) = matrix_f32(video);
        let request = EvalRequest {
            given: Given::Embeddings {
                text,
                video,
                kernel: kernel.parse().unwrap(),
                normalize: false,
            },
            names: Names::default(),
            protocol: Protocol::CUSTOM,
            rules: Rules::default(),
            post: None,
            bank: None,
            resampling: None,
        };
        evaluate(request).unwrap().narrowing
    }

    #[test]
    fn near_and_equal_scores_are_told_from_far_ones() {
        // In f16, 1.0001 is 1: the first two videos tie for the first text, and so do the first two texts for them.
        let text: [&[f32]; 3] = [&[1.0, 0.0], &[1.0001, 0.0], &[0.0, 1.0]];
        let video: [&[f32]; 3] = [&[1.0001, 0.0], &[1.0, 0.0], &[0.0, 1.0]];
        let found = narrowing_of(&text, &video, "cpu/auto/f16").unwrap();
        for direction in [found.t2v, found.v2t] {
            assert_eq!(
                direction,
                Narrowed {
                    changed: 2,
                    could_change: 2
                }
            );
        }
        assert_eq!(narrowing_of(&text, &video, "cpu/auto/f32"), None);
    }

    #[test]
    fn scores_that_f16_holds_exactly_change_nothing_and_those_far_apart_could_not() {
        let unit: [&[f32]; 3] = [&[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0], &[0.0, 0.0, 1.0]];
        let found = narrowing_of(&unit, &unit, "cpu/auto/f16").unwrap();
        let none = Narrowed {
            changed: 0,
            could_change: 0,
        };
        assert_eq!((found.t2v, found.v2t), (none, none));
    }
}
