//! Cases of `info_nce`.

use super::{Log, exact};
use crate::conformance::compare;
use crate::conformance::inputs::{ContrastCase, Matrix, Random};
use crate::registry::AllOperations;
use crate::{Dtype, KernelError};

pub(super) fn info_nce(kernel: &dyn AllOperations, log: &mut Log) {
    let mut random = log.random(21);
    for dim in [1, 7, 31, 512] {
        for (batch, queue_len) in [(1, 0), (1, 1), (33, 0), (3, 40)] {
            let case = ContrastCase::new(batch, queue_len, dim, &mut random);
            for options in 0..8 {
                judge(kernel, log, &case, options, 0.07);
            }
            judge(kernel, log, &case, 7, 1.0);
        }
    }
    let case = ContrastCase::new(40, 1100, 31, &mut random);
    for options in 0..8 {
        judge(kernel, log, &case, options, 0.07);
    }
    let case = ContrastCase::new(5, 700, 1023, &mut random);
    for temperature in [0.01, 0.5] {
        judge(kernel, log, &case, 7, temperature);
    }
    judge(kernel, log, &better_keys_late(), 4, 0.01);
    repeated_and_zero_keys(kernel, log, &mut random);
    subnormal_keys(kernel, log, &mut random);
    any_order(kernel, log, &mut random);
    too_large(kernel, log);
}

fn judge(kernel: &dyn AllOperations, log: &mut Log, case: &ContrastCase, options: usize, temperature: f64) {
    let job = case.job(options, temperature);
    let all: Vec<usize> = (0..job.query.n_rows()).collect();
    let judged = kernel
        .info_nce(&job)
        .and_then(|output| compare::info_nce(kernel.id(), &job, &output, &all));
    log.case(
        || {
            let (batch, queue_len, dim) = (all.len(), job.queue.n_rows(), job.query.dim());
            format!("batch {batch}, queue {queue_len}, dim {dim}, options {options}, T {temperature}")
        },
        judged,
    );
}

/// Logits at T = 0.01, to base 2: the positive's -29, those of most keys -20, of the last ones 40. The queue is so
/// long that a range has several blocks; the last keys are in the last block of one, and scale the earlier ones.
fn better_keys_late() -> ContrastCase {
    let (queue_len, n_better) = (17_000, 300);
    let query = Matrix::new(2, 3, |_, column| [1.0, 0.0, 0.0][column]);
    let positive = Matrix::new(2, 3, |row, column| [-0.2, 0.9 - row as f64, 0.3][column]).unit();
    let queue = Matrix::new(queue_len, 3, |row, column| {
        let score = if row < queue_len - n_better {
            -0.1386
        } else {
            0.2773
        };
        let angle = row as f64;
        [score, 0.96 * angle.cos(), 0.96 * angle.sin()][column]
    });
    ContrastCase {
        query,
        positive,
        queue: queue.through_f16(),
        batch_ids: vec![0, 1],
        queue_ids: vec![-1; queue_len],
    }
}

/// A queue of few different keys, of zeros, and of the positives themselves.
fn repeated_and_zero_keys(kernel: &dyn AllOperations, log: &mut Log, random: &mut Random) {
    let case = ContrastCase::new(9, 60, 31, random);
    let dim = case.query.dim;
    let queue_of = |element: &dyn Fn(usize, usize) -> f64| ContrastCase {
        queue: Matrix::new(60, dim, element),
        ..case.clone()
    };
    for case in [
        queue_of(&|row, column| case.queue.f64[row % 4 * dim + column]),
        queue_of(&|_, _| 0.0),
        queue_of(&|row, column| case.positive.f64[row % 9 * dim + column]),
    ] {
        for options in [0, 7] {
            judge(kernel, log, &case, options, 0.07);
        }
    }
}

/// Queue elements that are subnormal in f16, met by queries that make up for it.
fn subnormal_keys(kernel: &dyn AllOperations, log: &mut Log, random: &mut Random) {
    let case = ContrastCase::new(5, 40, 31, random);
    let dim = case.query.dim;
    let case = ContrastCase {
        query: Matrix::new(5, dim, |row, column| 1024.0 * case.query.f64[row * dim + column]),
        positive: Matrix::new(5, dim, |row, column| {
            case.positive.f64[row * dim + column] / 1024.0
        }),
        queue: Matrix::new(40, dim, |_, _| 1e-5 * random.real()).through_f16(),
        ..case
    };
    judge(kernel, log, &case, 4, 0.07);
}

/// Keys whose weights differ by up to 2^86, against positives that outweigh them all, so that a loss has as many
/// digits as the sum of its weights: plain sums round differently in each order, and must not.
fn any_order(kernel: &dyn AllOperations, log: &mut Log, random: &mut Random) {
    if !kernel.id().has_pure_scores() {
        return;
    }
    let (batch, queue_len, dim) = (24, 3000, 16);
    let query = Matrix::new(batch, dim, |row, column| f64::from(u8::from(row % dim == column)));
    let queue = Matrix::new(queue_len, dim, |_, _| 0.6 * random.real()).through_f16();
    let case = ContrastCase {
        positive: query.clone(),
        query,
        queue_ids: (0..queue_len).map(|row| row as i64 % 11 - 1).collect(),
        batch_ids: (0..batch).map(|row| row as i64).collect(),
        queue,
    };
    for options in [0, 2] {
        let losses = |order: &[usize]| -> Result<Vec<u64>, KernelError> {
            let moved = ContrastCase {
                queue: case.queue.permuted(order),
                queue_ids: order.iter().map(|&row| case.queue_ids[row]).collect(),
                ..case.clone()
            };
            let output = kernel.info_nce(&moved.job(options, 0.02))?;
            Ok(output.losses.iter().map(|loss| loss.to_bits()).collect())
        };
        let as_is: Vec<usize> = (0..queue_len).collect();
        let reversed: Vec<usize> = as_is.iter().rev().copied().collect();
        let expected = losses(&as_is);
        for order in [reversed, random.order(queue_len)] {
            let compared = losses(&order).and_then(|found| match &expected {
                Ok(expected) => Ok(exact("bits of loss", &found, expected)),
                Err(error) => Err(KernelError::Argument {
                    name: "order",
                    problem: error.to_string(),
                }),
            });
            log.case(
                || format!("another order of the queue, options {options}"),
                compared,
            );
        }
    }
}

/// An element of the queue that f32 holds and f16 does not.
fn too_large(kernel: &dyn AllOperations, log: &mut Log) {
    let one = Matrix::new(1, 7, |_, _| 1e-6);
    let case = ContrastCase {
        query: one.clone(),
        positive: one,
        queue: Matrix::new(1, 7, |_, _| 1e6),
        batch_ids: vec![0],
        queue_ids: vec![-1],
    };
    let mut job = case.job(0, 1.0);
    job.queue = case.queue.rows(Dtype::F32);
    let narrow = kernel.id().dtype() == Dtype::F16;
    log.refused("elements of 1e6 in the queue", narrow, kernel.info_nce(&job));
}
