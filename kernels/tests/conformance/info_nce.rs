//! `info_nce`: within tolerance of the reference, whose gradient is that of its loss; losses that depend on nothing
//! but their own query and the set of its keys.

use hitbench_kernels::tolerance::{gradient_tolerance, loss_tolerance, sum_tolerance};
use hitbench_kernels::{
    ContrastIds, Dtype, InfoNce, InfoNceJob, InfoNceOutput, KernelError, KernelId, available_kernels,
    info_nce_kernel,
};

use hitbench_kernels::conformance::inputs::{Matrix, Random};

fn kernels() -> impl Iterator<Item = Box<dyn InfoNce + Send + Sync>> {
    available_kernels()
        .into_iter()
        .map(|id| info_nce_kernel(&id.to_string()).unwrap())
}

/// A batch whose positives lie near their queries, and a queue; unit rows that f16 holds exactly to 1e-3.
struct Case {
    query: Matrix,
    positive: Matrix,
    queue: Matrix,
    batch_ids: Vec<i64>,
    queue_ids: Vec<i64>,
}

impl Case {
    fn new(batch: usize, queue_len: usize, dim: usize, random: &mut Random) -> Self {
        let query = Matrix::real(batch, dim, random).unit();
        let noise = Matrix::real(batch, dim, random).unit();
        let positive = Matrix::new(batch, dim, |row, column| {
            query.f64[row * dim + column] + 0.9 * noise.f64[row * dim + column]
        });
        let mut id = |least: i64| random.below(9) as i64 + least;
        let batch_ids = (0..batch).map(|_| id(0)).collect();
        let queue_ids = (0..queue_len).map(|_| id(-1)).collect();
        Self {
            query,
            positive: positive.unit(),
            queue: Matrix::real(queue_len, dim, random).unit(),
            batch_ids,
            queue_ids,
        }
    }

    /// The settings are bits of `options`: in-batch negatives, ids, gradient by positives.
    fn job(&self, options: usize, temperature: f64) -> InfoNceJob<'_> {
        InfoNceJob {
            query: self.query.rows(Dtype::F32),
            positive: self.positive.rows(Dtype::F32),
            queue: self.queue.rows(Dtype::F16),
            in_batch: options & 1 != 0,
            ids: (options & 2 != 0).then_some(ContrastIds {
                batch: &self.batch_ids,
                queue: &self.queue_ids,
            }),
            positive_gradient: options & 4 != 0,
            temperature,
        }
    }
}

fn assert_close(what: &str, found: &[f32], expected: &[f32], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = f64::from((found - expected).abs());
        assert!(
            error <= bound,
            "{what}[{at}]: {found} is not {expected} within {bound:e}"
        );
    }
}

fn check(case: &Case, options: usize, temperature: f64) {
    let job = case.job(options, temperature);
    let (batch, queue_len, dim) = (job.query.n_rows(), job.queue.n_rows(), job.query.dim());
    let expected = info_nce_kernel("reference/f64").unwrap().info_nce(&job).unwrap();
    let near_hits = near_hits(&job, 2.0_f64.powi(-23) * (dim + 1) as f64);
    for kernel in kernels() {
        let score = sum_tolerance(kernel.id(), dim);
        let found = kernel.info_nce(&job).unwrap();
        let what = format!(
            "{} batch {batch} queue {queue_len} dim {dim} options {options} T {temperature}",
            kernel.id()
        );
        // Norms are 1 to within 1e-3.
        let loss = loss_tolerance(score, 1.01, temperature);
        for (i, (found, expected)) in found.losses.iter().zip(&expected.losses).enumerate() {
            assert!(
                (found - expected).abs() <= loss,
                "{what}, loss {i}: {found} is not {expected}"
            );
        }
        assert_eq!(found.losses.len(), batch, "{what}");
        let gradient = gradient_tolerance(loss, 1.01, temperature, batch, queue_len + batch);
        assert_close(&what, &found.query_gradient, &expected.query_gradient, gradient);
        match (&found.positive_gradient, &expected.positive_gradient) {
            (Some(found), Some(expected)) => {
                // A positive takes part in every query of the batch.
                assert_close(&what, found, expected, gradient * batch as f64);
            }
            (found, expected) => assert_eq!(found, expected, "{what}"),
        }
        assert_eq!(found.n_negatives, expected.n_negatives, "{what}");
        assert!(
            (found.positive_mean() - expected.positive_mean()).abs() <= 2.0 * score,
            "{what}"
        );
        let means = found.negative_mean().zip(expected.negative_mean());
        if let Some((found, expected)) = means {
            assert!(
                (found - expected).abs() <= 100.0 * score,
                "{what}: {found} is not {expected}"
            );
        }
        assert!(found.n_hits.abs_diff(expected.n_hits) <= near_hits, "{what}");
    }
}

/// Queries whose positive scores so near the best negative that rounding may decide.
fn near_hits(job: &InfoNceJob<'_>, score: f64) -> u64 {
    let at =
        |rows: hitbench_kernels::Rows<'_>, row| (0..rows.dim()).map(|c| rows.get(row, c)).collect::<Vec<_>>();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut near = 0;
    for i in 0..job.query.n_rows() {
        let query = at(job.query, i);
        let own = dot(&query, &at(job.positive, i));
        let close = |rows, n| (0..n).any(|j| (dot(&query, &at(rows, j)) - own).abs() < 4.0 * score);
        near += u64::from(close(job.queue, job.queue.n_rows()));
    }
    near
}

#[test]
fn agrees_with_the_reference() {
    let mut random = Random(21);
    for dim in [1, 7, 31, 512] {
        for (batch, queue_len) in [(1, 0), (1, 1), (33, 0), (3, 40)] {
            let case = Case::new(batch, queue_len, dim, &mut random);
            for options in 0..8 {
                check(&case, options, 0.07);
            }
            check(&case, 7, 1.0);
        }
    }
    let case = Case::new(40, 1100, 31, &mut random);
    for options in 0..8 {
        check(&case, options, 0.07);
    }
    let case = Case::new(5, 700, 1023, &mut random);
    for temperature in [0.01, 0.5] {
        check(&case, 7, temperature);
    }
}

#[test]
fn better_keys_late_in_a_range_scale_the_earlier_ones() {
    // Logits at T = 0.01, to base 2: the positive's -29, those of most keys -20, of the last ones 40. The queue is so
    // long that a range has several blocks; the last keys are in the last block of one.
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
    let case = Case {
        query,
        positive,
        queue: Matrix::new(queue_len, 3, |row, column| {
            queue.rows(Dtype::F16).get(row, column)
        }),
        batch_ids: vec![0, 1],
        queue_ids: vec![-1; queue_len],
    };
    check(&case, 4, 0.01);
}

#[test]
fn the_gradient_of_the_reference_is_that_of_its_loss() {
    let mut random = Random(22);
    let (batch, dim) = (4, 3);
    let case = Case::new(batch, 6, dim, &mut random);
    let reference = info_nce_kernel("reference/f64").unwrap();
    for options in 4..8 {
        let loss = |query: &Matrix, positive: &Matrix| {
            let job = InfoNceJob {
                query: query.rows(Dtype::F64),
                positive: positive.rows(Dtype::F64),
                ..case.job(options, 0.2)
            };
            reference.info_nce(&job).unwrap()
        };
        let moved = |matrix: &Matrix, at: usize, step: f64| {
            Matrix::new(batch, dim, |row, column| {
                matrix.f64[row * dim + column] + if row * dim + column == at { step } else { 0.0 }
            })
        };
        let output = loss(&case.query, &case.positive);
        let by_positive = output.positive_gradient.as_ref().unwrap();
        for (at, by_positive) in by_positive.iter().enumerate() {
            let difference =
                |change: &dyn Fn(f64) -> InfoNceOutput| (change(1e-5).loss() - change(-1e-5).loss()) / 2e-5;
            let by_query = difference(&|step| loss(&moved(&case.query, at, step), &case.positive));
            assert!(
                (by_query - f64::from(output.query_gradient[at])).abs() < 1e-6,
                "{options} {at}"
            );
            let numeric = difference(&|step| loss(&case.query, &moved(&case.positive, at, step)));
            assert!((numeric - f64::from(*by_positive)).abs() < 1e-6, "{options} {at}");
        }
    }
}

#[test]
fn values_by_hand() {
    // Scores 1 (positive), 0.5 and -1 at T 1: loss log(1 + e^-0.5 + e^-2).
    let query = Matrix::new(1, 2, |_, column| [1.0, 0.0][column]);
    let queue = Matrix::new(2, 2, |row, column| [[0.5, 0.75], [-1.0, 0.0]][row][column]);
    let job = InfoNceJob {
        query: query.rows(Dtype::F32),
        positive: query.rows(Dtype::F32),
        queue: queue.rows(Dtype::F32),
        in_batch: true,
        positive_gradient: true,
        ids: None,
        temperature: 1.0,
    };
    let (a, b) = ((-0.5_f64).exp(), (-2.0_f64).exp());
    let sum = 1.0 + a + b;
    for kernel in kernels() {
        let output = kernel.info_nce(&job).unwrap();
        assert!((output.loss() - sum.ln()).abs() < 1e-6, "{}", kernel.id());
        let expected = [(1.0 + 0.5 * a - b) / sum - 1.0, 0.75 * a / sum];
        for (found, expected) in output.query_gradient.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{}", kernel.id());
        }
        let by_positive = output.positive_gradient.as_ref().unwrap();
        assert!((f64::from(by_positive[0]) - (1.0 / sum - 1.0)).abs() < 1e-6 && by_positive[1] == 0.0);
        assert_eq!((output.n_hits, output.n_negatives), (1, 2));
        assert_eq!((output.positive_sum, output.negative_sum), (1.0, -0.5));
    }
}

#[test]
fn losses_depend_on_the_query_and_the_set_of_its_keys_only() {
    let mut random = Random(23);
    let (batch, queue_len, dim) = (70, 1700, 64);
    let case = Case::new(batch, queue_len, dim, &mut random);
    let queue_order = random.order(queue_len);
    let batch_order = random.order(batch);
    let moved = Case {
        query: case.query.permuted(&batch_order),
        positive: case.positive.permuted(&batch_order),
        queue: case.queue.permuted(&queue_order),
        batch_ids: batch_order.iter().map(|&i| case.batch_ids[i]).collect(),
        queue_ids: queue_order.iter().map(|&i| case.queue_ids[i]).collect(),
    };
    let part: Vec<usize> = (20..31).collect();
    let part = Case {
        query: case.query.permuted(&part),
        positive: case.positive.permuted(&part),
        batch_ids: part.iter().map(|&i| case.batch_ids[i]).collect(),
        queue: case.queue.clone(),
        queue_ids: case.queue_ids.clone(),
    };
    for kernel in
        kernels().filter(|kernel| kernel.id() != KernelId::Reference && kernel.id().has_pure_scores())
    {
        // At T = 0.004 logits reach 360 and `e` rises on the way.
        for temperature in [0.07, 0.004] {
            for options in [2, 3] {
                let expected = kernel.info_nce(&case.job(options, temperature)).unwrap();
                for threads in [1, 3] {
                    let pool = rayon::ThreadPoolBuilder::new()
                        .num_threads(threads)
                        .build()
                        .unwrap();
                    let same = pool.install(|| kernel.info_nce(&case.job(options, temperature)));
                    assert_eq!(same.unwrap(), expected, "{} with {threads} threads", kernel.id());
                }
                let found = kernel.info_nce(&moved.job(options, temperature)).unwrap();
                for (at, &i) in batch_order.iter().enumerate() {
                    assert_eq!(
                        found.losses[at].to_bits(),
                        expected.losses[i].to_bits(),
                        "{} query {i} options {options}",
                        kernel.id()
                    );
                }
                assert_eq!(
                    (found.n_hits, found.n_negatives),
                    (expected.n_hits, expected.n_negatives)
                );
            }
            let expected = kernel.info_nce(&case.job(2, temperature)).unwrap();
            let found = kernel.info_nce(&part.job(2, temperature)).unwrap();
            for (i, loss) in found.losses.iter().enumerate() {
                assert_eq!(
                    loss.to_bits(),
                    expected.losses[20 + i].to_bits(),
                    "{} query {i}",
                    kernel.id()
                );
            }
        }
    }
}

#[test]
fn impossible_terms_are_refused() {
    let mut random = Random(24);
    let case = Case::new(3, 5, 4, &mut random);
    let short = Case::new(2, 4, 4, &mut random);
    let wide = Case::new(3, 5, 6, &mut random);
    let far = Matrix::new(3, 4, |_, _| 3e4);
    let nan = Matrix::new(5, 4, |row, _| if row == 4 { f64::NAN } else { 0.0 });
    let negative = Case {
        batch_ids: vec![0, -1, 2],
        ..Case::new(3, 5, 4, &mut random)
    };
    for kernel in kernels() {
        let good = case.job(3, 0.07);
        let run = |job: InfoNceJob<'_>| kernel.info_nce(&job).unwrap_err();
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                run(InfoNceJob { temperature, ..good }),
                KernelError::Argument {
                    name: "temperature",
                    ..
                }
            ));
        }
        assert!(matches!(
            run(InfoNceJob {
                queue: wide.queue.rows(Dtype::F16),
                ..good
            }),
            KernelError::DimMismatch { query: 4, gallery: 6 }
        ));
        assert!(matches!(
            run(InfoNceJob {
                positive: short.positive.rows(Dtype::F32),
                ..good
            }),
            KernelError::Length {
                what: "positives",
                ..
            }
        ));
        assert!(matches!(
            run(InfoNceJob {
                queue: short.queue.rows(Dtype::F16),
                ..good
            }),
            KernelError::Length {
                what: "ids of the queue",
                ..
            }
        ));
        assert!(matches!(
            run(negative.job(3, 0.07)),
            KernelError::Argument {
                name: "id of the batch",
                ..
            }
        ));
        assert!(matches!(
            run(InfoNceJob {
                queue: nan.rows(Dtype::F32),
                ..good
            }),
            KernelError::NotFinite {
                side: "queue",
                row: 4,
                column: 0,
                ..
            }
        ));
        assert!(matches!(
            run(InfoNceJob {
                positive: far.rows(Dtype::F32),
                ..good
            }),
            KernelError::ScoreRange { .. }
        ));
    }
}
