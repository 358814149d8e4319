//! How the axes of a suite are laid out: the first with several numbers lies along x, the next gives the lines,
//! all further ones the panels.

use serde_json::Value;

use super::view::{AxisView, CellView, RunView, Spread};
use crate::plot::{Panel, PlaceKind, Places, Point, Series, XAxis};
use crate::record::{AxisValues, value_text};

/// More panels than this would make a picture that nobody reads; then the lines share one panel.
pub(super) const MOST_PANELS: usize = 12;

/// A name and the axis values that it stands for.
pub(super) type Setting = (String, AxisValues);

/// How the axes of a suite are laid out.
pub(super) struct Sweep<'v, 'a> {
    pub(super) x: &'v AxisView<'a>,
    places: Places,
    /// Each panel's heading and lines.
    pub(super) panels: Vec<(Option<String>, Vec<Setting>)>,
}

impl<'v, 'a> Sweep<'v, 'a> {
    /// `None` when no axis has two values: then there is nothing to draw over.
    pub(super) fn of(view: &'v RunView<'a>) -> Option<Self> {
        let free: Vec<&AxisView<'a>> = view.axes.iter().filter(|axis| axis.values.len() > 1).collect();
        let is_number = |axis: &&&AxisView<'a>| axis.values.iter().all(Value::is_number);
        let x = *free.iter().find(is_number).or(free.first())?;
        let rest: Vec<&AxisView<'a>> = free.into_iter().filter(|axis| axis.path != x.path).collect();
        let (line_axes, panel_axes) = rest.split_at(rest.len().min(1));
        let mut panels = combinations(panel_axes);
        let mut lines = combinations(line_axes);
        if panels.len() > MOST_PANELS {
            (panels, lines) = (combinations(&[]), combinations(&rest));
        }
        let panels = panels.into_iter().map(|(heading, shared)| {
            let series = lines.iter().map(|(name, own)| {
                let values = shared
                    .iter()
                    .chain(own)
                    .map(|(path, value)| (path.clone(), value.clone()));
                (name.clone(), values.collect())
            });
            (
                Some(heading).filter(|heading| !heading.is_empty()),
                series.collect(),
            )
        });
        Some(Self {
            x,
            places: Places::of(x.values),
            panels: panels.collect(),
        })
    }

    /// A point for each place of the x axis.
    fn series(
        &self,
        view: &RunView<'_>,
        (name, values): &Setting,
        of_cell: impl Fn(&CellView<'_>) -> Option<Spread>,
    ) -> Series {
        let mut points: Vec<(f64, Option<Point>)> = self
            .x
            .values
            .iter()
            .filter_map(|value| {
                let x = self.places.place(value)?;
                let mut values = values.clone();
                values.insert(self.x.path.to_owned(), value.clone());
                let cell = view.cells.iter().find(|cell| cell.cell.stands_for(&values));
                let spread = cell.and_then(&of_cell);
                Some((
                    x,
                    spread.map(|Spread { mean, min, max, .. }| Point { x, mean, min, max }),
                ))
            })
            .collect();
        points.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        Series {
            name: name.clone(),
            points: points.into_iter().map(|(_, point)| point).collect(),
        }
    }

    pub(super) fn panels(
        &self,
        view: &RunView<'_>,
        of_cell: impl Fn(&CellView<'_>) -> Option<Spread>,
    ) -> Vec<Panel> {
        let panel = |(heading, lines): &(Option<String>, Vec<Setting>)| Panel {
            heading: heading.clone(),
            series: lines
                .iter()
                .map(|line| self.series(view, line, &of_cell))
                .collect(),
        };
        self.panels.iter().map(panel).collect()
    }

    pub(super) fn x_axis(&self) -> XAxis {
        let unit = if self.x.name == "queue_len" { ", keys" } else { "" };
        let scale = match self.places.kind {
            PlaceKind::Log => " (logarithmic)",
            PlaceKind::OrdinalNumbers => " (equally spaced)",
            PlaceKind::Linear | PlaceKind::Categories => "",
        };
        XAxis {
            label: format!("{}{unit}{scale}", self.x.path),
            ticks: self.places.ticks.clone(),
            gap_at: self.places.gap_at,
            is_continuous: self.places.kind != PlaceKind::Categories,
            is_dense: false,
        }
    }
}

/// Every combination of values of the axes, named `axis=value, ..`; one empty combination without axes.
fn combinations(axes: &[&AxisView<'_>]) -> Vec<Setting> {
    axes.iter()
        .fold(vec![(String::new(), AxisValues::new())], |combinations, axis| {
            let extended = combinations.iter().flat_map(|(name, values)| {
                axis.values.iter().map(move |value| {
                    let mut values = values.clone();
                    values.insert(axis.path.to_owned(), value.clone());
                    let comma = if name.is_empty() { "" } else { ", " };
                    (
                        format!("{name}{comma}{}={}", axis.name, value_text(value)),
                        values,
                    )
                })
            });
            extended.collect()
        })
}
