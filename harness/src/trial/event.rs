//! All that progress bars and reporters ever see of a running suite.

use std::time::Duration;

/// What came of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunOutcome {
    /// Trials whose record was there already.
    pub n_reused: usize,
    /// Trials that ran to their end.
    pub n_ok: usize,
    /// Trials that failed.
    pub n_failed: usize,
    /// Whether a signal stopped the run before its end.
    pub stopped: bool,
}

/// What happens while trials run, in order.
#[derive(Debug, Clone, Copy)]
pub enum TrialEvent<'a> {
    /// The run begins.
    RunStarted {
        /// Trials of the plan.
        n_trials: usize,
        /// Those that a finished record already answers.
        n_reused: usize,
    },
    /// Weights of a trial that `train.init_from` lacks begin as drawn.
    Drawn {
        /// Display name.
        name: &'a str,
        /// Names of the tensors.
        tensors: &'a [String],
    },
    /// A trial begins, or goes on from a checkpoint.
    Started {
        /// Display name.
        name: &'a str,
        /// Steps in all.
        steps: u64,
        /// Steps that a checkpoint already holds.
        resumed_at: u64,
    },
    /// One optimizer step is done.
    Step {
        /// Steps done so far.
        done: u64,
        /// Loss of this step.
        loss: f64,
    },
    /// Training is over; the test split is being ranked.
    Evaluating,
    /// The trial is recorded.
    Finished {
        /// Display name.
        name: &'a str,
        /// Headline recall, text to video: cut-off and fraction.
        headline: Option<(u64, f64)>,
        /// Time of this trial in this process.
        took: Duration,
    },
    /// The trial is recorded as failed.
    Failed {
        /// Display name.
        name: &'a str,
        /// The error, causes included.
        error: &'a str,
    },
}

/// Receives the events of a run.
pub trait Observer {
    /// Called on the thread that runs the trials; must return soon.
    fn on_event(&mut self, event: &TrialEvent<'_>);
}
