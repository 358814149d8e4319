//! How far the queue's keys lie from what the key encoders would say now.
//!
//! A probe holds the inputs of a few pairs whose keys were just written. `MAX_AGE` steps later, or in
//! the last step in which all of them are still negatives if that comes first, the pairs are encoded again,
//! without dropout, and compared with the stored keys. With dropout in the key encoders the result
//! therefore holds one draw of its noise beside the movement of the parameters.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{KeyEncoder, MomentumQueue};
use crate::batch::{ExpertRows, PairBatch, TextBatch, VideoBatch};
use crate::error::ModelError;
use crate::hcm::{Level, Modality, PairRows};
use crate::hierarchy::Levels;

/// Pairs a probe.
const PAIRS: usize = 4;
/// Steps after which a probe is measured, if its keys live that long.
const MAX_AGE: u64 = 16;

/// Inputs whose keys lie in the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftProbe {
    pairs: PairBatch,
    /// The queue's entry of each pair.
    entries: Vec<usize>,
    /// Step in which they were written.
    taken_at: u64,
}

impl DriftProbe {
    /// Takes the first pairs of a batch that is about to be written at the queue's pointer.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when the batch contradicts itself.
    pub fn take(batch: &PairBatch, queue: &MomentumQueue, step: u64) -> Result<Self, ModelError> {
        let pairs = first_pairs(batch, PAIRS)?;
        let entries = (0..pairs.video_ids.len())
            .map(|i| (queue.pointer() + i) % queue.queue_len())
            .collect();
        Ok(Self {
            pairs,
            entries,
            taken_at: step,
        })
    }

    /// Whether to measure in `step`, before `n_new` keys are written.
    pub fn is_due(&self, queue: &MomentumQueue, n_new: usize, step: u64) -> bool {
        let overwritten =
            |entry: &usize| (entry + queue.queue_len() - queue.pointer()) % queue.queue_len() < n_new;
        step >= self.taken_at + MAX_AGE || self.entries.iter().any(overwritten)
    }

    /// Mean cosine between the stored keys and their fresh encodings, over pairs, levels and modalities.
    ///
    /// # Errors
    /// [`ModelError`] when the queue does not hold the probe's entries or libtorch fails.
    pub fn measure(
        &self,
        encoder: &KeyEncoder,
        queue: &MomentumQueue,
        levels: Levels,
    ) -> Result<f64, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let (text, video) = encoder.encode_exactly(&self.pairs, levels)?;
        let fresh = PairRows {
            text: &text,
            video: &video,
        };
        let entries: Vec<i64> = self.entries.iter().map(|entry| *entry as i64).collect();
        let mut cosines = Vec::new();
        for level in Level::chosen(levels) {
            for modality in [Modality::Text, Modality::Video] {
                let fresh = fresh.of(level, modality)?;
                let entries = Tensor::f_from_slice(&entries)?.f_to_device(fresh.device())?;
                let stored = queue.select(level, modality, &entries)?;
                cosines.push(Tensor::f_cosine_similarity(fresh, &stored, 1, 1e-8)?);
            }
        }
        Ok(Tensor::f_cat(&cosines, 0)?
            .f_mean(Kind::Float)?
            .f_double_value(&[])?)
    }
}

/// The first `n` pairs of a batch, or all if it has fewer, padded only to their own longest row.
fn first_pairs(batch: &PairBatch, n: usize) -> Result<PairBatch, ModelError> {
    let n = n.min(batch.video_ids.len());
    let text = &batch.text;
    let text_len = longest(&text.lengths, n);
    Ok(PairBatch {
        text: TextBatch {
            n_texts: n,
            seq_len: text_len,
            token_ids: crop(&text.token_ids, text.seq_len, n, text_len),
            lengths: text.lengths[..n].to_vec(),
        },
        video: first_videos(&batch.video, n)?,
        video_ids: batch.video_ids[..n].to_vec(),
    })
}

fn first_videos(video: &VideoBatch, n: usize) -> Result<VideoBatch, ModelError> {
    let seq_len = longest(&video.lengths, n);
    let expert_of_token = crop(&video.expert, video.seq_len, n, seq_len);
    let old_source = crop(&video.source_row, video.seq_len, n, seq_len);
    let mut source_row = old_source.clone();
    let mut experts = Vec::with_capacity(video.experts.len());
    // Rows 0 and 1 of the packed sources are padding and `[CLS]`.
    let (mut old_start, mut new_start) = (2, 2);
    for (number, expert) in (1..).zip(&video.experts) {
        let rows = expert.features.chunks_exact(expert.dim.max(1));
        let n_rows = rows.len();
        let mut features = Vec::new();
        let tokens = expert_of_token.iter().zip(&old_source).zip(&mut source_row);
        for ((_, old), new) in tokens.filter(|((token, _), _)| **token == number) {
            let row = old - old_start;
            let feature = usize::try_from(row).ok().and_then(|row| rows.clone().nth(row));
            let feature = feature
                .ok_or_else(|| ModelError::shape("row of an expert", format!("below {n_rows}"), row))?;
            *new = new_start;
            new_start += 1;
            features.extend_from_slice(feature);
        }
        experts.push(ExpertRows {
            dim: expert.dim,
            features,
        });
        old_start += n_rows as i64;
    }
    Ok(VideoBatch {
        n_videos: n,
        seq_len,
        experts,
        source_row,
        position: crop(&video.position, video.seq_len, n, seq_len),
        expert: expert_of_token,
        lengths: video.lengths[..n].to_vec(),
    })
}

fn longest(lengths: &[usize], n: usize) -> usize {
    lengths.iter().take(n).copied().max().unwrap_or(0)
}

/// The first `n` rows of `[_, seq_len]`, cut to `new_len` columns.
fn crop(values: &[i64], seq_len: usize, n: usize, new_len: usize) -> Vec<i64> {
    values
        .chunks(seq_len.max(1))
        .take(n)
        .flat_map(|row| row[..new_len].iter().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::batch::{ExpertView, RowsView, VideoView};
    use crate::config::{ExpertSpec, InputSpec, MissingExperts, QueueDtype, TrainKernels};
    use crate::hierarchy::LevelEmbeddings;
    use crate::step_kernels::step_kernels;

    /// Captions of these lengths with videos that have so many rows of each expert, none meaning absent.
    fn pairs(shapes: &[(usize, [Option<usize>; 2])]) -> PairBatch {
        let dims = [2, 3];
        let expert = |(name, dim): (&str, usize)| ExpertSpec {
            name: name.to_owned(),
            dim,
        };
        let inputs = InputSpec {
            experts: ["a", "b"].into_iter().zip(dims).map(expert).collect(),
            vocab_size: 100,
        };
        let captions: Vec<Vec<i64>> = (10..).zip(shapes).map(|(id, (len, _))| vec![id; *len]).collect();
        let values: Vec<f32> = (0..60).map(|value| value as f32).collect();
        let times = [0.0, 3.5, 9.0];
        let videos: Vec<_> = shapes
            .iter()
            .enumerate()
            .map(|(video, (_, rows))| {
                let view = |(rows, dim): (&Option<usize>, usize)| {
                    rows.map(|rows| ExpertView {
                        rows: RowsView::Dense(&values[video * 6..video * 6 + rows * dim]),
                        times_s: Some(&times[..rows]),
                        selected: None,
                    })
                };
                VideoView {
                    experts: rows.iter().zip(dims).map(view).collect(),
                }
            })
            .collect();
        PairBatch {
            text: TextBatch::from_captions(&captions, 0).unwrap(),
            video: VideoBatch::from_videos(&inputs, &videos, 20, MissingExperts::Drop).unwrap(),
            video_ids: (70..).take(shapes.len()).collect(),
        }
    }

    #[test]
    fn the_first_pairs_are_those_of_a_batch_of_their_own() {
        let shapes = [
            (3, [Some(2), None]),
            (4, [None, Some(1)]),
            (2, [Some(1), Some(2)]),
            (9, [Some(3), Some(3)]),
            (5, [None, None]),
        ];
        for n in 1..=7 {
            let expected = pairs(&shapes[..n.min(shapes.len())]);
            assert_eq!(first_pairs(&pairs(&shapes), n).unwrap(), expected, "{n}");
        }
    }

    #[test]
    fn a_probe_is_measured_before_its_keys_go() {
        let levels = Levels {
            feature: false,
            semantic: true,
        };
        let batch = pairs(&[(3, [Some(1), None]); 3]);
        let rows = |value: f64| LevelEmbeddings {
            feature: None,
            semantic: Some(Tensor::full([3, 4], value, (Kind::Float, Device::Cpu))),
        };
        let kernels = step_kernels(TrainKernels::Libtorch, QueueDtype::F32, 1, tch::Device::Cpu).unwrap();
        for (queue_len, expected) in [(3, 1), (7, 2), (8, 2), (9, 3), (48, 16), (1000, 16)] {
            let mut queue = MomentumQueue::new(queue_len, 4, levels, QueueDtype::F32, Device::Cpu).unwrap();
            let enqueue = |queue: &mut MomentumQueue, step| {
                let (text, video) = (rows(step as f64), rows(step as f64));
                let keys = PairRows {
                    text: &text,
                    video: &video,
                };
                queue.enqueue(&*kernels, keys, &batch.video_ids, step).unwrap();
            };
            enqueue(&mut queue, 4);
            let probe = DriftProbe::take(&batch, &queue, 5).unwrap();
            enqueue(&mut queue, 5);
            let due = (6..).find(|step| {
                // Until then, all keys of the probe are still those of its step.
                let entries: Vec<i64> = probe.entries.iter().map(|entry| *entry as i64).collect();
                let stored = queue.select(Level::Semantic, Modality::Text, &Tensor::from_slice(&entries));
                assert!(stored.unwrap().eq(5.0).all().int64_value(&[]) == 1, "{queue_len}");
                let due = probe.is_due(&queue, 3, *step);
                enqueue(&mut queue, *step);
                due
            });
            assert_eq!(due, Some(5 + expected), "{queue_len}");
        }
    }
}
