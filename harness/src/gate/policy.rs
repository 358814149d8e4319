//! A policy file: the rows of a gate, their margins, and what is done where nothing is shown. Checked when read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::metric::{GateMetric, Margin, RowKind};
use crate::suite::error::{Problem, SuiteError};
use crate::suite::locate::{misfit, parser_problem, parser_span};
use crate::suite::source::{Origin, Place, Sources};
use crate::suite::tree::Node;

/// Version of the file format that this program reads.
const FORMAT: u64 = 1;

/// A policy file as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WirePolicy {
    /// Version of the file format: 1.
    format: u64,
    /// Chance of any false statement in each of the three families of tests, from 0.001 to below 0.5. Default 0.05.
    #[serde(default = "default_alpha")]
    alpha: f64,
    /// What inconclusive rows do to the exit code. Default `warn`.
    #[serde(default = "warn")]
    inconclusive: Response,
    /// What rows that do not compare do to the exit code. Default `fail`.
    #[serde(default = "fail")]
    incomparable: Response,
    /// Baseline file, as a path from the policy's folder, for when none is given. None by default.
    baseline: Option<PathBuf>,
    /// Calibration file, as a path from the policy's folder: the gate warns of margins below the noise floor in it. None
    /// by default.
    calibration: Option<PathBuf>,
    /// What is compared.
    rows: Vec<WireRow>,
}

/// One row as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WireRow {
    /// Name in reports; unique in the file.
    id: String,
    /// What the two sides have in common, and so which test is right.
    kind: RowKind,
    /// What is compared: `t2v.r_at.K`, `t2v.mrr`, `t2v.mean_rank`, `t2v.counts` (and `v2t`), `train.pairs_per_s`,
    /// `warm.items_per_s`, `cold.items_per_s`, `transfer.items_per_s`.
    metric: String,
    /// The loss that is allowed: `1.0pt` (percentage points of a share) or `5%` (of the baseline's value). Rows of kind
    /// `kernel` have none.
    margin: Option<String>,
    /// Of a row of kind `kernel`: queries whose counts may differ because items that tie on one side are ordered on
    /// the other. Default 0.
    ties: Option<u64>,
    /// Axis values of the cells that the row is about; all cells by default, one row each.
    #[serde(default)]
    when: Map<String, Json>,
}

/// What a verdict that shows nothing does to the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// It is printed.
    Warn,
    /// The gate fails.
    Fail,
}

fn default_alpha() -> f64 {
    0.05
}

fn warn() -> Response {
    Response::Warn
}

fn fail() -> Response {
    Response::Fail
}

/// A checked policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The file, as given.
    pub file: String,
    /// Chance of any false statement in each of the three families of tests, in `[0.001, 0.5)`.
    pub alpha: f64,
    /// What inconclusive rows do.
    pub inconclusive: Response,
    /// What rows that do not compare do.
    pub incomparable: Response,
    /// The baseline, for when none is given.
    pub baseline: Option<PathBuf>,
    /// File with the noise floor of each row.
    pub calibration: Option<PathBuf>,
    /// The rows, at least one, with different ids.
    pub rows: Vec<PolicyRow>,
}

/// One row of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyRow {
    /// Its name.
    pub id: String,
    /// What it compares and what for.
    pub test: RowTest,
    /// Axis values of its cells.
    pub when: Map<String, Json>,
    /// Line of the policy file, from 1.
    pub line: u64,
}

/// What a row compares, and what it allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RowTest {
    /// Counts of each query.
    Kernel {
        /// [`GateMetric::Counts`].
        metric: GateMetric,
        /// Queries that may differ by the order of ties.
        ties: u64,
    },
    /// A difference against a margin.
    Margin {
        /// Any kind but [`RowKind::Kernel`].
        kind: RowKind,
        /// One that fits the kind.
        metric: GateMetric,
        /// One that fits the metric.
        margin: Margin,
    },
}

impl RowTest {
    /// Kind of the row.
    pub fn kind(&self) -> RowKind {
        match self {
            Self::Kernel { .. } => RowKind::Kernel,
            Self::Margin { kind, .. } => *kind,
        }
    }

    /// Metric of the row.
    pub fn metric(&self) -> GateMetric {
        match self {
            Self::Kernel { metric, .. } | Self::Margin { metric, .. } => *metric,
        }
    }
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// [`SuiteError`] with the place of what is wrong: no YAML, an unknown key, a wrong type, an impossible value.
    pub fn load(path: &Path) -> Result<Self, SuiteError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&file, &text),
            Err(error) => {
                let place = Reader::new(&file, "").sources.place(Origin::Default);
                Err(SuiteError::new(Problem::Read(error), place))
            }
        }
    }

    /// Reads a policy from text; `file` names it in errors.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(file: &str, text: &str) -> Result<Self, SuiteError> {
        let reader = Reader::new(file, text);
        let root = Node::from_yaml(text).map_err(|error| {
            let origin = parser_span(&error, text).map_or(Origin::Default, Origin::File);
            SuiteError::new(parser_problem(&error), reader.sources.place(origin))
        })?;
        let format = root.get("format").map(Node::to_json);
        if let Some(format) = format.filter(|format| format.as_u64().is_some_and(|format| format != FORMAT)) {
            let allowed = format!("{FORMAT}, the format that this program reads");
            return reader.refuse(&root, "format", &format.to_string(), &allowed);
        }
        let wire: WirePolicy = crate::suite::de::read(&root, "")
            .map_err(|mismatch| misfit(mismatch, Some(&root), &reader.sources))?;
        debug_assert_eq!(wire.format, FORMAT);
        if !(0.001..0.5).contains(&wire.alpha) {
            let allowed = "at least 0.001 and below 0.5";
            return reader.refuse(&root, "alpha", &wire.alpha.to_string(), allowed);
        }
        if wire.rows.is_empty() {
            return reader.refuse(&root, "rows", "[]", "at least one row");
        }
        let mut rows: Vec<PolicyRow> = Vec::with_capacity(wire.rows.len());
        for (index, row) in wire.rows.into_iter().enumerate() {
            let at = |key: &str| format!("rows.{index}.{key}");
            let id_is_plain = !row.id.is_empty() && !row.id.chars().any(char::is_control);
            if !id_is_plain || rows.iter().any(|other| other.id == row.id) {
                let allowed = "a name that no other row has, on one line";
                return reader.refuse(&root, &at("id"), &format!("`{}`", row.id), allowed);
            }
            rows.push(PolicyRow {
                test: reader.test(&root, index, &row)?,
                id: row.id,
                when: row.when,
                line: reader.place(&root, &at("id")).span.map_or(1, |span| span.line),
            });
        }
        let folder = Path::new(file).parent();
        let beside = |path: PathBuf| folder.map_or(path.clone(), |folder| folder.join(&path));
        Ok(Self {
            file: file.to_owned(),
            alpha: wire.alpha,
            inconclusive: wire.inconclusive,
            incomparable: wire.incomparable,
            baseline: wire.baseline.map(beside),
            calibration: wire.calibration.map(beside),
            rows,
        })
    }
}

impl Policy {
    /// The rows about throughput.
    pub fn throughput_rows(&self) -> impl Iterator<Item = &PolicyRow> {
        self.rows
            .iter()
            .filter(|row| row.test.kind() == RowKind::Throughput)
    }
}

/// JSON Schema of a policy file.
pub fn policy_schema() -> Json {
    serde_json::to_value(schemars::schema_for!(WirePolicy)).expect("a schema is plain data")
}

struct Reader {
    sources: Sources,
}

impl Reader {
    fn new(file: &str, text: &str) -> Self {
        Self {
            sources: Sources {
                file: file.to_owned(),
                text: Arc::from(text),
                sets: Vec::new(),
            },
        }
    }

    fn place(&self, root: &Node, path: &str) -> Place {
        let parent = |path: &str| path.rsplit_once('.').map(|(parent, _)| parent.to_owned());
        let node = root
            .get(path)
            .or_else(|| parent(path).and_then(|parent| root.get(&parent)));
        self.sources
            .place(node.map_or(Origin::Default, |node| node.origin))
    }

    fn refuse<T>(&self, root: &Node, path: &str, value: &str, allowed: &str) -> Result<T, SuiteError> {
        let problem = Problem::Impossible {
            path: path.to_owned(),
            value: value.to_owned(),
            from: String::new(),
            allowed: allowed.to_owned(),
            cell: String::new(),
            about: String::new(),
        };
        Err(SuiteError::new(problem, self.place(root, path)))
    }

    fn test(&self, root: &Node, index: usize, row: &WireRow) -> Result<RowTest, SuiteError> {
        let at = |key: &str| format!("rows.{index}.{key}");
        let Ok(metric) = row.metric.parse::<GateMetric>() else {
            let problem = Problem::UnknownValue {
                path: at("metric"),
                value: row.metric.clone(),
                known: GateMetric::FORMS.map(str::to_owned).to_vec(),
            };
            return Err(SuiteError::new(problem, self.place(root, &at("metric"))));
        };
        if !metric.fits(row.kind) {
            let fitting = GateMetric::FORMS.into_iter().filter(|form| {
                let metric = form.replace('K', "1").parse::<GateMetric>();
                metric.is_ok_and(|metric| metric.fits(row.kind))
            });
            let allowed = format!(
                "of kind `{}`: {}",
                row.kind.name(),
                fitting.collect::<Vec<_>>().join(", ")
            );
            return self.refuse(root, &at("metric"), &row.metric, &allowed);
        }
        if row.kind == RowKind::Kernel {
            return match row.margin {
                Some(ref margin) => {
                    let allowed = "none in a row of kind `kernel`, whose counts agree or do not";
                    self.refuse(root, &at("margin"), margin, allowed)
                }
                None => Ok(RowTest::Kernel {
                    metric,
                    ties: row.ties.unwrap_or(0),
                }),
            };
        }
        if let Some(ties) = row.ties {
            return self.refuse(
                root,
                &at("ties"),
                &ties.to_string(),
                "in rows of kind `kernel` only",
            );
        }
        let Some(text) = &row.margin else {
            let problem = Problem::Missing {
                path: at("margin"),
                example: match metric.is_share() {
                    true => "margin: 1.0pt".to_owned(),
                    false => "margin: 5%".to_owned(),
                },
            };
            return Err(SuiteError::new(problem, self.place(root, &at("id"))));
        };
        match text.parse::<Margin>() {
            Ok(Margin::Points(_)) if !metric.is_share() => {
                let allowed = "per cent, such as `5%`: points are for R@K and MRR";
                self.refuse(root, &at("margin"), text, allowed)
            }
            Ok(margin) => Ok(RowTest::Margin {
                kind: row.kind,
                metric,
                margin,
            }),
            Err(error) => self.refuse(root, &at("margin"), text, &error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rows: &str) -> Result<Policy, SuiteError> {
        Policy::parse("p.yaml", &format!("format: 1\nrows:\n{rows}"))
    }

    #[test]
    fn a_policy_is_read_with_its_defaults_and_lines() {
        let policy = parse(
            "  - {id: r1, kind: retrain, metric: t2v.r_at.1, margin: 1.0pt, when: {model.hierarchy: both}}\n  \
             - {id: speed, kind: throughput, metric: train.pairs_per_s, margin: 5%}\n  \
             - {id: exact, kind: kernel, metric: v2t.counts, ties: 2}\n",
        )
        .unwrap();
        assert_eq!(policy.alpha, 0.05);
        assert_eq!(
            (policy.inconclusive, policy.incomparable),
            (Response::Warn, Response::Fail)
        );
        let lines: Vec<u64> = policy.rows.iter().map(|row| row.line).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert_eq!(policy.rows[0].when["model.hierarchy"], "both");
        assert_eq!(
            policy.rows[2].test,
            RowTest::Kernel {
                metric: GateMetric::Counts(hitbench_reports::record::Direction::V2t),
                ties: 2
            }
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (rows, expected) in [
            (
                "  []\n",
                "p.yaml:3:3: impossible value for `rows`: []; allowed: at least one row",
            ),
            (
                "  - {id: a, kind: retrain, metric: t2v.r1, margin: 1pt}\n",
                "p.yaml:3:36: unknown value `t2v.r1` for `rows.0.metric`",
            ),
            (
                "  - {id: a, kind: retrain, metric: t2v.counts, margin: 1pt}\n",
                "p.yaml:3:36: impossible value for `rows.0.metric`: t2v.counts; allowed: of kind `retrain`: t2v.r_at.K, \
                 v2t.r_at.K, t2v.mrr, v2t.mrr, t2v.mean_rank, v2t.mean_rank",
            ),
            (
                "  - {id: a, kind: retrain, metric: t2v.mrr}\n",
                "p.yaml:3:10: `rows.0.margin` is missing",
            ),
            (
                "  - {id: a, kind: retrain, metric: t2v.mrr, margin: 1}\n",
                "p.yaml:3:53: wrong type for `rows.0.margin`: expected text, found the number 1",
            ),
            (
                "  - {id: a, kind: retrain, metric: t2v.mrr, margin: 1pp}\n",
                "p.yaml:3:53: impossible value for `rows.0.margin`: 1pp; allowed: points such as `1.0pt` or per cent such \
                 as `5%`, above 0 and below 100",
            ),
            (
                "  - {id: a, kind: throughput, metric: train.pairs_per_s, margin: 1pt}\n",
                "p.yaml:3:66: impossible value for `rows.0.margin`: 1pt; allowed: per cent, such as `5%`: points are for \
                 R@K and MRR",
            ),
            (
                "  - {id: a, kind: kernel, metric: t2v.counts, margin: 1pt}\n",
                "p.yaml:3:55: impossible value for `rows.0.margin`: 1pt; allowed: none in a row of kind `kernel`, whose \
                 counts agree or do not",
            ),
            (
                "  - {id: a, kind: kernel, metric: t2v.counts}\n  - {id: a, kind: kernel, metric: t2v.counts}\n",
                "p.yaml:4:10: impossible value for `rows.1.id`: `a`; allowed: a name that no other row has, on one line",
            ),
            (
                "  - {id: a, kind: kernel, metric: t2v.counts, tie: 1}\n",
                "p.yaml:3:47: unknown key `rows.0.tie`",
            ),
        ] {
            assert_eq!(parse(rows).unwrap_err().to_string(), expected);
        }
        let future = Policy::parse("p.yaml", "format: 2\nnew: 1\n").unwrap_err();
        assert_eq!(
            future.to_string(),
            "p.yaml:1:9: impossible value for `format`: 2; allowed: 1, the format that this program reads"
        );
        let alpha = Policy::parse("p.yaml", "format: 1\nalpha: 0.5\nrows: []\n").unwrap_err();
        assert!(
            alpha
                .to_string()
                .starts_with("p.yaml:2:8: impossible value for `alpha`: 0.5")
        );
    }
}
