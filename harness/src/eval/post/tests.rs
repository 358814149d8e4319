use super::*;

const BETA: f64 = 2.0;

fn rows(scores: &[f64], n_rows: usize) -> Rows<'_> {
    Rows::new(RowsData::F64(scores), n_rows, scores.len() / n_rows).unwrap()
}

fn values(aligned: &Aligned) -> Vec<f64> {
    bytemuck::cast_slice(aligned.bytes()).to_vec()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
            "{found} {expected}"
        );
    }
}

#[test]
fn names_say_every_setting() {
    for (text, canonical) in [
        ("dsl", "dsl:temperature=1"),
        ("dsl:temperature=0.01", "dsl:temperature=0.01"),
        ("qbnorm", "qbnorm:beta=20,k=1"),
        ("qbnorm:k=3", "qbnorm:beta=20,k=3"),
        ("qbnorm:k=3,beta=1.99", "qbnorm:beta=1.99,k=3"),
    ] {
        let post: Post = text.parse().unwrap();
        assert_eq!(post.to_string(), canonical);
        assert_eq!(canonical.parse(), Ok(post));
    }
    for text in [
        "",
        "dual",
        "dsl:",
        "dsl:temperature",
        "dsl:temperature=0",
        "dsl:temperature=-1",
        "dsl:temperature=inf",
        "dsl:beta=2",
        "dsl:temperature=1,temperature=2",
        "qbnorm:k=0",
        "qbnorm:k=1.5",
    ] {
        assert!(text.parse::<Post>().is_err(), "{text}");
    }
}

#[test]
fn dual_softmax_by_its_formula() {
    let scores = [0.3, -0.2, 0.5, 0.1, 0.7, 0.4];
    let pairing = Pairing::new(vec![0, 1, 1], 2).unwrap();
    let temperature = 0.5;
    let formula = |direction: Direction| -> Vec<f64> {
        let place = |text: usize, video: usize| text * 2 + video;
        let exp = |s: f64| (s / temperature).exp();
        let cells = (0..3).flat_map(|text| (0..2).map(move |video| (text, video)));
        let changed = cells.map(|(text, video)| {
            let s = scores[place(text, video)];
            let (sum, n): (f64, f64) = match direction {
                Direction::T2v => ((0..3).map(|other| exp(scores[place(other, video)])).sum(), 3.0),
                Direction::V2t => ((0..2).map(|other| exp(scores[place(text, other)])).sum(), 2.0),
            };
            s * exp(s) / sum * n
        });
        changed.collect()
    };
    for direction in Direction::ALL {
        let found = dual_softmax(rows(&scores, 3), &pairing, direction, temperature).unwrap();
        assert_close(&values(&found), &formula(direction));
    }
}

#[test]
fn masked_texts_are_no_queries_and_change_nothing() {
    // The second text is masked; its scores are no numbers.
    let scores = [0.3, -0.2, f64::NAN, f64::NEG_INFINITY, 0.7, 0.4];
    let pairing = Pairing::new(vec![0, 1, 1], 2)
        .unwrap()
        .with_mask(vec![true, false, true])
        .unwrap();
    let without = Pairing::new(vec![0, 1], 2).unwrap();
    let fewer = [0.3, -0.2, 0.7, 0.4];
    for direction in Direction::ALL {
        let found = values(&dual_softmax(rows(&scores, 3), &pairing, direction, 1.0).unwrap());
        let expected = values(&dual_softmax(rows(&fewer, 2), &without, direction, 1.0).unwrap());
        assert_close(&[&found[..2], &found[4..]].concat(), &expected);
        assert_eq!(found[2..4], [0.0, 0.0]);
    }
}

#[test]
fn a_video_without_text_is_no_query() {
    let pairing = Pairing::new(vec![0, 0], 2).unwrap();
    let scores = [0.3, 1e6, 0.1, 0.2];
    let found = values(&dual_softmax(rows(&scores, 2), &pairing, Direction::V2t, 1e-3).unwrap());
    assert_close(&found, &[0.3, 0.0, 0.1, 0.0]);
}

/// The formula of the published code: quotients of exponentials, raw scores for the other queries.
fn published(scores: &[f64], bank: &[f64], n_items: usize, k: usize) -> Vec<f64> {
    let order = |row: &[f64]| -> Vec<usize> {
        let mut items: Vec<usize> = (0..row.len()).collect();
        items.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        items
    };
    let activated: Vec<usize> = bank
        .chunks(n_items)
        .flat_map(|row| order(row)[..k].to_vec())
        .collect();
    let sums: Vec<f64> = (0..n_items)
        .map(|item| bank.chunks(n_items).map(|row| (BETA * row[item]).exp()).sum())
        .collect();
    let changed = scores.chunks(n_items).flat_map(|row| {
        let on = activated.contains(&order(row)[0]);
        let value = |(item, &s): (usize, &f64)| if on { (BETA * s).exp() / sums[item] } else { s };
        row.iter().enumerate().map(value).collect::<Vec<_>>()
    });
    changed.collect()
}

#[test]
fn query_bank_normalisation_orders_as_the_published_code() {
    let scores = [0.9, 0.8, 0.1, 0.2, 0.6, 0.5, 0.3, 0.35, 0.9];
    let bank = [0.8, 0.2, 0.1, 0.9, 0.3, 0.2, 0.1, 0.4, 0.2, 0.7, 0.6, 0.1];
    let pairing = Pairing::one_to_one(3).unwrap();
    for k in [1, 2] {
        let found = qb_norm(
            rows(&scores, 3),
            rows(&bank, 4),
            &pairing,
            Direction::T2v,
            (BETA, k),
        )
        .unwrap();
        let expected = published(&scores, &bank, 3, k);
        // The third text's best item is activated by no bank query with k = 1, and keeps its scores.
        let raw = k == 1;
        for (row, (found, expected)) in values(&found).chunks(3).zip(expected.chunks(3)).enumerate() {
            if row == 2 && raw {
                assert_eq!(found, expected);
            } else {
                let logs: Vec<f64> = expected.iter().map(|value| value.ln()).collect();
                assert_close(found, &logs);
            }
        }
    }
}

#[test]
fn the_other_direction_is_the_transpose() {
    let scores = [0.9, 0.8, 0.1, 0.2, 0.6, 0.5];
    let bank = [0.8, 0.2, 0.1, 0.9, 0.3, 0.2, 0.1, 0.4];
    let transpose = |of: &[f64], n_rows: usize| -> Vec<f64> {
        let n_columns = of.len() / n_rows;
        let places = (0..n_columns).flat_map(|column| (0..n_rows).map(move |row| row * n_columns + column));
        places.map(|place| of[place]).collect()
    };
    // Three texts, two videos; a bank of four other videos for the same texts, and its transpose.
    let texts = Pairing::new(vec![0, 1, 1], 2).unwrap();
    let bank_by_text = [&bank[..], &[0.5, 0.6, 0.7, 0.3]].concat();
    let v2t = qb_norm(
        rows(&scores, 3),
        rows(&bank_by_text, 3),
        &texts,
        Direction::V2t,
        (BETA, 1),
    )
    .unwrap();
    let (turned, turned_bank) = (transpose(&scores, 3), transpose(&bank_by_text, 3));
    let videos = Pairing::new(vec![0, 1], 3).unwrap();
    let t2v = qb_norm(
        rows(&turned, 2),
        rows(&turned_bank, 4),
        &videos,
        Direction::T2v,
        (BETA, 1),
    )
    .unwrap();
    assert_close(&transpose(&values(&v2t), 3), &values(&t2v));
}

#[test]
fn large_scores_do_not_overflow() {
    let scores = [900.0, 100.0, 100.0, 800.0];
    let pairing = Pairing::one_to_one(2).unwrap();
    for direction in Direction::ALL {
        let found = values(&dual_softmax(rows(&scores, 2), &pairing, direction, 1.0).unwrap());
        assert!(found.iter().all(|value| value.is_finite()), "{found:?}");
        let found = qb_norm(rows(&scores, 2), rows(&scores, 2), &pairing, direction, (20.0, 1)).unwrap();
        assert!(values(&found).iter().all(|value| value.is_finite()));
    }
}

#[test]
fn the_best_of_equal_scores_is_the_first() {
    let scores = [0.5, 0.7, 0.7, 0.7, 0.1];
    let view = Scores {
        rows: rows(&scores, 1),
        direction: Direction::T2v,
    };
    let all = [0, 1, 2, 3, 4];
    let mut two = best(view, 0, &all, 2);
    two.sort_unstable();
    assert_eq!(
        (best(view, 0, &all, 1), two, best(view, 0, &all, 9).len()),
        (vec![1], vec![1, 2], 5)
    );
}
