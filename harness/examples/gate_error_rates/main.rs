//! How often a gate is wrong, and how often it finds what is there: simulated families of rows.
//!
//! `cargo run --release -p hitbench --example gate_error_rates -- --families 2000 --planted 40`
//!
//! Each family has twelve rows: six of new trainings, in one of which nearly every query is a hit, two of another numeric
//! path, four of throughput. Three things are
//! asked. Of identical runs: how often is any row called regressed, or improved? Of runs that are worse by exactly the
//! margin, the worst case of both families of tests: how often is any row called regressed, and how often equivalent? Of
//! planted changes: how often are they found? Prints one JSON object.
#![forbid(unsafe_code)]

mod simulate;

use clap::Parser;
use hitbench::gate::{Evidence, Gate, GateVerdict, Policy, gate, power};
use hitbench::metric::share_bounds;
use serde_json::{Value, json};

use simulate::{Planted, Simulation};

/// The rows, and margins that all of them can be decided under.
const POLICY: &str = "
format: 1
alpha: 0.05
rows:
  - {id: retrain, kind: retrain, metric: t2v.r_at.1, margin: 5pt, when: {kind: retrain}}
  - {id: numeric, kind: numeric, metric: t2v.r_at.1, margin: 2pt, when: {kind: numeric}}
  - {id: speed, kind: throughput, metric: warm.items_per_s, margin: 5%, when: {kind: throughput}}
";
const EXACT: &str = "
format: 1
rows:
  - {id: exact, kind: kernel, metric: t2v.counts, when: {kind: retrain}}
";

/// How often a gate is wrong, and how often it finds what is there.
#[derive(Debug, Parser)]
struct Args {
    /// Simulated families of each kind.
    #[arg(long, default_value_t = 2000)]
    families: u64,
    /// Simulated runs with each planted change.
    #[arg(long, default_value_t = 40)]
    planted: u64,
    /// Seed of the simulation.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() {
    let args = Args::parse();
    let policy = Policy::parse("policy", POLICY).expect("the policy is valid");
    let judge = |baseline: &Evidence, run: &Evidence| -> Gate {
        gate(&policy, baseline, run).expect("simulated runs compare")
    };
    let any = |gate: &Gate, verdict| gate.count(verdict) > 0;

    let mut simulation = Simulation::new(args.seed);
    let (mut regressed, mut improved) = (0, 0);
    for _ in 0..args.families {
        let [baseline, run] = simulation.pair(Planted::Nothing);
        let found = judge(&baseline, &run);
        regressed += u64::from(any(&found, GateVerdict::Regressed));
        improved += u64::from(any(&found, GateVerdict::Improved));
    }
    let identical = json!({
        "regressed": rate(regressed, args.families),
        "improved": rate(improved, args.families),
    });

    let (mut regressed, mut equivalent) = (0, 0);
    for _ in 0..args.families {
        let [baseline, run] = simulation.pair(Planted::EveryMargin);
        let found = judge(&baseline, &run);
        regressed += u64::from(any(&found, GateVerdict::Regressed));
        equivalent += u64::from(any(&found, GateVerdict::Equivalent) || any(&found, GateVerdict::Improved));
    }
    let at_margin = json!({
        "regressed": rate(regressed, args.families),
        "equivalent_or_improved": rate(equivalent, args.families),
    });

    let report = json!({
        "families": args.families,
        "rows_a_family": simulation.n_rows(),
        "alpha": policy.alpha,
        "seed": args.seed,
        "identical_runs": identical,
        "worse_by_exactly_the_margin": at_margin,
        "planted": planted(&args, &policy, &mut simulation),
    });
    println!("{}", serde_json::to_string_pretty(&report).expect("JSON is text"));
}

/// Planted changes, each alone in its family.
fn planted(args: &Args, policy: &Policy, simulation: &mut Simulation) -> Value {
    let (mut slower, mut lost, mut flipped) = (0, 0, 0);
    for run in 0..args.planted {
        let [baseline, candidate] = simulation.pair(Planted::Slower(0.10));
        slower += u64::from(is_regressed(policy, &baseline, &candidate, "speed", 0));

        let [baseline, _] = simulation.pair(Planted::Nothing);
        let found = power(policy, &baseline).expect("simulated runs have a spread");
        let row = found
            .rows
            .iter()
            .find(|row| row.id == "retrain")
            .expect("there is one");
        let candidate = simulation.again(&baseline, Planted::Lost(2.0 * row.detectable));
        lost += u64::from(is_regressed(policy, &baseline, &candidate, "retrain", 0));

        let exact = Policy::parse("policy", EXACT).expect("the policy is valid");
        let candidate = simulate::with_one_flip(&baseline, run);
        let found = gate(&exact, &baseline, &candidate).expect("simulated runs compare");
        flipped += u64::from(found.count(GateVerdict::Regressed) == 1);
    }
    json!({
        "throughput_minus_10_percent": rate(slower, args.planted),
        "r_at_1_minus_twice_the_printed_detectable_drop": rate(lost, args.planted),
        "one_flipped_count_of_a_kernel_row": rate(flipped, args.planted),
    })
}

/// Whether the `nth` row of an id regressed.
fn is_regressed(policy: &Policy, baseline: &Evidence, run: &Evidence, id: &str, nth: usize) -> bool {
    let found = gate(policy, baseline, run).expect("simulated runs compare");
    let row = found.rows.iter().filter(|row| row.id == id).nth(nth);
    row.expect("the row is there").verdict == GateVerdict::Regressed
}

/// A rate with its exact bounds (Clopper and Pearson), each of 95 % by itself.
fn rate(n: u64, of: u64) -> Value {
    let [at_least, at_most] = share_bounds(n, of, 0.05);
    json!({
        "n": n,
        "of": of,
        "rate": n as f64 / of as f64,
        "at_least": at_least,
        "at_most": at_most,
    })
}
