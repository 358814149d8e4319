//! Reports of throughput suites: times, rates, shares of the machine's peaks, ratios between kernels.

mod csv;
#[cfg(test)]
pub(crate) mod fixture;
mod gpu;
mod grids;
mod noise;
mod numbers;
#[cfg(test)]
mod plot_tests;
mod plots;
mod queue_plots;
mod ratio;
mod report;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use csv::summary_csv;
pub(crate) use numbers::{percent, prefix, significant};
pub(crate) use plots::figures;
pub(crate) use report::report_md;
pub use table::throughput_table;
pub(crate) use view::ThroughputView;
