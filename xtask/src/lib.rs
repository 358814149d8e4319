//! Set-up of libtorch, the README's commands and checks that take long; nothing of the product.
//!
//! [`setup`] brings libtorch (and with `--cuda` the CUDA libraries) from pinned wheels into a cache folder
//! outside the checkout and aims the checkout's link `.libtorch` at it; [`commands`] then calls cargo. [`deep`]
//! needs no libtorch.
#![forbid(unsafe_code)]

#[path = "../../kernels/src/cache.rs"]
pub mod cache;
pub mod commands;
pub mod deep;
pub mod error;
pub mod existing;
pub mod fetch;
pub mod gate;
pub mod setup;
pub mod tools;
pub mod unpack;
pub mod wheels;

pub use error::Error;
