use hitbench_kernels::{RowsData, rank_counts_kernel};
use proptest::prelude::*;

use super::*;
use crate::metric::{CaptionRule, TieRule, count_matrix};

fn matrix(scores: &[f64], n_videos: usize) -> Rows<'_> {
    Rows::new(RowsData::F64(scores), scores.len() / n_videos, n_videos).unwrap()
}

fn of(counts: &RetoldCounts) -> Vec<(u64, u64, u64)> {
    let counts = counts.counts.iter();
    counts
        .map(|count| (count.greater, count.equal, count.own_equal))
        .collect()
}

#[test]
fn a_shared_caption_finds_either_video() {
    // Captions 0 and 2 are the same and score the same, best with video 2; video 0 and 2 tie between them.
    let scores = [0.5, 0.1, 0.9, 0.1, 0.9, 0.3, 0.5, 0.1, 0.9];
    let pairing = Pairing::one_to_one(3).unwrap();
    let mut texts = Groups::new(3);
    texts.join(0, 2);
    let truth = Truth::new(&pairing, &texts, &Groups::new(3)).unwrap();
    assert_eq!(
        [0, 1, 2].map(|place| truth.of(place)),
        [&[0, 2][..], &[1], &[0, 2]]
    );
    let found = truth.count_matrix(matrix(&scores, 3), &pairing);
    assert_eq!(of(&found.t2v), [(0, 1, 1); 3]);
    assert_eq!(of(&found.v2t), [(0, 1, 1); 3]);
    assert_eq!((found.t2v.n_with_more, found.v2t.n_with_more), (2, 2));
    let (r_at, median) = found.v2t.sum_up(&Rules::default());
    assert_eq!((r_at[&1], median), (1.0, 1.0));

    let given = count_matrix(matrix(&scores, 3), &pairing, CaptionRule::MinRank).unwrap();
    assert_eq!((given.t2v.counts[0].greater, given.v2t.counts[0].equal), (1, 2));
}

#[test]
fn near_videos_are_true_for_each_others_captions() {
    let scores = [0.1, 0.8, 0.3, 0.2, 0.7, 0.4];
    let pairing = Pairing::new(vec![0, 2], 3).unwrap();
    let mut videos = Groups::new(3);
    videos.join(0, 1);
    let truth = Truth::new(&pairing, &Groups::new(2), &videos).unwrap();
    let found = truth.count_matrix(matrix(&scores, 3), &pairing);
    // Caption 0 finds video 1. Video 1 has no caption and asks nothing.
    assert_eq!(of(&found.t2v), [(0, 1, 1), (1, 1, 1)]);
    assert_eq!(of(&found.v2t), [(1, 1, 1), (0, 1, 1)]);
    assert_eq!((found.t2v.n_with_more, found.v2t.n_with_more), (1, 0));
}

#[test]
fn truth_without_end_is_not_listed() {
    let n = 6000;
    let pairing = Pairing::one_to_one(n).unwrap();
    let mut videos = Groups::new(n as usize);
    for video in 1..n {
        videos.join(video - 1, video);
    }
    let found = Truth::new(&pairing, &Groups::new(n as usize), &videos);
    assert_eq!(found, Err(36_000_000));
}

/// The definition, pair by pair.
fn brute(scores: &[f64], pairing: &Pairing, texts: &Groups, videos: &Groups) -> Retold {
    let (kept, n_videos) = (pairing.kept_captions(), pairing.n_videos());
    let (texts, videos) = (texts.firsts(), videos.firsts());
    let is_true = |place: usize, video: usize| {
        (0..kept.len()).any(|other| {
            let described = pairing.video_of(kept[other]) as usize;
            texts[other] == texts[place] && videos[described] == videos[video]
        })
    };
    let count = |own: Vec<f64>, all: Vec<f64>, n_given: usize| {
        let best = own.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let level = |scores: &[f64]| scores.iter().filter(|&&score| score == best).count() as u64;
        let (mut equal, mut own_equal) = (level(&all), level(&own));
        if own.len() > n_given {
            (equal, own_equal) = (equal - own_equal + 1, 1);
        }
        let count = RankCount {
            greater: all.iter().filter(|&&score| score > best).count() as u64,
            equal,
            own_equal,
            score: best,
        };
        (count, own.len() > n_given)
    };
    let at = |place: usize, video: usize| scores[kept[place] as usize * n_videos + video];
    let (mut t2v, mut v2t) = (Vec::new(), Vec::new());
    for place in 0..kept.len() {
        let own = (0..n_videos).filter(|&video| is_true(place, video));
        let own = own.map(|video| at(place, video)).collect();
        t2v.push(count(
            own,
            (0..n_videos).map(|video| at(place, video)).collect(),
            1,
        ));
    }
    for video in pairing.videos_with_captions() {
        let video = video as usize;
        let own = (0..kept.len()).filter(|&place| is_true(place, video));
        let own = own.map(|place| at(place, video)).collect();
        let all = (0..kept.len()).map(|place| at(place, video)).collect();
        v2t.push(count(own, all, pairing.captions_by_video()[video].len()));
    }
    let side = |counts: Vec<(RankCount, bool)>| RetoldCounts {
        n_with_more: counts.iter().filter(|(_, more)| *more).count() as u64,
        counts: counts.into_iter().map(|(count, _)| count).collect(),
    };
    Retold {
        t2v: side(t2v),
        v2t: side(v2t),
    }
}

proptest! {
    #[test]
    fn counts_are_those_of_the_definition_and_never_worse(
        video_of in prop::collection::vec(0u32..5, 1..14),
        masked in prop::collection::vec(prop::bool::weighted(0.2), 14),
        text_levels in prop::collection::vec(-2i8..3, 14 * 3),
        video_levels in prop::collection::vec(-2i8..3, 5 * 3),
        text_pairs in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..6),
        video_pairs in prop::collection::vec((0u32..5, 0u32..5), 0..3),
    ) {
        let n = video_of.len();
        let mut kept: Vec<bool> = masked[..n].iter().map(|masked| !masked).collect();
        kept[0] = true;
        let pairing = Pairing::new(video_of, 5).unwrap().with_mask(kept).unwrap();
        let kept = pairing.kept_captions();
        let mut texts = Groups::new(kept.len());
        for (a, b) in text_pairs {
            texts.join(a.index(kept.len()) as u32, b.index(kept.len()) as u32);
        }
        let mut videos = Groups::new(5);
        for (a, b) in video_pairs {
            videos.join(a, b);
        }
        let dot = |c: usize, v: usize| (0..3).map(|i| f64::from(text_levels[c * 3 + i]) * f64::from(video_levels[v * 3 + i])).sum::<f64>();
        let scores: Vec<f64> = (0..n).flat_map(|c| (0..5).map(move |v| (c, v))).map(|(c, v)| dot(c, v)).collect();
        let truth = Truth::new(&pairing, &texts, &videos).unwrap();
        let found = truth.count_matrix(matrix(&scores, 5), &pairing);
        prop_assert_eq!(&found, &brute(&scores, &pairing, &texts, &videos));

        let of_texts: Vec<f32> = text_levels[..n * 3].iter().map(|&x| f32::from(x)).collect();
        let of_videos: Vec<f32> = video_levels.iter().map(|&x| f32::from(x)).collect();
        let rows = |data| Rows::new(RowsData::F32(data), data.len() / 3, 3).unwrap();
        let kernel = rank_counts_kernel("cpu/auto/f32").unwrap();
        let embedded = truth.count_embeddings(rows(&of_texts), rows(&of_videos), &pairing, kernel.as_ref()).unwrap();
        prop_assert_eq!(&embedded, &found);

        let given = count_matrix(matrix(&scores, 5), &pairing, CaptionRule::MinRank).unwrap();
        for (given, found) in [(&given.t2v, &found.t2v), (&given.v2t, &found.v2t)] {
            prop_assert_eq!(given.counts.len(), found.counts.len());
            for (given, found) in given.counts.iter().zip(&found.counts) {
                for ties in [TieRule::Average, TieRule::Optimistic, TieRule::Pessimistic] {
                    prop_assert!(ties.rank(found) <= ties.rank(given));
                    prop_assert!(ties.hits(found, 1) >= ties.hits(given, 1));
                }
            }
        }
        let alone = Truth::new(&pairing, &Groups::new(kept.len()), &Groups::new(5)).unwrap();
        let alone = alone.count_matrix(matrix(&scores, 5), &pairing);
        prop_assert_eq!(alone.t2v.counts, given.t2v.counts);
        prop_assert_eq!(alone.v2t.counts, given.v2t.counts);
    }
}
