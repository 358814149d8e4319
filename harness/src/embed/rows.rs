//! Rows of both levels, put in order and laid side by side.

use hitbench_models::config::LevelWeights;
use hitbench_models::{LevelRows, ModelError};

use crate::data::{DataError, EvalBatch};

/// Embeds batches and puts their rows into the order of the split.
///
/// # Errors
/// Those of the batches and of `embed_batch`.
pub(crate) fn in_order<B, E: From<DataError> + From<ModelError>>(
    batches: impl Iterator<Item = Result<EvalBatch<B>, DataError>>,
    mut embed_batch: impl FnMut(&B) -> Result<LevelRows, ModelError>,
) -> Result<LevelRows, E> {
    let mut placed: Vec<(Vec<usize>, LevelRows)> = Vec::new();
    for batch in batches {
        let EvalBatch { places, batch } = batch?;
        placed.push((places, embed_batch(&batch)?));
    }
    let dim = placed.first().map_or(0, |(_, rows)| rows.dim);
    let n_rows = placed.iter().map(|(places, _)| places.len()).sum();
    let gather = |level: fn(&LevelRows) -> Option<&Vec<f32>>| {
        placed.iter().all(|(_, rows)| level(rows).is_some()).then(|| {
            let mut all = vec![0.0; n_rows * dim];
            for (places, rows) in &placed {
                let rows = level(rows).map_or(&[][..], Vec::as_slice);
                for (&place, row) in places.iter().zip(rows.chunks_exact(dim)) {
                    all[place * dim..][..dim].copy_from_slice(row);
                }
            }
            all
        })
    };
    Ok(LevelRows {
        n_rows,
        dim,
        feature: gather(|rows| rows.feature.as_ref()),
        semantic: gather(|rows| rows.semantic.as_ref()),
    })
}

/// Both levels' rows side by side, scaled by the root of their weights: the dot product of two such rows is the sum of
/// their levels' cosines by weight.
pub(crate) fn side_by_side(weights: &LevelWeights, rows: &LevelRows) -> Vec<f32> {
    let parts = [
        (&rows.semantic, weights.semantic),
        (&rows.feature, weights.feature),
    ];
    let mut joined = Vec::with_capacity(2 * rows.n_rows * rows.dim);
    for row in 0..rows.n_rows {
        for (level, weight) in &parts {
            let scale = weight.sqrt() as f32;
            let level = level.as_deref().unwrap_or_default();
            joined.extend(
                level[row * rows.dim..][..rows.dim]
                    .iter()
                    .map(|value| value * scale),
            );
        }
    }
    joined
}
