//! How much runs differ that should not: the noise floor of every row on one machine, the margins that it calls for, and
//! how often the gate itself raises a false alarm.

use std::path::Path;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::error::GateError;
use super::evidence::{CellEvidence, Evidence, SuiteId};
use super::examine::in_units;
use super::judge::{GateVerdict, gate};
use super::metric::{GateMetric, Margin, RowKind};
use super::policy::{Policy, RowTest};
use super::sides::{self, Subject, check_suites, values};
use crate::machine::fingerprint;
use crate::metric::{MetricError, share_bounds};

/// Version of the file format.
const FORMAT: u64 = 1;
/// Fewest runs with a spread and a pair.
pub const FEWEST_RUNS: usize = 4;
/// Steps of recommended margins, in points or per cent.
const STEP: f64 = 0.1;

/// A calibration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Version of the file format: 1.
    pub format: u64,
    /// The suite.
    pub suite: SuiteId,
    /// Build that ran it.
    pub build_id: String,
    /// Fingerprint of the machine.
    pub fingerprint: String,
    /// Model of its CPU.
    pub cpu_model: Option<String>,
    /// Identical runs.
    pub n_runs: usize,
    /// Chance of any false statement that the policy declares.
    pub alpha: f64,
    /// The rows with a margin.
    pub rows: Vec<NoiseRow>,
    /// What the gate said of pairs of identical runs.
    pub false_alarms: FalseAlarms,
}

/// Noise of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseRow {
    /// Id in the policy.
    pub id: String,
    /// Label of the cell.
    pub cell: String,
    /// Name of the metric.
    pub metric: String,
    /// Mean over runs.
    pub mean: f64,
    /// The drop from one run to an identical one that one pair in twenty exceeds; of shares a fraction, of ranks ranks, of
    /// throughput a ratio.
    pub floor: f64,
    /// The drop that any of the policy's rows exceeds in one pair in twenty (`alpha`, shared by the rows), as a margin.
    pub recommended: String,
    /// The margin of the policy.
    pub margin: String,
}

/// Pairs of identical runs, each run in one pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FalseAlarms {
    /// Pairs.
    pub n_pairs: u64,
    /// Pairs of which some row was called regressed, under the policy's margins.
    pub n_false: u64,
    /// Exact 95 % interval of the rate (Clopper and Pearson).
    pub ci95: [f64; 2],
}

impl FalseAlarms {
    /// `n_false` alarms in `n_pairs` pairs.
    pub fn new(n_false: u64, n_pairs: u64) -> Self {
        Self {
            n_pairs,
            n_false,
            ci95: share_bounds(n_false, n_pairs, 0.025),
        }
    }
}

impl Calibration {
    /// Calibrates a policy by runs of the same suite by the same build on the same machine.
    ///
    /// # Errors
    /// [`GateError::Metric`] for fewer than [`FEWEST_RUNS`], [`GateError::NotComparable`] for runs that are not alike.
    pub fn new(policy: &Policy, runs: &[Evidence]) -> Result<Self, GateError> {
        if runs.len() < FEWEST_RUNS {
            return Err(GateError::Metric(MetricError::NothingToCompare));
        }
        let first = &runs[0];
        for run in &runs[1..] {
            check_suites(first, run)?;
            let [here, there] = [first, run].map(|run| fingerprint(&run.machine));
            let builds = [first, run].map(|run| run.tool.build_id.clone());
            for (reason, what, [a, b]) in [
                ("other-machine", "machine", [here, there]),
                ("other-build", "build", builds),
            ] {
                if a != b {
                    return Err(GateError::NotComparable {
                        reason,
                        what,
                        baseline: a,
                        run: b,
                    });
                }
            }
        }
        let mut n_false = 0;
        for pair in runs.as_chunks::<2>().0 {
            let found = gate(policy, &pair[0], &pair[1])?;
            n_false += u64::from(found.count(GateVerdict::Regressed) > 0);
        }
        Ok(Self {
            format: FORMAT,
            suite: first.suite.clone(),
            build_id: first.tool.build_id.clone(),
            fingerprint: fingerprint(&first.machine),
            cpu_model: first.machine.cpu_model.clone(),
            n_runs: runs.len(),
            alpha: policy.alpha,
            rows: noise(policy, runs),
            false_alarms: FalseAlarms::new(n_false, runs.len() as u64 / 2),
        })
    }

    /// Reads a calibration file.
    ///
    /// # Errors
    /// [`GateError::ReadCalibration`], [`GateError::TornCalibration`], [`GateError::FutureFormat`].
    pub fn load(path: &Path) -> Result<Self, GateError> {
        #[derive(Deserialize)]
        struct Probe {
            format: u64,
        }
        let torn = |source| GateError::TornCalibration {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::read(path).map_err(|source| GateError::ReadCalibration {
            path: path.to_owned(),
            source,
        })?;
        // A later format may have other keys, and says so before they are missed.
        let Probe { format } = serde_json::from_slice(&bytes).map_err(torn)?;
        match format > FORMAT {
            true => Err(GateError::FutureFormat {
                path: path.to_owned(),
                found: format,
                supported: FORMAT,
            }),
            false => serde_json::from_slice(&bytes).map_err(torn),
        }
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("a calibration is plain data") + "\n"
    }

    /// Warns of margins below the floor: a sentence each. Times of another machine say nothing about this one.
    pub fn warnings(&self, policy: &Policy, baseline: &Evidence) -> Vec<String> {
        let here = fingerprint(&baseline.machine);
        let mut warnings = Vec::new();
        if self.suite != baseline.suite {
            warnings.push(format!(
                "the calibration is of {} version {}, not of {} version {}",
                self.suite.name, self.suite.version, baseline.suite.name, baseline.suite.version
            ));
            return warnings;
        }
        for row in &policy.rows {
            let RowTest::Margin { kind, metric, margin } = row.test else {
                continue;
            };
            if kind == RowKind::Throughput && here != self.fingerprint {
                let machine = &self.fingerprint;
                warnings.push(format!(
                    "{}: calibrated on machine {machine}, gated on {here}",
                    row.id
                ));
                continue;
            }
            let is_its = |noise: &&NoiseRow| noise.id == row.id && noise.metric == metric.to_string();
            for noise in self.rows.iter().filter(is_its) {
                let allowed = metric.shown_drop(in_units(metric, margin, noise.mean));
                if allowed < noise.floor {
                    let (id, cell, recommended) = (&row.id, &noise.cell, &noise.recommended);
                    warnings.push(format!(
                        "{id}: a margin of {margin} is below the noise of {cell} between identical runs; {recommended} is \
                         recommended"
                    ));
                }
            }
        }
        warnings
    }
}

/// The noise of every row with a margin: the standard deviation between runs, by Student's t.
fn noise(policy: &Policy, runs: &[Evidence]) -> Vec<NoiseRow> {
    let mut rows = Vec::new();
    let mut subjects: Vec<(&str, GateMetric, Margin, &CellEvidence)> = Vec::new();
    for Subject { row, cell, .. } in sides::subjects(policy, &runs[0], "the first run") {
        if let (RowTest::Margin { metric, margin, .. }, Ok(cell)) = (row.test, cell) {
            subjects.push((row.id.as_str(), metric, margin, cell));
        }
    }
    let freedom = runs.len() as f64 - 1.0;
    let student = StudentsT::new(0.0, 1.0, freedom).expect("there are degrees of freedom");
    let (single, family) = (0.05, policy.alpha / subjects.len().max(1) as f64);
    for (id, metric, margin, cell) in subjects {
        let is_ratio = matches!(metric, GateMetric::PairsPerS | GateMetric::ItemsPerS(_));
        let of_run = |run: &Evidence| {
            let cell = run.cells.iter().find(|other| other.name == cell.name)?;
            let values = values(cell, metric);
            let in_scale = |value: &f64| if is_ratio { value.ln() } else { *value };
            (!values.is_empty()).then(|| values.iter().map(in_scale).sum::<f64>() / values.len() as f64)
        };
        let Some(means) = runs.iter().map(of_run).collect::<Option<Vec<f64>>>() else {
            continue;
        };
        let mean = means.iter().sum::<f64>() / means.len() as f64;
        let squares: f64 = means.iter().map(|value| (value - mean).powi(2)).sum();
        // Of the difference between two runs.
        let deviation = (2.0 * squares / freedom).sqrt();
        let drop = |alpha: f64| metric.shown_drop(-student.inverse_cdf(alpha) * deviation);
        let mean = if is_ratio { mean.exp() } else { mean };
        rows.push(NoiseRow {
            id: id.to_owned(),
            cell: cell.label().to_owned(),
            metric: metric.to_string(),
            mean,
            floor: drop(single),
            recommended: recommended(metric, drop(family), mean),
            margin: margin.to_string(),
        });
    }
    rows
}

/// A drop as a margin, rounded up.
fn recommended(metric: GateMetric, drop: f64, mean: f64) -> String {
    let share = match metric {
        GateMetric::MeanRank(_) => drop / mean,
        _ => drop,
    };
    // A step more than no noise at all, as a margin is above 0.
    let rounded = ((100.0 * share / STEP).ceil() * STEP).max(STEP);
    match metric.is_share() {
        _ if rounded >= 100.0 => "no margin".to_owned(),
        true => format!("{rounded:.1}pt"),
        false => format!("{rounded:.1}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Machine, throughput};
    use super::*;

    const POLICY: &str =
        "format: 1\nrows:\n  - {id: a, kind: throughput, metric: warm.items_per_s, margin: 5%}\n";

    fn runs(logs: &[f64]) -> Vec<Evidence> {
        let run = |log: &f64| {
            let speed = 1e6 * log.exp();
            throughput(&[("k", &[speed, speed * 1.001, speed * 0.999])], Machine::Same)
        };
        logs.iter().map(run).collect()
    }

    #[test]
    fn the_floor_is_what_two_runs_differ_by() {
        let policy = Policy::parse("p.yaml", POLICY).unwrap();
        // Standard deviation 0.02 between runs, t of 4 degrees at 5 % 2.131847: a drop of exp(-0.0603) - 1.
        let found = Calibration::new(&policy, &runs(&[-0.02, 0.0, 0.02, -0.02, 0.02])).unwrap();
        let expected = 1.0 - (-2.131_847 * 0.02 * 2.0_f64.sqrt()).exp();
        assert!((found.rows[0].floor - expected).abs() < 1e-6, "{found:?}");
        assert_eq!(
            (found.rows[0].recommended.as_str(), found.false_alarms.n_pairs),
            ("5.9%", 2)
        );
        let warnings = found.warnings(&policy, &runs(&[0.0])[0]);
        assert_eq!(
            warnings,
            ["a: a margin of 5% is below the noise of k between identical runs; 5.9% is recommended"]
        );
        let elsewhere = throughput(&[("k", &[1.0, 1.0])], Machine::Other);
        assert!(found.warnings(&policy, &elsewhere)[0].starts_with("a: calibrated on machine "));
    }

    #[test]
    fn alarms_are_counted_with_their_interval() {
        let policy = Policy::parse("p.yaml", POLICY).unwrap();
        let found = Calibration::new(&policy, &runs(&[0.0, -0.2, 0.0, 0.0])).unwrap();
        assert_eq!((found.false_alarms.n_pairs, found.false_alarms.n_false), (2, 1));
        // Clopper-Pearson of 0 in 40: 1 - 0.025^(1/40); of 2 in 40: the table's 0.6 % to 16.9 %.
        let none = FalseAlarms::new(0, 40);
        assert!(
            (none.ci95[1] - 0.088_096).abs() < 1e-5 && none.ci95[0] == 0.0,
            "{none:?}"
        );
        let two = FalseAlarms::new(2, 40);
        assert!(
            (two.ci95[0] - 0.006_1).abs() < 1e-4 && (two.ci95[1] - 0.169_2).abs() < 1e-4,
            "{two:?}"
        );
    }

    #[test]
    fn runs_must_be_alike_and_several() {
        let policy = Policy::parse("p.yaml", POLICY).unwrap();
        assert!(Calibration::new(&policy, &runs(&[0.0; 3])).is_err());
        let mut four = runs(&[0.0; 4]);
        four[2].tool.build_id = "other".to_owned();
        assert_eq!(
            Calibration::new(&policy, &four).unwrap_err().reason(),
            "other-build"
        );
    }

    #[test]
    fn files_come_back() {
        let policy = Policy::parse("p.yaml", POLICY).unwrap();
        let found = Calibration::new(&policy, &runs(&[0.0, 0.1, 0.0, 0.1])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        std::fs::write(&path, found.to_text()).unwrap();
        assert_eq!(Calibration::load(&path).unwrap(), found);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Calibration::load(&path).unwrap_err().reason(), "torn-calibration");
        std::fs::write(&path, "{\"format\": 2}").unwrap();
        assert_eq!(Calibration::load(&path).unwrap_err().reason(), "future-format");
        let missing = Calibration::load(&folder.path().join("none")).unwrap_err();
        assert_eq!(missing.reason(), "calibration-unreadable");
    }
}
