//! The GPU while it was measured: clocks, power, temperature, and what held the clocks down.

use super::view::ThroughputView;
use crate::grid::Grid;
use crate::record::GpuStateRecord;

/// Reasons that somebody chose: such clocks are low, and steady.
const CHOSEN: [&str; 2] = ["applications_clocks_setting", "display_clock_setting"];

/// What held the clocks of the GPU down unasked, in one line.
pub(super) fn throttling(view: &ThroughputView<'_>) -> Option<String> {
    let unasked = |state: &GpuStateRecord| -> Vec<String> {
        let reasons = state.throttled_by.iter().flatten();
        reasons
            .filter(|reason| !CHOSEN.contains(&reason.as_str()))
            .cloned()
            .collect()
    };
    let by_timing: Vec<Vec<String>> = gpu_states(view).map(|(_, _, state)| unasked(state)).collect();
    let n_held = by_timing.iter().filter(|reasons| !reasons.is_empty()).count();
    let mut reasons = by_timing.concat();
    reasons.sort_unstable();
    reasons.dedup();
    (n_held > 0).then(|| {
        format!(
            "noisy: the clocks of the GPU were held down around {n_held} of {} timings ({}).",
            by_timing.len(),
            reasons.join(", ")
        )
    })
}

/// The GPU around every timing: entry, process, state.
fn gpu_states<'a>(view: &'a ThroughputView<'_>) -> impl Iterator<Item = (String, usize, &'a GpuStateRecord)> {
    let entries = view
        .blocks
        .iter()
        .flat_map(|block| block.entries.iter().map(move |entry| (block, entry)));
    entries.flat_map(|(block, entry)| {
        let states = entry.record.result().into_iter().flat_map(|result| &result.gpu);
        let name = format!("{}, {}", entry.label, block.title());
        let told = states
            .enumerate()
            .filter_map(|(process, state)| Some((process, state.as_ref()?)));
        told.map(move |(process, state)| (name.clone(), process, state))
    })
}

/// One row a kernel, shape and process: the GPU before and after its samples; `None` without any.
pub(super) fn gpu_grid(view: &ThroughputView<'_>) -> Option<Grid> {
    let unknown = || "unknown".to_owned();
    let giga = |clock: Option<[u64; 2]>, at: usize| {
        clock.map_or_else(unknown, |clock| format!("{:.3}", clock[at] as f64 / 1e9))
    };
    let rows: Vec<Vec<String>> = gpu_states(view)
        .map(|(name, process, state)| {
            vec![
                name,
                process.to_string(),
                giga(state.clock_hz, 0),
                giga(state.clock_hz, 1),
                giga(state.memory_clock_hz, 1),
                state.power_w.map_or_else(unknown, |watts| format!("{watts:.0}")),
                state
                    .temperature_c
                    .map_or_else(unknown, |degrees| degrees.to_string()),
                match state.throttled_by.as_deref() {
                    None => unknown(),
                    Some([]) => "-".to_owned(),
                    Some(reasons) => reasons.join(", "),
                },
            ]
        })
        .collect();
    (!rows.is_empty()).then(|| Grid {
        caption: String::new(),
        header: [
            "kernel and shape",
            "process",
            "clock before, GHz",
            "clock after, GHz",
            "memory clock after, GHz",
            "power after, W",
            "temperature after, C",
            "held down by",
        ]
        .map(str::to_owned)
        .to_vec(),
        n_words: 1,
        rows,
    })
}
