//! What the tests of this folder share.

use crate::format::tests::matrix_f32;
use crate::metric::{DirectionMetrics, Pairing, Rules, count_matrix, summarize};

/// Metrics of two queries, for tests that replace what matters to them.
pub(crate) fn some_metrics() -> DirectionMetrics {
    let (_folder, matrix) = matrix_f32(&[&[1.0, 0.0], &[0.0, 1.0]]);
    let rules = Rules::default();
    let counts = count_matrix(matrix.rows(), &Pairing::one_to_one(2).unwrap(), rules.captions).unwrap();
    summarize(&counts.t2v, &rules, None).unwrap()
}
