//! `ema_update` and `enqueue`: purity and bad input.

use half::f16;
use hitbench_kernels::conformance::inputs::{Matrix, Random};
use hitbench_kernels::{
    Dtype, EmaPair, EnqueueJob, KernelError, QueueRows, Rows, available_kernels, ema_update_kernel,
    enqueue_kernel,
};

fn ids() -> impl Iterator<Item = String> {
    available_kernels().into_iter().map(|id| id.to_string())
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
fn a_stored_key_does_not_depend_on_its_place() {
    let mut random = Random(33);
    // A row as most tests have them; and more keys than one task writes, which wrap round.
    for (n, dim, pointer) in [(70, 100, 0), (2500, 3, 200)] {
        let keys = Matrix::real(n, dim, &mut random);
        let ids: Vec<i64> = (0..n as i64).collect();
        let empty = Queue {
            f16: vec![f16::ZERO; n * dim],
            f32: vec![0.0; n * dim],
            ids: vec![-1; n],
        };
        for id in self::ids() {
            for dtype in [Dtype::F16, Dtype::F32] {
                let mut at_once = empty.clone();
                enqueue(&id, dtype, &mut at_once, keys.rows(Dtype::F32), &ids, pointer).unwrap();
                let mut singly = empty.clone();
                for i in 0..n {
                    let (row, place) = (keys.permuted(&[i]), (pointer + i) % n);
                    enqueue(&id, dtype, &mut singly, row.rows(Dtype::F32), &ids[i..=i], place).unwrap();
                }
                assert!(at_once == singly, "{id}, {n} keys of {dim}");
            }
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

/// Rows of a large queue may be written past the caches.
#[test]
fn rows_of_large_queues_are_those_of_small_ones() {
    // 8 MiB and a little, dims with and without a rest of 16 elements and rows that begin anywhere.
    for (dim, queue_len) in [(64, 65_537), (39, 107_600), (1000, 4200)] {
        let keys = Matrix::new(5, dim, |row, column| {
            ((row * 31 + column * 17) % 23) as f64 - 11.0
        });
        let key_ids = [1, 2, 3, 4, 5];
        for id in ids() {
            let kernel = enqueue_kernel(&id).unwrap();
            let written = |len: usize, offset: usize| -> Vec<f16> {
                let mut rows = vec![f16::ZERO; len * dim + offset];
                let mut queue_ids = vec![-1; len];
                let job = EnqueueJob {
                    keys: keys.rows(Dtype::F32),
                    ids: &key_ids,
                    queue: QueueRows::F16(&mut rows[offset..]),
                    queue_ids: &mut queue_ids,
                    pointer: len - 2,
                };
                assert_eq!(kernel.enqueue(job).unwrap(), 3);
                let (wrapped, end) = (&rows[offset..][..3 * dim], &rows[offset..][(len - 2) * dim..]);
                [end, wrapped].concat()
            };
            let small = written(7, 0);
            assert!(small.iter().any(|x| *x != f16::ZERO));
            for offset in [0, 1, 8] {
                assert_eq!(
                    written(queue_len, offset),
                    small,
                    "{id}, {queue_len} x {dim}, offset {offset}"
                );
            }
        }
    }
}
