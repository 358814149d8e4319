//! Which plots a throughput suite gets, and what is in them.

use serde_json::{Map, Value};

use super::numbers::{prefix, ratio_text, significant};
use super::queue_plots::{QUEUE_LEN, over_queue};
use super::view::{Block, Entry, ThroughputView, Timed};
use crate::plot::{
    Bar, BarFigure, BarScale, Figure, LineFigure, Named, Panel, Point, Roof, RooflineFigure, RooflinePoint,
    Series, Tick, XAxis,
};
use crate::record::{CacheState, Verdict, value_text};

/// Every plot that the records can fill.
pub(crate) fn figures(view: &ThroughputView<'_>) -> Vec<Named> {
    let mut named = Vec::new();
    let mut operations: Vec<&str> = Vec::new();
    for block in &view.blocks {
        if !operations.contains(&block.operation) {
            operations.push(block.operation);
        }
    }
    for operation in operations {
        let blocks: Vec<&Block<'_>> = view
            .blocks
            .iter()
            .filter(|block| block.operation == operation)
            .collect();
        if operation == "train_step" && blocks.iter().any(|block| block.shape.contains_key(QUEUE_LEN)) {
            named.extend(over_queue(view, &blocks));
        } else {
            named.extend(by_shape(view, &blocks));
        }
        named.extend(
            states(&blocks)
                .into_iter()
                .filter_map(|cache| ratios(view, &blocks, cache)),
        );
    }
    named.extend(roofline(view));
    named
}

/// States of the caches that some kernel was timed in.
fn states(blocks: &[&Block<'_>]) -> Vec<CacheState> {
    let has = |cache: &CacheState| {
        let mut entries = blocks.iter().flat_map(|block| &block.entries);
        entries.any(|entry| entry.timed_in(*cache).is_some())
    };
    CacheState::ALL.into_iter().filter(has).collect()
}

pub(super) fn subtitle(view: &ThroughputView<'_>, rest: &str) -> String {
    let suite = &view.run.suite;
    format!("suite {}, version {}; {rest}", suite.name, suite.version)
}

/// Median of all samples with the range of the processes' medians, turned from times into `rate`.
pub(super) fn point(x: f64, timed: Timed<'_>, rate: impl Fn(f64) -> f64) -> Option<Point> {
    let processes = timed.processes()?;
    Some(Point {
        x,
        mean: rate(timed.times.median_ns),
        min: rate(processes.max),
        max: rate(processes.min),
    })
}

/// How much one call does.
type OfCall = fn(Timed<'_>) -> f64;

/// What a rate counts: name of the axis, and how many of it one call does.
struct Measure {
    label: String,
    of: OfCall,
    scale: f64,
}

/// Bytes where moving them bounds the operation, else operations, else items.
fn measure(view: &ThroughputView<'_>, blocks: &[&Block<'_>]) -> Option<Measure> {
    let all = || {
        blocks
            .iter()
            .flat_map(|block| &block.entries)
            .flat_map(|entry| entry.timed().map(move |timed| (entry, timed)))
    };
    let (_, first) = all().next()?;
    let (flops, bytes): (OfCall, OfCall) = (
        |timed| timed.result.work.flops.unwrap_or_default() as f64,
        |timed| timed.result.work.bytes.unwrap_or_default() as f64,
    );
    let is = |label: &str, of, scale| Measure {
        label: label.to_owned(),
        of,
        scale,
    };
    Some(
        if all().all(|(entry, timed)| view.is_memory_bound(entry, timed)) {
            is("GB/s", bytes, 1e9)
        } else if all().all(|(_, timed)| timed.result.work.flops.is_some()) {
            is("GFLOP/s", flops, 1e9)
        } else {
            let (prefix, scale) = prefix(all().map(|(_, timed)| timed.items_per_s()).fold(0.0, f64::max));
            let label = format!("{prefix}{}/s", first.result.work.item);
            is(&label, |timed| timed.result.work.items as f64, scale)
        },
    )
}

/// Labels of all entries of a report: the lines of its plots.
pub(super) fn names_in_report(view: &ThroughputView<'_>) -> Vec<String> {
    labels(&view.blocks).into_iter().map(str::to_owned).collect()
}

/// Labels of all entries of some blocks, in order of first use.
pub(super) fn labels<'v>(blocks: impl IntoIterator<Item = &'v Block<'v>>) -> Vec<&'v str> {
    let mut labels: Vec<&str> = Vec::new();
    for entry in blocks.into_iter().flat_map(|block| &block.entries) {
        if entry.timed().next().is_some() && !labels.contains(&entry.label.as_str()) {
            labels.push(&entry.label);
        }
    }
    labels
}

/// `10000 x 10000 x 512`, sizes that all shapes share left out unless nothing remains.
fn sizes(shape: &Map<String, Value>, differing: &[String]) -> String {
    let texts = shape
        .iter()
        .filter(|(name, _)| differing.is_empty() || differing.contains(name));
    texts
        .map(|(_, size)| value_text(size))
        .collect::<Vec<_>>()
        .join(" x ")
}

/// Names of sizes in which the shapes differ.
fn differing(blocks: &[&Block<'_>]) -> Vec<String> {
    let Some(first) = blocks.first() else {
        return Vec::new();
    };
    let names = first.shape.keys().filter(|name| {
        let own = first.shape.get(*name);
        blocks.iter().any(|block| block.shape.get(*name) != own)
    });
    names.cloned().collect()
}

/// Throughput over shapes, placed by their work, with a line a kernel and a panel a state of the caches.
fn by_shape(view: &ThroughputView<'_>, blocks: &[&Block<'_>]) -> Option<Named> {
    const FREE: f64 = 0.08;
    let Measure { label, of, scale } = measure(view, blocks)?;
    let work = |block: &Block<'_>| {
        block
            .entries
            .iter()
            .flat_map(Entry::timed)
            .map(of)
            .reduce(f64::max)
    };
    let mut shapes: Vec<(f64, &Block<'_>)> = blocks
        .iter()
        .filter_map(|block| Some((work(block).filter(|work| *work > 0.0)?, *block)))
        .collect();
    shapes.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let ((least, _), (most, _)) = (shapes.first()?, shapes.last()?);
    if least == most {
        return None;
    }
    let octaves = (most / least).log2();
    let place = |work: f64| FREE + (1.0 - 2.0 * FREE) * (work / least).log2() / octaves;
    let names = differing(blocks);
    let ticks = shapes.iter().map(|(work, block)| Tick {
        at: place(*work),
        label: sizes(block.shape, &names),
    });
    let series = |name: &str, cache| Series {
        name: name.to_owned(),
        points: shapes
            .iter()
            .map(|(work, block)| {
                let entry = block.entries.iter().find(|entry| entry.label == name)?;
                let timed = entry.timed_in(cache)?;
                point(place(*work), timed, |ns| of(timed) / ns * 1e9 / scale)
            })
            .collect(),
    };
    let states = states(blocks);
    let panels = states.iter().map(|cache| Panel {
        heading: Some(cache.words().to_owned()),
        series: labels(blocks.iter().copied())
            .into_iter()
            .map(|name| series(name, *cache))
            .collect(),
    });
    let operation = shapes[0].1.operation;
    let title = format!("{operation} by shape");
    Some(Named {
        stem: format!("throughput-{}", slug(operation)),
        alt: format!("Throughput of {title}"),
        figure: Figure::Lines(LineFigure {
            title,
            subtitle: subtitle(view, "median of a call, whiskers over processes"),
            x: XAxis {
                label: format!(
                    "{}, placed by the work of a call (logarithmic)",
                    names.join(" x ")
                ),
                ticks: ticks.collect(),
                gap_at: None,
                is_continuous: true,
                is_dense: false,
            },
            y_label: label,
            y_limits: (0.0, f64::INFINITY),
            y_from_limit: true,
            y_shared: true,
            names: names_in_report(view),
            panels: panels.collect(),
        }),
    })
}

/// Speed relative to the reference of each shape, a bar a kernel and shape.
fn ratios(view: &ThroughputView<'_>, blocks: &[&Block<'_>], cache: CacheState) -> Option<Named> {
    let names = differing(blocks);
    let mut bars = Vec::new();
    for block in blocks {
        let Some(reference) = block.reference_timed(cache) else {
            continue;
        };
        for (index, entry) in block.entries.iter().enumerate() {
            let Some(timed) = entry.timed_in(cache).filter(|_| block.reference != Some(index)) else {
                continue;
            };
            let speed = timed.speed_against(reference);
            let [low, high] = speed.range.unwrap_or([speed.value; 2]);
            bars.push(Bar {
                label: match &names[..] {
                    [] => entry.label.clone(),
                    [name] => format!("{}, {name} {}", entry.label, sizes(block.shape, &names)),
                    _ => format!("{}, {}", entry.label, sizes(block.shape, &names)),
                },
                value: speed.value,
                low,
                high,
                note: ratio_text(speed),
                verdict: match (speed.range, speed.value) {
                    (None, _) => Verdict::Inconclusive,
                    (Some([low, _]), _) if low > 1.0 => Verdict::Improved,
                    (Some([_, high]), _) if high < 1.0 => Verdict::Regressed,
                    _ => Verdict::Inconclusive,
                },
            });
        }
    }
    let first = blocks
        .iter()
        .find(|block| block.reference_timed(cache).is_some())?;
    let reference = &first.entries[first.reference?].label;
    let title = format!(
        "{}: speed relative to {reference}, {}",
        first.operation,
        cache.words()
    );
    let shape = if names.is_empty() {
        first.shape_text()
    } else {
        format!("by {}", names.join(" x "))
    };
    (!bars.is_empty()).then(|| Named {
        stem: format!("speed-{}-{}", slug(first.operation), cache.name()),
        alt: title.clone(),
        figure: Figure::Bars(BarFigure {
            title,
            subtitle: subtitle(
                view,
                &format!("{shape}; whiskers and brackets are ranges over processes"),
            ),
            x_label: "times the reference's speed (logarithmic)".to_owned(),
            scale: BarScale::Ratio,
            words: [
                "faster in all processes",
                "slower in all processes",
                "range holds 1, or one process",
            ],
            bars,
        }),
    })
}

/// A point a kernel and shape, with warm caches where it was timed with both, below the roofs of the CPU.
fn roofline(view: &ThroughputView<'_>) -> Option<Named> {
    let peaks = view.peaks.as_ref()?;
    let mut points = Vec::new();
    for block in &view.blocks {
        for entry in block.entries.iter().filter(|entry| !entry.is_on_gpu()) {
            let Some(timed) = entry.timed_in(CacheState::Warm).or_else(|| entry.timed().next()) else {
                continue;
            };
            let work = &timed.result.work;
            let (Some(flops), Some(bytes), Some(rate)) = (work.flops, work.bytes, timed.flops_per_s()) else {
                continue;
            };
            if flops > 0 && bytes > 0 {
                points.push(RooflinePoint {
                    look: entry.label.clone(),
                    label: format!(
                        "{}, {} {}, {}: {} GFLOP/s",
                        entry.label,
                        block.operation,
                        sizes(block.shape, &[]),
                        timed.times.cache.name(),
                        significant(rate / 1e9, 4)
                    ),
                    intensity: flops as f64 / bytes as f64,
                    gflops: rate / 1e9,
                });
            }
        }
    }
    (!points.is_empty()).then(|| Named {
        stem: "roofline".to_owned(),
        alt: "Roofline: operations a second over operations a byte, below the machine's peaks".to_owned(),
        figure: Figure::Roofline(RooflineFigure {
            title: "Roofline".to_owned(),
            subtitle: subtitle(
                view,
                "roofs are the medians of the peaks that this run measured; bytes are the least that a call must move, \
                 so that data in the caches can lift a point above the rising roof",
            ),
            names: names_in_report(view),
            roofs: vec![Roof {
                name: String::new(),
                fma_gflops: peaks.fma.median / 1e9,
                copy_gbytes: peaks.copy.median / 1e9,
            }],
            points,
        }),
    })
}

/// A name as part of a file name.
fn slug(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}
