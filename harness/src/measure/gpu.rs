//! The GPU around the samples of a cell.

use hitbench_kernels::cuda::monitor::{Condition, Monitor};
use hitbench_reports::record::GpuStateRecord;

/// The GPU before the first sample.
pub(super) struct Watch {
    monitor: Monitor,
    before: Condition,
}

impl Watch {
    /// `None` where there is no GPU, or none that tells.
    pub(super) fn begin() -> Option<Self> {
        let monitor = Monitor::first()?;
        let before = monitor.read()?;
        Some(Self { monitor, before })
    }

    /// The record, with the GPU as it is now.
    pub(super) fn finish(self) -> Option<GpuStateRecord> {
        Some(record(self.before, self.monitor.read()?))
    }
}

fn record(before: Condition, after: Condition) -> GpuStateRecord {
    let both = |of: fn(&Condition) -> Option<u64>| Some([of(&before)?, of(&after)?]);
    let (clock_hz, memory_clock_hz) = (both(|at| at.clock_hz), both(|at| at.memory_clock_hz));
    let throttled_by = before
        .throttled_by
        .zip(after.throttled_by)
        .map(|(mut before, after)| {
            let new: Vec<String> = after
                .into_iter()
                .filter(|reason| !before.contains(reason))
                .collect();
            before.extend(new);
            before
        });
    GpuStateRecord {
        clock_hz,
        memory_clock_hz,
        power_w: after.power_w,
        temperature_c: after.temperature_c,
        throttled_by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_joins_what_was_before_and_after() {
        let at = |clock_hz, reasons: &[&str]| Condition {
            clock_hz,
            memory_clock_hz: Some(3),
            power_w: clock_hz.map(|hz| hz as f64),
            temperature_c: None,
            throttled_by: Some(reasons.iter().map(|&reason| reason.to_owned()).collect()),
        };
        let found = record(at(Some(5), &["a", "b"]), at(Some(4), &["b", "c"]));
        assert_eq!(
            (found.clock_hz, found.memory_clock_hz, found.power_w),
            (Some([5, 4]), Some([3; 2]), Some(4.0))
        );
        let joined = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(found.throttled_by, Some(joined));
        assert_eq!(record(at(None, &[]), at(Some(4), &[])).clock_hz, None);
    }
}
