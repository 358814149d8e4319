//! Which texts take part: a file of zeros and ones.

use half::{bf16, f16};

use super::error::EvalError;
use crate::format::{Array, Element, Location};

/// Which texts take part, from a file of zeros and ones.
#[derive(Debug)]
pub struct Mask {
    /// Where it comes from.
    pub location: Location,
    /// One or two axes; two are videos by captions, as MMT and Collaborative Experts have them.
    pub shape: Vec<usize>,
    /// Whether each text takes part, row-major.
    pub kept: Vec<bool>,
}

impl Mask {
    /// Reads a mask of any element type.
    ///
    /// # Errors
    /// [`EvalError`]; [`EvalError::Mask`] for an entry that is neither 0 nor 1.
    pub fn read(location: &Location) -> Result<Self, EvalError> {
        let array = Array::read(location)?;
        let size = array.element.size();
        let values = array.buffer.bytes().chunks_exact(size).enumerate();
        let kept = values.map(|(place, bytes)| {
            let value = match array.element {
                Element::Bool | Element::Int(_) => whole(bytes),
                Element::F16 => f16::from_ne_bytes([bytes[0], bytes[1]]).to_f64(),
                Element::Bf16 => bf16::from_ne_bytes([bytes[0], bytes[1]]).to_f64(),
                Element::F32 => bytemuck::pod_read_unaligned::<f32>(bytes).into(),
                Element::F64 => bytemuck::pod_read_unaligned(bytes),
                text @ (Element::Bytes(_) | Element::Unicode(_)) => {
                    return Err(EvalError::Mask {
                        location: location.clone(),
                        expected: "zeros and ones".to_owned(),
                        found: text.to_string(),
                    });
                }
            };
            match value {
                0.0 => Ok(false),
                1.0 => Ok(true),
                other => Err(EvalError::Mask {
                    location: location.clone(),
                    expected: "zeros and ones".to_owned(),
                    found: format!("{other} at entry {place}"),
                }),
            }
        });
        Ok(Self {
            location: location.clone(),
            kept: kept.collect::<Result<_, _>>()?,
            shape: array.shape,
        })
    }
}

/// An integer of this machine's byte order; only whether it is 0 or 1 matters, so no sign.
fn whole(bytes: &[u8]) -> f64 {
    let place = |index: usize| {
        if cfg!(target_endian = "big") {
            bytes.len() - 1 - index
        } else {
            index
        }
    };
    let digits = (0..bytes.len()).map(|index| f64::from(bytes[place(index)]) * 256f64.powi(index as i32));
    digits.sum()
}

#[cfg(test)]
mod tests;
