use hitbench_kernels::{RankJob, RowsData, TrueItems, available_kernels, rank_counts_kernel};
use proptest::prelude::*;

use super::*;
use crate::metric::{CaptionRule, count_embeddings, count_matrix};

fn group(greater: u64, equal: u64, own_equal: u64) -> OwnGroup {
    OwnGroup {
        greater,
        equal,
        own_equal,
    }
}

fn rows(data: &[f64], n_rows: usize) -> Rows<'_> {
    Rows::new(RowsData::F64(data), n_rows, data.len() / n_rows).unwrap()
}

fn of_all(scores: &[f64], pairing: &Pairing) -> Option<OwnCounts> {
    let counts = count_matrix(rows(scores, pairing.n_captions()), pairing, CaptionRule::MinRank);
    counts.unwrap().v2t.own
}

#[test]
fn hand_computed_groups() {
    // Captions 0 to 2 are video 0's, 3 is video 1's; video 2 has none.
    let pairing = Pairing::new(vec![0, 0, 0, 1], 3).unwrap();
    #[rustfmt::skip]
    let scores = [
        0.9, 0.1, 0.0,
        0.2, 0.8, 0.0,
        0.9, 0.3, 0.0,
        0.9, 0.3, 0.0,
    ];
    let own = of_all(&scores, &pairing).unwrap();
    assert_eq!(own.n_queries(), 2);
    // Two of the three captions that score 0.9 are video 0's; its other one is last.
    assert_eq!(own.of(0), [group(0, 3, 2), group(3, 1, 1)]);
    assert_eq!(own.of(1), [group(1, 2, 1)]);

    // Without caption 1 the list ends earlier, and zeros of either sign are one score.
    let masked = pairing.clone().with_mask(vec![true, false, true, true]).unwrap();
    assert_eq!(of_all(&scores, &masked).unwrap().of(0), [group(0, 3, 2)]);
    let zeros = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.0, 0.0, 0.0, 1.0, 0.0, 0.0];
    assert_eq!(of_all(&zeros, &pairing).unwrap().of(0), [group(1, 3, 3)]);
}

#[test]
fn one_caption_a_video_needs_no_second_count() {
    let pairing = Pairing::new(vec![1, 0], 3).unwrap();
    assert_eq!(of_all(&[0.5; 6], &pairing), None);
    let maxed = Pairing::new(vec![0, 0], 1).unwrap();
    let counts = count_matrix(rows(&[0.5; 2], 2), &maxed, CaptionRule::MaxOverCaptions).unwrap();
    assert_eq!(counts.v2t.own, None);
}

/// The groups of a video by looking at every pair of an own caption and another.
fn by_pairs(scores: &[f64], pairing: &Pairing, video: usize) -> Vec<OwnGroup> {
    let column = |caption: &u32| scores[*caption as usize * pairing.n_videos() + video];
    let own = &pairing.captions_by_video()[video];
    let n = |list: &[u32], of: &dyn Fn(f64) -> bool| list.iter().filter(|c| of(column(c))).count() as u64;
    let mut steps: Vec<f64> = own.iter().map(column).collect();
    steps.sort_by(|a, b| b.total_cmp(a));
    steps.dedup();
    let all = pairing.kept_captions();
    let of_step = |step: f64| {
        group(
            n(&all, &|s| s > step),
            n(&all, &|s| s == step),
            n(own, &|s| s == step),
        )
    };
    steps.into_iter().map(of_step).collect()
}

proptest! {
    #[test]
    fn counts_are_those_of_looking_at_every_pair(
        video_of in prop::collection::vec(0u32..70, 1..300),
        seed in any::<u64>(),
        n_levels in 1u64..40,
        masked in prop::collection::vec(prop::bool::weighted(0.1), 300),
    ) {
        // Few videos have several captions in small cases, more than one task's in large ones.
        let n_captions = video_of.len();
        let mut kept: Vec<bool> = masked[..n_captions].iter().map(|masked| !masked).collect();
        kept[0] = true;
        let pairing = Pairing::new(video_of, 70).unwrap().with_mask(kept).unwrap();
        let mut state = seed | 1;
        let scores: Vec<f64> = (0..n_captions * 70)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) as f64 % n_levels as f64
            })
            .collect();
        let counts = count_matrix(rows(&scores, n_captions), &pairing, CaptionRule::MinRank).unwrap().v2t;
        let one_each = pairing.captions_by_video().iter().all(|own| own.len() <= 1);
        prop_assert_eq!(counts.own.is_none(), one_each);
        if let Some(own) = &counts.own {
            prop_assert_eq!(own.n_queries(), counts.queries.len());
            for (query, &video) in counts.queries.iter().enumerate() {
                prop_assert_eq!(own.of(query), by_pairs(&scores, &pairing, video as usize));
            }
        }

        // Parts of the videos, one behind the other, give what all of them give at once.
        let score = |caption: u32, video: u32| scores[caption as usize * 70 + video as usize];
        let mut joined = OwnCounts::default();
        let mut n_before = 0;
        for part in [0..13usize, 13..13, 13..70] {
            let asking = counts.queries.iter().filter(|&&video| part.contains(&(video as usize))).count();
            let of_part = of_matrix(score, &pairing, &counts.counts[n_before..][..asking], part);
            n_before += asking;
            joined.append(&of_part);
        }
        let whole = of_matrix(score, &pairing, &counts.counts, 0..70);
        prop_assert_eq!(&joined, &whole);
        prop_assert_eq!(counts.own.unwrap_or(whole.clone()), whole);
    }
}

/// Rows that score anything: no two scores have a reason to be equal, unless rows are repeated.
fn real(n_rows: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let draws = (0..n_rows * dim).map(|_| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    });
    draws.collect()
}

#[test]
fn every_kernel_places_the_best_true_item_as_its_rank_counts_do() {
    // More than one block of either; videos have two or three captions, 590 to 599 none, and some lose one.
    let (n_captions, n_videos, dim) = (1500, 600, 37);
    let mut text = real(n_captions, dim, 1);
    let video = real(n_videos, dim, 2);
    // Captions with the same row tie exactly, those of one video and those of different ones.
    for (to, from) in [(0, 590), (1180, 590), (1, 7), (700, 1499), (1024, 3)] {
        text.copy_within(from * dim..(from + 1) * dim, to * dim);
    }
    let video_of = (0..n_captions).map(|caption| (caption % 590) as u32).collect();
    let kept: Vec<bool> = (0..n_captions).map(|caption| caption % 11 != 5).collect();
    // Masked rows are not read.
    for (row, _) in text.chunks_exact_mut(dim).zip(&kept).filter(|(_, kept)| !**kept) {
        row.fill(f32::NAN);
    }
    let pairing = Pairing::new(video_of, n_videos).unwrap().with_mask(kept).unwrap();
    let (text, video) = (
        Rows::new(RowsData::F32(&text), n_captions, dim).unwrap(),
        Rows::new(RowsData::F32(&video), n_videos, dim).unwrap(),
    );
    for id in available_kernels() {
        let kernel = rank_counts_kernel(&id.to_string()).unwrap();
        let counts =
            count_embeddings(text, video, &pairing, &*kernel, CaptionRule::MinRank, &mut |_| ()).unwrap();
        let Some(own) = counts.v2t.own.as_ref() else {
            assert!(!id.has_pure_scores(), "{id} has no counts of all true items");
            continue;
        };
        assert!(
            own.n_queries() == 590 && counts.v2t.counts.iter().any(|count| count.own_equal > 1),
            "{id}"
        );
        let lists = pairing.captions_by_video();
        for (query, count) in counts.v2t.counts.iter().enumerate() {
            assert_eq!(own.of(query)[0], OwnGroup::from(count), "{id}: video {query}");
            let n_own: u64 = own.of(query).iter().map(|group| group.own_equal).sum();
            assert_eq!(n_own, lists[query].len() as u64, "{id}: video {query}");
        }
        // A part of the videos has the same groups.
        let of_part = (&counts.t2v, &counts.v2t.counts[30..570]);
        let mut n_done = 0;
        let done = &mut |n_videos| n_done += n_videos;
        let part = of_embeddings((text, video), &pairing, of_part, id, 30..570, done).unwrap();
        for query in 0..540 {
            assert_eq!(part.of(query), own.of(30 + query), "{id}");
        }
        assert_eq!(n_done, n_several(&lists, 30..570));
        // The kernel's counts against each true item alone are those of its group.
        let kept = pairing.kept_captions();
        let no_matter = TrueItems::from_lists(1, kept.iter().map(|_| [0])).unwrap();
        let places = (0u32..).zip(&kept);
        for (place, _) in places.filter(|&(_, &caption)| pairing.video_of(caption) == 3) {
            let one = TrueItems::from_lists(kept.len(), [[place]]).unwrap();
            let counted = kernel.rank_counts(&RankJob {
                chosen: Some(&kept),
                v2t: Some(&one),
                ..RankJob::new(text, video.slice(3..4), &no_matter)
            });
            let count = counted.unwrap().v2t.unwrap()[0];
            let same = |group: &&OwnGroup| (group.greater, group.equal) == (count.greater, count.equal);
            assert_eq!(own.of(3).iter().filter(same).count(), 1, "{id}: caption {place}");
        }
    }
}
