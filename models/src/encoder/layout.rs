//! Where the tokens of a batch are: packed one after another, and padded to rows for attention alone.

use tch::{Device, Tensor};

use crate::error::ModelError;

/// Token places of one batch.
///
/// All layers but attention work on packed tokens `[n_tokens, hidden]`, so padding costs nothing there.
#[derive(Debug)]
pub(crate) struct TokenLayout {
    n_rows: i64,
    seq_len: i64,
    lengths: Vec<usize>,
    device: Device,
    /// `None` when all rows are full: packed and padded are then the same.
    padding: Option<Padding>,
}

#[derive(Debug)]
struct Padding {
    /// Packed token of each padded place `[n_rows * seq_len]`; token 0 behind a row's end, where the mask
    /// keeps it from having an effect.
    to_padded: Tensor,
    /// Padded place of each packed token `[n_tokens]`.
    to_packed: Tensor,
    /// Added to attention scores `[n_rows, 1, 1, seq_len]`: 0, and minus infinity behind a row's end.
    mask: Tensor,
}

impl TokenLayout {
    /// The layout of rows with `lengths` tokens, each between 1 and `seq_len`.
    pub(crate) fn new(lengths: &[usize], seq_len: usize, device: Device) -> Result<Self, ModelError> {
        if lengths.is_empty() {
            return Err(ModelError::shape("rows of a batch", "at least 1", 0));
        }
        if let Some(length) = lengths.iter().find(|length| !(1..=seq_len).contains(length)) {
            return Err(ModelError::shape(
                "tokens of a row",
                format!("1 to {seq_len}"),
                length,
            ));
        }
        let padding = match lengths.iter().all(|&length| length == seq_len) {
            true => None,
            false => Some(Padding::new(lengths, seq_len, device)?),
        };
        let (n_rows, seq_len) = (lengths.len() as i64, seq_len as i64);
        Ok(Self {
            n_rows,
            seq_len,
            lengths: lengths.to_vec(),
            device,
            padding,
        })
    }

    pub(crate) fn n_rows(&self) -> i64 {
        self.n_rows
    }

    pub(crate) fn seq_len(&self) -> i64 {
        self.seq_len
    }

    /// Tokens of each row.
    pub(crate) fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// Additive attention mask `[n_rows, 1, 1, seq_len]`, if any token is masked.
    pub(crate) fn mask(&self) -> Option<&Tensor> {
        self.padding.as_ref().map(|padding| &padding.mask)
    }

    /// `[n_tokens, hidden]` to `[n_rows * seq_len, hidden]`; rows of padding are copies of the first token.
    pub(crate) fn pad(&self, tokens: &Tensor) -> Result<Tensor, ModelError> {
        Ok(match &self.padding {
            Some(padding) => tokens.f_index_select(0, &padding.to_padded)?,
            None => tokens.shallow_clone(),
        })
    }

    /// `[n_rows * seq_len, hidden]` to `[n_tokens, hidden]`.
    pub(crate) fn pack(&self, padded: &Tensor) -> Result<Tensor, ModelError> {
        Ok(match &self.padding {
            Some(padding) => padded.f_index_select(0, &padding.to_packed)?,
            None => padded.shallow_clone(),
        })
    }
}

impl Padding {
    fn new(lengths: &[usize], seq_len: usize, device: Device) -> Result<Self, ModelError> {
        let places = lengths.len() * seq_len;
        let mut to_padded = vec![0i64; places];
        let mut to_packed = Vec::with_capacity(places);
        let mut mask = vec![f32::NEG_INFINITY; places];
        for (row, &length) in lengths.iter().enumerate() {
            for place in row * seq_len..row * seq_len + length {
                to_padded[place] = to_packed.len() as i64;
                to_packed.push(place as i64);
                mask[place] = 0.0;
            }
        }
        let mask = Tensor::f_from_slice(&mask)?.f_reshape([lengths.len() as i64, 1, 1, seq_len as i64])?;
        Ok(Self {
            to_padded: Tensor::f_from_slice(&to_padded)?.f_to_device(device)?,
            to_packed: Tensor::f_from_slice(&to_packed)?.f_to_device(device)?,
            mask: mask.f_to_device(device)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_tokens_survive_padding() {
        let layout = TokenLayout::new(&[2, 3, 1], 3, Device::Cpu).unwrap();
        let tokens = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).reshape([6, 1]);
        let padded = layout.pad(&tokens).unwrap();
        let flat = Vec::<f32>::try_from(padded.reshape([-1])).unwrap();
        assert_eq!(flat, [1.0, 2.0, 1.0, 3.0, 4.0, 5.0, 6.0, 1.0, 1.0]);
        assert_eq!(layout.pack(&padded).unwrap(), tokens);
        let mask = Vec::<f32>::try_from(layout.mask().unwrap().reshape([-1])).unwrap();
        let gone = f32::NEG_INFINITY;
        assert_eq!(mask, [0.0, 0.0, gone, 0.0, 0.0, 0.0, 0.0, gone, gone]);
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for lengths in [&[][..], &[0], &[4]] {
            let found = TokenLayout::new(lengths, 3, Device::Cpu);
            assert!(matches!(found, Err(ModelError::Shape { .. })), "{lengths:?}");
        }
    }
}
