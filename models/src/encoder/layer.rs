//! Transformer layers as BERT has them: self-attention and feed-forward, each followed by dropout, the
//! residual sum and layer norm (post-LN), with the exact (erf) GELU.

use tch::Tensor;

use super::dropout::dropout;
use super::{LayerNorm, Linear, Parameters, TokenLayout};
use crate::config::TowerConfig;
use crate::error::ModelError;
use crate::hierarchy::Levels;

/// One layer, with BERT's tensor names under its prefix.
#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

/// All layers of a tower.
#[derive(Debug)]
pub(super) struct Stack {
    layers: Vec<Layer>,
    heads: i64,
    head_dim: i64,
    dropout: f64,
    attention_dropout: f64,
    feature_tap: usize,
    semantic_tap: usize,
}

/// Packed tokens `[n_tokens, hidden]` at the taps asked for.
#[derive(Debug)]
pub(super) struct Taps {
    pub(super) feature: Option<Tensor>,
    pub(super) semantic: Option<Tensor>,
}

impl Layer {
    fn new(parameters: &mut Parameters, prefix: &str, config: &TowerConfig) -> Result<Self, ModelError> {
        let (hidden, ffn) = (config.hidden, config.ffn);
        let name = |part: &str| format!("{prefix}.{part}");
        Ok(Self {
            query: parameters.linear(&name("attention.self.query"), hidden, hidden)?,
            key: parameters.linear(&name("attention.self.key"), hidden, hidden)?,
            value: parameters.linear(&name("attention.self.value"), hidden, hidden)?,
            attention_output: parameters.linear(&name("attention.output.dense"), hidden, hidden)?,
            attention_norm: parameters.layer_norm(&name("attention.output.LayerNorm"), hidden)?,
            intermediate: parameters.linear(&name("intermediate.dense"), hidden, ffn)?,
            output: parameters.linear(&name("output.dense"), ffn, hidden)?,
            output_norm: parameters.layer_norm(&name("output.LayerNorm"), hidden)?,
        })
    }
}

impl Stack {
    /// Layers named `PREFIX.encoder.layer.N`.
    pub(super) fn new(
        parameters: &mut Parameters,
        prefix: &str,
        config: &TowerConfig,
    ) -> Result<Self, ModelError> {
        let layers = (0..config.layers)
            .map(|index| Layer::new(parameters, &format!("{prefix}.encoder.layer.{index}"), config))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            layers,
            heads: config.heads as i64,
            head_dim: (config.hidden / config.heads) as i64,
            dropout: config.dropout,
            attention_dropout: config.attention_dropout,
            feature_tap: config.feature_tap,
            semantic_tap: config.semantic_tap,
        })
    }

    /// Runs as many layers as the levels need.
    pub(super) fn forward(
        &self,
        tokens: Tensor,
        layout: &TokenLayout,
        levels: Levels,
        train: bool,
    ) -> Result<Taps, ModelError> {
        let depth = match levels {
            Levels { semantic: true, .. } => self.semantic_tap,
            Levels { feature: true, .. } => self.feature_tap,
            _ => 0,
        };
        let mut taps = Taps {
            feature: None,
            semantic: None,
        };
        let mut tokens = tokens;
        for (layer, number) in self.layers[..depth].iter().zip(1..) {
            tokens = self.layer(layer, &tokens, layout, train)?;
            if levels.feature && number == self.feature_tap {
                taps.feature = Some(tokens.shallow_clone());
            }
        }
        if levels.semantic {
            taps.semantic = Some(tokens);
        }
        Ok(taps)
    }

    fn layer(
        &self,
        layer: &Layer,
        tokens: &Tensor,
        layout: &TokenLayout,
        train: bool,
    ) -> Result<Tensor, ModelError> {
        let context = self.attention(layer, tokens, layout, train)?;
        let attended = dropout(&layer.attention_output.forward(&context)?, self.dropout, train)?;
        let attended = layer.attention_norm.forward(&attended.f_add(tokens)?)?;
        let inner = layer.intermediate.forward(&attended)?.f_gelu("none")?;
        let output = dropout(&layer.output.forward(&inner)?, self.dropout, train)?;
        layer.output_norm.forward(&output.f_add(&attended)?)
    }

    /// Self-attention of packed tokens `[n_tokens, hidden]` within their rows, before the output projection.
    fn attention(
        &self,
        layer: &Layer,
        tokens: &Tensor,
        layout: &TokenLayout,
        train: bool,
    ) -> Result<Tensor, ModelError> {
        let shape = [layout.n_rows(), layout.seq_len(), self.heads, self.head_dim];
        let heads = |linear: &Linear| -> Result<Tensor, ModelError> {
            let padded = layout.pad(&linear.forward(tokens)?)?;
            Ok(padded.f_view(shape.as_slice())?.f_transpose(1, 2)?)
        };
        let attention_dropout = if train { self.attention_dropout } else { 0.0 };
        let context = Tensor::f_scaled_dot_product_attention(
            &heads(&layer.query)?,
            &heads(&layer.key)?,
            &heads(&layer.value)?,
            layout.mask(),
            attention_dropout,
            false,
            None,
            false,
        )?;
        let hidden = self.heads * self.head_dim;
        layout.pack(&context.f_transpose(1, 2)?.f_reshape([-1, hidden])?)
    }
}
