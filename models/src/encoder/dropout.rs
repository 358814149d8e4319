//! Dropout, with a cheaper mask than libtorch's own on the CPU.

use tch::{Device, Kind, Tensor};

use crate::error::ModelError;

/// Random bits that decide one value.
const BITS: u32 = 16;

/// Sets each value to 0 with chance `p` and divides the others by `1 - p`; the identity without `train`.
///
/// libtorch's CPU dropout spends most of its time on one floating-point draw a value. Here 16 bits of the
/// generator's 64-bit output decide each value, which rounds `p` to a multiple of 2^-16.
pub(super) fn dropout(values: &Tensor, p: f64, train: bool) -> Result<Tensor, ModelError> {
    if !train || p == 0.0 {
        return Ok(values.shallow_clone());
    }
    if values.device() != Device::Cpu {
        return Ok(values.f_dropout(p, true)?);
    }
    let len = values.numel() as i64;
    let per_word = i64::from(i64::BITS / BITS);
    let words = Tensor::f_empty([(len + per_word - 1) / per_word], (Kind::Int64, Device::Cpu))?;
    // Without an upper end, all 64 bits are drawn.
    let words = words.shallow_clone().f_random_from_(i64::MIN, None)?;
    let dropped = (p * f64::from(1u32 << BITS)).round() as i64;
    let first_kept = (dropped + i64::from(i16::MIN)).min(i64::from(i16::MAX));
    let kept = words
        .f_view_dtype(Kind::Int16)?
        .f_narrow(0, 0, len)?
        .f_ge(first_kept)?;
    let noise = kept.f_to_kind(Kind::Float)?.f_mul_scalar_(1.0 / (1.0 - p))?;
    Ok(values.f_mul(&noise.f_view_as(values)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_dropped_at_the_rate_and_rescaled() {
        for p in [0.1, 0.5, 0.9] {
            let ones = Tensor::ones([1001, 333], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let found = dropout(&ones, p, true).unwrap();
            let values = Vec::<f32>::try_from(found.reshape([-1])).unwrap();
            let kept = (1.0 / (1.0 - p)) as f32;
            assert!(values.iter().all(|&value| value == 0.0 || value == kept));
            // Every place within a word of the generator drops at the rate: 6 standard deviations.
            for place in 0..4 {
                let of_place: Vec<f32> = values.iter().skip(place).step_by(4).copied().collect();
                let n = of_place.len() as f64;
                let dropped = of_place.iter().filter(|&&value| value == 0.0).count() as f64 / n;
                assert!(
                    (dropped - p).abs() < 6.0 * (p * (1.0 - p) / n).sqrt(),
                    "{dropped} is not {p}"
                );
            }
            // The gradient passes through the same mask.
            let total = found.sum(Kind::Float);
            let gradient = &Tensor::f_run_backward(&[total], &[ones], false, false).unwrap()[0];
            assert_eq!(gradient, &found);
        }
    }

    #[test]
    fn nothing_is_dropped_in_evaluation_or_at_rate_zero() {
        let values = Tensor::from_slice(&[1f32, -2.0, 3.0]);
        assert_eq!(dropout(&values, 0.5, false).unwrap(), values);
        assert_eq!(dropout(&values, 0.0, true).unwrap(), values);
    }
}
