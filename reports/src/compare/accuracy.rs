//! The table of recalls: a row a cell, direction and column, with differences to the reference below each value.

use super::record::{AccuracyRow, AccuracyValue, CompareRecord, DifferenceFound};
use crate::grid::Grid;
use crate::record::{Direction, Verdict};

/// `None` without accuracy.
pub(super) fn accuracy_grid(record: &CompareRecord) -> Option<Grid> {
    let mut cut_offs: Vec<u64> = record.accuracy.iter().map(|row| row.k).collect();
    cut_offs.sort_unstable();
    cut_offs.dedup();
    let mut blocks: Vec<(&str, Direction)> = Vec::new();
    for row in &record.accuracy {
        if !blocks.contains(&(&row.cell, row.direction)) {
            blocks.push((&row.cell, row.direction));
        }
    }
    let mut rows = Vec::new();
    for (cell, direction) in blocks {
        let own: Vec<Option<&AccuracyRow>> = cut_offs
            .iter()
            .map(|&k| {
                let is_own =
                    |row: &&AccuracyRow| row.cell == cell && row.direction == direction && row.k == k;
                record.accuracy.iter().find(is_own)
            })
            .collect();
        for at in 0..record.columns.len() {
            let values: Vec<Option<&AccuracyValue>> = own
                .iter()
                .map(|row| row.as_ref().and_then(|row| row.values.get(at)?.as_ref()))
                .collect();
            let seeds = values.iter().flatten().map(|value| value.n_seeds).max();
            let first = match at {
                0 => [cell.to_owned(), direction.to_string()],
                _ => Default::default(),
            };
            let mut line = first.to_vec();
            line.extend([
                record.label(at).to_owned(),
                seeds.map_or("none".to_owned(), |seeds| seeds.to_string()),
            ]);
            line.extend(
                values
                    .into_iter()
                    .map(|value| value.map(text).unwrap_or_default()),
            );
            rows.push(line);
        }
    }
    let names = cut_offs.iter().map(|k| format!("R@{k} %"));
    (!rows.is_empty()).then(|| Grid {
        caption: "Recalls, means over seeds; below them the differences to the reference in points"
            .to_owned(),
        header: ["cell", "direction", "run", "seeds"]
            .into_iter()
            .map(str::to_owned)
            .chain(names)
            .collect(),
        n_words: 3,
        rows,
    })
}

fn text(value: &AccuracyValue) -> String {
    let [low, high] = value.interval.map(|end| 100.0 * end);
    let own = format!("{:.1} [{low:.1}, {high:.1}]", 100.0 * value.mean);
    match &value.difference {
        Some(difference) => format!("{own}\n{}", difference_text(difference)),
        None => own,
    }
}

/// `+1.2 [-0.3, +2.7]`, with a `!` where 0 is left out.
pub(super) fn difference_text(difference: &DifferenceFound) -> String {
    let [low, high] = difference.interval;
    let mark = match difference.verdict {
        Verdict::Inconclusive => "",
        Verdict::Improved | Verdict::Regressed => " !",
    };
    format!(
        "{} [{}, {}]{mark}",
        points(difference.estimate),
        points(low),
        points(high)
    )
}

/// A fraction in points with its sign, nothing being `0.0`.
pub(super) fn points(fraction: f64) -> String {
    let text = format!("{:+.1}", 100.0 * fraction);
    match text.as_str() {
        "+0.0" | "-0.0" => "0.0".to_owned(),
        _ => text,
    }
}
