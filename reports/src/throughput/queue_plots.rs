//! Plots of training steps over the length of the queue.

use serde_json::Value;

use super::plots::{labels, names_in_report, point, subtitle};
use super::view::{Block, ThroughputView, Timed};
use crate::plot::{Figure, LineFigure, Named, Panel, PlaceKind, Places, Point, Series, XAxis};
use crate::record::value_text;

/// The size that training steps are drawn over.
pub(super) const QUEUE_LEN: &str = "queue_len";

/// Training steps a second, and peak memory, over the length of the queue: a line a kernel, a panel for the other sizes.
pub(super) fn over_queue(view: &ThroughputView<'_>, blocks: &[&Block<'_>]) -> Vec<Named> {
    let lens: Vec<Value> = blocks
        .iter()
        .filter_map(|block| block.shape.get(QUEUE_LEN).cloned())
        .collect();
    let places = Places::of(&lens);
    let others = |block: &Block<'_>| {
        let rest = block.shape.iter().filter(|(name, _)| *name != QUEUE_LEN);
        rest.map(|(name, size)| format!("{name} {}", value_text(size)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut settings: Vec<String> = Vec::new();
    for block in blocks {
        if !settings.contains(&others(block)) {
            settings.push(others(block));
        }
    }
    let panels = |value: &dyn Fn(f64, Timed<'_>) -> Option<Point>| -> Vec<Panel> {
        let series = |setting: &String, name: &str| {
            let mut points: Vec<Point> = blocks
                .iter()
                .filter(|block| others(block) == *setting)
                .filter_map(|block| {
                    let entry = block.entries.iter().find(|entry| entry.label == name)?;
                    value(places.place(block.shape.get(QUEUE_LEN)?)?, entry.timed().next()?)
                })
                .collect();
            points.sort_by(|one, other| one.x.total_cmp(&other.x));
            Series {
                name: name.to_owned(),
                points: points.into_iter().map(Some).collect(),
            }
        };
        let panel = |setting: &String| Panel {
            heading: Some(setting.clone()).filter(|setting| !setting.is_empty()),
            series: labels(blocks.iter().copied())
                .into_iter()
                .map(|name| series(setting, name))
                .collect(),
        };
        settings.iter().map(panel).collect()
    };
    let figure = |stem: &str, title: &str, y_label: &str, rest: &str, panels: Vec<Panel>| {
        let has_points = panels
            .iter()
            .flat_map(|panel| &panel.series)
            .any(|series| !series.points.is_empty());
        let logarithmic = if places.kind == PlaceKind::Log {
            " (logarithmic)"
        } else {
            ""
        };
        has_points.then(|| Named {
            stem: stem.to_owned(),
            alt: title.to_owned(),
            figure: Figure::Lines(LineFigure {
                title: title.to_owned(),
                subtitle: subtitle(view, rest),
                x: XAxis {
                    label: format!("queue_len, keys{logarithmic}"),
                    ticks: places.ticks.clone(),
                    gap_at: places.gap_at,
                    is_continuous: true,
                    is_dense: false,
                },
                y_label: y_label.to_owned(),
                y_limits: (0.0, f64::INFINITY),
                y_from_limit: true,
                y_shared: true,
                names: names_in_report(view),
                panels,
            }),
        })
    };
    let steps = panels(&|x, timed| point(x, timed, |ns| 1e9 / ns));
    let memory = panels(&|x, timed| {
        let mib = timed.result.peak_memory_bytes? as f64 / f64::from(1 << 20);
        Some(Point {
            x,
            mean: mib,
            min: mib,
            max: mib,
        })
    });
    let title = "Training steps a second by queue_len";
    [
        figure(
            "train-step-rate",
            title,
            "steps/s",
            "median step, whiskers over processes",
            steps,
        ),
        figure(
            "train-step-memory",
            "Peak memory of training by queue_len",
            "MiB",
            "most memory that any process held",
            memory,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
