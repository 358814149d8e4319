//! An evaluation as an ordinary run folder of one trial, which `status`, `report` and all that comes later read.

use std::collections::BTreeMap;
use std::path::Path;

use blake3::Hasher;
use hitbench_reports::record::{
    AxisValues, BaselinesRecord, DataRecord, DirectionPair, FORMAT, PlannedCell, PlannedTrial,
    ProtocolRecord, RecordError, RunRecord, ScoreKind, ScoreRecord, SuiteRecord, TrialOutcome, TrialRecord,
    TrialResult,
};
use hitbench_reports::{Rendered, RunWriter, render_all};
use serde_json::{Value as Json, json};

use super::error::EvalError;
use super::evaluate::Evaluated;
use super::post::Post;
use super::prepare::Prepared;
use super::request::{EvalRequest, Given};
use crate::format::Matrix;
use crate::machine;
use crate::metric::{chance, word};

/// Name of the run and of its only trial.
const NAME: &str = "eval";
/// Raised whenever a reported number could move.
const VERSION: u32 = 1;
/// Nothing is drawn but the resamples, whose seed is part of the settings.
const SEED: u64 = 0;
/// Hex digits of the cell hash in a trial's id.
const ID_DIGITS: usize = 12;

/// Writes the run folder and draws its report. `contents` is the [hash](Prepared::content_hash) of what was evaluated,
/// and `command` makes the same evaluation.
///
/// # Errors
/// [`EvalError::Usage`] when a direction has no result, [`EvalError::OtherRun`] for a folder that holds another
/// run, [`EvalError::Record`] when it cannot be written, [`EvalError::Build`].
pub fn write_run(
    folder: &Path,
    found: &Evaluated,
    contents: String,
    command: Vec<String>,
) -> Result<Rendered, EvalError> {
    let Some(v2t) = &found.v2t else {
        return Err(NO_V2T);
    };
    let settings = settings(found);
    let hash = cell_hash(&settings, &contents);
    let id = format!("{}-s{SEED}", &hash[..ID_DIGITS]);
    let name = format!("{NAME}/seed={SEED}");
    let run = RunRecord {
        format: FORMAT,
        suite: SuiteRecord {
            name: NAME.to_owned(),
            version: VERSION,
            about: format!("How well do the given {} retrieve?", what(found.about.score)),
            kind: NAME.to_owned(),
            axes: Vec::new(),
            reference: None,
            seeds: vec![SEED],
            gate: None,
            resolved: settings,
        },
        plan: vec![PlannedCell {
            hash: hash.clone(),
            axis_values: AxisValues::new(),
            merged: Vec::new(),
            trials: vec![PlannedTrial {
                id: id.clone(),
                name: name.clone(),
                seed: SEED,
            }],
        }],
        tool: machine::tool().map_err(EvalError::Build)?,
        machine: machine::machine(),
        command,
    };
    let pair = DirectionPair {
        t2v: (&found.t2v.metrics).into(),
        v2t: (&v2t.metrics).into(),
    };
    let trial = TrialRecord {
        id,
        name,
        cell_hash: hash,
        build_id: run.tool.build_id.clone(),
        axis_values: AxisValues::new(),
        seed: SEED,
        protocol: protocol(found),
        outcome: TrialOutcome::Ok(Box::new(TrialResult {
            data: data(found, contents),
            metrics: BTreeMap::from([(ScoreKind::Combined, ScoreRecord::Directions(Box::new(pair)))]),
            baselines: BaselinesRecord {
                chance: chance(&found.joined.pairing, &found.about.rules),
                tf_idf: None,
            },
            training: None,
            peak_memory_bytes: None,
        })),
    };
    let (texts, videos) = (&found.joined.text_ids, &found.joined.video_ids);
    let mut ranks = found.t2v.counts.rank_rows(texts, videos)?;
    ranks.extend(v2t.counts.rank_rows(texts, videos)?);

    refuse_other_run(folder, &trial)?;
    let writer = RunWriter::open(folder)?;
    writer.write_run(&run)?;
    writer.write_ranks(&trial.id, &ranks)?;
    writer.append_trial(&trial)?;
    Ok(render_all(writer.folder())?)
}

/// Checks, before the work is done, that its result will fill a run folder.
///
/// # Errors
/// [`EvalError::Usage`] when a direction will have no result.
pub fn check_out(request: &EvalRequest) -> Result<(), EvalError> {
    let no_bank = || request.bank.as_ref().is_none_or(|bank| bank.v2t.is_none());
    match request.post {
        Some(Post::QbNorm { .. }) if no_bank() => Err(NO_V2T),
        _ => Ok(()),
    }
}

/// What a run folder without `v2t` gets.
const NO_V2T: EvalError = EvalError::Usage {
    problem: "a run folder holds both directions, and --post qbnorm has no bank for v2t",
    remedy: "give --bank-v2t, the scores of the test captions (rows) with training videos (columns), or leave --out out",
};

/// A folder may hold the same evaluation, which is then written again, and nothing else.
fn refuse_other_run(folder: &Path, trial: &TrialRecord) -> Result<(), EvalError> {
    let older = hitbench_reports::RunFolder::new(folder);
    match older.run() {
        Err(RecordError::NotARun { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(run) => match run.plan.iter().any(|cell| cell.hash == trial.cell_hash) {
            true => Ok(()),
            false => Err(EvalError::OtherRun {
                path: folder.to_owned(),
                found: match run.suite.name.as_str() {
                    NAME => "an evaluation of other data or under other rules".to_owned(),
                    name => format!("suite `{name}`"),
                },
            }),
        },
    }
}

fn what(score: &str) -> &'static str {
    match score {
        "matrix" => "scores",
        _ => "embeddings",
    }
}

/// Everything that decides numbers, but for what the files hold.
fn settings(found: &Evaluated) -> Json {
    let rules = &found.about.rules;
    json!({
        "kind": NAME,
        "protocol": found.about.protocol.id,
        "post": found.about.post.map(|post| post.to_string()),
        "score": found.about.score,
        "eval": {
            "kernel": found.about.kernel.map(|kernel| kernel.to_string()),
            "ties": word(&rules.ties),
            "captions": word(&rules.captions),
            "median": word(&rules.median),
            "recall_at": rules.recall_at,
            "resamples": found.about.resampling.map(|plan| plan.resamples),
            "resample_seed": found.about.resampling.map(|plan| plan.seed),
        },
    })
}

fn cell_hash(settings: &Json, contents: &str) -> String {
    let all = json!({"settings": settings, "contents": contents, "version": VERSION});
    blake3::hash(all.to_string().as_bytes()).to_hex().to_string()
}

impl Prepared {
    /// Hash of all values and of the pairing, whatever file format they came in.
    pub fn content_hash(&self) -> String {
        let mut hasher = Hasher::new();
        let mut add = |matrix: &Matrix| {
            let head = format!("{} {} {}\n", matrix.dtype(), matrix.n_rows(), matrix.n_columns());
            hasher.update(head.as_bytes());
            hasher.update(matrix.bytes());
        };
        match &self.request.given {
            Given::Scores(scores) => add(scores),
            Given::Embeddings { text, video, .. } => {
                add(text);
                add(video);
            }
        }
        if let Some(bank) = &self.request.bank {
            add(&bank.t2v);
            bank.v2t.iter().for_each(add);
        }
        let pairing = &self.joined.pairing;
        for caption in pairing.kept_captions() {
            hasher.update(&caption.to_le_bytes());
            hasher.update(&pairing.video_of(caption).to_le_bytes());
        }
        for id in self.joined.text_ids.iter().chain(&self.joined.video_ids) {
            hasher.update(id.as_bytes());
            hasher.update(b"\n");
        }
        hasher.finalize().to_hex().to_string()
    }
}

fn data(found: &Evaluated, content_hash: String) -> DataRecord {
    let pairing = &found.joined.pairing;
    let (n_texts, n_videos) = (pairing.n_captions() - pairing.n_masked(), pairing.n_videos());
    let left_out: Vec<String> = found
        .joined
        .problems
        .iter()
        .map(|p| format!(" Left out: {p}."))
        .collect();
    DataRecord {
        name: found.about.protocol.id.to_owned(),
        about: format!(
            "{}: {n_texts} texts, {n_videos} videos.{}",
            found.about.source,
            left_out.concat()
        ),
        content_hash,
        n_train_videos: 0,
        n_train_captions: 0,
        n_test_videos: n_videos as u64,
        n_test_captions: n_texts as u64,
    }
}

fn protocol(found: &Evaluated) -> ProtocolRecord {
    let rules = &found.about.rules;
    ProtocolRecord {
        protocol: found.about.protocol.id.to_owned(),
        ties: word(&rules.ties),
        captions: word(&rules.captions),
        median: word(&rules.median),
        score: found.about.score.to_owned(),
        kernel: found.about.kernel.map(|kernel| kernel.to_string()),
        post: found.about.post.map(|post| post.to_string()),
    }
}
