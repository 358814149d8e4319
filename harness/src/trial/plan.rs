//! Suite to cells and trials: merges cells that are the same work, names trials, hashes cells.

use std::collections::BTreeMap;
use std::fmt;

use hitbench_models::config::Hierarchy;
use hitbench_models::{MomentumConfig, TextConfig};
use serde_json::{Value as Json, json};

use crate::suite::config::{Schedule, TrainConfig};
use crate::suite::{AxisValue, CellConfig, Suite, SuiteCell};

/// Bytes of a cell hash that a trial id shows, two hex digits each.
const ID_BYTES: usize = 6;
/// Bytes of a run folder's hash that its name shows, two hex digits each.
const FOLDER_BYTES: usize = 4;
/// Keys of data sources that say where files lie; what the files hold is hashed instead.
const FILE_KEYS: [&str; 3] = ["annotations", "features", "path"];

/// What a suite comes to: cells, each with its trials.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Cells with at least one trial, in the order of the suite.
    pub cells: Vec<PlannedCell<'a>>,
}

/// A cell and its trials.
#[derive(Debug)]
pub struct PlannedCell<'a> {
    /// The cell that is run.
    pub cell: &'a SuiteCell,
    /// Cells that differ from it only in settings without effect.
    pub merged: Vec<&'a SuiteCell>,
    /// Whether differences are taken to this cell.
    pub is_reference: bool,
    /// One trial a seed.
    pub trials: Vec<PlannedTrial>,
}

/// A cell with a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTrial {
    /// Seed.
    pub seed: u64,
    /// Display name, `SUITE/axis=value/.../seed=N`.
    pub name: String,
}

/// A filter that no trial passes.
#[derive(Debug, thiserror::Error)]
#[error("no trial's name contains `{filter}`; the first is `{first}`")]
pub struct NoTrial {
    /// The filter.
    pub filter: String,
    /// Name of the suite's first trial.
    pub first: String,
}

impl<'a> Plan<'a> {
    /// Plans a suite. `filter` keeps the trials whose display name contains it.
    ///
    /// # Errors
    /// [`NoTrial`] when the filter keeps none.
    pub fn new(suite: &'a Suite, filter: Option<&str>) -> Result<Self, NoTrial> {
        let mut cells: Vec<PlannedCell<'a>> = Vec::new();
        let mut by_work: BTreeMap<String, usize> = BTreeMap::new();
        for (index, cell) in suite.cells.iter().enumerate() {
            let is_reference = suite.reference == Some(index);
            let work = canonical(&to_json(&effective(&cell.config)));
            match by_work.get(&work) {
                Some(&same) => {
                    cells[same].merged.push(cell);
                    cells[same].is_reference |= is_reference;
                }
                None => {
                    by_work.insert(work, cells.len());
                    let trial = |&seed| PlannedTrial {
                        seed,
                        name: display_name(&suite.name, &cell.axis_values, seed),
                    };
                    let trials = suite.seeds.iter().map(trial).collect();
                    cells.push(PlannedCell {
                        cell,
                        merged: Vec::new(),
                        is_reference,
                        trials,
                    });
                }
            }
        }
        if let Some(filter) = filter {
            let first = cells[0].trials[0].name.clone();
            for cell in &mut cells {
                cell.trials.retain(|trial| trial.name.contains(filter));
            }
            cells.retain(|cell| !cell.trials.is_empty());
            if cells.is_empty() {
                return Err(NoTrial {
                    filter: filter.to_owned(),
                    first,
                });
            }
        }
        Ok(Self { cells })
    }

    /// Number of trials.
    pub fn n_trials(&self) -> usize {
        self.cells.iter().map(|cell| cell.trials.len()).sum()
    }
}

impl PlannedCell<'_> {
    /// The cell's hash; `contents` are the hashes of everything read from files: the data set's content hash and,
    /// where a vocabulary file is given, that file's.
    pub fn hash(&self, suite_version: u32, contents: &[&str]) -> CellHash {
        let mut config = to_json(&effective(&self.cell.config));
        let remove = |section: &mut Json, keys: &[&str]| {
            if let Json::Object(section) = section {
                section.retain(|key, _| !keys.contains(&key.as_str()));
            }
        };
        if let Some(Json::Object(source)) = config.get_mut("data") {
            source.values_mut().for_each(|source| remove(source, &FILE_KEYS));
        }
        if let Some(text) = config.get_mut("text") {
            remove(text, &["vocab", "weights"]);
        }
        if let Some(train) = config.get_mut("train") {
            remove(train, &["init_from"]);
        }
        CellHash::of(&config, suite_version, contents)
    }
}

/// Identity of the work of a cell: BLAKE3 of its resolved configuration without settings that have no effect and
/// without the places of files, of the files' contents and of the suite's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellHash(blake3::Hash);

impl CellHash {
    /// The hash of a configuration as JSON; the order of keys does not matter.
    pub(crate) fn of(config: &Json, suite_version: u32, contents: &[&str]) -> Self {
        let all = json!({"config": config, "contents": contents, "suite_version": suite_version});
        Self(blake3::hash(canonical(&all).as_bytes()))
    }

    /// Id of the trial with this seed, used in file names: 12 hex digits and `-sSEED`.
    pub fn trial_id(&self, seed: u64) -> String {
        format!("{}-s{seed}", hex_prefix(&self.0, ID_BYTES))
    }
}

impl fmt::Display for CellHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.to_hex())
    }
}

/// Name of the run folder: the suite's name and 8 hex digits of the hash of the resolved suite and the build id.
pub fn run_folder_name(name: &str, resolved: &Json, build_id: &str) -> String {
    let all = json!({"suite": resolved, "build_id": build_id});
    let hash = blake3::hash(canonical(&all).as_bytes());
    format!("{name}-{}", hex_prefix(&hash, FOLDER_BYTES))
}

fn hex_prefix(hash: &blake3::Hash, bytes: usize) -> String {
    hash.as_bytes()[..bytes]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn display_name(suite: &str, axis_values: &[AxisValue], seed: u64) -> String {
    let axes: String = axis_values
        .iter()
        .map(|axis| format!("/{}={}", axis.path, axis.label()))
        .collect();
    format!("{suite}{axes}/seed={seed}")
}

/// The configuration with every setting that has no effect at its default, so that equal work is equal.
fn effective(config: &CellConfig) -> CellConfig {
    let mut config = config.clone();
    if config.momentum.queue_len == 0 {
        // End to end: no key encoders, no queues, negatives from the batch always.
        let MomentumConfig {
            queue_len: _,
            temperature: _,
            momentum,
            in_batch_negatives,
            mask_same_video,
            queue_dtype,
        } = MomentumConfig::default();
        config.momentum.momentum = momentum;
        config.momentum.in_batch_negatives = in_batch_negatives;
        config.momentum.mask_same_video = mask_same_video;
        config.momentum.queue_dtype = queue_dtype;
        config.model.key_dropout = true;
    }
    let (video, text) = (&mut config.model.video, &mut config.model.text);
    match config.model.hierarchy {
        Hierarchy::Semantic => {
            config.model.level_weights.feature = 1.0;
            (video.feature_tap, text.feature_tap) = (1, 1);
        }
        Hierarchy::Feature => {
            config.model.level_weights.semantic = 1.0;
            (video.semantic_tap, text.semantic_tap) = (video.layers, text.layers);
        }
        Hierarchy::Both => {}
    }
    if config.train.schedule != Schedule::EpochDecay {
        let TrainConfig {
            epoch_pairs,
            epoch_factor,
            ..
        } = TrainConfig::default();
        (config.train.epoch_pairs, config.train.epoch_factor) = (epoch_pairs, epoch_factor);
    }
    if config.text.vocab.is_some() {
        config.text.vocab_size = TextConfig::default().vocab_size;
    }
    config
}

fn to_json(config: &CellConfig) -> Json {
    serde_json::to_value(config).expect("configurations are plain data with string keys")
}

/// JSON with sorted keys and no spaces: equal values are equal texts.
fn canonical(json: &Json) -> String {
    match json {
        Json::Object(map) => {
            let sorted: BTreeMap<&String, &Json> = map.iter().collect();
            let entries: Vec<String> = sorted
                .iter()
                .map(|(key, value)| format!("{}:{}", json!(key), canonical(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(rest: &str, sets: &[&str]) -> Suite {
        let text = format!(
            "{{format: 1, name: sample, version: 1, about: A sample., kind: ablation, \
             train: {{batch: 16}}, momentum: {{queue_len: 64}}, {rest}}}"
        );
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        Suite::parse("sample.yaml", &text, &sets).expect("the suite is valid")
    }

    fn names(suite: &Suite, filter: Option<&str>) -> Vec<String> {
        let plan = Plan::new(suite, filter).expect("the filter keeps a trial");
        plan.cells
            .iter()
            .flat_map(|cell| cell.trials.iter().map(|trial| trial.name.clone()))
            .collect()
    }

    const QUEUE_BY_MOMENTUM: &str = "data: {synthetic: {}}, seeds: [0, 1], \
        axes: {momentum.queue_len: [0, 64], momentum.momentum: [0.9, 0.99]}";

    #[test]
    fn axes_are_crossed_and_cells_without_difference_merged() {
        let suite = suite(QUEUE_BY_MOMENTUM, &[]);
        assert_eq!(
            names(&suite, None),
            [
                "sample/momentum.queue_len=0/momentum.momentum=0.9/seed=0",
                "sample/momentum.queue_len=0/momentum.momentum=0.9/seed=1",
                "sample/momentum.queue_len=64/momentum.momentum=0.9/seed=0",
                "sample/momentum.queue_len=64/momentum.momentum=0.9/seed=1",
                "sample/momentum.queue_len=64/momentum.momentum=0.99/seed=0",
                "sample/momentum.queue_len=64/momentum.momentum=0.99/seed=1",
            ]
        );
        let plan = Plan::new(&suite, None).expect("no filter");
        assert_eq!(plan.n_trials(), 6);
        assert_eq!(plan.cells[0].merged.len(), 1);
        assert_eq!(plan.cells[0].merged[0].config.momentum.momentum, 0.99);
    }

    #[test]
    fn only_settings_without_effect_are_merged() {
        for (axis, n_cells) in [
            ("momentum.queue_len: [0], momentum.queue_dtype: [f16, f32]", 1),
            (
                "momentum.queue_len: [0], momentum.mask_same_video: [true, false]",
                1,
            ),
            (
                "momentum.queue_len: [0], momentum.in_batch_negatives: [true, false]",
                1,
            ),
            ("momentum.queue_len: [0], model.key_dropout: [true, false]", 1),
            ("momentum.queue_len: [0], momentum.temperature: [0.05, 0.07]", 2),
            ("momentum.queue_len: [64], momentum.queue_dtype: [f16, f32]", 2),
            ("momentum.queue_len: [64], model.key_dropout: [true, false]", 2),
            (
                "model.hierarchy: [semantic], model.level_weights.feature: [0.5, 1]",
                1,
            ),
            (
                "model.hierarchy: [semantic], model.level_weights.semantic: [0.5, 1]",
                2,
            ),
            ("model.hierarchy: [feature], model.video.semantic_tap: [3, 4]", 1),
            ("model.hierarchy: [both], model.video.semantic_tap: [3, 4]", 2),
            ("text.vocab: [words.txt], text.vocab_size: [100, 200]", 1),
            ("text.vocab: [null], text.vocab_size: [100, 200]", 2),
            ("train.schedule: [cosine], train.epoch_factor: [0.9, 0.8]", 1),
            ("train.schedule: [epoch_decay], train.epoch_factor: [0.9, 0.8]", 2),
        ] {
            let suite = suite(&format!("data: {{synthetic: {{}}}}, axes: {{{axis}}}"), &[]);
            let plan = Plan::new(&suite, None).expect("no filter");
            assert_eq!(plan.cells.len(), n_cells, "{axis}");
        }
    }

    #[test]
    fn filters_keep_names_that_contain_them() {
        let suite = suite(QUEUE_BY_MOMENTUM, &[]);
        assert_eq!(
            names(&suite, Some("momentum=0.99/seed=1")),
            ["sample/momentum.queue_len=64/momentum.momentum=0.99/seed=1"]
        );
        let error = Plan::new(&suite, Some("queue_len=7")).expect_err("no such trial");
        assert!(
            error
                .to_string()
                .contains("sample/momentum.queue_len=0/momentum.momentum=0.9/seed=0")
        );
    }

    fn hash(suite: &Suite, contents: &[&str]) -> CellHash {
        Plan::new(suite, None).expect("no filter").cells[0].hash(suite.version, contents)
    }

    #[test]
    fn hashes_cover_configuration_contents_and_version_but_not_places() {
        let base = hash(&suite("data: {folder: {path: here}}", &[]), &["a"]);
        assert_eq!(hash(&suite("data: {folder: {path: there}}", &[]), &["a"]), base);
        let lsmdc = |rest: &str| hash(&suite(&format!("data: {{lsmdc: {{{rest}}}}}"), &[]), &["a"]);
        let there = lsmdc("annotations: [a], features: b");
        assert_eq!(lsmdc("annotations: [c, d], features: e"), there);
        assert_ne!(lsmdc("annotations: [a], features: b, experts: [s3d]"), there);
        assert_eq!(
            hash(&suite("data: {folder: {path: here}}, seeds: [4]", &[]), &["a"]),
            base
        );
        assert_eq!(
            hash(
                &suite("data: {folder: {path: here}}, eval: {kernel: cpu/auto/f32}", &[]),
                &["a"]
            ),
            base
        );
        assert_ne!(hash(&suite("data: {folder: {path: here}}", &[]), &["b"]), base);
        assert_ne!(
            hash(&suite("data: {folder: {path: here}}", &["train.lr=0.5"]), &["a"]),
            base
        );
        assert_ne!(
            hash(&suite("data: {folder: {path: here}}", &["version=2"]), &["a"]),
            base
        );
    }

    #[test]
    fn ids_have_the_documented_form() {
        let hash = hash(&suite("data: {synthetic: {}}", &[]), &["a"]);
        let id = hash.trial_id(3);
        assert_eq!(id, format!("{}-s3", &hash.to_string()[..12]));
        let suite = suite("data: {synthetic: {}}", &[]);
        let folder = |build_id| run_folder_name(&suite.name, &suite.to_json(), build_id);
        let name = folder("build");
        let digits = name
            .strip_prefix("sample-")
            .expect("the suite's name comes first");
        assert!(digits.len() == 8 && digits.chars().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(folder("other build"), name);
    }

    #[test]
    fn the_reference_survives_a_merge() {
        let rest =
            format!("{QUEUE_BY_MOMENTUM}, reference: {{momentum.queue_len: 0, momentum.momentum: 0.99}}");
        let suite = suite(&rest, &[]);
        let plan = Plan::new(&suite, None).expect("no filter");
        let references: Vec<bool> = plan.cells.iter().map(|cell| cell.is_reference).collect();
        assert_eq!(references, [true, false, false]);
    }
}
