//! Which instruction set: asked once, chosen by name or automatically.

use std::sync::Once;

use super::isa::Isa;
#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
use super::scalar::Scalar;
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};
use super::{info_nce, momentum, rank, scores};
use crate::id::CpuIsa;
use crate::info_nce::{InfoNce, InfoNceJob, InfoNceOutput};
use crate::kernel::Kernel;
use crate::momentum::{EmaPair, EmaUpdate, Enqueue, EnqueueJob};
use crate::rank::{RankCounts, RankJob, RankOutput};
use crate::scores::{Hit, Scores, TopK};
use crate::{Dtype, KernelError, KernelId, Rows};

/// An instruction set of this machine.
#[derive(Debug, Clone, Copy)]
enum Detected {
    Scalar(Scalar),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

/// Calls a function that is generic over the instruction set with the one in hand.
macro_rules! with_isa {
    ($detected:expr, |$isa:ident| $call:expr) => {
        match $detected {
            Detected::Scalar($isa) => $call,
            #[cfg(target_arch = "x86_64")]
            Detected::Avx2($isa) => $call,
            #[cfg(target_arch = "x86_64")]
            Detected::Avx512($isa) => $call,
            #[cfg(target_arch = "aarch64")]
            Detected::Neon($isa) => $call,
        }
    };
}

/// The sets of this machine, best first.
fn detect() -> Vec<(CpuIsa, Detected)> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        found.extend(Avx512::detect().map(|isa| (CpuIsa::Avx512, Detected::Avx512(isa))));
        found.extend(Avx2::detect().map(|isa| (CpuIsa::Avx2, Detected::Avx2(isa))));
    }
    #[cfg(target_arch = "aarch64")]
    found.extend(Neon::detect().map(|isa| (CpuIsa::Neon, Detected::Neon(isa))));
    found.push((CpuIsa::Scalar, Detected::Scalar(Scalar)));
    found
}

/// The instruction set that `auto` stands for.
pub(crate) fn best_isa() -> CpuIsa {
    static LOGGED: Once = Once::new();
    let best = detect()[0].0;
    LOGGED.call_once(|| tracing::info!(isa = ?best, "chose the instruction set of the CPU kernels"));
    best
}

/// The instruction sets of this machine, best first.
pub(crate) fn available_isas() -> Vec<CpuIsa> {
    detect().into_iter().map(|(isa, _)| isa).collect()
}

/// Runs the chains of multiply-adds of the best set; gives their sum and the lanes of one chain.
pub(super) fn multiply_add_chains(rounds: u64) -> (f32, usize) {
    fn run<I: Isa<MR, NR>, const MR: usize, const NR: usize>(isa: I, rounds: u64) -> (f32, usize) {
        (isa.multiply_add_chains(rounds), MR)
    }
    with_isa!(detect()[0].1, |isa| run(isa, rounds))
}

/// The CPU back end with one instruction set and one element type.
#[derive(Debug, Clone, Copy)]
pub struct CpuKernel {
    id: KernelId,
    isa: Detected,
    dtype: Dtype,
}

impl CpuKernel {
    /// The kernel for `isa` (`Auto` takes the best) with rows of `dtype`.
    ///
    /// # Errors
    /// [`KernelError::Unavailable`] when this machine lacks `isa`; [`KernelError::UnknownKernel`] when `dtype` is
    /// f64, which only the reference has.
    pub fn new(isa: CpuIsa, dtype: Dtype) -> Result<Self, KernelError> {
        let id = KernelId::Cpu { isa, dtype }.resolve();
        if dtype == Dtype::F64 {
            return Err(KernelError::UnknownKernel { id: id.to_string() });
        }
        let detected = detect();
        detected
            .iter()
            .find(|(name, _)| KernelId::Cpu { isa: *name, dtype } == id)
            .map(|&(_, isa)| Self { id, isa, dtype })
            .ok_or_else(|| KernelError::Unavailable {
                id: id.to_string(),
                reason: format!(
                    "this CPU has {}",
                    detected
                        .iter()
                        .map(|(isa, _)| KernelId::Cpu { isa: *isa, dtype }.to_string())
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            })
    }
}

impl Kernel for CpuKernel {
    fn id(&self) -> KernelId {
        self.id
    }
}

impl RankCounts for CpuKernel {
    fn rank_counts(&self, job: &RankJob<'_>) -> Result<RankOutput, KernelError> {
        with_isa!(self.isa, |isa| rank::rank_counts(isa, self.dtype, job))
    }
}

impl Scores for CpuKernel {
    fn scores(&self, query: Rows<'_>, gallery: Rows<'_>, out: &mut [f32]) -> Result<(), KernelError> {
        with_isa!(self.isa, |isa| scores::scores(
            isa, self.dtype, query, gallery, out
        ))
    }
}

impl TopK for CpuKernel {
    fn top_k(&self, query: Rows<'_>, gallery: Rows<'_>, k: usize) -> Result<Vec<Hit>, KernelError> {
        with_isa!(self.isa, |isa| scores::top_k(isa, self.dtype, query, gallery, k))
    }
}

impl InfoNce for CpuKernel {
    fn info_nce(&self, job: &InfoNceJob<'_>) -> Result<InfoNceOutput, KernelError> {
        with_isa!(self.isa, |isa| info_nce::info_nce(isa, self.dtype, job))
    }
}

impl EmaUpdate for CpuKernel {
    fn ema_update(&self, momentum: f64, pairs: &mut [EmaPair<'_>]) -> Result<(), KernelError> {
        with_isa!(self.isa, |isa| momentum::ema_update(isa, momentum, pairs))
    }
}

impl Enqueue for CpuKernel {
    fn enqueue(&self, job: EnqueueJob<'_>) -> Result<usize, KernelError> {
        with_isa!(self.isa, |isa| momentum::enqueue(isa, job))
    }
}
