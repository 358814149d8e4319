//! `report.md`: what was run on which data under which protocol, what came out, and what that does not show.

mod differences;
mod provenance;
mod report;
#[cfg(test)]
mod tests;
mod text;
mod training;

pub(crate) use report::{Embedded, report_md};
