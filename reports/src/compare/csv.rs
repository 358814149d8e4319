//! `compare.csv`: one row a value and column of the comparison.

use super::record::{AccuracyRow, AccuracyValue, CompareRecord, ThroughputRow, ThroughputValue};

const HEADER: [&str; 19] = [
    "cell",
    "metric",
    "run",
    "kernel",
    "n_samples",
    "value",
    "low",
    "high",
    "to_reference",
    "to_reference_low",
    "to_reference_high",
    "to_reference_level",
    "p_value",
    "detectable",
    "flops_per_s",
    "fma_peak_share",
    "f16_product_share",
    "copy_share",
    "has_other_settings",
];

/// The comparison as CSV. Unknown values are empty. Of rates `value` is a second and `to_reference` a ratio; of recalls
/// `value` is a fraction and `to_reference` the difference of fractions.
pub(super) fn compare_csv(record: &CompareRecord) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER).expect("memory takes every byte");
    let mut add = |row: [String; HEADER.len()]| writer.write_record(row).expect("memory takes every byte");
    for row in &record.throughput {
        for (value, label) in labelled(record, &row.values) {
            add(rate(record, row, value, label));
        }
    }
    for row in &record.accuracy {
        for (value, label) in labelled(record, &row.values) {
            add(recall(row, value, label));
        }
    }
    writer.into_inner().expect("memory takes every byte")
}

/// The values that are there, each with its column's label.
fn labelled<'a, T>(
    record: &'a CompareRecord,
    values: &'a [Option<T>],
) -> impl Iterator<Item = (&'a T, &'a str)> {
    let labels = record.columns.iter().map(|column| column.label.as_str());
    values
        .iter()
        .zip(labels)
        .filter_map(|(value, label)| Some((value.as_ref()?, label)))
}

fn rate(
    record: &CompareRecord,
    row: &ThroughputRow,
    value: &ThroughputValue,
    label: &str,
) -> [String; HEADER.len()] {
    let interval = value.ratio.and_then(|ratio| ratio.interval);
    [
        row.cell.clone(),
        row.metric.clone(),
        label.to_owned(),
        value.kernel.clone().unwrap_or_default(),
        value.n_samples.to_string(),
        value.per_s.to_string(),
        number(value.interval.map(|ends| ends[0])),
        number(value.interval.map(|ends| ends[1])),
        number(value.ratio.map(|ratio| ratio.value)),
        number(interval.map(|ends| ends[0])),
        number(interval.map(|ends| ends[1])),
        number(interval.map(|_| record.level)),
        String::new(),
        String::new(),
        number(value.flops_per_s),
        number(value.fma_share),
        number(value.product_share),
        number(value.copy_share),
        value.has_other_settings.to_string(),
    ]
}

fn recall(row: &AccuracyRow, value: &AccuracyValue, label: &str) -> [String; HEADER.len()] {
    let difference = value.difference;
    [
        row.cell.clone(),
        format!("{}.r_at.{}", row.direction, row.k),
        label.to_owned(),
        String::new(),
        value.n_seeds.to_string(),
        value.mean.to_string(),
        value.interval[0].to_string(),
        value.interval[1].to_string(),
        number(difference.map(|found| found.estimate)),
        number(difference.map(|found| found.interval[0])),
        number(difference.map(|found| found.interval[1])),
        number(difference.map(|found| found.level)),
        number(difference.map(|found| found.p_value)),
        number(difference.map(|found| found.detectable)),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        value.has_other_settings.to_string(),
    ]
}

fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
