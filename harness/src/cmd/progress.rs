//! Progress of a run: bars on a terminal, one line a trial elsewhere; always on standard error.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::metric;
use crate::trial::event::{Observer, TrialEvent};

/// Draws [`TrialEvent`]s for a person.
pub struct Progress {
    bars: MultiProgress,
    trials: ProgressBar,
    steps: Option<ProgressBar>,
    on_terminal: bool,
}

impl Progress {
    /// Bars when standard error is a terminal, else plain lines.
    pub fn new() -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
            trials: ProgressBar::hidden(),
            steps: None,
            on_terminal: std::io::stderr().is_terminal(),
        }
    }

    fn line(&self, text: &str) {
        if self.on_terminal {
            self.bars.suspend(|| eprintln!("{text}"));
        } else {
            // A closed pipe must not end a run that is still recording.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    fn end_steps(&mut self) {
        if let Some(bar) = self.steps.take() {
            bar.finish_and_clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Progress {
    fn on_event(&mut self, event: &TrialEvent<'_>) {
        match *event {
            TrialEvent::RunStarted { n_trials, n_reused } => {
                let todo = n_trials - n_reused;
                self.line(&match n_reused {
                    0 => format!("{n_trials} trials to run"),
                    _ => format!("{todo} of {n_trials} trials to run, {n_reused} already recorded"),
                });
                if self.on_terminal {
                    let bar = ProgressBar::new(todo as u64).with_style(style(
                        "trials {bar:30} {pos}/{len}  {elapsed} elapsed, {eta} left",
                    ));
                    self.trials = self.bars.add(bar);
                }
            }
            TrialEvent::Started {
                name,
                steps,
                resumed_at,
            } => {
                if resumed_at > 0 {
                    self.line(&format!("{name}: goes on after step {resumed_at}"));
                }
                if self.on_terminal {
                    let bar = ProgressBar::new(steps)
                        .with_style(style("{prefix} {bar:30} step {pos}/{len}  {msg}"))
                        .with_prefix(name.to_owned());
                    bar.set_position(resumed_at);
                    self.steps = Some(self.bars.insert(0, bar));
                }
            }
            TrialEvent::Drawn { name, tensors } => {
                self.line(&format!(
                    "{name}: begins as drawn what `train.init_from` lacks: {}",
                    tensors.join(", ")
                ));
            }
            TrialEvent::Step { done, loss } => {
                if let Some(bar) = &self.steps {
                    bar.set_position(done);
                    bar.set_message(format!("loss {loss:.3}"));
                }
            }
            TrialEvent::Evaluating => {
                if let Some(bar) = &self.steps {
                    bar.set_message("ranking the test split");
                }
            }
            TrialEvent::Finished { name, headline, took } => {
                self.end_steps();
                let result = headline
                    .map(|(k, recall)| format!("t2v R@{k} {:.1} %, ", recall * 100.0))
                    .unwrap_or_default();
                self.line(&format!("{name}: {result}{}", seconds(took)));
                self.trials.inc(1);
            }
            TrialEvent::Failed { name, error } => {
                self.end_steps();
                self.line(&format!("{name}: failed: {error}"));
                self.trials.inc(1);
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end_steps();
        self.trials.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are valid")
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// Fewest pairs for which a bar is drawn: fewer take about a second.
const LONG: u64 = 1 << 30;

/// A bar over the pairs of an evaluation, on a terminal and where it takes long.
pub(super) struct Pairs {
    bar: Option<ProgressBar>,
}

impl Pairs {
    pub(super) fn new() -> Self {
        Self { bar: None }
    }

    /// Draws how far counting has come.
    pub(super) fn show(&mut self, progress: metric::Progress) {
        if progress.n_pairs < LONG {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            ProgressBar::with_draw_target(Some(progress.n_pairs), ProgressDrawTarget::stderr_with_hz(10))
                .with_style(style("pairs {bar:30} {percent} %  {elapsed} elapsed, {eta} left"))
        });
        bar.set_position(progress.n_done);
    }
}

impl Drop for Pairs {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar over the captions and videos that a model embeds, on a terminal.
#[cfg(feature = "torch")]
pub(super) struct Rows {
    bar: Option<ProgressBar>,
}

#[cfg(feature = "torch")]
impl Rows {
    pub(super) fn new() -> Self {
        Self { bar: None }
    }

    /// Draws how far embedding has come.
    pub(super) fn show(&mut self, n_done: usize, n_rows: usize) {
        let bar = self.bar.get_or_insert_with(|| {
            ProgressBar::with_draw_target(Some(n_rows as u64), ProgressDrawTarget::stderr_with_hz(10))
                .with_style(style(
                    "captions and videos {bar:30} {pos}/{len}  {elapsed} elapsed, {eta} left",
                ))
        });
        bar.set_position(n_done as u64);
    }
}

#[cfg(feature = "torch")]
impl Drop for Rows {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
