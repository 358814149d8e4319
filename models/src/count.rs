//! Sizes of a model from its configuration alone: parameters by part, and what training holds in memory.

use crate::config::{Hierarchy, HitConfig, InputSpec, MomentumConfig, QueueDtype, TowerConfig};

/// Parameters by part; every one is trained and stored as f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterCounts {
    /// One linear an expert, from its feature rows to the video tower's hidden size.
    pub projections: u64,
    /// `[CLS]`, position, expert and segment tables of the video tower with their layer norm.
    pub video_embeddings: u64,
    /// Transformer layers of the video tower.
    pub video_layers: u64,
    /// Word, position and token-type tables of the text tower with their layer norm.
    pub text_embeddings: u64,
    /// Transformer layers of the text tower.
    pub text_layers: u64,
    /// One linear a tower and level, into the shared space.
    pub heads: u64,
}

impl ParameterCounts {
    /// Counts the parameters of a valid configuration.
    pub fn of(config: &HitConfig, inputs: &InputSpec) -> Self {
        let (video, text) = (&config.video, &config.text);
        let hidden = video.hidden as u64;
        let rows = 1 // `[CLS]`
            + video.max_positions
            + 1 + inputs.experts.len()
            + if config.video_input.segment_embedding { 2 } else { 0 };
        let text_rows = inputs.vocab_size + text.max_positions + 2;
        Self {
            projections: inputs
                .experts
                .iter()
                .map(|expert| linear(expert.dim as u64, hidden))
                .sum(),
            video_embeddings: rows as u64 * hidden + layer_norm(hidden),
            video_layers: layers(video),
            text_embeddings: text_rows as u64 * text.hidden as u64 + layer_norm(text.hidden as u64),
            text_layers: layers(text),
            heads: 2
                * (linear(hidden, config.embed_dim as u64)
                    + linear(text.hidden as u64, config.embed_dim as u64)),
        }
    }

    /// The video tower: projections, embeddings and layers.
    pub fn video_tower(&self) -> u64 {
        self.projections + self.video_embeddings + self.video_layers
    }

    /// The text tower: embeddings and layers (BERT without its pooler).
    pub fn text_tower(&self) -> u64 {
        self.text_embeddings + self.text_layers
    }

    /// Both towers and the heads.
    pub fn total(&self) -> u64 {
        self.video_tower() + self.text_tower() + self.heads
    }
}

/// What training holds beside activations and optimizer state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldCounts {
    /// Parameters of the query encoders and, with a queue, of the key encoders.
    pub parameters: u64,
    /// Bytes of the key queues: one a modality and level in use.
    pub queue_bytes: u64,
    /// Bytes of the id queue.
    pub id_queue_bytes: u64,
}

impl HeldCounts {
    /// Counts what a valid configuration holds.
    pub fn of(config: &HitConfig, inputs: &InputSpec, momentum: &MomentumConfig) -> Self {
        let encoders = if momentum.queue_len == 0 { 1 } else { 2 };
        let levels = match config.hierarchy {
            Hierarchy::Semantic | Hierarchy::Feature => 1,
            Hierarchy::Both => 2,
        };
        let element_bytes = match momentum.queue_dtype {
            QueueDtype::F16 => 2,
            QueueDtype::F32 => 4,
        };
        let entries = momentum.queue_len as u64;
        Self {
            parameters: encoders * ParameterCounts::of(config, inputs).total(),
            queue_bytes: 2 * levels * entries * config.embed_dim as u64 * element_bytes,
            id_queue_bytes: entries * size_of::<i64>() as u64,
        }
    }
}

fn linear(inputs: u64, outputs: u64) -> u64 {
    inputs * outputs + outputs
}

fn layer_norm(hidden: u64) -> u64 {
    2 * hidden
}

fn layers(tower: &TowerConfig) -> u64 {
    let (hidden, ffn) = (tower.hidden as u64, tower.ffn as u64);
    let attention = 4 * linear(hidden, hidden) + layer_norm(hidden);
    let feed_forward = linear(hidden, ffn) + linear(ffn, hidden) + layer_norm(hidden);
    tower.layers as u64 * (attention + feed_forward)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ExpertSpec, Preset};

    /// MMT's experts on MSR-VTT and the vocabulary of BERT-base-cased.
    fn mmt_inputs() -> InputSpec {
        let experts = [
            ("face", 512),
            ("ocr", 300),
            ("rgb", 2048),
            ("s3d", 1024),
            ("scene", 2208),
            ("speech", 300),
            ("vggish", 128),
        ];
        InputSpec {
            experts: experts
                .map(|(name, dim)| ExpertSpec {
                    name: name.into(),
                    dim,
                })
                .to_vec(),
            vocab_size: 28_996,
        }
    }

    #[test]
    fn paper_sizes_match_mmt_and_bert() {
        let counts = ParameterCounts::of(&HitConfig::preset(Preset::Paper), &mmt_inputs());
        // 16.81 M, 3.34 M and 108.31 M; the last includes BERT's pooler, which HiT has no use for.
        assert_eq!(counts.video_layers, 16_807_936);
        assert_eq!(counts.projections, 3_341_824);
        assert_eq!(counts.text_tower() + linear(768, 768), 108_310_272);
        assert_eq!(counts.video_embeddings, (1 + 32 + 8) * 512 + 1024);
        assert_eq!(counts.heads, 2 * (512 * 512 + 512) + 2 * (768 * 512 + 512));
        assert_eq!(
            counts.total(),
            counts.video_tower() + counts.text_tower() + counts.heads
        );
    }

    #[test]
    fn segments_add_two_rows() {
        let mut config = HitConfig::preset(Preset::Paper);
        let before = ParameterCounts::of(&config, &mmt_inputs()).video_embeddings;
        config.video_input.segment_embedding = true;
        assert_eq!(
            ParameterCounts::of(&config, &mmt_inputs()).video_embeddings,
            before + 2 * 512
        );
    }

    #[test]
    fn queues_follow_levels_and_dtype() {
        let mut config = HitConfig::preset(Preset::Paper);
        let mut momentum = MomentumConfig {
            queue_dtype: QueueDtype::F32,
            ..MomentumConfig::default()
        };
        let inputs = mmt_inputs();
        let total = ParameterCounts::of(&config, &inputs).total();
        let held = HeldCounts::of(&config, &inputs, &momentum);
        // Four f32 banks of 4096 x 512 are 32 MiB.
        assert_eq!((held.queue_bytes, held.id_queue_bytes), (32 << 20, 4096 * 8));
        assert_eq!(held.parameters, 2 * total);
        momentum.queue_dtype = QueueDtype::F16;
        config.hierarchy = Hierarchy::Semantic;
        assert_eq!(HeldCounts::of(&config, &inputs, &momentum).queue_bytes, 8 << 20);
        momentum.queue_len = 0;
        let held = HeldCounts::of(&config, &inputs, &momentum);
        assert_eq!(
            (held.parameters, held.queue_bytes, held.id_queue_bytes),
            (total, 0, 0)
        );
    }
}
