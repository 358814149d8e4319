//! Both back ends against the definition, and against each other.

use std::collections::HashMap;

use hitbench_kernels::Dtype;
use hitbench_kernels::tolerance::{ema_tolerance, enqueue_tolerance};
use tch::{Device, Kind};

use super::*;
use crate::loss::QueueIds;

const TEMPERATURE: f64 = 0.07;
const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);
const CHOICES: [TrainKernels; 2] = [TrainKernels::Libtorch, TrainKernels::Custom];

fn kernels(choice: TrainKernels, dtype: QueueDtype) -> Box<dyn StepKernels> {
    step_kernels(choice, dtype, 2, tch::Device::Cpu).unwrap()
}

fn unit_rows(n: i64, dim: i64, seed: i64) -> Tensor {
    tch::manual_seed(seed);
    let rows = Tensor::randn([n, dim], FLOAT);
    &rows / rows.norm_scalaropt_dim(2, [1].as_slice(), true)
}

fn counts(ids: &[i64]) -> HashMap<i64, u64> {
    let mut counts = HashMap::new();
    for id in ids.iter().filter(|id| **id >= 0) {
        *counts.entry(*id).or_insert(0) += 1;
    }
    counts
}

fn matrix(tensor: &Tensor) -> Vec<Vec<f64>> {
    Vec::<Vec<f64>>::try_from(&tensor.to_kind(Kind::Double)).unwrap()
}

fn one_term(
    kernels: &dyn StepKernels,
    rows: TermRows<'_>,
    negatives: &Negatives<'_>,
    temperature: f64,
) -> Term {
    let mut terms = kernels.info_nce(&[rows], negatives, temperature).unwrap();
    assert_eq!(terms.len(), 1);
    terms.remove(0)
}

/// The definition in loops: loss, hit rate, positives' and negatives' mean, kept negatives.
fn by_hand(
    rows: TermRows<'_>,
    removed: impl Fn(usize, Option<usize>, usize) -> bool,
    in_batch: bool,
) -> [f64; 5] {
    let (query, keys) = (matrix(rows.query), matrix(rows.keys));
    let queue = rows.bank.map(matrix).unwrap_or_default();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let n = query.len();
    let (mut loss, mut hits, mut positives, mut negatives, mut kept) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for i in 0..n {
        let positive = dot(&query[i], &keys[i]);
        let mut others = Vec::new();
        if in_batch {
            others.extend(
                (0..n)
                    .filter(|j| *j != i && !removed(i, None, *j))
                    .map(|j| dot(&query[i], &keys[j])),
            );
        }
        others.extend(
            (0..queue.len())
                .filter(|j| !removed(i, Some(0), *j))
                .map(|j| dot(&query[i], &queue[j])),
        );
        let sum: f64 = others.iter().map(|s| (s / TEMPERATURE).exp()).sum();
        let own = (positive / TEMPERATURE).exp();
        loss -= (own / (own + sum)).ln();
        hits += f64::from(others.iter().all(|s| positive > *s));
        positives += positive;
        negatives += others.iter().sum::<f64>();
        kept += others.len() as f64;
    }
    let n = n as f64;
    [loss / n, hits / n, positives / n, negatives / kept, kept]
}

fn check(term: &Term, negatives: &Negatives<'_>, expected: [f64; 5]) {
    let summary = Vec::<f32>::try_from(&term.summary).unwrap();
    assert_eq!(summary.len(), 4);
    for (value, expected) in summary.iter().zip(expected) {
        assert!(
            (f64::from(*value) - expected).abs() < 2e-6 * (1.0 + expected.abs()),
            "{value} is not {expected}"
        );
    }
    assert_eq!(negatives.kept() as f64, expected[4]);
    assert_eq!(term.loss.double_value(&[]) as f32, summary[0]);
}

#[test]
fn terms_agree_with_the_definition_for_every_kind_of_negative() {
    let ids = [3, 5, 3, 8, 1];
    let queue_ids = [-1, 3, 8, 8, -1, 2, 5];
    let (query, queue) = (unit_rows(5, 6, 1), unit_rows(7, 6, 3));
    // Keys near their queries, so that some hit and some do not.
    let keys = &query * 0.4 + unit_rows(5, 6, 2);
    let keys = &keys / keys.norm_scalaropt_dim(2, [1].as_slice(), true);
    let counts = counts(&queue_ids);
    let info = QueueIds {
        ids: &queue_ids,
        counts: &counts,
        n_filled: 5,
    };
    for (dtype, kind) in [(QueueDtype::F16, Kind::Half), (QueueDtype::F32, Kind::Float)] {
        let bank = queue.to_kind(kind);
        for case in 0..16 {
            let [with_queue, in_batch, mask, custom] = [1, 2, 4, 8].map(|bit| case & bit != 0);
            let negatives = Negatives::new(&ids, with_queue.then_some(info), in_batch, mask);
            let rows = TermRows {
                query: &query,
                keys: &keys,
                bank: with_queue.then_some(&bank),
            };
            let term = one_term(
                &*kernels(CHOICES[usize::from(custom)], dtype),
                rows,
                &negatives,
                TEMPERATURE,
            );
            let expected = by_hand(
                rows,
                |i, in_queue, j| mask && ids[i] == if in_queue.is_some() { queue_ids[j] } else { ids[j] },
                in_batch || !with_queue,
            );
            check(&term, &negatives, expected);
        }
    }
}

#[test]
fn terms_of_one_call_are_those_of_calls_of_their_own() {
    let rows: Vec<Tensor> = (0..4).map(|seed| unit_rows(6, 8, seed)).collect();
    let ids = [0, 1, 2, 0, 4, 5];
    let negatives = Negatives::new(&ids, None, true, true);
    let term = |query, keys| TermRows {
        query: &rows[query],
        keys: &rows[keys],
        bank: None,
    };
    for choice in CHOICES {
        let kernels = kernels(choice, QueueDtype::F32);
        let both = [term(0, 1), term(2, 3)];
        let together = kernels.info_nce(&both, &negatives, TEMPERATURE).unwrap();
        for (found, rows) in together.iter().zip(both) {
            let alone = one_term(&*kernels, rows, &negatives, TEMPERATURE);
            assert_eq!(found.summary, alone.summary);
        }
        assert_ne!(together[0].summary, together[1].summary);
        assert!(kernels.info_nce(&[], &negatives, TEMPERATURE).unwrap().is_empty());
    }
}

#[test]
fn the_gradient_of_libtorch_reaches_both_sides_and_agrees_with_differences() {
    let wide = (Kind::Double, Device::Cpu);
    tch::manual_seed(4);
    let query = Tensor::randn([4, 3], wide).set_requires_grad(true);
    let keys = Tensor::randn([4, 3], wide).set_requires_grad(true);
    let negatives = Negatives::new(&[0, 1, 2, 1], None, false, true);
    let kernels = kernels(TrainKernels::Libtorch, QueueDtype::F32);
    let loss = |query: &Tensor, keys: &Tensor| {
        let bank = None;
        one_term(&*kernels, TermRows { query, keys, bank }, &negatives, 0.5).loss
    };
    let gradients = Tensor::f_run_backward(&[loss(&query, &keys)], &[&query, &keys], false, false).unwrap();
    let (query, keys) = (query.detach(), keys.detach());
    for (side, gradient) in gradients.iter().enumerate() {
        for row in 0..4 {
            for column in 0..3 {
                let moved = |step: f64| {
                    let mut delta = Tensor::zeros([4, 3], wide);
                    let _ = delta.get(row).get(column).fill_(step);
                    if side == 0 {
                        loss(&(&query + &delta), &keys)
                    } else {
                        delta += &keys;
                        loss(&query, &delta)
                    }
                };
                let numeric = (moved(1e-5) - moved(-1e-5)).double_value(&[]) / 2e-5;
                let exact = gradient.double_value(&[row, column]);
                assert!(
                    (numeric - exact).abs() < 1e-8,
                    "{side} {row} {column}: {numeric} is not {exact}"
                );
            }
        }
    }
}

#[test]
fn a_masked_out_batch_has_no_loss_and_no_nan() {
    let query = unit_rows(3, 4, 5);
    let negatives = Negatives::new(&[7, 7, 7], None, false, true);
    assert_eq!(negatives.kept(), 0);
    let rows = TermRows {
        query: &query,
        keys: &query,
        bank: None,
    };
    for choice in CHOICES {
        let term = one_term(&*kernels(choice, QueueDtype::F16), rows, &negatives, TEMPERATURE);
        let summary = Vec::<f32>::try_from(&term.summary).unwrap();
        assert!(
            summary[0].abs() < 1e-6 && summary[1] == 1.0 && summary[3] == 0.0,
            "{choice:?}: {summary:?}"
        );
    }
}

#[test]
fn key_buffers_follow_alike() {
    tch::manual_seed(6);
    let (before, query) = (Tensor::randn([70_001], FLOAT), Tensor::randn([70_001], FLOAT));
    for momentum in [0.0, 0.3, 0.5, 0.999] {
        let moved = CHOICES.map(|choice| {
            let key = before.copy();
            let kernels = kernels(choice, QueueDtype::F16);
            kernels.follow(momentum, &key, &query).unwrap();
            assert!(kernels.follow(momentum, &key, &query.narrow(0, 0, 9)).is_err());
            key
        });
        assert_ne!(moved[1], before, "{momentum}");
        // Each is within the tolerance of the exact value, so they are within twice that of each other.
        let bound = before.abs().maximum(&query.abs()) * (2.0 * ema_tolerance());
        let error = (&moved[0] - &moved[1]).abs() - bound;
        assert!(error.max().double_value(&[]) <= 0.0, "{momentum}");
    }
}

#[test]
fn keys_are_written_alike_and_round_the_end() {
    let keys = [unit_rows(3, 8, 7), unit_rows(3, 8, 8)];
    for (dtype, kind, rows_dtype) in [
        (QueueDtype::F16, Kind::Half, Dtype::F16),
        (QueueDtype::F32, Kind::Float, Dtype::F32),
    ] {
        let before = [unit_rows(5, 8, 9), unit_rows(5, 8, 10)].map(|bank| bank.to_kind(kind));
        for pointer in 0..5 {
            let written = CHOICES.map(|choice| {
                let banks = [before[0].copy(), before[1].copy()];
                let mut ids = [-1, 4, 5, 6, -1];
                let next = kernels(choice, dtype)
                    .enqueue(KeyWrite {
                        banks: &[(&banks[0], &keys[0]), (&banks[1], &keys[1])],
                        video_ids: &[10, 11, 12],
                        queue_ids: &mut ids,
                        pointer,
                    })
                    .unwrap();
                assert_eq!(next, (pointer + 3) % 5);
                (banks.map(|bank| matrix(&bank)), ids)
            });
            let [(libtorch, ids), (custom, custom_ids)] = written;
            assert_eq!(ids, custom_ids);
            assert_eq!((ids[pointer], ids[(pointer + 2) % 5]), (10, 12));
            for bank in 0..2 {
                let (before, keys) = (matrix(&before[bank]), matrix(&keys[bank]));
                for entry in 0..5 {
                    let new = (entry + 5 - pointer) % 5;
                    let expected = keys.get(new).unwrap_or(&before[entry]);
                    for (column, expected) in expected.iter().enumerate() {
                        let bound = enqueue_tolerance(rows_dtype, *expected);
                        for found in [&libtorch, &custom] {
                            let error = (found[bank][entry][column] - expected).abs();
                            // The rows of the heads are unit rows but for f32 rounding.
                            assert!(
                                error <= bound + 1e-6 * expected.abs(),
                                "{dtype:?} {pointer} {entry}: {error}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_kernels_run_on_as_many_threads_as_allowed_to_the_same_bits() {
    let (query, keys, bank) = (
        unit_rows(40, 16, 11),
        unit_rows(40, 16, 12),
        unit_rows(900, 16, 13),
    );
    let ids: Vec<i64> = (0..40).map(|i| i % 33).collect();
    let negatives = Negatives::new(&ids, None, true, true);
    let run = |threads| {
        let query = query.detach().set_requires_grad(true);
        let kernels = step_kernels(TrainKernels::Custom, QueueDtype::F32, threads, tch::Device::Cpu).unwrap();
        let rows = TermRows {
            query: &query,
            keys: &keys,
            bank: None,
        };
        let in_batch = one_term(&*kernels, rows, &negatives, TEMPERATURE);
        let counts = HashMap::new();
        let queue_ids = [-1; 900];
        let queue = QueueIds {
            ids: &queue_ids,
            counts: &counts,
            n_filled: 0,
        };
        let rows = TermRows {
            bank: Some(&bank),
            ..rows
        };
        let queued = one_term(
            &*kernels,
            rows,
            &Negatives::new(&ids, Some(queue), false, false),
            TEMPERATURE,
        );
        let total = in_batch.loss + queued.loss;
        let gradient = Tensor::f_run_backward(&[&total], &[&query], false, false).unwrap();
        (total, gradient)
    };
    let (loss, gradient) = run(1);
    for threads in [2, 3] {
        assert!(run(threads) == (loss.shallow_clone(), vec![gradient[0].shallow_clone()]));
    }
}
