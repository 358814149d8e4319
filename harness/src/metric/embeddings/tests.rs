use hitbench_kernels::{RowsData, available_kernels, rank_counts_kernel};
use proptest::prelude::*;

use super::super::count_matrix;
use super::*;

const DIM: usize = 3;
const RULES: [CaptionRule; 2] = [CaptionRule::MinRank, CaptionRule::MaxOverCaptions];

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

/// All but `masked` take part; the first always does.
fn pairing(video_of: Vec<u32>, n_videos: usize, masked: &[bool]) -> Pairing {
    let mut kept: Vec<bool> = masked[..video_of.len()].iter().map(|masked| !masked).collect();
    kept[0] = true;
    Pairing::new(video_of, n_videos).unwrap().with_mask(kept).unwrap()
}

fn pass<'a>(
    text: &'a [f32],
    video: &'a [f32],
    pairing: &'a Pairing,
    kernel: &'a (dyn RankCounts + Sync),
    captions: CaptionRule,
) -> Pass<'a> {
    Pass {
        text: f32_rows(text),
        video: f32_rows(video),
        pairing,
        kept: pairing.kept_captions(),
        own: pairing.captions_by_video(),
        kernel,
        captions,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// In parts, each counted in steps, and in one go.
    #[test]
    fn every_kernel_counts_what_the_score_matrix_holds(
        video_of in prop::collection::vec(0u32..9, 1..30),
        text in prop::collection::vec(-2i8..3, 30 * DIM),
        video in prop::collection::vec(-2i8..3, 9 * DIM),
        masked in prop::collection::vec(prop::bool::weighted(0.2), 30),
        step in 1usize..5,
        order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let (mut text, video) = (whole(&text[..video_of.len() * DIM]), whole(&video));
        let pairing = pairing(video_of, 9, &masked);
        let scores = exact_scores(&text, &video);
        let matrix = Rows::new(RowsData::F32(&scores), pairing.n_captions(), 9).unwrap();
        // Masked rows are not read.
        for (row, &masked) in text.chunks_exact_mut(DIM).zip(&masked).skip(1) {
            if masked {
                row.fill(f32::NAN);
            }
        }
        for captions in RULES {
            let of_matrix = count_matrix(matrix, &pairing, captions).unwrap();
            for id in available_kernels() {
                let mut expected = of_matrix.clone();
                if !id.has_pure_scores() {
                    expected.v2t.own = None;
                }
                let kernel = rank_counts_kernel(&id.to_string()).unwrap();
                let rows = (f32_rows(&text), f32_rows(&video));
                let found = count_embeddings(rows.0, rows.1, &pairing, &*kernel, captions, &mut |_| ());
                prop_assert_eq!(&found.unwrap(), &expected, "{} {:?}", id, captions);
                let pass = pass(&text, &video, &pairing, &*kernel, captions);
                for of in 1..=8 {
                    let parts = order.iter().filter(|at| **at < of).map(|at| {
                        pass.count(Part::new(at + 1, of).unwrap(), step, &mut |_| ()).unwrap()
                    });
                    let found = PartialCounts::merge(parts).unwrap();
                    prop_assert_eq!(&found, &expected, "{} {:?} in {}", id, captions, of);
                }
            }
        }
    }
}

#[test]
fn parts_of_real_rows_are_those_of_the_whole_to_the_bit() {
    // Multiples of an irrational number: no score is exact.
    let real =
        |n: usize, scale: f32| -> Vec<f32> { (0..n * DIM).map(|i| (i as f32 * scale).sin()).collect() };
    let (text, video) = (real(90, 1.618), real(40, 2.414));
    let pairing = Pairing::new((0..90).map(|caption| caption * 7 % 37).collect(), 40).unwrap();
    for id in available_kernels().into_iter().filter(|id| id.has_pure_scores()) {
        let kernel = rank_counts_kernel(&id.to_string()).unwrap();
        for captions in RULES {
            let pass = pass(&text, &video, &pairing, &*kernel, captions);
            let whole = pass.count(Part::WHOLE, 40, &mut |_| ()).unwrap().counts;
            for of in [2, 3, 7] {
                let part = |index| pass.count(Part::new(index, of).unwrap(), 4, &mut |_| ()).unwrap();
                assert_eq!(PartialCounts::merge((1..=of).map(part)).unwrap(), whole, "{id}");
            }
        }
    }
}

#[test]
fn progress_starts_at_nothing_and_ends_at_all() {
    let (text, video) = (vec![1.0; 6 * DIM], vec![1.0; 10 * DIM]);
    let pairing = Pairing::new(vec![0, 1, 2, 3, 4, 5], 10).unwrap();
    let kernel = rank_counts_kernel("cpu/auto/f32").unwrap();
    let seen = |captions, part, step| {
        let mut seen = Vec::new();
        let pass = pass(&text, &video, &pairing, &*kernel, captions);
        pass.count(part, step, &mut |progress| {
            seen.push((progress.n_done, progress.n_pairs))
        })
        .unwrap();
        seen
    };
    let half = Part::new(2, 2).unwrap();
    assert_eq!(
        seen(CaptionRule::MinRank, Part::WHOLE, 4),
        [(0, 60), (24, 60), (48, 60), (60, 60)]
    );
    assert_eq!(seen(CaptionRule::MinRank, half, 100), [(0, 30), (30, 30)]);
    assert_eq!(
        seen(CaptionRule::MaxOverCaptions, half, 3),
        [(0, 60), (18, 60), (30, 60), (48, 60), (60, 60)]
    );
    // Two of the videos 0 to 9 have several captions; they are looked at once more, in one step.
    let several = Pairing::new(vec![0, 1, 1, 7, 7, 7], 10).unwrap();
    let mut seen_again = Vec::new();
    let counting = pass(&text, &video, &several, &*kernel, CaptionRule::MinRank);
    let observe = &mut |progress: Progress| seen_again.push((progress.n_done, progress.n_pairs));
    counting.count(Part::WHOLE, 10, observe).unwrap();
    assert_eq!(seen_again, [(0, 72), (60, 72), (72, 72)]);
    // A part without videos.
    let none = Part::new(1, 11).unwrap();
    for captions in RULES {
        assert!(seen(captions, none, 3).iter().all(|seen| *seen == (0, 0)));
    }
}

#[test]
fn steps_are_long_enough_to_be_worth_their_start() {
    assert_eq!(step_len(100_000, 2), STEP_UNIT);
    assert_eq!(step_len(10_000, 2), 4 * STEP_UNIT);
    assert_eq!(step_len(100_000, 16), 3 * STEP_UNIT);
    assert!(step_len(1, 1) >= STEP_PAIRS_PER_THREAD);
    assert_eq!(step_len(usize::MAX, 1), STEP_UNIT);
    let cut = |videos, len| steps(videos, len).collect::<Vec<_>>();
    assert_eq!(cut(5..12, 3), [5..8, 8..11, 11..12]);
    assert_eq!(cut(5..11, 3), [5..8, 8..11]);
    assert_eq!(cut(5..5, 3), [Range { start: 5, end: 5 }]);
}

#[test]
fn errors_name_rows_as_the_caller_counts_them() {
    let kernel = rank_counts_kernel("reference/f64").unwrap();
    let mut text = [1.0; 4 * DIM];
    let video = [1.0; 4 * DIM];
    (text[0], text[2 * DIM + 1]) = (f32::NAN, f32::NAN);
    let pairing = Pairing::one_to_one(4).unwrap();
    let count = |pairing: &Pairing, text: &[f32], video: &[f32]| {
        let rows = (f32_rows(text), f32_rows(video));
        count_embeddings(
            rows.0,
            rows.1,
            pairing,
            &*kernel,
            CaptionRule::MinRank,
            &mut |_| (),
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
