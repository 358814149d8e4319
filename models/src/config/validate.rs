//! Which configurations are possible: every refusal names field, value and allowed range.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{Hierarchy, HitConfig, InputSpec, MomentumConfig, TowerConfig};

/// Layers of a tower.
const LAYERS: RangeInclusive<usize> = 1..=128;
/// Hidden sizes, the shared space and feature rows.
const WIDTH: RangeInclusive<usize> = 1..=16_384;
/// Inner size of the feed-forward block.
const FFN: RangeInclusive<usize> = 1..=65_536;
/// Rows of a position table; a video's first two are "none" and "unknown".
const POSITIONS: RangeInclusive<usize> = 3..=65_536;
/// Feature tokens of one expert; 0 keeps the aggregated token alone.
const EXPERT_TOKENS: RangeInclusive<usize> = 0..=16_384;
/// Queue entries; 0 is the end-to-end baseline.
const QUEUE_LEN: RangeInclusive<usize> = 0..=16_777_216;
/// Temperatures; below, `1 / T` leaves the range in which f32 logits tell cosines apart.
const TEMPERATURE: RangeInclusive<f64> = 0.001..=100.0;
/// Rows of the word embedding table.
const VOCAB: RangeInclusive<usize> = 1..=16_777_216;

/// A value that no configuration may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is {value}, allowed: {allowed}")]
pub struct ConfigError {
    /// Dotted path of the field inside its section, such as `video.feature_tap`.
    pub path: String,
    /// The value found.
    pub value: String,
    /// What is allowed, in words or as a range.
    pub allowed: String,
}

impl ConfigError {
    fn new(path: impl Into<String>, value: impl Display, allowed: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            value: value.to_string(),
            allowed: allowed.into(),
        }
    }
}

/// Refuses `value` outside `range`; NaN lies outside every range.
fn within<T: PartialOrd + Display>(
    path: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(
        path,
        value,
        format!("{} to {}", range.start(), range.end()),
    ))
}

/// Refuses `value` outside `[0, 1)`.
fn below_one(path: &str, value: f64) -> Result<(), ConfigError> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(path, value, "at least 0 and below 1"))
}

impl HitConfig {
    /// Checks every field and the relations between them; the first that cannot be is the error.
    ///
    /// # Errors
    /// [`ConfigError`] with a path relative to the model section.
    pub fn validate(&self) -> Result<(), ConfigError> {
        within("embed_dim", self.embed_dim, WIDTH)?;
        self.video.validate("video")?;
        self.text.validate("text")?;
        within(
            "video_input.max_expert_tokens",
            self.video_input.max_expert_tokens,
            EXPERT_TOKENS,
        )?;
        // `[CLS]`, one word and `[SEP]` at least; each token needs a row of the position table.
        let positions = self.text.max_positions;
        if !(3..=positions).contains(&self.max_text_tokens) {
            let allowed = format!("3 to {positions} (`text.max_positions`)");
            return Err(ConfigError::new("max_text_tokens", self.max_text_tokens, allowed));
        }
        let weights = [
            (
                "level_weights.semantic",
                self.level_weights.semantic,
                Hierarchy::Feature,
            ),
            (
                "level_weights.feature",
                self.level_weights.feature,
                Hierarchy::Semantic,
            ),
        ];
        for (path, weight, unused_with) in weights {
            let used = self.hierarchy != unused_with;
            if !weight.is_finite() || weight < 0.0 || (used && weight == 0.0) {
                let allowed = match used {
                    true => "finite and above 0, as `hierarchy` uses this level",
                    false => "finite and at least 0",
                };
                return Err(ConfigError::new(path, weight, allowed));
            }
        }
        Ok(())
    }
}

impl TowerConfig {
    fn validate(&self, section: &str) -> Result<(), ConfigError> {
        let path = |field: &str| format!("{section}.{field}");
        within(&path("layers"), self.layers, LAYERS)?;
        within(&path("hidden"), self.hidden, WIDTH)?;
        if self.heads == 0 || !self.hidden.is_multiple_of(self.heads) {
            let allowed = format!("a divisor of {} (`{section}.hidden`)", self.hidden);
            return Err(ConfigError::new(path("heads"), self.heads, allowed));
        }
        within(&path("ffn"), self.ffn, FFN)?;
        below_one(&path("dropout"), self.dropout)?;
        below_one(&path("attention_dropout"), self.attention_dropout)?;
        if !(1..=self.layers).contains(&self.semantic_tap) {
            let allowed = format!("1 to {} (`{section}.layers`)", self.layers);
            return Err(ConfigError::new(path("semantic_tap"), self.semantic_tap, allowed));
        }
        if !(1..=self.semantic_tap).contains(&self.feature_tap) {
            let allowed = format!("1 to {} (`{section}.semantic_tap`)", self.semantic_tap);
            return Err(ConfigError::new(path("feature_tap"), self.feature_tap, allowed));
        }
        within(&path("max_positions"), self.max_positions, POSITIONS)
    }
}

impl MomentumConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ConfigError`] with a path relative to the momentum section.
    pub fn validate(&self) -> Result<(), ConfigError> {
        within("queue_len", self.queue_len, QUEUE_LEN)?;
        below_one("momentum", self.momentum)?;
        within("temperature", self.temperature, TEMPERATURE)
    }

    /// Checks the queue against the pairs of a step: an enqueue must not overwrite its own keys.
    ///
    /// # Errors
    /// [`ConfigError`] for `queue_len` when `0 < queue_len < batch`.
    pub fn validate_batch(&self, batch: usize) -> Result<(), ConfigError> {
        if self.queue_len > 0 && self.queue_len < batch {
            let allowed = format!("0, or at least the batch of {batch}");
            return Err(ConfigError::new("queue_len", self.queue_len, allowed));
        }
        Ok(())
    }
}

impl InputSpec {
    /// Checks the experts' order, names and sizes, and the vocabulary's size.
    ///
    /// # Errors
    /// [`ConfigError`] with a path such as `experts.1.dim`.
    pub fn validate(&self) -> Result<(), ConfigError> {
        within("vocab_size", self.vocab_size, VOCAB)?;
        if self.experts.is_empty() {
            return Err(ConfigError::new("experts", "empty", "at least one expert"));
        }
        for (index, expert) in self.experts.iter().enumerate() {
            // Names become parts of tensor names, where a dot separates levels.
            if expert.name.is_empty() || expert.name.contains('.') {
                let path = format!("experts.{index}.name");
                return Err(ConfigError::new(
                    path,
                    format!("{:?}", expert.name),
                    "not empty, no dot",
                ));
            }
            within(&format!("experts.{index}.dim"), expert.dim, WIDTH)?;
        }
        for (index, pair) in self.experts.windows(2).enumerate() {
            if pair[0].name >= pair[1].name {
                let path = format!("experts.{}.name", index + 1);
                let allowed = format!("a name after {:?} in byte order", pair[0].name);
                return Err(ConfigError::new(path, format!("{:?}", pair[1].name), allowed));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ExpertSpec, Preset};
    use super::*;

    fn tiny() -> HitConfig {
        HitConfig::preset(Preset::Tiny)
    }

    fn refused(change: impl FnOnce(&mut HitConfig)) -> ConfigError {
        let mut config = tiny();
        change(&mut config);
        config.validate().expect_err("the value is impossible")
    }

    #[test]
    fn presets_are_valid() {
        for preset in [Preset::Tiny, Preset::Paper] {
            HitConfig::preset(preset).validate().expect("a preset is valid");
        }
        MomentumConfig::default()
            .validate()
            .expect("the default is valid");
    }

    #[test]
    fn refusals_name_path_value_and_range() {
        let cases: [(ConfigError, &str, &str, &str); 12] = [
            (refused(|c| c.embed_dim = 0), "embed_dim", "0", "1 to 16384"),
            (refused(|c| c.video.layers = 0), "video.layers", "0", "1 to 128"),
            (
                refused(|c| c.text.heads = 3),
                "text.heads",
                "3",
                "a divisor of 128 (`text.hidden`)",
            ),
            (
                refused(|c| c.text.heads = 0),
                "text.heads",
                "0",
                "a divisor of 128 (`text.hidden`)",
            ),
            (
                refused(|c| c.video.dropout = 1.0),
                "video.dropout",
                "1",
                "at least 0 and below 1",
            ),
            (
                refused(|c| c.video.attention_dropout = f64::NAN),
                "video.attention_dropout",
                "NaN",
                "at least 0 and below 1",
            ),
            (
                refused(|c| c.video.semantic_tap = 5),
                "video.semantic_tap",
                "5",
                "1 to 4 (`video.layers`)",
            ),
            (
                refused(|c| c.text.feature_tap = 0),
                "text.feature_tap",
                "0",
                "1 to 4 (`text.semantic_tap`)",
            ),
            (
                refused(|c| {
                    c.video.feature_tap = 3;
                    c.video.semantic_tap = 2;
                }),
                "video.feature_tap",
                "3",
                "1 to 2 (`video.semantic_tap`)",
            ),
            (
                refused(|c| c.max_text_tokens = 129),
                "max_text_tokens",
                "129",
                "3 to 128 (`text.max_positions`)",
            ),
            (
                refused(|c| c.level_weights.feature = 0.0),
                "level_weights.feature",
                "0",
                "finite and above 0, as `hierarchy` uses this level",
            ),
            (
                refused(|c| c.level_weights.semantic = f64::INFINITY),
                "level_weights.semantic",
                "inf",
                "finite and above 0, as `hierarchy` uses this level",
            ),
        ];
        for (error, path, value, allowed) in cases {
            assert_eq!(
                (&*error.path, &*error.value, &*error.allowed),
                (path, value, allowed)
            );
        }
        let error = refused(|c| c.video.feature_tap = 9);
        assert_eq!(
            error.to_string(),
            "`video.feature_tap` is 9, allowed: 1 to 4 (`video.semantic_tap`)"
        );
    }

    #[test]
    fn a_level_without_use_may_weigh_nothing() {
        let mut config = tiny();
        config.hierarchy = Hierarchy::Semantic;
        config.level_weights.feature = 0.0;
        config.validate().expect("the feature level is not used");
        config.level_weights.feature = -1.0;
        assert_eq!(
            config.validate().expect_err("negative").path,
            "level_weights.feature"
        );
    }

    #[test]
    fn momentum_ranges() {
        let with = |change: fn(&mut MomentumConfig)| {
            let mut config = MomentumConfig::default();
            change(&mut config);
            config
        };
        assert_eq!(
            with(|c| c.momentum = 1.0).validate().expect_err("m").path,
            "momentum"
        );
        assert_eq!(
            with(|c| c.temperature = 0.0).validate().expect_err("T").path,
            "temperature"
        );
        assert_eq!(
            with(|c| c.temperature = f64::NAN)
                .validate()
                .expect_err("T")
                .value,
            "NaN"
        );
        with(|c| c.momentum = 0.0)
            .validate()
            .expect("m = 0 copies the query encoder");
        assert_eq!(
            with(|c| c.queue_len = 63)
                .validate_batch(64)
                .expect_err("K < B")
                .path,
            "queue_len"
        );
        with(|c| c.queue_len = 64).validate_batch(64).expect("K = B");
        with(|c| c.queue_len = 0).validate_batch(64).expect("no queue");
    }

    #[test]
    fn experts_are_checked() {
        let spec = |names: &[&str], dim| InputSpec {
            experts: names
                .iter()
                .map(|name| ExpertSpec {
                    name: (*name).into(),
                    dim,
                })
                .collect(),
            vocab_size: 10,
        };
        spec(&["a", "b"], 3).validate().expect("two experts in order");
        assert_eq!(spec(&[], 3).validate().expect_err("none").path, "experts");
        assert_eq!(spec(&["a"], 0).validate().expect_err("dim").path, "experts.0.dim");
        assert_eq!(
            spec(&["b", "a"], 3).validate().expect_err("order").path,
            "experts.1.name"
        );
        assert_eq!(
            spec(&["a", "a"], 3).validate().expect_err("twice").path,
            "experts.1.name"
        );
        assert_eq!(
            spec(&["a.b"], 3).validate().expect_err("dot").path,
            "experts.0.name"
        );
    }
}
