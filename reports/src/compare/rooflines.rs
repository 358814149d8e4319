//! The roofs of all machines in one plot, and the kernels below them.

use super::plots::subtitle;
use super::record::CompareRecord;
use crate::plot::{Figure, Named, Roof, RooflineFigure, RooflinePoint};
use crate::throughput::significant;

/// `None` where no run measured its peaks, or no kernel's work is known.
pub(super) fn roofline(record: &CompareRecord) -> Option<Named> {
    let roofs: Vec<Roof> = record
        .columns
        .iter()
        .filter_map(|column| {
            let peaks = column.peaks?;
            Some(Roof {
                name: column.label.clone(),
                fma_gflops: peaks.fma_flops_per_s / 1e9,
                copy_gbytes: peaks.copy_bytes_per_s / 1e9,
            })
        })
        .collect();
    let mut points = Vec::new();
    let mut drawn: Vec<&str> = Vec::new();
    for row in &record.throughput {
        // Cold caches only where a cell has no warm ones.
        if drawn.contains(&row.cell.as_str()) {
            continue;
        }
        for (at, value) in row.values.iter().enumerate() {
            let Some(value) = value else { continue };
            // The peaks are the CPU's: what has no share of them is not below its roofs.
            let (Some(rate), Some(intensity), Some(_)) =
                (value.flops_per_s, value.intensity, value.fma_share)
            else {
                continue;
            };
            drawn.push(&row.cell);
            points.push(RooflinePoint {
                look: record.label(at).to_owned(),
                label: format!(
                    "{}, {}: {} GFLOP/s",
                    record.label(at),
                    row.cell,
                    significant(rate / 1e9, 4)
                ),
                intensity,
                gflops: rate / 1e9,
            });
        }
    }
    (!roofs.is_empty() && !points.is_empty()).then(|| Named {
        stem: "compare-roofline".to_owned(),
        alt: "Rooflines of all machines with the kernels below them".to_owned(),
        figure: Figure::Roofline(RooflineFigure {
            title: "Rooflines".to_owned(),
            subtitle: subtitle(
                record,
                "roofs are the medians of the peaks that each run measured on its machine; bytes are the least that a \
                 call must move, so that data in the caches can lift a point above the rising roof",
            ),
            names: record.columns.iter().map(|column| column.label.clone()).collect(),
            roofs,
            points,
        }),
    })
}
