//! The named defaults.

use super::{
    Hierarchy, HitConfig, LevelWeights, MissingExperts, MomentumConfig, Pooling, Preset, QueueDtype,
    TowerConfig, VideoInputConfig,
};

impl HitConfig {
    /// All values of a preset.
    ///
    /// `paper`: depths of both towers from the sources; video sizes as MMT's 4-layer encoder, text sizes as
    /// BERT-base, the rest by inference (see each field). `tiny`: 4+4 layers of width 128. Its attention
    /// dropout is 0, which keeps attention over short sequences to one pass over the scores.
    pub fn preset(preset: Preset) -> Self {
        let (embed_dim, video, text) = match preset {
            Preset::Paper => {
                let video = TowerConfig {
                    layers: 4,
                    hidden: 512,
                    heads: 4,
                    ffn: 3072,
                    dropout: 0.1,
                    attention_dropout: 0.1,
                    feature_tap: 1,
                    semantic_tap: 4,
                    max_positions: 32,
                };
                let text = TowerConfig {
                    layers: 12,
                    hidden: 768,
                    heads: 12,
                    ffn: 3072,
                    dropout: 0.1,
                    attention_dropout: 0.1,
                    feature_tap: 1,
                    semantic_tap: 12,
                    max_positions: 512,
                };
                (512, video, text)
            }
            Preset::Tiny => {
                let tower = TowerConfig {
                    layers: 4,
                    hidden: 128,
                    heads: 4,
                    ffn: 512,
                    dropout: 0.1,
                    attention_dropout: 0.0,
                    feature_tap: 1,
                    semantic_tap: 4,
                    max_positions: 128,
                };
                (128, tower.clone(), tower)
            }
        };
        Self {
            preset,
            hierarchy: Hierarchy::Both,
            embed_dim,
            pooling: Pooling::Mean,
            video,
            text,
            video_input: VideoInputConfig {
                max_expert_tokens: 30,
                segment_embedding: false,
                missing_experts: MissingExperts::Drop,
            },
            max_text_tokens: 30,
            level_weights: LevelWeights {
                semantic: 1.0,
                feature: 1.0,
            },
            key_dropout: true,
        }
    }
}

impl Default for MomentumConfig {
    /// K 4096, m 0.999, T 0.07, keys of the batch not among the negatives, no same-video mask, f16 queues.
    fn default() -> Self {
        Self {
            queue_len: 4096,
            momentum: 0.999,
            temperature: 0.07,
            in_batch_negatives: false,
            mask_same_video: false,
            queue_dtype: QueueDtype::F16,
        }
    }
}
