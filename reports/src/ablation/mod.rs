//! Reports of ablations: R@K by cell, differences to the reference cell, training.

mod csv;
mod difference;
mod helped;
#[cfg(test)]
mod plot_tests;
mod plots;
mod recalls;
mod report;
#[cfg(test)]
mod report_tests;
mod sweep;
mod table;
mod training;
mod view;

pub use csv::summary_csv;
pub use helped::console_differences;
pub(crate) use plots::figures;
pub(crate) use report::report_md;
pub use table::console_table;
pub(crate) use view::RunView;
