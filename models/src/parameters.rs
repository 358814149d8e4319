//! Parameters of an encoder as one buffer, so that optimizer and momentum update are a few long operations
//! instead of hundreds of short ones.
//!
//! The encoder keeps its variables; only their storage moves. Nothing here knows what a variable means.

use tch::{Kind, Tensor, no_grad};

use crate::error::ModelError;

/// Every slot starts at a multiple of this many values (64 bytes), as a tensor's own storage would.
const ALIGNMENT: usize = 16;

/// Where one variable lies in the buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The variable's name.
    pub name: String,
    /// First value in the buffer.
    pub offset: i64,
    /// The variable's shape.
    pub shape: Vec<i64>,
}

impl Slot {
    /// This slot's part of `buffer`, as a view in the variable's shape.
    ///
    /// # Errors
    /// [`ModelError`] when `buffer` is too short.
    pub fn view(&self, buffer: &Tensor) -> Result<Tensor, ModelError> {
        let len: i64 = self.shape.iter().product();
        Ok(buffer
            .f_narrow(0, self.offset, len)?
            .f_view(self.shape.as_slice())?)
    }
}

/// Variables laid one after another in one `f32` buffer, each slot aligned; the gaps stay zero.
#[derive(Debug)]
pub struct FlatParameters {
    buffer: Tensor,
    slots: Vec<Slot>,
    variables: Vec<Tensor>,
}

impl FlatParameters {
    /// Moves the storage of `variables` into one buffer; every handle to them sees the new storage.
    ///
    /// # Errors
    /// [`ModelError`] when libtorch fails, as it does for variables that are not `f32` on one device.
    pub fn gather(variables: &[(String, Tensor)], device: tch::Device) -> Result<Self, ModelError> {
        let mut slots = Vec::with_capacity(variables.len());
        let mut end = 0;
        for (name, variable) in variables {
            slots.push(Slot {
                name: name.clone(),
                offset: end,
                shape: variable.size(),
            });
            end += variable.numel().next_multiple_of(ALIGNMENT) as i64;
        }
        let _no_grad = tch::no_grad_guard();
        let buffer = Tensor::f_zeros([end], (Kind::Float, device))?;
        let mut moved = Vec::with_capacity(variables.len());
        for (slot, (_, variable)) in slots.iter().zip(variables) {
            let mut home = slot.view(&buffer)?;
            home.f_copy_(variable)?;
            let mut variable = variable.shallow_clone();
            variable.f_set_data(&home)?;
            moved.push(variable);
        }
        Ok(Self {
            buffer,
            slots,
            variables: moved,
        })
    }

    /// All values, `[len]`; writing here writes the variables.
    pub fn buffer(&self) -> &Tensor {
        &self.buffer
    }

    /// One slot a variable, in the order given to [`FlatParameters::gather`].
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The variables themselves, in the order of the slots.
    pub fn variables(&self) -> &[Tensor] {
        &self.variables
    }

    /// Those of `variables` that have the names of the slots, in the order of the slots.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when one is missing.
    pub fn choose(&self, variables: &[(String, Tensor)]) -> Result<Vec<(String, Tensor)>, ModelError> {
        let find = |slot: &Slot| {
            let found = variables.iter().find(|(name, _)| *name == slot.name);
            let (name, variable) =
                found.ok_or_else(|| ModelError::shape("variable", &slot.name, "nothing"))?;
            Ok((name.clone(), variable.shallow_clone()))
        };
        self.slots.iter().map(find).collect()
    }

    /// A zeroed buffer of the same layout.
    ///
    /// # Errors
    /// [`ModelError`] when libtorch cannot allocate it.
    pub fn zeros_like(&self) -> Result<Tensor, ModelError> {
        Ok(no_grad(|| self.buffer.f_zeros_like())?)
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn variables_live_in_the_buffer_and_keep_their_gradient() {
        let first = Tensor::from_slice(&[1f32, 2.0, 3.0]).set_requires_grad(true);
        let second = Tensor::from_slice(&[4f32, 5.0, 6.0, 7.0])
            .reshape([2, 2])
            .set_requires_grad(true);
        let named = [
            ("a".to_owned(), first.shallow_clone()),
            ("b".to_owned(), second.shallow_clone()),
        ];
        let flat = FlatParameters::gather(&named, Device::Cpu).unwrap();
        assert_eq!(flat.slots()[1].offset, ALIGNMENT as i64);

        let _ = no_grad(|| flat.buffer().shallow_clone().f_mul_scalar_(2.0).unwrap());
        assert_eq!(Vec::<f32>::try_from(&first).unwrap(), [2.0, 4.0, 6.0]);
        assert_eq!(
            Vec::<f32>::try_from(second.reshape([-1])).unwrap(),
            [8.0, 10.0, 12.0, 14.0]
        );

        let loss = first.sum(Kind::Float) + (&second * &second).sum(Kind::Float);
        let gradients = Tensor::f_run_backward(&[loss], flat.variables(), false, false).unwrap();
        assert_eq!(Vec::<f32>::try_from(&gradients[0]).unwrap(), [1.0, 1.0, 1.0]);
        assert_eq!(
            Vec::<f32>::try_from(gradients[1].reshape([-1])).unwrap(),
            [16.0, 20.0, 24.0, 28.0]
        );
    }
}
