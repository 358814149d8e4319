//! All that progress sees of a running throughput suite.

/// What happens while cells are measured, in order.
#[derive(Debug, Clone, Copy)]
pub enum MeasureEvent<'a> {
    /// The run begins.
    RunStarted {
        /// Cells of the plan.
        n_cells: usize,
        /// Those that a record already answers.
        n_reused: usize,
        /// Times that a cell will be measured, over all processes.
        n_measurements: usize,
        /// Times that a stopped run has measured them already.
        n_kept: usize,
    },
    /// A cell begins in a process.
    Started {
        /// Display name.
        name: &'a str,
        /// Process, counted from 0.
        process: u64,
    },
    /// A cell is done in a process.
    Measured,
    /// A cell is recorded.
    Recorded {
        /// Display name.
        name: &'a str,
        /// What came of it, in words.
        outcome: &'a str,
    },
}

/// Receives the events of a run.
pub trait MeasureObserver {
    /// Called on the thread that waits for the children; must return soon.
    fn on_event(&mut self, event: &MeasureEvent<'_>);
}
