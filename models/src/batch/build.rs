//! Builds batches from captions and videos that lie elsewhere: one copy of each row, tight packing.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{ExpertRows, TextBatch, VideoBatch};
use crate::config::{InputSpec, MissingExperts};

/// Feature rows of one expert for one video, in time order.
#[derive(Debug, Clone, Copy)]
pub enum RowsView<'a> {
    /// Rows of their own, `[n_rows, dim]` row-major.
    Dense(&'a [f32]),
    /// The same in half precision; a batch has them as f32.
    Half(&'a [f16]),
    /// Rows of a table that many videos share.
    Indexed {
        /// The table `[n, dim]`, row-major.
        table: &'a [f32],
        /// Row of the table for each feature row.
        rows: &'a [u32],
    },
}

/// What one expert saw of one video; at least one row.
#[derive(Debug, Clone, Copy)]
pub struct ExpertView<'a> {
    /// All rows.
    pub rows: RowsView<'a>,
    /// Mean time of each row in seconds; `None` when unknown. A NaN is an unknown time too.
    pub times_s: Option<&'a [f32]>,
    /// Rows that become tokens, ascending; `None` takes all. The aggregated row covers all rows either way.
    pub selected: Option<&'a [u32]>,
}

/// One video: its experts or their absence, in the order of the [`InputSpec`].
#[derive(Debug, Clone)]
pub struct VideoView<'a> {
    /// One entry an expert.
    pub experts: Vec<Option<ExpertView<'a>>>,
}

/// Input that does not fit the model's [`InputSpec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// No captions or no videos.
    #[error("the batch is empty")]
    Empty,
    /// A caption without tokens.
    #[error("caption {text} of the batch has no tokens")]
    EmptyText {
        /// Its place in the batch.
        text: usize,
    },
    /// A video with too few or too many experts.
    #[error("video {video} of the batch has {found} experts, expected {expected}")]
    ExpertCount {
        /// Its place in the batch.
        video: usize,
        /// Experts of the view.
        found: usize,
        /// Experts of the [`InputSpec`].
        expected: usize,
    },
    /// Features that do not divide into rows, or no row at all.
    #[error("video {video} of the batch, expert `{expert}`: {len} values are not rows of {dim}")]
    Rows {
        /// The video's place in the batch.
        video: usize,
        /// The expert's name.
        expert: String,
        /// Values found.
        len: usize,
        /// Length of a row.
        dim: usize,
    },
    /// Times that are not one a row.
    #[error("video {video} of the batch, expert `{expert}`: {times} times for {rows} rows")]
    Times {
        /// The video's place in the batch.
        video: usize,
        /// The expert's name.
        expert: String,
        /// Times found.
        times: usize,
        /// Rows found.
        rows: usize,
    },
    /// An index outside the rows it points into.
    #[error("video {video} of the batch, expert `{expert}`: row {index} of {rows}")]
    RowIndex {
        /// The video's place in the batch.
        video: usize,
        /// The expert's name.
        expert: String,
        /// The index found.
        index: usize,
        /// Rows there are.
        rows: usize,
    },
}

/// Index of a time in the position table: 1 unknown, else `floor(mean seconds + 2)` clamped to the table
/// (HiT by inference; MMT's rule).
fn time_index(time_s: Option<f32>, max_positions: usize) -> i64 {
    match time_s {
        Some(time_s) if !time_s.is_nan() => {
            let last = max_positions as i64 - 1;
            ((time_s + 2.0).floor() as i64).max(2).min(last)
        }
        _ => 1,
    }
}

impl TextBatch {
    /// Pads captions to the longest of them.
    ///
    /// Captions hold token ids with `[CLS]` and `[SEP]`, already cut to the model's `max_text_tokens`.
    ///
    /// # Errors
    /// [`BatchError::Empty`] without captions, [`BatchError::EmptyText`] for one without tokens.
    pub fn from_captions<C: AsRef<[i64]>>(captions: &[C], pad_id: i64) -> Result<Self, BatchError> {
        let lengths: Vec<usize> = captions.iter().map(|caption| caption.as_ref().len()).collect();
        let seq_len = lengths.iter().copied().max().ok_or(BatchError::Empty)?;
        if let Some(text) = lengths.iter().position(|&len| len == 0) {
            return Err(BatchError::EmptyText { text });
        }
        let mut token_ids = Vec::with_capacity(captions.len() * seq_len);
        for (index, caption) in captions.iter().enumerate() {
            token_ids.extend_from_slice(caption.as_ref());
            token_ids.resize((index + 1) * seq_len, pad_id);
        }
        Ok(Self {
            n_texts: captions.len(),
            seq_len,
            token_ids,
            lengths,
        })
    }
}

impl VideoBatch {
    /// Packs videos and pads them to the longest of them.
    ///
    /// `max_positions` is the row count of the video tower's position table; `missing` says what stands for an expert
    /// that has nothing on a video.
    ///
    /// # Errors
    /// [`BatchError`] when a view does not fit `inputs` or itself.
    pub fn from_videos(
        inputs: &InputSpec,
        videos: &[VideoView<'_>],
        max_positions: usize,
        missing: MissingExperts,
    ) -> Result<Self, BatchError> {
        let n_experts = inputs.experts.len();
        let mut rows_of_expert = vec![0usize; n_experts];
        let mut lengths = Vec::with_capacity(videos.len());
        for (index, video) in videos.iter().enumerate() {
            if video.experts.len() != n_experts {
                let found = video.experts.len();
                return Err(BatchError::ExpertCount {
                    video: index,
                    found,
                    expected: n_experts,
                });
            }
            let mut length = 1;
            for (expert, view) in video.experts.iter().enumerate() {
                let spec = &inputs.experts[expert];
                let rows = match (view, missing) {
                    (Some(view), _) => 1 + view.check(index, &spec.name, spec.dim)?,
                    (None, MissingExperts::Keep) => 1,
                    (None, MissingExperts::Drop) => continue,
                };
                rows_of_expert[expert] += rows;
                length += rows;
            }
            lengths.push(length);
        }
        let seq_len = lengths.iter().copied().max().ok_or(BatchError::Empty)?;

        let mut next_row = Vec::with_capacity(n_experts);
        let mut experts = Vec::with_capacity(n_experts);
        let mut first_row = 2;
        for (spec, rows) in inputs.experts.iter().zip(rows_of_expert) {
            next_row.push(first_row);
            first_row += rows as i64;
            experts.push(ExpertRows {
                dim: spec.dim,
                features: Vec::with_capacity(rows * spec.dim),
            });
        }
        let mut tokens = Tokens::with_capacity(videos.len() * seq_len);
        for (index, video) in videos.iter().enumerate() {
            tokens.push(1, 0, 0);
            for (expert, view) in video.experts.iter().enumerate() {
                if view.is_none() && missing == MissingExperts::Drop {
                    continue;
                }
                let mut push = |position| {
                    tokens.push(next_row[expert], position, 1 + expert as i64);
                    next_row[expert] += 1;
                };
                let ExpertRows { dim, features } = &mut experts[expert];
                let Some(view) = view else {
                    features.resize(features.len() + *dim, 0.0);
                    push(0);
                    continue;
                };
                view.append_maximum(*dim, features);
                push(0);
                view.for_each_selected(*dim, |row, time_s| {
                    view.append_row(row, *dim, features);
                    push(time_index(time_s, max_positions));
                });
            }
            tokens.pad((index + 1) * seq_len);
        }
        let Tokens {
            source_row,
            position,
            expert,
        } = tokens;
        Ok(Self {
            n_videos: videos.len(),
            seq_len,
            experts,
            source_row,
            position,
            expert,
            lengths,
        })
    }
}

/// The three index tables of a [`VideoBatch`], grown together.
struct Tokens {
    source_row: Vec<i64>,
    position: Vec<i64>,
    expert: Vec<i64>,
}

impl Tokens {
    fn with_capacity(capacity: usize) -> Self {
        let table = || Vec::with_capacity(capacity);
        Self {
            source_row: table(),
            position: table(),
            expert: table(),
        }
    }

    fn push(&mut self, source_row: i64, position: i64, expert: i64) {
        self.source_row.push(source_row);
        self.position.push(position);
        self.expert.push(expert);
    }

    fn pad(&mut self, len: usize) {
        self.source_row.resize(len, 0);
        self.position.resize(len, 0);
        self.expert.resize(len, 0);
    }
}

impl ExpertView<'_> {
    /// Checks every index and length; returns the number of selected rows.
    fn check(&self, video: usize, expert: &str, dim: usize) -> Result<usize, BatchError> {
        let expert = || expert.to_owned();
        let stored = match self.rows {
            RowsView::Dense(values) | RowsView::Indexed { table: values, .. } => values.len(),
            RowsView::Half(values) => values.len(),
        };
        let n_rows = self.n_rows(dim);
        if n_rows == 0 || !stored.is_multiple_of(dim) {
            return Err(BatchError::Rows {
                video,
                expert: expert(),
                len: stored,
                dim,
            });
        }
        let outside = |indices: &[u32], rows: usize| indices.iter().find(|&&i| i as usize >= rows).copied();
        if let RowsView::Indexed { rows, .. } = self.rows
            && let Some(index) = outside(rows, stored / dim)
        {
            let (index, rows) = (index as usize, stored / dim);
            return Err(BatchError::RowIndex {
                video,
                expert: expert(),
                index,
                rows,
            });
        }
        if let Some(index) = self.selected.and_then(|selected| outside(selected, n_rows)) {
            return Err(BatchError::RowIndex {
                video,
                expert: expert(),
                index: index as usize,
                rows: n_rows,
            });
        }
        if let Some(times) = self.times_s
            && times.len() != n_rows
        {
            return Err(BatchError::Times {
                video,
                expert: expert(),
                times: times.len(),
                rows: n_rows,
            });
        }
        Ok(self.selected.map_or(n_rows, <[u32]>::len))
    }

    fn n_rows(&self, dim: usize) -> usize {
        match self.rows {
            RowsView::Dense(values) => values.len() / dim,
            RowsView::Half(values) => values.len() / dim,
            RowsView::Indexed { rows, .. } => rows.len(),
        }
    }

    /// Appends row `index`.
    fn append_row(&self, index: usize, dim: usize, features: &mut Vec<f32>) {
        match self.rows {
            RowsView::Dense(values) => features.extend_from_slice(&values[index * dim..(index + 1) * dim]),
            RowsView::Half(values) => {
                let start = features.len();
                features.resize(start + dim, 0.0);
                values[index * dim..(index + 1) * dim].convert_to_f32_slice(&mut features[start..]);
            }
            RowsView::Indexed { table, rows } => {
                let start = rows[index] as usize * dim;
                features.extend_from_slice(&table[start..start + dim]);
            }
        }
    }

    /// Appends the maximum over all rows.
    fn append_maximum(&self, dim: usize, features: &mut Vec<f32>) {
        let start = features.len();
        self.append_row(0, dim, features);
        for index in 1..self.n_rows(dim) {
            // The row goes behind the maximum, and off again.
            self.append_row(index, dim, features);
            let (maximum, row) = features[start..].split_at_mut(dim);
            for (best, &value) in maximum.iter_mut().zip(&*row) {
                *best = if value > *best { value } else { *best };
            }
            features.truncate(start + dim);
        }
    }

    /// Calls `visit` with the index of each selected row and its time.
    fn for_each_selected(&self, dim: usize, mut visit: impl FnMut(usize, Option<f32>)) {
        let mut visit = |index: usize| visit(index, self.times_s.map(|times| times[index]));
        match self.selected {
            Some(selected) => selected.iter().for_each(|&index| visit(index as usize)),
            None => (0..self.n_rows(dim)).for_each(visit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ExpertSpec;

    fn inputs() -> InputSpec {
        let expert = |name: &str, dim| ExpertSpec {
            name: name.into(),
            dim,
        };
        InputSpec {
            experts: vec![expert("a", 2), expert("b", 3)],
            vocab_size: 10,
        }
    }

    fn dense<'a>(rows: &'a [f32], times_s: Option<&'a [f32]>) -> ExpertView<'a> {
        ExpertView {
            rows: RowsView::Dense(rows),
            times_s,
            selected: None,
        }
    }

    #[test]
    fn captions_are_padded_to_the_longest() {
        let batch = TextBatch::from_captions(&[vec![2, 5, 3], vec![2, 3]], 0).expect("two captions");
        let token_ids = vec![2, 5, 3, 2, 3, 0];
        assert_eq!(
            batch,
            TextBatch {
                n_texts: 2,
                seq_len: 3,
                token_ids,
                lengths: vec![3, 2]
            }
        );
        assert_eq!(TextBatch::from_captions::<&[i64]>(&[], 0), Err(BatchError::Empty));
        let empty = TextBatch::from_captions(&[vec![1], vec![]], 0);
        assert_eq!(empty, Err(BatchError::EmptyText { text: 1 }));
    }

    #[test]
    fn videos_are_packed_expert_by_expert() {
        let table = [0.0, 0.0, 0.0, 7.0, 8.0, 9.0, -1.0, 10.0, -1.0];
        let indexed = ExpertView {
            rows: RowsView::Indexed {
                table: &table,
                rows: &[2, 1, 1],
            },
            times_s: Some(&[0.0, 1.5, 900.0]),
            selected: Some(&[0, 2]),
        };
        let videos = [
            VideoView {
                experts: vec![Some(dense(&[1.0, -1.0, 0.5, 4.0], None)), Some(indexed)],
            },
            VideoView {
                experts: vec![None, Some(dense(&[1.0, 2.0, 3.0], Some(&[f32::NAN])))],
            },
            VideoView {
                experts: vec![None, None],
            },
        ];
        let batch =
            VideoBatch::from_videos(&inputs(), &videos, 32, MissingExperts::Drop).expect("three videos");
        assert_eq!((batch.n_videos, batch.seq_len), (3, 7));
        assert_eq!(batch.lengths, [7, 3, 1]);
        assert_eq!(batch.experts[0].features, [1.0, 4.0, 1.0, -1.0, 0.5, 4.0]);
        // The maximum covers row 1, which is not selected.
        let second = [
            7.0, 10.0, 9.0, -1.0, 10.0, -1.0, 7.0, 8.0, 9.0, // first video
            1.0, 2.0, 3.0, 1.0, 2.0, 3.0, // second video
        ];
        assert_eq!(batch.experts[1].features, second);
        let source_row = [1, 2, 3, 4, 5, 6, 7, 1, 8, 9, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(batch.source_row, source_row);
        let position = [0, 0, 1, 1, 0, 2, 31, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(batch.position, position);
        let expert = [0, 1, 1, 1, 2, 2, 2, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(batch.expert, expert);
    }

    #[test]
    fn an_expert_that_is_kept_has_a_token_of_zeros() {
        let video = VideoView {
            experts: vec![None, Some(dense(&[1.0, 2.0, 3.0], None))],
        };
        let batch =
            VideoBatch::from_videos(&inputs(), &[video], 32, MissingExperts::Keep).expect("one video");
        assert_eq!((batch.seq_len, &batch.lengths[..]), (4, &[4][..]));
        assert_eq!(batch.experts[0].features, [0.0, 0.0]);
        assert_eq!(
            (batch.source_row, batch.position, batch.expert),
            (vec![1, 2, 3, 4], vec![0, 0, 0, 1], vec![0, 1, 2, 2])
        );
    }

    #[test]
    fn rows_in_half_precision_give_the_batch_of_the_same_rows_in_f32() {
        let values = [1.0f32, -1.0, 0.5, 4.0, 0.25, -8.0];
        let halves = values.map(f16::from_f32);
        let batch = |rows| {
            let view = ExpertView {
                rows,
                times_s: None,
                selected: Some(&[0, 2]),
            };
            let video = VideoView {
                experts: vec![Some(view), None],
            };
            VideoBatch::from_videos(&inputs(), &[video], 32, MissingExperts::Drop).expect("one video")
        };
        let batch_of_halves = batch(RowsView::Half(&halves));
        assert_eq!(
            batch_of_halves.experts[0].features,
            [1.0, 4.0, 1.0, -1.0, 0.25, -8.0]
        );
        assert_eq!(batch_of_halves, batch(RowsView::Dense(&values)));
    }

    #[test]
    fn time_indices_follow_mmt() {
        let cases: [(Option<f32>, i64); 8] = [
            (None, 1),
            (Some(f32::NAN), 1),
            (Some(-5.0), 2),
            (Some(0.0), 2),
            (Some(0.99), 2),
            (Some(1.0), 3),
            (Some(28.9), 30),
            (Some(f32::INFINITY), 31),
        ];
        for (time_s, expected) in cases {
            assert_eq!(time_index(time_s, 32), expected, "{time_s:?}");
        }
    }

    #[test]
    fn views_that_do_not_fit_are_refused() {
        let check = |view: ExpertView<'_>| {
            let video = VideoView {
                experts: vec![Some(view), None],
            };
            VideoBatch::from_videos(&inputs(), &[video], 32, MissingExperts::Drop)
                .expect_err("the view does not fit")
        };
        let expert = || String::from("a");
        let odd = check(dense(&[1.0, 2.0, 3.0], None));
        assert_eq!(
            odd,
            BatchError::Rows {
                video: 0,
                expert: expert(),
                len: 3,
                dim: 2
            }
        );
        let empty = check(dense(&[], None));
        assert_eq!(
            empty,
            BatchError::Rows {
                video: 0,
                expert: expert(),
                len: 0,
                dim: 2
            }
        );
        let times = check(dense(&[1.0, 2.0], Some(&[1.0, 2.0])));
        assert_eq!(
            times,
            BatchError::Times {
                video: 0,
                expert: expert(),
                times: 2,
                rows: 1
            }
        );
        let selected = ExpertView {
            selected: Some(&[1]),
            ..dense(&[1.0, 2.0], None)
        };
        assert_eq!(
            check(selected),
            BatchError::RowIndex {
                video: 0,
                expert: expert(),
                index: 1,
                rows: 1
            }
        );
        let rows = RowsView::Indexed {
            table: &[1.0, 2.0],
            rows: &[0, 3],
        };
        let indexed = check(ExpertView {
            rows,
            times_s: None,
            selected: None,
        });
        assert_eq!(
            indexed,
            BatchError::RowIndex {
                video: 0,
                expert: expert(),
                index: 3,
                rows: 1
            }
        );
        let video = VideoView { experts: vec![None] };
        let count = VideoBatch::from_videos(&inputs(), &[video], 32, MissingExperts::Drop);
        assert_eq!(
            count,
            Err(BatchError::ExpertCount {
                video: 0,
                found: 1,
                expected: 2
            })
        );
        assert_eq!(
            VideoBatch::from_videos(&inputs(), &[], 32, MissingExperts::Drop),
            Err(BatchError::Empty)
        );
    }
}
