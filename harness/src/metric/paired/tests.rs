use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::MedianRule;
use super::*;

const PLAN: Resampling = Resampling {
    seed: 5,
    resamples: 4000,
};

fn count(greater: u64, equal: u64) -> RankCount {
    RankCount {
        greater,
        equal,
        own_equal: 1,
        score: 0.0,
    }
}

fn counts(of: &[(u64, u64)]) -> Vec<RankCount> {
    of.iter().map(|&(greater, equal)| count(greater, equal)).collect()
}

fn rules(ties: TieRule) -> Rules {
    Rules {
        ties,
        recall_at: vec![1, 5],
        ..Rules::default()
    }
}

/// Nine queries of six videos, with ties.
fn nine() -> PairedCounts {
    PairedCounts {
        a: counts(&[
            (0, 1),
            (3, 1),
            (0, 2),
            (9, 1),
            (4, 3),
            (0, 1),
            (7, 1),
            (2, 1),
            (1, 1),
        ]),
        b: counts(&[
            (0, 1),
            (0, 1),
            (0, 1),
            (2, 2),
            (0, 1),
            (1, 1),
            (3, 1),
            (0, 1),
            (5, 1),
        ]),
        clusters: vec![8, 8, 3, 3, 3, 5, 1, 0, 4],
    }
}

/// The metric by its definition, from all counts of one side.
fn by_definition(metric: PairedMetric, ties: TieRule, side: &[RankCount]) -> f64 {
    let total: u64 = side.iter().map(|count| ties.weight(count)).sum();
    let sum = |value: &dyn Fn(&RankCount) -> f64| side.iter().map(value).sum::<f64>() / total as f64;
    match metric {
        PairedMetric::RAt(k) => sum(&|count| ties.hits(count, k)),
        PairedMetric::Mrr => sum(&|count| ties.gain(count, |rank| 1.0 / rank)),
        PairedMetric::MeanRank => sum(&|count| ties.rank(count) * ties.weight(count) as f64),
        PairedMetric::MedianRank => {
            let mut ranks: Vec<f64> = side.iter().flat_map(|count| ties.ranks(count)).collect();
            ranks.sort_by(f64::total_cmp);
            (ranks[(ranks.len() - 1) / 2] + ranks[ranks.len() / 2]) / 2.0
        }
    }
}

/// The difference in every world of exchanged videos.
fn all_worlds(counts: &PairedCounts, metric: PairedMetric, ties: TieRule) -> Vec<f64> {
    let mut videos = counts.clusters.clone();
    videos.sort_unstable();
    videos.dedup();
    (0u32..1 << videos.len())
        .map(|world| {
            let (mut a, mut b) = (counts.a.clone(), counts.b.clone());
            for (query, cluster) in counts.clusters.iter().enumerate() {
                let video = videos.iter().position(|video| video == cluster).unwrap();
                if world >> video & 1 == 1 {
                    std::mem::swap(&mut a[query], &mut b[query]);
                }
            }
            by_definition(metric, ties, &b) - by_definition(metric, ties, &a)
        })
        .collect()
}

#[test]
fn p_values_are_those_of_all_worlds() {
    let counts = nine();
    let plan = Resampling {
        resamples: 20_000,
        ..PLAN
    };
    for ties in [TieRule::Average, TieRule::Expected, TieRule::Clip4clip] {
        let found = compare_paired(&counts, &rules(ties), plan).unwrap();
        let metrics: Vec<PairedMetric> = found.iter().map(|found| found.metric).collect();
        let expected = [
            PairedMetric::RAt(1),
            PairedMetric::RAt(5),
            PairedMetric::MedianRank,
            PairedMetric::MeanRank,
            PairedMetric::Mrr,
        ];
        assert_eq!(metrics, expected);
        for found in found {
            let metric = found.metric;
            let (a, b) = (
                by_definition(metric, ties, &counts.a),
                by_definition(metric, ties, &counts.b),
            );
            assert!(
                (found.a - a).abs() < 1e-12 && (found.b - b).abs() < 1e-12,
                "{found:?}"
            );
            let worlds = all_worlds(&counts, metric, ties);
            let as_far = worlds.iter().filter(|world| world.abs() >= (b - a).abs() - 1e-12);
            let exact = as_far.count() as f64 / worlds.len() as f64;
            // Four standard errors of a share of 20,000 random worlds.
            let allowed = 4.0 * (exact * (1.0 - exact) / 20_000.0).sqrt() + 1e-4;
            assert!(
                (found.p_value - exact).abs() <= allowed,
                "{ties:?} {metric:?}: {} instead of {exact}",
                found.p_value
            );
        }
    }
}

#[test]
fn an_evaluation_does_not_differ_from_itself() {
    let mut counts = nine();
    counts.b = counts.a.clone();
    for found in compare_paired(&counts, &rules(TieRule::Average), PLAN).unwrap() {
        assert_eq!(
            (found.difference(), found.ci95, found.p_value),
            (0.0, [0.0; 2], 1.0)
        );
    }
}

#[test]
fn exchanging_the_sides_changes_the_sign_alone() {
    let counts = nine();
    let mirrored = PairedCounts {
        a: counts.b.clone(),
        b: counts.a.clone(),
        clusters: counts.clusters.clone(),
    };
    let found = compare_paired(&counts, &rules(TieRule::Average), PLAN).unwrap();
    let other = compare_paired(&mirrored, &rules(TieRule::Average), PLAN).unwrap();
    for (found, other) in found.iter().zip(other) {
        assert_eq!(
            (found.a, found.b, found.p_value),
            (other.b, other.a, other.p_value)
        );
        let holds = found.ci95[0] <= found.difference() && found.difference() <= found.ci95[1];
        assert!(holds, "{found:?}");
    }
}

#[test]
fn copies_of_queries_add_nothing_to_what_videos_say() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut draw = || -> Vec<RankCount> { (0..60).map(|_| count(rng.random_range(0..12), 1)).collect() };
    let single = PairedCounts {
        a: draw(),
        b: draw(),
        clusters: (0..60).collect(),
    };
    let five_fold = |side: &[RankCount]| side.iter().flat_map(|&count| [count; 5]).collect();
    let copied = PairedCounts {
        a: five_fold(&single.a),
        b: five_fold(&single.b),
        clusters: single.clusters.iter().flat_map(|&video| [video; 5]).collect(),
    };
    let single = compare_paired(&single, &rules(TieRule::Average), PLAN).unwrap();
    let copied = compare_paired(&copied, &rules(TieRule::Average), PLAN).unwrap();
    for (single, copied) in single.iter().zip(copied) {
        assert!((single.p_value - copied.p_value).abs() < 1e-12, "{single:?}");
        assert!((single.ci95[0] - copied.ci95[0]).abs() < 1e-9, "{single:?}");
        assert!((single.ci95[1] - copied.ci95[1]).abs() < 1e-9, "{single:?}");
    }
}

#[test]
fn the_median_follows_its_rule() {
    let counts = PairedCounts {
        a: counts(&[(0, 1), (2, 1)]),
        b: counts(&[(1, 1), (7, 1)]),
        clusters: vec![0, 1],
    };
    for (median, a, b) in [
        (MedianRule::MeanOfMiddle, 2.0, 5.0),
        (MedianRule::Lower, 1.0, 2.0),
    ] {
        let rules = Rules {
            median,
            ..rules(TieRule::Average)
        };
        let found = compare_paired(&counts, &rules, PLAN).unwrap()[2];
        assert_eq!((found.a, found.b), (a, b));
    }
}

/// Ranks of two models that are equally good on videos of several captions: both depend on how hard the video is, and
/// each has a taste of its own that all captions of a video share.
fn null_study(rng: &mut ChaCha8Rng) -> PairedCounts {
    let mut study = PairedCounts {
        a: Vec::new(),
        b: Vec::new(),
        clusters: Vec::new(),
    };
    for video in 0..40 {
        let hard: f64 = rng.random();
        let taste: [f64; 2] = rng.random();
        for _ in 0..rng.random_range(1..6) {
            let mut rank = |taste: f64| count((12.0 * hard * (taste + 0.2 * rng.random::<f64>())) as u64, 1);
            study.a.push(rank(taste[0]));
            study.b.push(rank(taste[1]));
            study.clusters.push(video);
        }
    }
    study
}

#[test]
fn without_a_difference_p_values_are_uniform_and_need_videos_as_units() {
    const N_STUDIES: usize = 300;
    let mut rng = ChaCha8Rng::seed_from_u64(77);
    let mut by_videos: Vec<Vec<f64>> = vec![Vec::new(); 5];
    let mut by_queries: Vec<f64> = Vec::new();
    for seed in 0..N_STUDIES as u64 {
        let study = null_study(&mut rng);
        let plan = Resampling { seed, resamples: 199 };
        let p_values = |study: &PairedCounts| -> Vec<f64> {
            let found = compare_paired(study, &rules(TieRule::Average), plan).unwrap();
            found.iter().map(|found| found.p_value).collect()
        };
        for (all, p_value) in by_videos.iter_mut().zip(p_values(&study)) {
            all.push(p_value);
        }
        let alone = PairedCounts {
            clusters: (0..study.a.len() as u32).collect(),
            ..study
        };
        by_queries.push(p_values(&alone)[3]);
    }
    let share = |p_values: &[f64], alpha: f64| {
        p_values.iter().filter(|&&p| p <= alpha).count() as f64 / p_values.len() as f64
    };
    for (metric, p_values) in by_videos.iter().enumerate() {
        for alpha in [0.05, 0.1, 0.25, 0.5] {
            let found = share(p_values, alpha);
            let allowed = 4.0 * (alpha * (1.0 - alpha) / N_STUDIES as f64).sqrt();
            assert!(found <= alpha + allowed, "metric {metric}, {alpha}: {found}");
            // Differences of few values, as recalls and medians have, tie with the real one and make p-values larger.
            let discrete = metric <= 2;
            assert!(
                discrete || found >= alpha - allowed,
                "metric {metric}, {alpha}: {found}"
            );
        }
    }
    let wrong = share(&by_queries, 0.05);
    assert!(
        wrong > 0.1,
        "queries as units call {wrong} of nothing significant"
    );
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let rules = rules(TieRule::Average);
    let empty = PairedCounts {
        a: Vec::new(),
        b: Vec::new(),
        clusters: Vec::new(),
    };
    assert!(matches!(
        compare_paired(&empty, &rules, PLAN),
        Err(MetricError::NothingToCompare)
    ));
    let mut torn = nine();
    torn.b.pop();
    assert!(matches!(
        compare_paired(&torn, &rules, PLAN),
        Err(MetricError::Length {
            expected: 9,
            found: 8,
            ..
        })
    ));
    let few = Resampling {
        resamples: 30,
        ..PLAN
    };
    assert!(matches!(
        compare_paired(&nine(), &rules, few),
        Err(MetricError::Resamples { .. })
    ));
    let none = Rules {
        recall_at: vec![0],
        ..rules
    };
    assert!(matches!(
        compare_paired(&nine(), &none, PLAN),
        Err(MetricError::CutOff { k: 0 })
    ));
}
