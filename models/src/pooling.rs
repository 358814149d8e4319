//! Tokens of a row to one vector.

use tch::Tensor;

use crate::config::Pooling;
use crate::encoder::TokenLayout;
use crate::error::ModelError;

/// Pools packed tokens `[n_tokens, hidden]` to `[n_rows, hidden]`; padding has no part in it.
pub(crate) fn pool(pooling: Pooling, tokens: &Tensor, layout: &TokenLayout) -> Result<Tensor, ModelError> {
    let (n_rows, seq_len) = (layout.n_rows(), layout.seq_len());
    let rows = |padded: &Tensor| padded.f_view([n_rows, seq_len, -1]);
    match pooling {
        Pooling::Mean => {
            let mut weights = vec![0f32; (n_rows * seq_len) as usize];
            for (row, &length) in weights.chunks_exact_mut(seq_len as usize).zip(layout.lengths()) {
                row[..length].fill(1.0 / length as f32);
            }
            let weights = Tensor::f_from_slice(&weights)?.f_reshape([n_rows, 1, seq_len])?;
            let padded = layout.pad(tokens)?;
            Ok(weights
                .f_to_device(layout.device())?
                .f_bmm(&rows(&padded)?)?
                .f_squeeze_dim(1)?)
        }
        Pooling::Max => {
            let mut padded = rows(&layout.pad(tokens)?)?;
            if let Some(mask) = layout.mask() {
                padded = padded.f_add(&mask.f_reshape([n_rows, seq_len, 1])?)?;
            }
            Ok(padded.f_amax([1], false)?)
        }
        Pooling::Cls => {
            let first = layout.lengths().iter().scan(0, |start, &length| {
                let first = *start;
                *start += length as i64;
                Some(first)
            });
            let first = Tensor::f_from_slice(&first.collect::<Vec<i64>>())?.f_to_device(layout.device())?;
            Ok(tokens.f_index_select(0, &first)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn padding_has_no_part() {
        // The first token, which stands in for padding, is the largest of all.
        let tokens = Tensor::from_slice(&[9f32, -9.0, 1.0, 3.0, 2.0, 4.0, -3.0, -5.0]).reshape([4, 2]);
        let layout = TokenLayout::new(&[1, 3], 3, Device::Cpu).unwrap();
        let cases = [
            (Pooling::Mean, [9.0, -9.0, 0.0, 2.0 / 3.0]),
            (Pooling::Max, [9.0, -9.0, 2.0, 4.0]),
            (Pooling::Cls, [9.0, -9.0, 1.0, 3.0]),
        ];
        for (pooling, expected) in cases {
            let found = pool(pooling, &tokens, &layout).unwrap();
            assert_eq!(found.size(), [2, 2]);
            let found = Vec::<f32>::try_from(found.reshape([-1])).unwrap();
            let worst = found
                .iter()
                .zip(expected)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 1e-6, "{pooling:?}: {found:?}");
        }
    }
}
