//! The shared cases, on every kernel of this machine; a test for each family of kernels.

use hitbench_kernels::conformance::{OPERATIONS, Verdict, verify};
use hitbench_kernels::{KernelError, KernelId, available_kernels, unavailable_kernels};

fn check(family: &str) {
    let belongs = |id: &KernelId| id.to_string().starts_with(family);
    let kernels: Vec<KernelId> = available_kernels().into_iter().filter(belongs).collect();
    if kernels.is_empty() {
        let reason = unavailable_kernels().into_iter().find(|(id, _)| belongs(id));
        println!("skipped: {}", reason.unwrap().1);
    }
    for id in kernels {
        let findings = verify(id, &OPERATIONS, 0).unwrap();
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

/// One test a family, and the list of families.
macro_rules! families {
    ($($test:ident: $family:literal;)*) => {
        $(
            #[test]
            fn $test() {
                check($family);
            }
        )*
        const FAMILIES: &[&str] = &[$($family),*];
    };
}

families! {
    reference_passes: "reference/";
    scalar_passes: "cpu/scalar/";
    avx2_passes: "cpu/avx2/";
    avx512_passes: "cpu/avx512/";
    neon_passes: "cpu/neon/";
    cuda_passes: "cuda/";
    libtorch_on_the_cpu_passes: "libtorch/cpu/";
    libtorch_on_cuda_passes: "libtorch/cuda/";
}

#[test]
fn each_concrete_kernel_has_a_family_and_is_available_or_has_a_reason() {
    let unavailable = unavailable_kernels();
    let available = available_kernels();
    let concrete: Vec<KernelId> = KernelId::all().filter(|id| id.resolve() == *id).collect();
    assert_eq!(concrete.len(), available.len() + unavailable.len());
    for id in concrete {
        let families = FAMILIES
            .iter()
            .filter(|family| id.to_string().starts_with(**family));
        assert_eq!(families.count(), 1, "{id}");
    }
    for (id, reason) in unavailable {
        assert!(!available.contains(&id) && !reason.is_empty());
        assert!(matches!(
            verify(id, &OPERATIONS, 0),
            Err(KernelError::Unavailable { .. })
        ));
    }
}
