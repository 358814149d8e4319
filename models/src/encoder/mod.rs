//! The two towers: tokens in, one unit row a level out.

mod dropout;
mod dual;
#[cfg(test)]
mod goldens;
mod layer;
mod layout;
mod parameters;
mod text;
mod video;

pub use dual::DualEncoder;
pub(crate) use layout::TokenLayout;
pub(crate) use parameters::{LayerNorm, Linear, Parameters};
