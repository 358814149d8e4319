//! `info_nce`: the reference's gradient is that of its loss; losses depend on nothing but their own query and the set
//! of its keys.

use hitbench_kernels::conformance::inputs::{ContrastCase, Matrix, Random};
use hitbench_kernels::{
    Dtype, InfoNce, InfoNceJob, InfoNceOutput, KernelError, available_kernels, info_nce_kernel,
};

fn kernels() -> impl Iterator<Item = Box<dyn InfoNce + Send + Sync>> {
    available_kernels()
        .into_iter()
        .map(|id| info_nce_kernel(&id.to_string()).unwrap())
}

#[test]
fn the_gradient_of_the_reference_is_that_of_its_loss() {
    let mut random = Random(22);
    let (batch, dim) = (4, 3);
    let case = ContrastCase::new(batch, 6, dim, &mut random);
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
    let case = ContrastCase::new(batch, queue_len, dim, &mut random);
    let queue_order = random.order(queue_len);
    let batch_order = random.order(batch);
    let moved = ContrastCase {
        query: case.query.permuted(&batch_order),
        positive: case.positive.permuted(&batch_order),
        queue: case.queue.permuted(&queue_order),
        batch_ids: batch_order.iter().map(|&i| case.batch_ids[i]).collect(),
        queue_ids: queue_order.iter().map(|&i| case.queue_ids[i]).collect(),
    };
    let part: Vec<usize> = (20..31).collect();
    let part = ContrastCase {
        query: case.query.permuted(&part),
        positive: case.positive.permuted(&part),
        batch_ids: part.iter().map(|&i| case.batch_ids[i]).collect(),
        queue: case.queue.clone(),
        queue_ids: case.queue_ids.clone(),
    };
    for kernel in kernels().filter(|kernel| kernel.id().has_pure_scores()) {
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
    let case = ContrastCase::new(3, 5, 4, &mut random);
    let short = ContrastCase::new(2, 4, 4, &mut random);
    let wide = ContrastCase::new(3, 5, 6, &mut random);
    let far = Matrix::new(3, 4, |_, _| 3e4);
    let nan = Matrix::new(5, 4, |row, _| if row == 4 { f64::NAN } else { 0.0 });
    let negative = ContrastCase {
        batch_ids: vec![0, -1, 2],
        ..ContrastCase::new(3, 5, 4, &mut random)
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

/// Memory is kept from term to term: nothing of one may be seen in the next.
#[test]
fn a_term_is_the_same_whatever_was_computed_before() {
    let mut random = Random(25);
    let case = ContrastCase::new(5, 30, 13, &mut random);
    let others = [(70, 600, 13), (5, 700, 40), (3, 10, 12)]
        .map(|(batch, queue_len, dim)| ContrastCase::new(batch, queue_len, dim, &mut random));
    for kernel in kernels().filter(|kernel| kernel.id().to_string().starts_with("cpu/")) {
        let job = InfoNceJob {
            positive_gradient: true,
            ..case.job(7, 0.1)
        };
        // On a thread of its own, which has computed nothing yet.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let fresh = pool.install(|| kernel.info_nce(&job).unwrap());
        for other in &others {
            for options in 0..8 {
                pool.install(|| kernel.info_nce(&other.job(options, 0.1)).unwrap());
            }
            assert_eq!(
                pool.install(|| kernel.info_nce(&job).unwrap()),
                fresh,
                "{}",
                kernel.id()
            );
        }
    }
}
