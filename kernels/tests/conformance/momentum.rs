//! `ema_update` and `enqueue`.

use half::f16;
use hitbench_kernels::tolerance::{ema_tolerance, enqueue_tolerance};
use hitbench_kernels::{
    Dtype, EmaPair, EnqueueJob, KernelError, QueueRows, Rows, RowsData, available_kernels, ema_update_kernel,
    enqueue_kernel,
};

use hitbench_kernels::conformance::inputs::{Matrix, Random};

fn ids() -> impl Iterator<Item = String> {
    available_kernels().into_iter().map(|id| id.to_string())
}

#[test]
fn every_element_moves_by_the_formula() {
    let mut random = Random(31);
    let lengths = [0, 1, 7, 1023, 70_000, 131_072];
    let mut draw = |n: usize| (0..n).map(|_| (random.real() * 3.0) as f32).collect::<Vec<f32>>();
    let keys: Vec<Vec<f32>> = lengths.iter().map(|&n| draw(n)).collect();
    let queries: Vec<Vec<f32>> = lengths.iter().map(|&n| draw(n)).collect();
    for momentum in [0.0, 0.3, 0.5, 0.75, 0.999, 1.0] {
        let w = f64::from((1.0 - momentum) as f32);
        for id in ids() {
            let mut moved = keys.clone();
            let mut pairs: Vec<EmaPair<'_>> = moved
                .iter_mut()
                .zip(&queries)
                .map(|(key, query)| EmaPair { key, query })
                .collect();
            ema_update_kernel(&id)
                .unwrap()
                .ema_update(momentum, &mut pairs)
                .unwrap();
            for ((moved, key), query) in moved.iter().zip(&keys).zip(&queries) {
                for ((moved, key), query) in moved.iter().zip(key).zip(query) {
                    let (key, query) = (f64::from(*key), f64::from(*query));
                    let exact = key + w * (query - key);
                    let bound = ema_tolerance() * key.abs().max(query.abs());
                    let error = (f64::from(*moved) - exact).abs();
                    assert!(
                        error <= bound,
                        "{id} m {momentum}: {moved} is not {exact} within {bound:e}"
                    );
                    if momentum == 0.0 || momentum == 1.0 {
                        assert_eq!(
                            f64::from(*moved),
                            if momentum == 0.0 { query } else { key },
                            "{id}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn impossible_updates_write_nothing() {
    for id in ids() {
        let kernel = ema_update_kernel(&id).unwrap();
        let (mut first, mut second) = ([1.0, 2.0], [3.0]);
        let query = [5.0, 6.0];
        let mut pairs = [
            EmaPair {
                key: &mut first,
                query: &query,
            },
            EmaPair {
                key: &mut second,
                query: &query,
            },
        ];
        assert!(matches!(
            kernel.ema_update(0.5, &mut pairs),
            Err(KernelError::Length {
                expected: 1,
                found: 2,
                ..
            })
        ));
        for momentum in [-0.1, 1.1, f64::NAN] {
            assert!(matches!(
                kernel.ema_update(momentum, &mut pairs[..1]),
                Err(KernelError::Argument { name: "momentum", .. })
            ));
        }
        assert_eq!((first, second), ([1.0, 2.0], [3.0]), "{id}");
    }
}

/// A queue in both element types.
#[derive(Clone, PartialEq, Debug)]
struct Queue {
    f16: Vec<f16>,
    f32: Vec<f32>,
    ids: Vec<i64>,
}

fn enqueue(
    id: &str,
    dtype: Dtype,
    queue: &mut Queue,
    keys: Rows<'_>,
    ids: &[i64],
    pointer: usize,
) -> Result<usize, KernelError> {
    enqueue_kernel(id).unwrap().enqueue(EnqueueJob {
        keys,
        ids,
        queue: match dtype {
            Dtype::F16 => QueueRows::F16(&mut queue.f16),
            _ => QueueRows::F32(&mut queue.f32),
        },
        queue_ids: &mut queue.ids,
        pointer,
    })
}

#[test]
fn keys_are_normalised_and_written_round_the_ring() {
    let mut random = Random(32);
    for dim in [1, 7, 31, 512, 1023] {
        for (queue_len, batch, pointer) in [
            (5, 3, 0),
            (5, 3, 4),
            (5, 5, 2),
            (1, 1, 0),
            (90, 70, 60),
            (7, 0, 3),
        ] {
            // Some rows tiny, one zero.
            let keys = Matrix::new(batch, dim, |row, _| {
                [1.0, 1e-6, 300.0, 0.0][row % 4] * random.real()
            });
            let ids: Vec<i64> = (0..batch as i64).map(|i| 100 + i).collect();
            let old = Queue {
                f16: vec![f16::from_f64(9.0); queue_len * dim],
                f32: vec![9.0; queue_len * dim],
                ids: vec![-1; queue_len],
            };
            for id in self::ids() {
                for dtype in [Dtype::F16, Dtype::F32] {
                    let mut queue = old.clone();
                    let keys = keys.rows(Dtype::F32);
                    let next = enqueue(&id, dtype, &mut queue, keys, &ids, pointer).unwrap();
                    assert_eq!(next, (pointer + batch) % queue_len, "{id}");
                    let found = match dtype {
                        Dtype::F16 => Rows::new(RowsData::F16(&queue.f16), queue_len, dim),
                        _ => Rows::new(RowsData::F32(&queue.f32), queue_len, dim),
                    };
                    let found = found.unwrap();
                    for entry in 0..queue_len {
                        let i = (entry + queue_len - pointer) % queue_len;
                        assert_eq!(queue.ids[entry], if i < batch { ids[i] } else { -1 }, "{id}");
                        let norm = if i < batch {
                            (0..dim).map(|c| keys.get(i, c).powi(2)).sum::<f64>().sqrt()
                        } else {
                            0.0
                        };
                        for column in 0..dim {
                            let expected = match (i < batch, norm > 0.0) {
                                (false, _) => 9.0,
                                (true, false) => 0.0,
                                (true, true) => keys.get(i, column) / norm,
                            };
                            let error = (found.get(entry, column) - expected).abs();
                            let bound = if i < batch {
                                enqueue_tolerance(dtype, expected)
                            } else {
                                0.0
                            };
                            assert!(
                                error <= bound,
                                "{id} {dtype} entry {entry}, column {column}: {error:e}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_stored_key_does_not_depend_on_its_place() {
    let mut random = Random(33);
    let keys = Matrix::real(70, 100, &mut random);
    let ids: Vec<i64> = (0..70).collect();
    let empty = Queue {
        f16: vec![f16::ZERO; 7000],
        f32: vec![0.0; 7000],
        ids: vec![-1; 70],
    };
    for id in self::ids() {
        for dtype in [Dtype::F16, Dtype::F32] {
            let mut at_once = empty.clone();
            enqueue(&id, dtype, &mut at_once, keys.rows(Dtype::F32), &ids, 0).unwrap();
            let mut singly = empty.clone();
            for i in 0..70 {
                let row = keys.permuted(&[i]);
                enqueue(&id, dtype, &mut singly, row.rows(Dtype::F32), &ids[i..=i], i).unwrap();
            }
            assert_eq!(at_once, singly, "{id}");
        }
    }
}

#[test]
fn impossible_batches_write_nothing() {
    let old = Queue {
        f16: vec![f16::ONE; 6],
        f32: vec![1.0; 6],
        ids: vec![4, 5, 6],
    };
    let good = Matrix::new(2, 2, |_, _| 0.5);
    let many = Matrix::new(4, 2, |_, _| 0.5);
    let wide = Matrix::new(2, 3, |_, _| 0.5);
    let nan = Matrix::new(2, 2, |row, _| if row == 1 { f64::NAN } else { 1.0 });
    for id in ids() {
        let run = |keys: &Matrix, ids: &[i64], pointer| {
            let mut queue = old.clone();
            let error =
                enqueue(&id, Dtype::F32, &mut queue, keys.rows(Dtype::F32), ids, pointer).unwrap_err();
            assert_eq!(queue, old, "{id}");
            error
        };
        assert!(matches!(
            run(&good, &[1], 0),
            KernelError::Length {
                what: "ids of the keys",
                ..
            }
        ));
        assert!(matches!(
            run(&wide, &[1, 2], 0),
            KernelError::Length { what: "queue", .. }
        ));
        assert!(matches!(
            run(&good, &[1, 2], 3),
            KernelError::Argument { name: "pointer", .. }
        ));
        assert!(matches!(
            run(&many, &[1, 2, 3, 4], 0),
            KernelError::Argument {
                name: "batch of keys",
                ..
            }
        ));
        assert!(matches!(
            run(&nan, &[1, 2], 0),
            KernelError::NotFinite {
                side: "key",
                row: 1,
                column: 0,
                ..
            }
        ));
    }
}
