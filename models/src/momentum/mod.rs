//! Momentum contrast (MoCo, arXiv 1911.05722): key encoders, queues, and how far keys drift.

pub mod drift;
pub mod key_encoder;
pub mod queue;

pub use drift::DriftProbe;
pub use key_encoder::KeyEncoder;
pub use queue::MomentumQueue;
