use statrs::distribution::{Binomial, DiscreteCDF};

use super::*;

const PLAN: Resampling = Resampling {
    seed: 7,
    resamples: 2000,
};

/// 120 clusters of 1 to 3 queries with a hit every third query.
fn queries() -> Vec<(u32, f64)> {
    (0..120u32)
        .flat_map(|cluster| vec![cluster; 1 + cluster as usize % 3])
        .zip([1.0, 0.0, 0.0].into_iter().cycle())
        .collect()
}

fn ratios(queries: &[(u32, f64)], plan: Resampling) -> Vec<f64> {
    let mut sums = ClusterSums::new(2);
    for &(cluster, hit) in queries {
        sums.add(cluster, [1.0, hit]);
    }
    let resampled = sums.resample(plan);
    resampled.chunks_exact(2).map(|sums| sums[1] / sums[0]).collect()
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(work)
}

#[test]
fn the_thread_count_and_the_numbering_of_clusters_change_nothing() {
    let queries = queries();
    let ranks: Vec<(f64, u32)> = queries
        .iter()
        .zip(0..)
        .map(|(q, i)| (f64::from(i * 7 % 50), q.0))
        .collect();
    let run = |threads| {
        on_threads(threads, || {
            let medians = resample_median(ranks.clone(), MedianRule::MeanOfMiddle, PLAN);
            (ratios(&queries, PLAN), medians)
        })
    };
    let one = run(1);
    assert_eq!(one, run(4));
    assert_eq!((one.0.len(), one.1.len()), (2000, 1000));
    let renamed: Vec<_> = queries
        .iter()
        .map(|&(cluster, hit)| (cluster * 31 + 5, hit))
        .collect();
    assert_eq!(ratios(&renamed, PLAN), one.0);
    let other_seed = Resampling { seed: 8, ..PLAN };
    assert_ne!(ratios(&queries, other_seed), one.0);
}

#[test]
fn the_interval_of_a_share_is_the_binomial_one() {
    // 400 single queries, a quarter of them hits: standard error sqrt(.25 * .75 / 400) = 0.02165.
    let queries: Vec<(u32, f64)> = (0..400).zip([1.0, 0.0, 0.0, 0.0].into_iter().cycle()).collect();
    let plan = Resampling {
        resamples: 9999,
        ..PLAN
    };
    let [low, high] = percentile_interval(ratios(&queries, plan), 0.95).unwrap();
    assert!((low - (0.25 - 1.96 * 0.02165)).abs() < 0.004, "{low}");
    assert!((high - (0.25 + 1.96 * 0.02165)).abs() < 0.004, "{high}");
}

#[test]
fn queries_of_one_video_are_one_observation() {
    // Twenty copies of each query add nothing: the interval stays that of 100 videos.
    let single: Vec<(u32, f64)> = (0..100).map(|i| (i, f64::from(i % 2))).collect();
    let copies: Vec<(u32, f64)> = single.iter().flat_map(|&query| [query; 20]).collect();
    assert_eq!(ratios(&single, PLAN), ratios(&copies, PLAN));
}

#[test]
fn kinds_are_drawn_as_their_clusters_would_be() {
    // Hits of 1,000 queries; a value too small to matter makes every cluster a kind of its own.
    let hits = |i: u32| f64::from(u8::from(i % 10 < 3));
    let alike: Vec<(u32, f64)> = (0..1000).map(|i| (i, hits(i))).collect();
    let unlike: Vec<(u32, f64)> = (0..1000).map(|i| (i, hits(i) + 1e-9 * f64::from(i))).collect();
    let plan = Resampling {
        resamples: 4000,
        ..PLAN
    };
    // Eight of ten queries are like many others, and two like none.
    let some = |i: u32| if i % 10 < 8 { 0.0 } else { 1e-9 * f64::from(i) };
    let mixed: Vec<(u32, f64)> = (0..1000).map(|i| (i, hits(i) + some(i))).collect();
    let [few, many, both] = [ratios(&alike, plan), ratios(&unlike, plan), ratios(&mixed, plan)];
    let moments = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        (mean, (squares / values.len() as f64).sqrt())
    };
    // Exactly: mean 0.3, standard deviation sqrt(0.3 * 0.7 / 1000) = 0.01449.
    for values in [few, many, both] {
        let (mean, deviation) = moments(&values);
        assert!((mean - 0.3).abs() < 0.001, "{mean}");
        assert!((deviation - 0.01449).abs() < 0.0007, "{deviation}");
    }
}

#[test]
fn sums_have_the_moments_of_draws_with_replacement() {
    // Some clusters alike, a full block of others and some more, of 1 to 3 queries each; every number of statistics
    // takes another path. Exactly: mean sum x, covariance sum x y - (sum x) (sum y) / n.
    let plan = Resampling {
        resamples: 1000,
        ..PLAN
    };
    let value = |cluster: u32, stat: usize| match (cluster < 200, stat) {
        (true, _) => 2.0,
        (_, 0) => f64::from(1 + cluster % 3),
        (_, 1) => f64::from(cluster * 7919 % 3001),
        (_, 2) => 1.0 / f64::from(1 + cluster * 7919 % 3001),
        (_, stat) => f64::from(u8::from(cluster * 31 % 97 < 9 * stat as u32)),
    };
    for n_stats in [1, 2, 3, 4, 5, 6, 7, 9] {
        let mut sums = ClusterSums::new(n_stats);
        for cluster in 0..1400 {
            sums.add(cluster, (0..n_stats).map(|stat| value(cluster, stat)));
        }
        let resampled = sums.resample(plan);
        let total = |stat: usize| sums.rows().map(|row| row[stat]).sum::<f64>();
        let totals: Vec<f64> = (0..n_stats).map(total).collect();
        let exact = |a: usize, b: usize| {
            let products = sums.rows().map(|row| row[a] * row[b]);
            products.sum::<f64>() - totals[a] * totals[b] / 1400.0
        };
        let rows = || resampled.chunks_exact(n_stats);
        for a in 0..n_stats {
            let mean = rows().map(|row| row[a]).sum::<f64>() / 1000.0;
            let error = (exact(a, a) / 1000.0).sqrt();
            assert!((mean - totals[a]).abs() < 4.0 * error, "{a} of {n_stats}: {mean}");
            for b in 0..=a {
                let products = rows().map(|row| (row[a] - totals[a]) * (row[b] - totals[b]));
                let found = products.sum::<f64>() / 1000.0;
                // Variances of 1,000 values are known to 4.5 %.
                let bound = 0.2 * (exact(a, a) * exact(b, b)).sqrt();
                assert!(
                    (found - exact(a, b)).abs() < bound,
                    "{a} {b} of {n_stats}: {found}"
                );
            }
        }
    }
}

/// The largest distance between the shares of `values` up to each whole number and `share`.
fn distance(values: &[f64], share: impl Fn(u64) -> f64) -> f64 {
    let mut sorted: Vec<u64> = values.iter().map(|value| value.floor() as u64).collect();
    sorted.sort_unstable();
    let n = sorted.len() as f64;
    let at = |i: usize| ((i + 1) as f64 / n - share(sorted[i])).abs();
    let last = (0..sorted.len()).filter(|&i| sorted.get(i + 1) != Some(&sorted[i]));
    last.map(at).fold(0.0, f64::max)
}

#[test]
fn hits_and_medians_have_their_exact_distribution() {
    // Unlike clusters in a full block and a rest; 1.95 / sqrt(n) is passed once in 1,000 times.
    let n = 1501u32;
    let mut sums = ClusterSums::new(1);
    for query in 0..n {
        sums.add(
            query,
            [f64::from(u8::from(query % 3 == 0)) + 1e-9 * f64::from(query)],
        );
    }
    let plan = Resampling {
        resamples: 10_000,
        ..PLAN
    };
    let hits = Binomial::new(501.0 / 1501.0, u64::from(n)).unwrap();
    let found = distance(&sums.resample(plan), |k| hits.cdf(k));
    assert!(found < 0.0195, "{found}");

    // The median is at most k when at least 751 of the draws fall on the k + 1 first of the ranks 0, 1, ...
    let ranks = (0..n).map(|query| (f64::from(query), query)).collect();
    let medians = resample_median(ranks, MedianRule::Lower, plan);
    let share = |k: u64| {
        let first = Binomial::new((k + 1) as f64 / f64::from(n), u64::from(n)).unwrap();
        1.0 - first.cdf(750)
    };
    let found = distance(&medians, share);
    assert!(medians.len() == 1000 && found < 0.062, "{found}");
}

#[test]
fn the_median_of_a_resample_counts_each_drawn_cluster() {
    let ranks = vec![(1.0, 0), (2.0, 0), (30.0, 1), (40.0, 1)];
    let seen = |rule| {
        let mut medians = resample_median(ranks.clone(), rule, PLAN);
        medians.sort_unstable_by(f64::total_cmp);
        medians.dedup();
        medians
    };
    assert_eq!(seen(MedianRule::MeanOfMiddle), [1.5, 16.0, 35.0]);
    assert_eq!(seen(MedianRule::Lower), [1.0, 2.0, 30.0]);
}

#[test]
fn intervals_end_at_order_statistics() {
    let values: Vec<f64> = (1..=99).rev().map(f64::from).collect();
    assert_eq!(percentile_interval(values, 0.9).unwrap(), [5.0, 95.0]);
    let constant = percentile_interval(vec![0.5; 39], 0.95).unwrap();
    assert_eq!(constant, [0.5, 0.5]);
    assert!(matches!(
        percentile_interval(vec![0.5; 38], 0.95),
        Err(MetricError::Resamples {
            needed: 39,
            found: 38,
            ..
        })
    ));
}
