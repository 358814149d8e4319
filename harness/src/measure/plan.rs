//! A throughput suite as cells to measure, each with a name and an identity.

use crate::suite::{AxisValue, KernelCell, SuiteCell, ThroughputSuite};
use crate::trial::plan::{CellHash, NoTrial};

/// What a throughput suite comes to.
#[derive(Debug)]
pub struct MeasurePlan<'a> {
    /// Cells in the order of the suite.
    pub cells: Vec<PlannedMeasurement<'a>>,
}

/// A cell to measure.
#[derive(Debug)]
pub struct PlannedMeasurement<'a> {
    /// The cell.
    pub cell: &'a SuiteCell<KernelCell>,
    /// Cells that are the same work.
    pub merged: Vec<&'a SuiteCell<KernelCell>>,
    /// Display name, `SUITE/OPERATION/size=value/.../axis=value`.
    pub name: String,
    /// Its identity.
    pub hash: CellHash,
}

impl PlannedMeasurement<'_> {
    /// Id in file names and records.
    pub fn id(&self) -> String {
        self.hash.trial_id(0)
    }
}

impl<'a> MeasurePlan<'a> {
    /// Plans a suite. `filter` keeps the cells whose display name contains it.
    ///
    /// # Errors
    /// [`NoTrial`] when the filter keeps none.
    pub fn new(suite: &'a ThroughputSuite, filter: Option<&str>) -> Result<Self, NoTrial> {
        let mut cells: Vec<PlannedMeasurement<'a>> = Vec::new();
        for cell in &suite.cells {
            let config = serde_json::to_value(&cell.config).expect("configurations are plain data");
            let hash = CellHash::of(&config, suite.version, &[]);
            match cells.iter_mut().find(|planned| planned.hash == hash) {
                Some(same) => same.merged.push(cell),
                None => cells.push(PlannedMeasurement {
                    cell,
                    merged: Vec::new(),
                    name: display_name(&suite.name, cell),
                    hash,
                }),
            }
        }
        if let Some(filter) = filter {
            let first = cells[0].name.clone();
            cells.retain(|cell| cell.name.contains(filter));
            if cells.is_empty() {
                return Err(NoTrial {
                    filter: filter.to_owned(),
                    first,
                });
            }
        }
        Ok(Self { cells })
    }
}

/// Sizes stand for the shape, and for axes inside it.
fn display_name(suite: &str, cell: &SuiteCell<KernelCell>) -> String {
    let work = &cell.config.work;
    let sizes = work.sizes();
    let sizes = sizes.iter().map(|(name, size)| format!("/{name}={size}"));
    let is_named = |axis: &&AxisValue| !axis.path.starts_with("shape") && axis.path != "operation";
    let axes = cell.axis_values.iter().filter(is_named);
    let axes = axes.map(|axis| format!("/{}={}", axis.path, axis.label()));
    format!(
        "{suite}/{}{}",
        work.operation(),
        sizes.chain(axes).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(sets: &[&str]) -> ThroughputSuite {
        let text = "{format: 1, name: t, version: 1, about: a, kind: throughput, operation: rank_counts, \
            shapes: [{queries: 8, gallery: 9, dim: 4}, {operation: enqueue, batch: 2, queue_len: 5, dim: 4}], \
            axes: {kernel: [cpu/auto/f16, reference/f64]}}";
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        ThroughputSuite::parse("t.yaml", text, &sets).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn kernels_of_a_shape_stand_beside_each_other() {
        let suite = suite(&[]);
        let plan = MeasurePlan::new(&suite, None).unwrap();
        let names: Vec<&str> = plan.cells.iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "t/rank_counts/queries=8/gallery=9/dim=4/kernel=cpu.auto.f16",
                "t/rank_counts/queries=8/gallery=9/dim=4/kernel=reference.f64",
                "t/enqueue/batch=2/queue_len=5/dim=4/kernel=cpu.auto.f16",
                "t/enqueue/batch=2/queue_len=5/dim=4/kernel=reference.f64",
            ]
        );
        let filtered = MeasurePlan::new(&suite, Some("enqueue")).unwrap();
        assert_eq!(filtered.cells.len(), 2);
        assert_eq!(filtered.cells[1].hash, plan.cells[3].hash);
        assert!(MeasurePlan::new(&suite, Some("info_nce")).is_err());
    }

    #[test]
    fn equal_cells_are_merged_and_settings_change_the_identity() {
        let shapes = "shapes=[{queries: 8, gallery: 9, dim: 4}, {queries: 8, gallery: 9, dim: 5}]";
        let merged = suite(&[shapes, "shape.dim=6"]);
        let plan = MeasurePlan::new(&merged, None).unwrap();
        assert_eq!((plan.cells.len(), plan.cells[0].merged.len()), (2, 1));
        let hash = |sets: &[&str]| MeasurePlan::new(&suite(sets), None).unwrap().cells[0].hash;
        assert_eq!(hash(&[]), hash(&["about=other"]));
        for set in [
            "version=2",
            "measure.samples=7",
            "measure.threads=1",
            "shape.dim=5",
        ] {
            assert_ne!(hash(&[]), hash(&[set]), "{set}");
        }
    }
}
