//! Lays the layers of a throughput cell over each other: defaults, suite, shape, axis, `--set`.

use hitbench_models::ConfigError;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::cross::Configuration;
use super::de::{Mismatch, What, read};
use super::kernel_cell::{
    EmaUpdateShape, EnqueueShape, InfoNceShape, KernelCell, MeasureConfig, Operation, RankCountsShape,
    TopKShape, TrainStepShape, Work, one_direction,
};
use super::layer::{overlay, widen};
use super::source::Origin;
use super::tree::{Entry, Node, Value};
use super::vocabulary::Vocabulary;
use super::wire::Kind;

/// Default of `device`.
const DEVICE: &str = "cpu";

impl Configuration for KernelCell {
    fn resolve(layers: &[&Node]) -> Result<Node, Mismatch> {
        let mut tree = Node::from_json(defaults(), Origin::Default);
        let mut shape = Node {
            value: Value::Map(Vec::new()),
            origin: Origin::Default,
        };
        for layer in layers {
            let mut rest = (*layer).clone();
            if let Some(entry) = rest.take("shape") {
                lay_shape(&mut shape, entry.node)?;
            }
            overlay(&mut tree, &rest, "")
                .map_err(|mismatch| widen(mismatch, Vocabulary::of(Kind::Throughput)))?;
        }
        if let Some(operation) = shape.take("operation")
            && let Some(default) = tree.get_mut("operation")
        {
            *default = operation.node;
        }
        if let Some(node) = tree.get_mut("shape") {
            *node = shape;
        }
        Ok(tree)
    }

    fn read(tree: &Node) -> Result<Self, Mismatch> {
        let part = |path: &str| tree.get(path).unwrap_or(tree);
        let shape = part("shape");
        let work = match read::<Operation>(part("operation"), "operation")? {
            Operation::RankCounts => Work::RankCounts(read::<RankCountsShape>(shape, "shape")?),
            Operation::TopK => Work::TopK(read::<TopKShape>(shape, "shape")?),
            Operation::InfoNce => Work::InfoNce(read::<InfoNceShape>(shape, "shape")?),
            Operation::EmaUpdate => Work::EmaUpdate(read::<EmaUpdateShape>(shape, "shape")?),
            Operation::Enqueue => Work::Enqueue(read::<EnqueueShape>(shape, "shape")?),
            Operation::TrainStep => Work::TrainStep(read::<TrainStepShape>(shape, "shape")?),
        };
        Ok(Self {
            device: read(part("device"), "device")?,
            work,
            kernel: read(part("kernel"), "kernel")?,
            measure: read(part("measure"), "measure")?,
        })
    }

    fn validate(&self) -> Result<(), ConfigError> {
        Self::validate(self)
    }
}

/// Defaults of all settings; null marks what a suite must give.
pub(crate) fn defaults() -> Json {
    let measure = to_json(&MeasureConfig::default());
    json!({"device": DEVICE, "operation": null, "shape": null, "kernel": null, "measure": measure})
}

/// Defaults of the sizes of shapes, those of all operations together.
pub(crate) fn shape_defaults() -> Json {
    json!({"directions": one_direction()})
}

fn to_json(config: &impl Serialize) -> Json {
    serde_json::to_value(config).expect("configurations are plain data with string keys")
}

/// Writes the sizes of `over` into `base`; which there may be is checked when they are read.
fn lay_shape(base: &mut Node, over: Node) -> Result<(), Mismatch> {
    let Value::Map(entries) = over.value else {
        let expected = "a map of sizes".to_owned();
        let found = format!("`{}`", over.shown());
        return Err(Mismatch {
            path: "shape".to_owned(),
            origin: over.origin,
            what: Box::new(What::Type { expected, found }),
        });
    };
    if !base.origin.is_written() {
        base.origin = over.origin;
    }
    entries.into_iter().for_each(|entry: Entry| base.put(entry));
    Ok(())
}
