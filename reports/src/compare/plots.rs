//! Which plots a comparison gets: bars a cell with a bar a column, and rooflines.

use super::accuracy::{difference_text, points};
use super::record::{AccuracyRow, AccuracyValue, CompareRecord, DifferenceFound, ThroughputRow};
use super::rooflines::roofline;
use super::throughput::{interval_text, times};
use crate::plot::{BarScale, Figure, Group, GroupBar, GroupFigure, Named};
use crate::record::Direction;

/// The cut-off whose recalls are drawn.
const DRAWN_K: u64 = 1;

/// Every plot that the comparison can fill.
pub(super) fn figures(record: &CompareRecord) -> Vec<Named> {
    let mut named: Vec<Named> = record
        .metrics()
        .into_iter()
        .filter_map(|metric| ratios(record, metric))
        .collect();
    named.extend(
        [Direction::T2v, Direction::V2t]
            .into_iter()
            .filter_map(|direction| recalls(record, direction)),
    );
    named.extend(roofline(record));
    named
}

pub(super) fn subtitle(record: &CompareRecord, rest: &str) -> String {
    let suite = &record.suite;
    format!("suite {}, version {}; {rest}", suite.name, suite.version)
}

/// Names of the columns, the reference marked.
fn names(record: &CompareRecord) -> Vec<String> {
    let name = |(at, column): (usize, &super::record::Column)| {
        let mark = if at == record.reference {
            " (reference)"
        } else {
            ""
        };
        format!("{}{mark}", column.label)
    };
    record.columns.iter().enumerate().map(name).collect()
}

/// Rates relative to the reference's, a group a cell.
fn ratios(record: &CompareRecord, metric: &str) -> Option<Named> {
    let group = |row: &ThroughputRow| {
        let bar = |(name, value): (usize, &Option<super::record::ThroughputValue>)| {
            let ratio = value.as_ref()?.ratio?;
            let [low, high] = ratio.interval.unwrap_or([ratio.value; 2]);
            Some(GroupBar {
                name,
                value: ratio.value,
                low,
                high,
                note: format!("{} {}", times(ratio.value), interval_text(&ratio))
                    .trim_end()
                    .to_owned(),
            })
        };
        Group {
            label: spaced(&row.cell),
            bars: row.values.iter().enumerate().filter_map(bar).collect(),
        }
    };
    let groups: Vec<Group> = record
        .throughput
        .iter()
        .filter(|row| row.metric == metric)
        .map(group)
        .filter(|group| !group.bars.is_empty())
        .collect();
    let reference = record.reference_label();
    let title = format!("{metric}: speed relative to {reference}");
    let level = 100.0 * record.level;
    (!groups.is_empty()).then(|| Named {
        stem: format!("compare-{}", metric.replace(['.', '_'], "-")),
        alt: format!("{title}, by cell"),
        figure: Figure::Groups(GroupFigure {
            title,
            subtitle: subtitle(
                record,
                &format!("whiskers and brackets are {level:.0} % intervals; a whisker without a cap goes on"),
            ),
            x_label: format!("times the speed of {reference} (logarithmic)"),
            scale: BarScale::Ratio,
            names: names(record),
            groups,
        }),
    })
}

/// R@1 of one direction, a group a cell.
fn recalls(record: &CompareRecord, direction: Direction) -> Option<Named> {
    let group = |row: &AccuracyRow| {
        let bar = |(name, value): (usize, &Option<AccuracyValue>)| {
            let value = value.as_ref()?;
            let [low, high] = value.interval.map(|end| 100.0 * end);
            let own = format!("{:.1}", 100.0 * value.mean);
            let note = match &value.difference {
                Some(difference) => format!("{own} ({})", short(difference)),
                None => own,
            };
            Some(GroupBar {
                name,
                value: 100.0 * value.mean,
                low,
                high,
                note,
            })
        };
        Group {
            label: spaced(&row.cell),
            bars: row.values.iter().enumerate().filter_map(bar).collect(),
        }
    };
    let groups: Vec<Group> = record
        .accuracy
        .iter()
        .filter(|row| row.direction == direction && row.k == DRAWN_K)
        .map(group)
        .collect();
    let title = format!("{direction} R@{DRAWN_K} by cell");
    let level = 100.0 * record.level;
    (!groups.is_empty()).then(|| Named {
        stem: format!("compare-{direction}-r-at-{DRAWN_K}"),
        alt: title.clone(),
        figure: Figure::Groups(GroupFigure {
            title,
            subtitle: subtitle(
                record,
                &format!(
                    "means over seeds; whiskers: {level:.0} % bootstrap over videos; in brackets the difference to {} \
                     in points, ! where it is shown",
                    record.reference_label()
                ),
            ),
            x_label: format!("R@{DRAWN_K}, per cent"),
            scale: BarScale::Difference,
            names: names(record),
            groups,
        }),
    })
}

/// A cell's label that may be broken between the parts of its name.
fn spaced(cell: &str) -> String {
    cell.replace('/', ", ")
}

/// The difference without its interval, which the table has.
fn short(difference: &DifferenceFound) -> String {
    match difference_text(difference).ends_with('!') {
        true => format!("{} !", points(difference.estimate)),
        false => points(difference.estimate),
    }
}
