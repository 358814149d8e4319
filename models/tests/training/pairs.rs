//! Made-up pairs: a number decides a caption and a video, and nothing else does.

use hitbench_models::batch::{ExpertView, RowsView, VideoView};
use hitbench_models::config::{ExpertSpec, MissingExperts};
use hitbench_models::{InputSpec, PairBatch, TextBatch, VideoBatch};

const EXPERTS: [(&str, usize); 2] = [("object", 6), ("scene", 9)];

/// Two experts and a small vocabulary.
pub(crate) fn inputs() -> InputSpec {
    let expert = |(name, dim): (&str, usize)| ExpertSpec {
        name: name.to_owned(),
        dim,
    };
    InputSpec {
        experts: EXPERTS.map(expert).to_vec(),
        vocab_size: 50,
    }
}

/// A value in `[-1, 1)` for each place.
fn noise(place: [u64; 3]) -> f32 {
    let mix = |bits: u64, x: &u64| (bits ^ x).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    let bits = place.iter().fold(17, mix);
    let bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((bits >> 40) as f32 / (1 << 23) as f32) - 1.0
}

fn tokens(id: u64) -> Vec<i64> {
    let word = |i| 4 + ((noise([id, i, 99]) + 1.0) * 22.9) as i64;
    std::iter::once(2)
        .chain((0..3 + id % 4).map(word))
        .chain([3])
        .collect()
}

/// One to three rows of an expert; the second expert is absent for every fourth number.
fn rows(id: u64, expert: usize) -> Option<Vec<f32>> {
    let values = (1 + id % 3) * EXPERTS[expert].1 as u64;
    let row = (0..values).map(|i| noise([id, i, expert as u64])).collect();
    (expert == 0 || id % 4 != 3).then_some(row)
}

/// The pairs of these numbers; the number is the video's id.
pub(crate) fn batch(ids: &[u64]) -> PairBatch {
    let captions: Vec<_> = ids.iter().map(|id| tokens(*id)).collect();
    let features: Vec<_> = ids.iter().map(|id| [rows(*id, 0), rows(*id, 1)]).collect();
    let times: Vec<f32> = (0..3).map(|second| second as f32).collect();
    let videos: Vec<_> = features
        .iter()
        .map(|experts| VideoView {
            experts: experts
                .iter()
                .zip(EXPERTS)
                .map(|(rows, (_, dim))| {
                    rows.as_ref().map(|rows| ExpertView {
                        rows: RowsView::Dense(rows),
                        times_s: Some(&times[..rows.len() / dim]),
                        selected: None,
                    })
                })
                .collect(),
        })
        .collect();
    PairBatch {
        text: TextBatch::from_captions(&captions, 0).unwrap(),
        video: VideoBatch::from_videos(&inputs(), &videos, 32, MissingExperts::Drop).unwrap(),
        video_ids: ids.iter().map(|id| *id as i64).collect(),
    }
}
