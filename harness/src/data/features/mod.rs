//! Features of videos by expert, in the layouts that users have: found, read, checked, and packed once for good.

mod arrays;
mod collaborative_experts;
mod expert;
mod expert_files;
mod known;
mod load;
mod mmt;
mod pack;
mod recording;
mod source;

pub(super) use expert::{ExpertFiles, read_expert};
pub(super) use load::{Request, cache_folder, load};
pub(super) use mmt::Mmt;
pub(crate) use pack::PackedRows;
pub(super) use recording::{RowBytes, digest};
