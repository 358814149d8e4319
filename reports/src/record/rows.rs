//! Rows of the CSV files of a run.

use serde::{Deserialize, Serialize};

use super::metrics::Direction;

/// One query in `ranks/TRIAL.csv`: the counts that every rank and metric follows from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankRow {
    /// Direction.
    pub direction: Direction,
    /// The query.
    pub query_id: String,
    /// Its best true item.
    pub true_id: String,
    /// Gallery items that score above it.
    pub greater: u64,
    /// Gallery items that score the same, itself included.
    pub equal: u64,
    /// How many of `equal` are true items of the query.
    pub own_equal: u64,
    /// The score of the true item.
    pub score: f64,
}

/// One logged step in `curves/TRIAL.csv`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CurveRow {
    /// Step, counted from 1.
    pub step: u64,
    /// The loss.
    pub loss: f64,
    /// Its terms by name, in an order that is the same in every row of a file.
    pub terms: Vec<(String, f64)>,
    /// Share of queue entries of the query's own video, before masking: false negatives unless masked.
    pub same_video_rate: Option<f64>,
    /// Mean age of the queue's entries in steps.
    pub queue_age_mean: Option<f64>,
    /// Mean cosine between stored keys and their fresh encodings, sampled.
    pub key_drift: Option<f64>,
    /// Norm of the whole gradient before clipping.
    pub grad_norm: Option<f64>,
    /// Mean score of positives.
    pub positive_mean: Option<f64>,
    /// Mean score of negatives.
    pub negative_mean: Option<f64>,
    /// Share of queries whose positive scored highest.
    pub hit_rate: Option<f64>,
    /// Learning rate.
    pub lr: Option<f64>,
}

/// One group of samples in `timing.csv`: what one process measured of one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimingRow {
    /// Id of the trial.
    pub trial: String,
    /// Process that measured, counted from 0 in each trial.
    pub process: u32,
    /// What was timed, such as `train_step`.
    pub what: String,
    /// Sample, counted from 0 in each process.
    pub sample: u64,
    /// Items that the sample handled, such as pairs.
    pub items: u64,
    /// Its duration.
    pub time_ns: u64,
}

/// Names of the optional columns behind the terms, in file order.
const CURVE_TAIL: [&str; 8] = [
    "same_video_rate",
    "queue_age_mean",
    "key_drift",
    "grad_norm",
    "positive_mean",
    "negative_mean",
    "hit_rate",
    "lr",
];

impl CurveRow {
    /// What was measured beside the loss, by the name of its column.
    pub fn measures(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> {
        CURVE_TAIL.into_iter().zip(self.tail())
    }

    fn tail(&self) -> [Option<f64>; 8] {
        [
            self.same_video_rate,
            self.queue_age_mean,
            self.key_drift,
            self.grad_norm,
            self.positive_mean,
            self.negative_mean,
            self.hit_rate,
            self.lr,
        ]
    }
}

/// A CSV file with a header from the fields' names; empty without rows.
pub(crate) fn row_csv<T: Serialize>(rows: &[T]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).expect("plain rows into memory");
    }
    writer.into_inner().expect("memory takes every byte")
}

/// `step,loss,TERMS..,same_video_rate,..,lr`; absent values are empty.
pub(crate) fn curve_csv(rows: &[CurveRow]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let terms = rows.first().map_or(&[][..], |row| &row.terms);
    let header = ["step", "loss"]
        .into_iter()
        .chain(terms.iter().map(|(name, _)| name.as_str()))
        .chain(CURVE_TAIL);
    writer.write_record(header).expect("memory takes every byte");
    for row in rows {
        let term = |name: &String| {
            row.terms
                .iter()
                .find(|(own, _)| own == name)
                .map(|(_, value)| *value)
        };
        let values = std::iter::once(Some(row.loss))
            .chain(terms.iter().map(|(name, _)| term(name)))
            .chain(row.tail());
        let cells = values.map(|value| value.map(|value| value.to_string()).unwrap_or_default());
        let record = std::iter::once(row.step.to_string()).chain(cells);
        writer
            .write_record(record)
            .expect("every row has the header's columns");
    }
    writer.into_inner().expect("memory takes every byte")
}

/// Reads what [`curve_csv`] wrote: the columns between `loss` and `same_video_rate` are the terms.
pub(crate) fn curve_rows(bytes: &[u8]) -> Result<Vec<CurveRow>, csv::Error> {
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers()?.clone();
    let mut rows = Vec::new();
    for record in reader.into_deserialize::<Vec<Option<f64>>>() {
        let mut row = CurveRow::default();
        for (name, value) in header.iter().zip(record?) {
            match (name, value) {
                ("step", Some(step)) => row.step = step as u64,
                ("loss", Some(loss)) => row.loss = loss,
                ("same_video_rate", value) => row.same_video_rate = value,
                ("queue_age_mean", value) => row.queue_age_mean = value,
                ("key_drift", value) => row.key_drift = value,
                ("grad_norm", value) => row.grad_norm = value,
                ("positive_mean", value) => row.positive_mean = value,
                ("negative_mean", value) => row.negative_mean = value,
                ("hit_rate", value) => row.hit_rate = value,
                ("lr", value) => row.lr = value,
                (term, Some(value)) => row.terms.push((term.to_owned(), value)),
                (_, None) => {}
            }
        }
        rows.push(row);
    }
    Ok(rows)
}
