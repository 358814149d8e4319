//! How fast batches of a suite's data are made when nothing waits for a model, and in how much memory.
//!
//! ```sh
//! cargo run --release -p hitbench --example loader_speed -- SUITE STEPS [PATH=VALUE ...]
//! ```

use std::path::Path;
use std::time::Instant;

use hitbench::data::{DataError, Dataset, Loader};
use hitbench::suite::AnySuite;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [suite, steps, sets @ ..] = &arguments[..] else {
        panic!("usage: loader_speed SUITE STEPS [PATH=VALUE ...]");
    };
    let steps = steps.parse::<u64>().expect("a number of steps");
    let suite = AnySuite::load(Path::new(suite), sets).unwrap_or_else(|error| panic!("{error}"));
    let AnySuite::Ablation(suite) = suite else {
        panic!("a suite of kernels has no data");
    };
    let cell = &suite.cells[0].config;
    let start = Instant::now();
    let data = Dataset::load(&cell.data).unwrap_or_else(|error| panic!("{error}"));
    println!(
        "data ready after {:.1} s, {}",
        start.elapsed().as_secs_f64(),
        memory()
    );
    let loader = Loader::new(&data, cell, 0).unwrap_or_else(|error| panic!("{error}"));
    println!("captions tokenised after {:.1} s", start.elapsed().as_secs_f64());
    // The first epoch reads the files; the second finds them in memory.
    for pass in ["first", "second"] {
        let (mut n_tokens, start) = (0, Instant::now());
        let made = loader.for_each_batch(0..steps, |_, batch| {
            n_tokens += batch.video.lengths.iter().sum::<usize>();
            Ok::<(), DataError>(())
        });
        made.unwrap_or_else(|error| panic!("{error}"));
        let seconds = start.elapsed().as_secs_f64();
        let n_pairs = steps as usize * cell.train.batch;
        println!(
            "{pass} pass: {:.0} pairs/s, {:.0} video tokens a pair, {}",
            n_pairs as f64 / seconds,
            n_tokens as f64 / n_pairs as f64,
            memory()
        );
    }
}

/// Resident memory now and at most, as Linux tells: pages of mapped files and memory of our own.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("unknown", str::trim).to_owned()
    };
    format!(
        "{} of files and {} of our own",
        field("RssFile:"),
        field("RssAnon:")
    )
}
