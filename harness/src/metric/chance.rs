//! What a random order would score.

use hitbench_reports::record::BaselineRecord;

use super::{CaptionRule, Pairing, Rules};

/// Expected R@K of a random order, by K and direction.
pub fn chance(pairing: &Pairing, rules: &Rules) -> BaselineRecord {
    let own: Vec<usize> = pairing
        .captions_by_video()
        .iter()
        .map(Vec::len)
        .filter(|&n| n > 0)
        .collect();
    let n_captions = own.iter().sum();
    let v2t = |k| match rules.captions {
        CaptionRule::MinRank => {
            let sum: f64 = own.iter().map(|&own| hit_chance(n_captions, own, k)).sum();
            sum / own.len() as f64
        }
        CaptionRule::MaxOverCaptions => hit_chance(own.len(), 1, k),
    };
    BaselineRecord {
        t2v: rules
            .recall_at
            .iter()
            .map(|&k| (k, hit_chance(pairing.n_videos(), 1, k)))
            .collect(),
        v2t: rules.recall_at.iter().map(|&k| (k, v2t(k))).collect(),
    }
}

/// Chance that one of `own` true items is among the first `k` of `n` in a random order.
fn hit_chance(n: usize, own: usize, k: u64) -> f64 {
    let none: f64 = (0..own)
        .map(|i| {
            let left = (n - i) as f64;
            ((left - k as f64) / left).max(0.0)
        })
        .product();
    1.0 - none
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_the_hypergeometric_hit_rate() {
        assert!((hit_chance(1000, 1, 10) - 0.01).abs() < 1e-12);
        // Two own items of four, one place: half; two places: all but the one pair without own items of six.
        assert!((hit_chance(4, 2, 1) - 0.5).abs() < 1e-12);
        assert!((hit_chance(4, 2, 2) - 5.0 / 6.0).abs() < 1e-12);
        assert_eq!(hit_chance(5, 1, 50), 1.0);
    }

    #[test]
    fn videos_are_ranked_among_captions_or_among_videos() {
        let of = |own: &[usize], captions, k| {
            let video_of = (0u32..).zip(own).flat_map(|(video, &own)| vec![video; own]);
            let rules = Rules {
                captions,
                recall_at: vec![k],
                ..Rules::default()
            };
            chance(&Pairing::new(video_of.collect(), own.len()).unwrap(), &rules).v2t[&k]
        };
        // Two videos with two captions each, one without any.
        assert!((of(&[2, 0, 2], CaptionRule::MinRank, 1) - 0.5).abs() < 1e-12);
        assert!((of(&[2, 0, 2], CaptionRule::MaxOverCaptions, 1) - 0.5).abs() < 1e-12);
        assert!((of(&[3, 1], CaptionRule::MinRank, 1) - (0.75 + 0.25) / 2.0).abs() < 1e-12);
        assert!((of(&[2, 2, 2], CaptionRule::MinRank, 2) - (1.0 - 4.0 * 3.0 / 30.0)).abs() < 1e-12);
        assert!((of(&[2, 2, 2], CaptionRule::MaxOverCaptions, 2) - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn captions_left_out_are_in_no_gallery() {
        let pairing = Pairing::new(vec![0, 0, 1, 1, 3], 4).unwrap();
        let masked = pairing.with_mask(vec![true, true, true, false, false]).unwrap();
        let of = |captions| {
            let rules = Rules {
                captions,
                recall_at: vec![1],
                ..Rules::default()
            };
            let found = chance(&masked, &rules);
            (found.t2v[&1], found.v2t[&1])
        };
        let (t2v, min_rank) = of(CaptionRule::MinRank);
        assert_eq!((t2v, of(CaptionRule::MaxOverCaptions).1), (0.25, 0.5));
        assert!((min_rank - (2.0 / 3.0 + 1.0 / 3.0) / 2.0).abs() < 1e-12);
    }
}
