//! Integration tests of the harness.

mod metric_goldens;
