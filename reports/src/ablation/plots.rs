//! Which plots an ablation gets, and what is in them.

use std::collections::BTreeMap;

use super::difference::Difference;
use super::sweep::{MOST_PANELS, Setting, Sweep};
use super::view::{CellView, RunView, Spread};
use crate::plot::{
    Bar, BarFigure, BarScale, Figure, LineFigure, Named, Panel, Point, RoundTicks, Series, XAxis,
};
use crate::record::{ComparisonsFile, CurveRow, Direction, ScoreKind, value_text};

/// Every plot that the records can fill. `curves` gives the logged steps of a trial by its id.
pub(crate) fn figures(
    view: &RunView<'_>,
    comparisons: Option<&ComparisonsFile>,
    curves: &BTreeMap<String, Vec<CurveRow>>,
) -> Vec<Named> {
    let mut named = Vec::new();
    if let Some(sweep) = Sweep::of(view) {
        for direction in Direction::ALL {
            named.extend(recall(view, &sweep, direction));
        }
        named.extend(throughput(view, &sweep));
    }
    named.extend(steps(
        view,
        curves,
        "loss",
        "Training loss",
        "loss",
        f64::INFINITY,
        |row| Some(row.loss),
    ));
    let rate = "same-video entries of the queue, before masking, %";
    named.extend(steps(
        view,
        curves,
        "false-negatives",
        "Same-video entries in the queue",
        rate,
        100.0,
        |row| Some(row.same_video_rate? * 100.0),
    ));
    for group in comparisons
        .map(|file| Difference::all(view.run, file))
        .unwrap_or_default()
        .chunk_by(|one, next| one.key() == next.key())
    {
        named.push(differences(view, group));
    }
    named
}

/// `suite NAME, version N; mean of 3 seeds, whiskers from the least to the greatest`.
fn subtitle(view: &RunView<'_>, spread: &str) -> String {
    let suite = &view.run.suite;
    let seeds = match suite.seeds.len() {
        1 => "1 seed".to_owned(),
        n => format!("mean of {n} seeds, {spread} from the least to the greatest seed"),
    };
    format!("suite {}, version {}; {seeds}", suite.name, suite.version)
}

fn has_points(panels: &[Panel]) -> bool {
    panels
        .iter()
        .flat_map(|panel| &panel.series)
        .any(|series| series.points.iter().any(Option::is_some))
}

fn recall(view: &RunView<'_>, sweep: &Sweep<'_, '_>, direction: Direction) -> Option<Named> {
    let k = view.headline_cutoff()?;
    let panels = sweep.panels(view, |cell| {
        let recalls = cell.directions(ScoreKind::Combined, direction);
        Spread::of(recalls.filter_map(|record| Some(record.r_at.get(&k)? * 100.0)))
    });
    if !has_points(&panels) {
        return None;
    }
    let mut subtitle = format!("combined score; {}", subtitle(view, "whiskers"));
    let mut chances = view
        .results()
        .filter_map(|(_, result)| result.baselines.chance.of(direction).get(&k));
    if let Some(chance) = chances.next()
        && chances.all(|other| other == chance)
    {
        subtitle += &format!("; chance is {:.1} %", chance * 100.0);
    }
    let title = format!("{direction} R@{k} by {}", sweep.x.name);
    Some(Named {
        stem: format!("recall-{direction}"),
        alt: title.clone(),
        figure: Figure::Lines(LineFigure {
            title,
            subtitle,
            x: sweep.x_axis(),
            y_label: format!("{direction} R@{k}, %"),
            y_limits: (0.0, 100.0),
            y_from_limit: false,
            y_shared: true,
            names: Panel::names(&panels),
            panels,
        }),
    })
}

fn throughput(view: &RunView<'_>, sweep: &Sweep<'_, '_>) -> Option<Named> {
    let panels = sweep.panels(view, |cell| {
        Spread::of(
            cell.results()
                .filter_map(|(_, result)| Some(result.training.as_ref()?.pairs_per_s)),
        )
    });
    if !has_points(&panels) {
        return None;
    }
    let title = format!("Training throughput by {}", sweep.x.name);
    Some(Named {
        stem: "throughput".to_owned(),
        alt: title.clone(),
        figure: Figure::Lines(LineFigure {
            title,
            subtitle: format!("training steps only; {}", subtitle(view, "whiskers")),
            x: sweep.x_axis(),
            y_label: "pairs a second".to_owned(),
            y_limits: (0.0, f64::INFINITY),
            y_from_limit: true,
            y_shared: true,
            names: Panel::names(&panels),
            panels,
        }),
    })
}

/// A logged value over steps: one panel for each setting of the other axes, since losses of different
/// hierarchies have different terms.
fn steps(
    view: &RunView<'_>,
    curves: &BTreeMap<String, Vec<CurveRow>>,
    stem: &str,
    title: &str,
    y_label: &str,
    highest: f64,
    value: impl Fn(&CurveRow) -> Option<f64>,
) -> Option<Named> {
    let last = curves.values().flatten().map(|row| row.step).max()?;
    let end = last as f64;
    let curve = |cell: &CellView<'_>| {
        let mut by_step: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for row in cell
            .trials
            .iter()
            .filter_map(|trial| curves.get(&trial.planned.id))
            .flatten()
        {
            by_step
                .entry(row.step)
                .or_default()
                .extend(value(row).filter(|value| value.is_finite()));
        }
        let point = |(step, values): (u64, Vec<f64>)| {
            let Spread { mean, min, max, .. } = Spread::of(values)?;
            Some(Point {
                x: step as f64 / end,
                mean,
                min,
                max,
            })
        };
        by_step.into_iter().map(point).collect::<Vec<_>>()
    };
    let series = |name: String, cell: Option<&CellView<'_>>| Series {
        name,
        points: cell.map(curve).unwrap_or_default(),
    };
    let mut panels: Vec<Panel> = match Sweep::of(view) {
        None => vec![Panel {
            heading: None,
            series: view
                .cells
                .iter()
                .map(|cell| series(String::new(), Some(cell)))
                .collect(),
        }],
        Some(sweep) => {
            let settings: Vec<&Setting> = sweep.panels.iter().flat_map(|(_, lines)| lines).collect();
            let split = settings.len() <= MOST_PANELS;
            let panel_of = |(name, values): &Setting| {
                let of_x = sweep.x.values.iter().map(|value| {
                    let mut values = values.clone();
                    values.insert(sweep.x.path.to_owned(), value.clone());
                    let own = format!("{}={}", sweep.x.name, value_text(value));
                    let name = if split || name.is_empty() {
                        own
                    } else {
                        format!("{own}, {name}")
                    };
                    series(name, view.cells.iter().find(|cell| cell.cell.stands_for(&values)))
                });
                let heading = Some(view.label(values)).filter(|_| !values.is_empty());
                Panel {
                    heading,
                    series: of_x.collect(),
                }
            };
            let panels: Vec<Panel> = settings.into_iter().map(panel_of).collect();
            if split {
                panels
            } else {
                let series = panels.into_iter().flat_map(|panel| panel.series).collect();
                vec![Panel {
                    heading: None,
                    series,
                }]
            }
        }
    };
    if !has_points(&panels) {
        return None;
    }
    // Those without points count too: they have some in another plot.
    let names = Panel::names(&panels);
    for panel in &mut panels {
        panel
            .series
            .retain(|series| series.points.iter().any(Option::is_some));
    }
    panels.retain(|panel| !panel.series.is_empty());
    Some(Named {
        stem: stem.to_owned(),
        alt: format!("{title} over training steps"),
        figure: Figure::Lines(LineFigure {
            title: title.to_owned(),
            subtitle: subtitle(view, "bands"),
            x: XAxis {
                label: "optimizer step".to_owned(),
                ticks: RoundTicks::up_to(end),
                gap_at: None,
                is_continuous: true,
                is_dense: true,
            },
            y_label: y_label.to_owned(),
            y_limits: (0.0, highest),
            y_from_limit: stem != "loss",
            y_shared: stem != "loss",
            names,
            panels,
        }),
    })
}

fn differences(view: &RunView<'_>, group: &[Difference<'_>]) -> Named {
    let first = &group[0];
    let (record, metric) = (first.record, &first.metric);
    let slug: String = record
        .metric
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let mut stem = format!("ablation-{slug}");
    if record.score != ScoreKind::Combined {
        stem += &format!("-{}", record.score);
    }
    let bars = group.iter().map(|one| Bar {
        label: one.label(view),
        value: metric.scaled(one.record.estimate),
        low: metric.scaled(one.record.low),
        high: metric.scaled(one.record.high),
        note: format!(
            "{} {}",
            metric.signed(one.record.estimate),
            metric.interval(one.record)
        ),
        verdict: one.record.verdict,
    });
    let reference = match &view.run.suite.reference {
        Some(reference) => format!("; the reference is {}", view.label(reference)),
        None => String::new(),
    };
    let seeds = if record.n_seeds == 1 {
        "1 seed".to_owned()
    } else {
        format!("{} seeds", record.n_seeds)
    };
    let title = format!("Change of {}", metric.name);
    Named {
        stem,
        alt: format!("{title} against the reference, with intervals"),
        figure: Figure::Bars(BarFigure {
            title,
            subtitle: format!(
                "{} score; suite {}, version {}; {seeds} a cell; whiskers are intervals at the levels in the table{reference}",
                record.score, view.run.suite.name, view.run.suite.version
            ),
            x_label: format!("difference in {}, {}", metric.name, metric.unit),
            scale: BarScale::Difference,
            words: ["improved", "regressed", "inconclusive"],
            bars: bars.collect(),
        }),
    }
}
