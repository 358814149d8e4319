//! Ranks the test split under each level's score and makes the parts of a record from it.

use std::collections::BTreeMap;

use hitbench_kernels::rank_counts_kernel;
use hitbench_kernels::{Rows, RowsData};
use hitbench_models::LevelRows;
use hitbench_models::config::Hierarchy;
use hitbench_reports::record::{
    BaselineRecord, BaselinesRecord, DataRecord, DirectionPair, ProtocolRecord, RankRow, ScoreKind,
    ScoreRecord,
};

use super::error::TrialError;
use crate::data::{Dataset, Split, lexical_scores};
use crate::embed::{TestPairs, side_by_side};
use crate::metric::{
    Evaluation, MetricError, Protocol, Resampling, Rules, chance, count_matrix, evaluate, word,
};
use crate::suite::CellConfig;

/// Seed of the bootstrap; every trial resamples the same test videos.
const BOOTSTRAP_SEED: u64 = 0;

/// What scoring gives.
pub(super) struct Scored {
    /// Metrics by score.
    pub(super) metrics: BTreeMap<ScoreKind, ScoreRecord>,
    /// Counts of every query under the combined score.
    pub(super) ranks: Vec<RankRow>,
}

/// Chance, and TF-IDF word overlap where the videos were made of words.
///
/// # Errors
/// Those of counting.
pub(super) fn baselines(test: &TestPairs<'_>, cell: &CellConfig) -> Result<BaselinesRecord, TrialError> {
    let rules = rules(cell);
    let chance = chance(&test.pairing, &rules);
    let tf_idf = match lexical_scores(test.data, Split::Test) {
        None => None,
        Some(lexical) => {
            let matrix = Rows::new(
                RowsData::F32(&lexical.scores),
                lexical.n_queries,
                lexical.n_gallery,
            )
            .map_err(MetricError::from)?;
            let counts = count_matrix(matrix, &test.pairing, rules.captions)?;
            let evaluation = Evaluation::new(counts, &rules, None)?;
            Some(BaselineRecord {
                t2v: evaluation.t2v.r_at,
                v2t: evaluation.v2t.r_at,
            })
        }
    };
    Ok(BaselinesRecord { chance, tf_idf })
}

/// Ranks the test split under the combined score and under each trained level alone.
///
/// The combined score of a pair is the sum of its levels' cosines by weight: the dot product of the levels' unit
/// rows laid side by side, each scaled by the root of its weight. A level that did not enter the loss is recorded
/// as untrained.
///
/// # Errors
/// Those of the kernel and of the metrics, and a protocol whose counts the split does not have.
pub(super) fn score(
    cell: &CellConfig,
    test: &TestPairs<'_>,
    texts: &LevelRows,
    videos: &LevelRows,
) -> Result<Scored, TrialError> {
    let rules = rules(cell);
    Protocol::find(&cell.protocol)?.check(test.captions.len(), Some(test.pairing.n_videos()))?;
    let kernel = rank_counts_kernel(&cell.eval.kernel).map_err(MetricError::from)?;
    let resampling = Resampling {
        seed: BOOTSTRAP_SEED,
        resamples: cell.eval.resamples,
    };
    let ranked = |(text, video): (&[f32], &[f32])| -> Result<Evaluation, MetricError> {
        let (n_texts, n_videos) = (texts.n_rows, videos.n_rows);
        let text = Rows::new(RowsData::F32(text), n_texts, text.len() / n_texts)?;
        let video = Rows::new(RowsData::F32(video), n_videos, video.len() / n_videos)?;
        evaluate(
            text,
            video,
            &test.pairing,
            kernel.as_ref(),
            &rules,
            Some(resampling),
        )
    };
    let level =
        |text: &Option<Vec<f32>>, video: &Option<Vec<f32>>| -> Result<Option<Evaluation>, MetricError> {
            match (text, video) {
                (Some(text), Some(video)) => ranked((text, video)).map(Some),
                _ => Ok(None),
            }
        };
    let semantic = level(&texts.semantic, &videos.semantic)?;
    let feature = level(&texts.feature, &videos.feature)?;
    let combined = match cell.model.hierarchy {
        Hierarchy::Semantic => semantic.clone(),
        Hierarchy::Feature => feature.clone(),
        Hierarchy::Both => {
            let text = side_by_side(&cell.model.level_weights, texts);
            let video = side_by_side(&cell.model.level_weights, videos);
            Some(ranked((&text, &video))?)
        }
    };
    let combined = combined.ok_or(TrialError::Untrained)?;
    let (captions, videos) = test.ids();
    let mut ranks = combined.counts.t2v.rank_rows(&captions, &videos)?;
    ranks.extend(combined.counts.v2t.rank_rows(&captions, &videos)?);
    let metrics = [
        (ScoreKind::Combined, Some(combined)),
        (ScoreKind::Semantic, semantic),
        (ScoreKind::Feature, feature),
    ];
    Ok(Scored {
        metrics: metrics
            .into_iter()
            .map(|(kind, found)| (kind, score_record(found)))
            .collect(),
        ranks,
    })
}

fn rules(cell: &CellConfig) -> Rules {
    Rules {
        ties: cell.eval.ties,
        captions: cell.eval.captions,
        median: cell.eval.median,
        recall_at: cell.eval.recall_at.clone(),
    }
}

fn score_record(evaluation: Option<Evaluation>) -> ScoreRecord {
    match evaluation {
        None => ScoreRecord::Untrained,
        Some(evaluation) => ScoreRecord::Directions(Box::new(DirectionPair {
            t2v: (&evaluation.t2v).into(),
            v2t: (&evaluation.v2t).into(),
        })),
    }
}

/// The facts of a data set that a record keeps.
pub(super) fn data_record(data: &Dataset) -> DataRecord {
    DataRecord {
        name: data.name.clone(),
        about: data.description(),
        content_hash: data.content_hash.clone(),
        n_train_videos: data.splits.train.len() as u64,
        n_train_captions: data.split_captions(Split::Train).len() as u64,
        n_test_videos: data.splits.test.len() as u64,
        n_test_captions: data.split_captions(Split::Test).len() as u64,
    }
}

/// How ranks are made under `cell`, in the words of the suite file.
pub(super) fn protocol_record(cell: &CellConfig) -> ProtocolRecord {
    let kernel = rank_counts_kernel(&cell.eval.kernel).map(|kernel| kernel.id().to_string());
    ProtocolRecord {
        protocol: cell.protocol.clone(),
        ties: word(&cell.eval.ties),
        captions: word(&cell.eval.captions),
        median: word(&cell.eval.median),
        score: "cosine".to_owned(),
        kernel: Some(kernel.unwrap_or_else(|_| cell.eval.kernel.clone())),
        post: None,
    }
}
