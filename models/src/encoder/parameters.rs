//! Trained tensors and the two plain operations over them.

use tch::{Device, Kind, Tensor};

use crate::error::ModelError;

/// Standard deviation of initial weights (BERT).
const INIT_STD: f64 = 0.02;
/// Epsilon of every layer norm (BERT).
const LAYER_NORM_EPS: f64 = 1e-12;

/// Draws and collects the variables of a model, in the order of the calls.
///
/// Layers keep shallow clones: handles to the same variable, which see its storage change.
#[derive(Debug)]
pub(crate) struct Parameters {
    device: Device,
    named: Vec<(String, Tensor)>,
}

impl Parameters {
    pub(crate) fn new(device: Device) -> Self {
        Self {
            device,
            named: Vec::new(),
        }
    }

    pub(crate) fn into_named(self) -> Vec<(String, Tensor)> {
        self.named
    }

    fn add(&mut self, name: String, value: Tensor) -> Result<Tensor, ModelError> {
        let variable = value.f_to_device(self.device)?.f_set_requires_grad(true)?;
        self.named.push((name, variable.shallow_clone()));
        Ok(variable)
    }

    /// A variable drawn from N(0, 0.02), on the CPU whatever the device, so that a seed means the same
    /// weights everywhere.
    pub(crate) fn normal(&mut self, name: String, shape: &[i64]) -> Result<Tensor, ModelError> {
        let value = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?.f_normal_(0.0, INIT_STD)?;
        self.add(name, value)
    }

    fn zeros(&mut self, name: String, len: usize) -> Result<Tensor, ModelError> {
        self.add(name, Tensor::f_zeros([len as i64], (Kind::Float, Device::Cpu))?)
    }

    /// `NAME.weight [rows, hidden]`.
    pub(crate) fn table(&mut self, name: &str, rows: usize, hidden: usize) -> Result<Tensor, ModelError> {
        self.normal(format!("{name}.weight"), &[rows as i64, hidden as i64])
    }

    /// `NAME.weight [outputs, inputs]` and `NAME.bias [outputs]`.
    pub(crate) fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Linear, ModelError> {
        let weight = self.normal(format!("{name}.weight"), &[outputs as i64, inputs as i64])?;
        let bias = self.zeros(format!("{name}.bias"), outputs)?;
        Ok(Linear { weight, bias })
    }

    /// `NAME.weight [hidden]` and `NAME.bias [hidden]`.
    pub(crate) fn layer_norm(&mut self, name: &str, hidden: usize) -> Result<LayerNorm, ModelError> {
        let ones = Tensor::f_ones([hidden as i64], (Kind::Float, Device::Cpu))?;
        let weight = self.add(format!("{name}.weight"), ones)?;
        let bias = self.zeros(format!("{name}.bias"), hidden)?;
        Ok(LayerNorm {
            hidden: hidden as i64,
            weight,
            bias,
        })
    }
}

/// `x W^T + b`.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// `[n, inputs]` to `[n, outputs]`.
    pub(crate) fn forward(&self, rows: &Tensor) -> Result<Tensor, ModelError> {
        Ok(rows.f_linear(&self.weight, Some(&self.bias))?)
    }
}

/// Layer norm over the last dimension, with gain and bias.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    hidden: i64,
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    pub(crate) fn forward(&self, rows: &Tensor) -> Result<Tensor, ModelError> {
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        Ok(rows.f_layer_norm([self.hidden], weight, bias, LAYER_NORM_EPS, false)?)
    }
}
