//! Whether a setting helped, as far as its interval carries.

use super::difference::{Difference, percent_level};
use super::view::RunView;
use crate::grid::Grid;
use crate::markdown::{escaped, grid_md, line, section};
use crate::record::{ComparisonsFile, Verdict};

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
