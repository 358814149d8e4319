//! What a column is read from.

use std::path::Path;

use hitbench_reports::RunFolder;
use hitbench_reports::compare::{Column, ColumnSource, GpuPeakRates, PeakRates};
use hitbench_reports::record::{GpuPeaksRecord, ProcessRecord};

use crate::gate::evidence::median;
use crate::gate::{Baseline, Evidence, GateError};
use crate::machine::fingerprint;

/// One of the runs that are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Its label, unlike all others.
    pub label: String,
    /// Run folder or baseline file.
    pub path: String,
    /// Which of them.
    pub source: ColumnSource,
    /// What the run gave.
    pub evidence: Evidence,
}

impl Subject {
    /// Reads a run folder, or a baseline where `path` is a file.
    ///
    /// # Errors
    /// Those of [`Evidence::read`] and [`Baseline::load`].
    pub fn read(path: &Path, label: String) -> Result<Self, GateError> {
        let (source, evidence) = match path.is_file() {
            true => (ColumnSource::Baseline, Baseline::load(path)?.evidence),
            false => (ColumnSource::Run, Evidence::read(&RunFolder::new(path))?),
        };
        Ok(Self {
            label,
            path: path.display().to_string(),
            source,
            evidence,
        })
    }

    /// Who ran it and where, against the reference.
    pub(super) fn column(&self, reference: &Self) -> Column {
        let Evidence { tool, machine, .. } = &self.evidence;
        let own = fingerprint(machine);
        Column {
            label: self.label.clone(),
            path: self.path.clone(),
            source: self.source,
            build_id: tool.build_id.clone(),
            git_revision: tool.git_revision.clone(),
            dirty: tool.dirty,
            is_like_machine: own == fingerprint(&reference.evidence.machine),
            is_same_build: tool.build_id == reference.evidence.tool.build_id,
            fingerprint: own,
            machine: machine.clone(),
            peaks: self.peaks(),
            gpu_peaks: self.gpu_peaks(),
        }
    }

    /// Medians of the GPU's peaks over processes.
    pub(super) fn gpu_peaks(&self) -> Option<GpuPeakRates> {
        let of = |rate: fn(&GpuPeaksRecord) -> Option<f64>| {
            median(self.evidence.gpu_peaks.iter().filter_map(rate).collect())
        };
        Some(GpuPeakRates {
            product_flops_per_s: of(|process| process.product_flops_per_s),
            copy_bytes_per_s: of(|process| Some(process.copy_bytes_per_s))?,
        })
    }

    /// Medians of the CPU's peaks over processes.
    pub(super) fn peaks(&self) -> Option<PeakRates> {
        let of = |rate: fn(&ProcessRecord) -> f64| {
            median(self.evidence.peaks.iter().map(rate).collect()).filter(|rate| *rate > 0.0)
        };
        Some(PeakRates {
            fma_flops_per_s: of(|process| process.fma_flops_per_s)?,
            copy_bytes_per_s: of(|process| process.copy_bytes_per_s)?,
        })
    }
}
