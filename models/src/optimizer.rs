//! Adam and AdamW over one flat parameter buffer, with state that can be saved.
//!
//! Update rules as in Kingma and Ba (arXiv 1412.6980, algorithm 1) and Loshchilov and Hutter
//! (arXiv 1711.05101, algorithm 2), constants as PyTorch has them. A parameter without a gradient in a
//! step counts as having a zero gradient.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::config::{ConfigError, LrFactors};
use crate::error::ModelError;
use crate::parameters::FlatParameters;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Values handled at a time on the CPU, so that the buffers of one piece stay in cache over all operations.
const CPU_CHUNK: i64 = 1 << 17;

/// Update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerRule {
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// Settings of the optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Update rule.
    pub rule: OptimizerRule,
    /// Decoupled weight decay of every parameter, at least 0; needs [`OptimizerRule::Adamw`] when above 0.
    pub weight_decay: f64,
    /// Largest norm of the whole gradient; 0 does not clip.
    pub clip_grad_norm: f64,
    /// Factors on the learning rate by part of the model.
    pub lr_factors: LrFactors,
}

impl OptimizerConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`ConfigError`] with a path relative to the optimizer section.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |path: &str, value: f64, allowed: &str| {
            let (path, value) = (path.to_owned(), value.to_string());
            Err(ConfigError {
                path,
                value,
                allowed: allowed.to_owned(),
            })
        };
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return refuse("weight_decay", self.weight_decay, "at least 0");
        }
        if self.weight_decay > 0.0 && self.rule == OptimizerRule::Adam {
            return refuse("weight_decay", self.weight_decay, "0 unless `rule` is `adamw`");
        }
        if !(self.clip_grad_norm.is_finite() && self.clip_grad_norm >= 0.0) {
            return refuse("clip_grad_norm", self.clip_grad_norm, "at least 0");
        }
        self.lr_factors.validate().map_err(|error| ConfigError {
            path: format!("lr_factors.{}", error.path),
            ..error
        })
    }
}

/// Moments and gradient buffer of one set of parameters.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    gradient: Tensor,
    first_moment: Tensor,
    second_moment: Tensor,
    scratch: Tensor,
    chunk: i64,
    updates: u64,
}

impl Optimizer {
    /// An optimizer with zero moments.
    ///
    /// # Errors
    /// [`ModelError`] when the configuration is invalid or memory runs out.
    pub fn new(config: OptimizerConfig, parameters: &FlatParameters) -> Result<Self, ModelError> {
        config.validate()?;
        let len = parameters.buffer().numel() as i64;
        let device = parameters.buffer().device();
        let chunk = if device == Device::Cpu {
            CPU_CHUNK.min(len)
        } else {
            len
        };
        Ok(Self {
            config,
            gradient: parameters.zeros_like()?,
            first_moment: parameters.zeros_like()?,
            second_moment: parameters.zeros_like()?,
            scratch: Tensor::f_empty([chunk], (Kind::Float, device))?,
            chunk,
            updates: 0,
        })
    }

    /// Computes the gradient of `loss`, clips it and moves the parameters one step.
    ///
    /// Frees the graph of `loss`. Returns the norm of the gradient before clipping, a scalar tensor.
    ///
    /// # Errors
    /// [`ModelError`] when libtorch fails.
    pub fn step(
        &mut self,
        parameters: &FlatParameters,
        loss: &Tensor,
        lr: f64,
    ) -> Result<Tensor, ModelError> {
        let gradients = Tensor::f_run_backward(&[loss], parameters.variables(), false, false)?;
        let _no_grad = tch::no_grad_guard();
        for (slot, gradient) in parameters.slots().iter().zip(gradients) {
            let mut home = slot.view(&self.gradient)?;
            if gradient.defined() {
                home.f_copy_(&gradient)?;
            } else {
                let _ = home.f_zero_()?;
            }
        }
        let norm = self.gradient_norm()?;
        let clip = if self.config.clip_grad_norm > 0.0 {
            // The same formula as torch.nn.utils.clip_grad_norm_.
            let ratio = norm
                .f_add_scalar(1e-6)?
                .f_reciprocal()?
                .f_mul_scalar(self.config.clip_grad_norm)?;
            Some(ratio.f_clamp_max(1.0)?)
        } else {
            None
        };
        self.updates += 1;
        for (range, factor) in self.parts(parameters) {
            for start in range.clone().step_by(self.chunk as usize) {
                let len = self.chunk.min(range.end - start);
                self.update_chunk(parameters.buffer(), start, len, clip.as_ref(), lr * factor)?;
            }
        }
        Ok(norm)
    }

    /// Neighbouring parameters of the same factor on the learning rate.
    fn parts(&self, parameters: &FlatParameters) -> Vec<(Range<i64>, f64)> {
        let mut parts: Vec<(Range<i64>, f64)> = Vec::new();
        for slot in parameters.slots() {
            let factor = self.config.lr_factors.of(&slot.name);
            if let Some((range, last)) = parts.last_mut() {
                range.end = slot.offset;
                if *last == factor {
                    continue;
                }
            }
            parts.push((slot.offset..slot.offset, factor));
        }
        if let Some((range, _)) = parts.last_mut() {
            range.end = self.gradient.numel() as i64;
        }
        parts
    }

    /// Norm of the gradient as the norm of the pieces' norms, which keeps `f32` sums short.
    fn gradient_norm(&self) -> Result<Tensor, ModelError> {
        let pieces = self.gradient.f_split(self.chunk, 0)?;
        let norms = pieces.iter().map(Tensor::f_norm).collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::f_stack(&norms, 0)?.f_norm()?)
    }

    fn update_chunk(
        &self,
        buffer: &Tensor,
        start: i64,
        len: i64,
        clip: Option<&Tensor>,
        lr: f64,
    ) -> Result<(), ModelError> {
        let mut parameter = buffer.f_narrow(0, start, len)?;
        let mut gradient = self.gradient.f_narrow(0, start, len)?;
        let mut first = self.first_moment.f_narrow(0, start, len)?;
        let mut second = self.second_moment.f_narrow(0, start, len)?;
        let mut scratch = self.scratch.f_narrow(0, 0, len)?;

        if let Some(clip) = clip {
            let _ = gradient.f_mul_(clip)?;
        }
        let _ = first.f_lerp_(&gradient, 1.0 - BETA_1)?;
        let _ = gradient.f_mul_out(&scratch, &gradient)?;
        let _ = second.f_lerp_(&scratch, 1.0 - BETA_2)?;

        // lr * (m / c1) / (sqrt(v / c2) + eps) = [lr * sqrt(c2) / c1] * m / (sqrt(v) + eps * sqrt(c2))
        let correction_1 = 1.0 - BETA_1.powf(self.updates as f64);
        let correction_2 = (1.0 - BETA_2.powf(self.updates as f64)).sqrt();
        let _ = second.f_sqrt_out(&scratch)?;
        let _ = scratch.f_add_scalar_(EPSILON * correction_2)?;
        let _ = first.f_div_out(&scratch, &scratch)?;
        let _ = scratch.f_mul_scalar_(-lr * correction_2 / correction_1)?;
        if self.config.weight_decay > 0.0 {
            let _ = parameter.f_mul_scalar_(1.0 - lr * self.config.weight_decay)?;
        }
        let _ = parameter.f_add_(&scratch)?;
        Ok(())
    }

    /// Updates made so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Both moments of every parameter as views, named `first.NAME` and `second.NAME`.
    ///
    /// # Errors
    /// [`ModelError`] when `parameters` are not those of [`Optimizer::new`].
    pub fn state(&self, parameters: &FlatParameters) -> Result<Vec<(String, Tensor)>, ModelError> {
        let mut state = Vec::with_capacity(2 * parameters.slots().len());
        for (prefix, moment) in [("first", &self.first_moment), ("second", &self.second_moment)] {
            for slot in parameters.slots() {
                state.push((format!("{prefix}.{}", slot.name), slot.view(moment)?));
            }
        }
        Ok(state)
    }

    /// Says that the moments, filled through [`Optimizer::state`], come from this many updates.
    pub fn resume_after(&mut self, updates: u64) {
        self.updates = updates;
    }
}

#[cfg(test)]
mod tests {
    use tch::nn::{self, OptimizerConfig as _};

    use super::*;

    fn config(rule: OptimizerRule, weight_decay: f64, clip_grad_norm: f64) -> OptimizerConfig {
        OptimizerConfig {
            rule,
            weight_decay,
            clip_grad_norm,
            lr_factors: LrFactors::default(),
        }
    }

    /// A loss with gradients of very different size, some zero, that change as the parameters move.
    fn loss(parameters: &[Tensor]) -> Tensor {
        let scale = Tensor::from_slice(&[1e-6f32, 0.0, 1.0, 40.0]);
        let first = (parameters[0].pow_tensor_scalar(4) * &scale).sum(Kind::Float);
        first + parameters[1].cos().sum(Kind::Float) * parameters[0].sum(Kind::Float)
    }

    #[test]
    fn each_part_moves_at_its_own_rate() {
        let moved = |lr_factors: LrFactors, lr: f64| {
            let names = ["text.a", "heads.text.b", "heads.video.c", "video.d", "video.e"];
            let variables: Vec<_> = names
                .iter()
                .map(|name| {
                    (
                        name.to_string(),
                        Tensor::ones([3], (Kind::Float, Device::Cpu)).set_requires_grad(true),
                    )
                })
                .collect();
            let flat = FlatParameters::gather(&variables, Device::Cpu).unwrap();
            let config = OptimizerConfig {
                lr_factors,
                ..config(OptimizerRule::Adam, 0.0, 0.0)
            };
            let mut optimizer = Optimizer::new(config, &flat).unwrap();
            // Borders of pieces inside of parts.
            optimizer.chunk = 7;
            let sum = variables
                .iter()
                .map(|(_, value)| value.pow_tensor_scalar(2).sum(Kind::Float));
            let loss: Tensor = sum.fold(Tensor::from(0f32), |sum, term| sum + term);
            let _norm = optimizer.step(&flat, &loss, lr).unwrap();
            let first = |(_, value): &(String, Tensor)| (1.0 - value.double_value(&[0])) as f32;
            variables.iter().map(first).collect::<Vec<f32>>()
        };
        let factors = LrFactors {
            text: 0.0,
            video: 2.0,
            heads: 1.0,
        };
        let (one, two) = (
            moved(LrFactors::default(), 0.125)[0],
            moved(LrFactors::default(), 0.25)[0],
        );
        assert!(one > 0.1 && two > one);
        assert_eq!(moved(factors, 0.125), [0.0, one, one, two, two]);
    }

    /// Ours beside libtorch's own, step by step with a changing rate.
    fn compare(ours: OptimizerConfig, theirs: impl Fn(&nn::VarStore) -> nn::Optimizer, lrs: &[f64]) {
        let store = nn::VarStore::new(Device::Cpu);
        tch::manual_seed(3);
        let start = [
            Tensor::randn([4], (Kind::Float, Device::Cpu)),
            Tensor::randn([70, 5], (Kind::Float, Device::Cpu)),
        ];
        let reference: Vec<_> = start
            .iter()
            .enumerate()
            .map(|(i, value)| store.root().var_copy(&format!("p{i}"), value))
            .collect();
        let mine: Vec<_> = start
            .iter()
            .enumerate()
            .map(|(i, value)| (format!("p{i}"), value.copy().set_requires_grad(true)))
            .collect();
        let flat = FlatParameters::gather(&mine, Device::Cpu).unwrap();
        let clip = ours.clip_grad_norm;
        let mut ours = Optimizer::new(ours, &flat).unwrap();
        // Several pieces, so that their borders are tested.
        ours.chunk = 100;
        let mut theirs = theirs(&store);
        for (step, lr) in lrs.iter().enumerate() {
            theirs.set_lr(*lr);
            theirs.zero_grad();
            loss(&reference).backward();
            let gradients: Vec<_> = reference.iter().map(|p| p.grad().reshape([-1])).collect();
            let expected_norm = Tensor::cat(&gradients, 0)
                .to_kind(Kind::Double)
                .norm()
                .double_value(&[]);
            if clip > 0.0 {
                theirs.clip_grad_norm(clip);
            }
            theirs.step();
            let norm = ours
                .step(&flat, &loss(flat.variables()), *lr)
                .unwrap()
                .double_value(&[]);
            assert!(
                (norm / expected_norm - 1.0).abs() < 1e-5,
                "step {step}: norm {norm}, {expected_norm}"
            );
            for (mine, reference) in flat.variables().iter().zip(&reference) {
                let worst = (mine - reference).abs().max().double_value(&[]);
                assert!(worst < 2e-6, "step {step}: off by {worst}");
            }
        }
        assert_eq!(ours.updates(), lrs.len() as u64);
    }

    const LRS: [f64; 9] = [1e-2, 2e-2, 1e-2, 3e-2, 1e-3, 0.0, 1e-2, 1e-2, 5e-3];

    #[test]
    fn adam_moves_as_libtorchs() {
        let build = |store: &nn::VarStore| nn::Adam::default().build(store, 1.0).unwrap();
        compare(config(OptimizerRule::Adam, 0.0, 0.0), build, &LRS);
    }

    #[test]
    fn adamw_moves_as_libtorchs() {
        let build = |store: &nn::VarStore| {
            nn::AdamW {
                wd: 0.1,
                ..nn::AdamW::default()
            }
            .build(store, 1.0)
            .unwrap()
        };
        compare(config(OptimizerRule::Adamw, 0.1, 0.0), build, &LRS);
    }

    #[test]
    fn clipping_is_by_the_norm_of_the_whole_gradient() {
        for clip in [0.5, 1e4] {
            let build = |store: &nn::VarStore| nn::Adam::default().build(store, 1.0).unwrap();
            compare(config(OptimizerRule::Adam, 0.0, clip), build, &LRS);
        }
    }

    #[test]
    fn a_parameter_outside_the_loss_stays() {
        let named: Vec<_> = ["used", "unused"]
            .map(|name| {
                (
                    name.to_owned(),
                    Tensor::from_slice(&[1f32, 2.0]).set_requires_grad(true),
                )
            })
            .into();
        let flat = FlatParameters::gather(&named, Device::Cpu).unwrap();
        let mut optimizer = Optimizer::new(config(OptimizerRule::Adam, 0.0, 1.0), &flat).unwrap();
        for _ in 0..3 {
            let _ = optimizer
                .step(&flat, &named[0].1.square().sum(Kind::Float), 0.1)
                .unwrap();
        }
        assert!(named[0].1.double_value(&[0]) < 0.8);
        assert_eq!(Vec::<f32>::try_from(&named[1].1).unwrap(), [1.0, 2.0]);
    }

    #[test]
    fn impossible_settings_are_refused() {
        for (config, field) in [
            (config(OptimizerRule::Adam, 0.1, 0.0), "weight_decay"),
            (config(OptimizerRule::Adamw, f64::NAN, 0.0), "weight_decay"),
            (config(OptimizerRule::Adam, 0.0, -1.0), "clip_grad_norm"),
        ] {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
