//! Times training steps of the `tiny` preset: 4+4 layers of width 128, 64 pairs of 48 tokens a side, end to end
//! and with momentum encoders and a queue of 1,024. Prints one JSON object a mode.
//!
//! ```text
//! cargo run --release -p hitbench-models --features torch --example step_speed [STEPS] [THREADS]
//! ```
//!
//! `models/goldens/step_speed.py` times the same steps in eager PyTorch; run the two in turns on a quiet
//! machine.

use std::error::Error;
use std::time::Instant;

use hitbench_models::batch::ExpertRows;
use hitbench_models::config::{ExpertSpec, LrFactors, Preset};
use hitbench_models::{
    HitConfig, InputSpec, MomentumConfig, OptimizerConfig, OptimizerRule, PairBatch, TextBatch, TrainKernels,
    Trainer, TrainerSpec, VideoBatch,
};

const BATCH: usize = 64;
const TOKENS: usize = 48;
const DIM: usize = 300;
const VOCAB: usize = 10_000;
const QUEUE: usize = 1024;
const WARM_UP: u64 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let steps = numbers.next().unwrap_or(Ok(30))?.max(1);
    let threads = numbers.next().unwrap_or(Ok(2))? as usize;
    let batches: Vec<_> = (0..4).map(batch).collect();
    for (mode, queue_len) in [("end-to-end", 0), ("queue", QUEUE)] {
        let mut trainer = Trainer::new(spec(queue_len, threads))?;
        let mut times_s = Vec::new();
        for (step, batch) in (0..WARM_UP + steps).zip(batches.iter().cycle()) {
            let start = Instant::now();
            trainer.step(step, 3e-4, batch)?;
            if step >= WARM_UP {
                times_s.push(start.elapsed().as_secs_f64());
            }
        }
        times_s.sort_by(f64::total_cmp);
        let (median, min) = (times_s[times_s.len() / 2], times_s[0]);
        println!(
            r#"{{"mode": "{mode}", "steps": {steps}, "threads": {threads}, "median_s": {median:.4}, "min_s": {min:.4}}}"#
        );
    }
    Ok(())
}

fn spec(queue_len: usize, threads: usize) -> TrainerSpec {
    TrainerSpec {
        model: HitConfig {
            max_text_tokens: TOKENS,
            ..HitConfig::preset(Preset::Tiny)
        },
        momentum: MomentumConfig {
            queue_len,
            ..MomentumConfig::default()
        },
        inputs: InputSpec {
            experts: vec![ExpertSpec {
                name: "speech".to_owned(),
                dim: DIM,
            }],
            vocab_size: VOCAB,
        },
        optimizer: OptimizerConfig {
            rule: OptimizerRule::Adam,
            weight_decay: 0.0,
            clip_grad_norm: 0.0,
            lr_factors: LrFactors::default(),
        },
        kernels: TrainKernels::Libtorch,
        device: "cpu".to_owned(),
        threads,
        seed: 0,
    }
}

/// A batch without padding: every caption and every video has [`TOKENS`] tokens.
fn batch(step: u64) -> PairBatch {
    let mut state = step + 1;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let n_rows = BATCH * (TOKENS - 1);
    let features = (0..n_rows * DIM)
        .map(|_| next() as f32 / (1_u64 << 30) as f32 - 1.0)
        .collect();
    let row = |token: usize| token % TOKENS;
    let source = |token: usize| {
        if row(token) == 0 {
            1
        } else {
            (2 + token - token / TOKENS - 1) as i64
        }
    };
    let tokens = || 0..BATCH * TOKENS;
    PairBatch {
        text: TextBatch {
            n_texts: BATCH,
            seq_len: TOKENS,
            token_ids: tokens().map(|_| (next() % VOCAB as u64) as i64).collect(),
            lengths: vec![TOKENS; BATCH],
        },
        video: VideoBatch {
            n_videos: BATCH,
            seq_len: TOKENS,
            experts: vec![ExpertRows { dim: DIM, features }],
            source_row: tokens().map(source).collect(),
            position: tokens().map(|token| row(token) as i64).collect(),
            expert: tokens().map(|token| i64::from(row(token) > 0)).collect(),
            lengths: vec![TOKENS; BATCH],
        },
        video_ids: (0..BATCH as i64)
            .map(|i| step as i64 * BATCH as i64 + i)
            .collect(),
    }
}
