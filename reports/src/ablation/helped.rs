//! Whether a setting helped, as far as its interval carries.

use super::difference::{Difference, percent_level};
use super::view::RunView;
use crate::grid::{Grid, wrapped};
use crate::markdown::{escaped, grid_md, line, section};
use crate::record::{ComparisonsFile, RunRecord, TrialRecord, Verdict};

pub(super) fn differences(out: &mut String, view: &RunView<'_>, comparisons: &ComparisonsFile) {
    let differences = Difference::all(view.run, comparisons);
    if differences.is_empty() {
        return;
    }
    section(out, "What helped");
    let method = comparisons.method.trim();
    line(
        out,
        &format!("Differences of cells; positive means higher than what it is compared to. {method}\n"),
    );
    for group in differences.chunk_by(|one, next| one.key() == next.key()) {
        let first = &group[0];
        let mut said: Vec<bool> = vec![false; group.len()];
        for axis in &view.axes {
            let alone: Vec<usize> = (0..group.len())
                .filter(|&at| group[at].only_changes(view, axis.name))
                .collect();
            if alone.is_empty() {
                continue;
            }
            line(
                out,
                &format!("{}, {} score:\n", escaped(axis.name), first.record.score),
            );
            for at in alone {
                said[at] = true;
                line(out, &format!("- {}", escaped(&group[at].sentence(view))));
            }
            line(out, "");
        }
        if said.contains(&false) {
            line(
                out,
                &format!("Several changes at once, {} score:\n", first.record.score),
            );
            for (one, _) in group.iter().zip(&said).filter(|(_, said)| !**said) {
                line(out, &format!("- {}", escaped(&one.sentence(view))));
            }
            line(out, "");
        }
        let grid = Grid {
            caption: format!(
                "{}, {} score, in {}",
                first.metric.name, first.record.score, first.metric.unit
            ),
            header: ["cells", "verdict", "difference", "interval", "level, %", "seeds"]
                .map(str::to_owned)
                .to_vec(),
            n_words: 2,
            rows: group.iter().map(|one| difference_row(view, one)).collect(),
        };
        grid_md(out, &grid);
    }
}

/// What a console says of the same: the differences that help or harm is shown of, one sentence each, and how many others
/// there are; nothing without differences. `width` is the terminal's, in columns.
pub fn console_differences(
    run: &RunRecord,
    trials: &[TrialRecord],
    comparisons: &ComparisonsFile,
    width: Option<u16>,
) -> String {
    let view = RunView::new(run, trials);
    let differences = Difference::all(run, comparisons);
    if differences.is_empty() {
        return String::new();
    }
    let is_open = |one: &&Difference<'_>| one.record.verdict == Verdict::Inconclusive;
    let (open, shown): (Vec<_>, Vec<_>) = differences.iter().partition(is_open);
    let mut text = "\nWhat helped:\n".to_owned();
    for one in &shown {
        text += &format!(
            "{}\n",
            wrapped(&format!("- {}", one.sentence(&view)), width, "  ")
        );
    }
    let n_single = open.iter().filter(|one| one.record.n_seeds == 1).count();
    let lines = [
        (open.len() - n_single, "this run shows neither help nor harm"),
        (
            n_single,
            "no statement, since one seed says nothing about another training",
        ),
    ];
    for (n, verdict) in lines.into_iter().filter(|(n, _)| *n > 0) {
        let other = if shown.is_empty() { "" } else { "other " };
        let plural = if n == 1 { "" } else { "s" };
        let line =
            format!("- {n} {other}difference{plural}: {verdict}; report.md has estimates and intervals.");
        text += &format!("{}\n", wrapped(&line, width, "  "));
    }
    text
}

fn difference_row(view: &RunView<'_>, one: &Difference<'_>) -> Vec<String> {
    let verdict = match one.record.verdict {
        Verdict::Improved => "improved",
        Verdict::Regressed => "regressed",
        Verdict::Inconclusive => "inconclusive",
    };
    vec![
        one.label(view),
        verdict.to_owned(),
        one.metric.signed(one.record.estimate),
        one.metric.interval(one.record),
        percent_level(one.record.level),
        one.record.n_seeds.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn said(seeds: &[u64], change: impl Fn(&mut ComparisonsFile)) -> String {
        let run = fixture::queue_by_hierarchy(seeds);
        let mut comparisons = fixture::comparisons(&run);
        change(&mut comparisons);
        console_differences(&run, &fixture::trials(&run), &comparisons, Some(80))
    }

    #[test]
    fn a_console_has_what_is_shown_and_counts_the_rest() {
        insta::assert_snapshot!(said(&[0, 1, 2], |_| {}), @r"
        What helped:
        - hierarchy feature instead of semantic, at queue_len=0: t2v R@10 changed by
          -4.9 points, 95 % interval [-8.9, -0.9], 3 seeds: it hurt.
        - queue_len 256 instead of 0 and hierarchy feature instead of semantic: t2v R@10
          changed by +4.5 points, 95 % interval [+0.5, +8.5], 3 seeds: it helped.
        - queue_len 256 instead of 0 and hierarchy both instead of semantic: t2v R@10
          changed by +7.6 points, 95 % interval [+3.6, +11.6], 3 seeds: it helped.
        - queue_len 1024 instead of 0, at hierarchy=semantic: t2v R@10 changed by +10.7
          points, 95 % interval [+6.7, +14.7], 3 seeds: it helped.
        - queue_len 1024 instead of 0 and hierarchy feature instead of semantic: t2v
          R@10 changed by +13.8 points, 95 % interval [+9.8, +17.8], 3 seeds: it helped.
        - queue_len 1024 instead of 0 and hierarchy both instead of semantic: t2v R@10
          changed by +17.0 points, 95 % interval [+13.0, +21.0], 3 seeds: it helped.
        - 2 other differences: this run shows neither help nor harm; report.md has
          estimates and intervals.
        ");
    }

    #[test]
    fn a_console_says_why_nothing_is_shown() {
        let open = |found: &mut ComparisonsFile| {
            found.comparisons.truncate(2);
            found
                .comparisons
                .iter_mut()
                .for_each(|one| one.verdict = Verdict::Inconclusive);
        };
        insta::assert_snapshot!(said(&[0, 1, 2], open), @r"
        What helped:
        - 2 differences: this run shows neither help nor harm; report.md has estimates
          and intervals.
        ");
        insta::assert_snapshot!(said(&[0], open), @r"
        What helped:
        - 2 differences: no statement, since one seed says nothing about another
          training; report.md has estimates and intervals.
        ");
        assert_eq!(said(&[0], |found| found.comparisons.clear()), "");
    }
}
