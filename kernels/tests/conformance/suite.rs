//! The shared cases, on every kernel of this machine.

use hitbench_kernels::conformance::{Verdict, verify};
use hitbench_kernels::{KernelError, KernelId, available_kernels, unavailable_kernels};

#[test]
fn every_available_kernel_passes() {
    for id in available_kernels() {
        let findings = verify(id).unwrap();
        let operations: Vec<_> = findings.iter().map(|finding| finding.operation).collect();
        assert_eq!(
            operations,
            [
                "rank_counts",
                "top_k",
                "scores",
                "info_nce",
                "ema_update",
                "enqueue"
            ]
        );
        for finding in findings {
            assert_eq!(finding.verdict, Verdict::Passed, "{finding:#?}");
            assert!(finding.kernel == id && finding.n_cases > 5 && finding.deviation.n_compared > 1000);
            let could_flip = finding.could_flip.map(|(some, all)| some <= all && all > 1000);
            assert_eq!(
                could_flip,
                (finding.operation == "rank_counts").then_some(true),
                "{finding:?}"
            );
        }
    }
}

#[test]
fn each_concrete_kernel_is_available_or_has_a_reason() {
    let unavailable = unavailable_kernels();
    let (available, concrete) = (
        available_kernels(),
        KernelId::all().filter(|id| id.resolve() == *id),
    );
    assert_eq!(concrete.count(), available.len() + unavailable.len());
    for (id, reason) in unavailable {
        assert!(!available.contains(&id) && !reason.is_empty());
        assert!(matches!(verify(id), Err(KernelError::Unavailable { .. })));
    }
}
