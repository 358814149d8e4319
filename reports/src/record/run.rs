//! `run.json`: what was asked for, by which program, on which machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Values of a suite's axes for one cell: configuration path to value, in axis order.
pub type AxisValues = Map<String, Value>;

/// An axis value as a person writes it: strings without quotes.
pub(crate) fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One run of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`FORMAT`](super::FORMAT) when written.
    pub format: u32,
    /// The suite.
    pub suite: SuiteRecord,
    /// Cells and their trials in the order that every table keeps, whatever finished first.
    pub plan: Vec<PlannedCell>,
    /// The program.
    pub tool: ToolRecord,
    /// The machine.
    pub machine: MachineRecord,
    /// The command line, for the report's "how to reproduce".
    pub command: Vec<String>,
}

impl RunRecord {
    /// The cell that differences are taken against, when the suite names one.
    pub fn reference_cell(&self) -> Option<&PlannedCell> {
        let reference = self.suite.reference.as_ref()?;
        self.plan.iter().find(|cell| cell.stands_for(reference))
    }
}

/// The suite as resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuiteRecord {
    /// Its name.
    pub name: String,
    /// Its version; numbers of different versions do not compare.
    pub version: u32,
    /// The question it asks, in its own words.
    pub about: String,
    /// `ablation` or `throughput`.
    pub kind: String,
    /// Axes in file order.
    pub axes: Vec<AxisRecord>,
    /// Axis values of the reference cell.
    pub reference: Option<AxisValues>,
    /// Seeds; each cell is trained once a seed.
    pub seeds: Vec<u64>,
    /// File of the policy that its runs are gated under, as a path from where the suite was run; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// The whole suite with every default filled in.
    pub resolved: Value,
}

impl SuiteRecord {
    /// Whether it measures kernels rather than training models.
    pub fn is_throughput(&self) -> bool {
        self.kind == "throughput"
    }
}

/// One axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AxisRecord {
    /// Configuration path.
    pub path: String,
    /// Its values in file order.
    pub values: Vec<Value>,
}

/// One cell of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedCell {
    /// Cell hash, hex.
    pub hash: String,
    /// Its axis values.
    pub axis_values: AxisValues,
    /// Axis values of cells that were merged into this one because they differ only in settings without
    /// effect.
    #[serde(default)]
    pub merged: Vec<AxisValues>,
    /// One trial a seed.
    pub trials: Vec<PlannedTrial>,
}

impl PlannedCell {
    /// Whether these axis values are the cell's own or those of a cell merged into it.
    pub fn stands_for(&self, axis_values: &AxisValues) -> bool {
        std::iter::once(&self.axis_values).chain(&self.merged).any(|own| {
            axis_values
                .iter()
                .all(|(path, value)| own.get(path) == Some(value))
        })
    }
}

/// One trial of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTrial {
    /// Id in file names: 12 hex digits of the cell hash and `-sSEED`.
    pub id: String,
    /// Display name, `SUITE/axis=value/.../seed=N`.
    pub name: String,
    /// Seed.
    pub seed: u64,
}

/// The program that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRecord {
    /// Version of hitbench.
    pub version: String,
    /// Version and revision, or hash of the executable when the tree was dirty.
    pub build_id: String,
    /// Git revision it was built from; `None` outside a checkout.
    pub git_revision: Option<String>,
    /// Whether the tree had changes that are in no revision.
    pub dirty: bool,
    /// Versions of the libraries that decide numbers, such as libtorch.
    pub libraries: BTreeMap<String, String>,
}

/// The machine as found. Unknown facts are `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// Operating system and kernel version.
    pub os: String,
    /// Processor architecture.
    pub arch: String,
    /// Processor model.
    pub cpu_model: Option<String>,
    /// Instruction sets that matter to the kernels.
    pub cpu_features: Vec<String>,
    /// Cores that this process may use.
    pub cores: u64,
    /// Main memory.
    pub memory_bytes: Option<u64>,
    /// Clock of the first core as found, in Hz.
    pub cpu_clock_hz: Option<u64>,
    /// Frequency governor of the first core.
    pub cpu_governor: Option<String>,
    /// Graphics processors.
    pub gpus: Vec<GpuRecord>,
}

/// One graphics processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuRecord {
    /// Product name.
    pub name: String,
    /// Device memory.
    pub memory_bytes: Option<u64>,
    /// Driver version.
    pub driver: Option<String>,
    /// Compute capability, such as `9.0`.
    pub compute_capability: Option<String>,
    /// Clock of the multiprocessors as found, in Hz.
    pub clock_hz: Option<u64>,
}
