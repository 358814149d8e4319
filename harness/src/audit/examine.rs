//! From what is given to all findings.

use std::collections::BTreeMap;

use serde::Serialize;

use super::captions::{Caption, CaptionFindings, look};
use super::cost::{Cost, Duplicates, cost};
use super::error::AuditError;
use super::finding::Finding;
use super::rows::{RowFindings, ScoreFindings, places};
use super::side::{Side, row_findings, score_findings};
use super::table::CaptionTable;
use super::verdict::{Verdict, verdicts};
use crate::eval::{
    DirectionResult, EvalError, EvalRequest, Evaluated, Given, Joined, Names, Notice, Prepared, check_dims,
    check_protocol, join,
};
use crate::metric::{Groups, Protocol};

/// Everything that is audited.
#[derive(Debug)]
pub struct AuditRequest {
    /// Scores or embeddings; without them captions alone are audited.
    pub given: Option<Given>,
    /// Ids, map and mask of `given`.
    pub names: Names,
    /// Captions.
    pub captions: Option<CaptionTable>,
    /// Counts that must be met, and the rules of R@K.
    pub protocol: Protocol,
    /// Least cosine of near-duplicate embeddings, in `(0, 1]`.
    pub near: f64,
}

/// All findings, schema `hitbench.audit/1`. Parts that nothing was given for are null. Holds no times or paths.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// The schema's name.
    pub schema: &'static str,
    /// Name of the protocol.
    pub protocol: &'static str,
    /// How a pair scores: `matrix`, `dot` or `cosine`.
    pub score: Option<&'static str>,
    /// The kernel that ranked embeddings, resolved for this machine.
    pub kernel: Option<String>,
    /// How texts and videos were brought together.
    pub joined_by: Option<&'static str>,
    /// Ids that did not fit and were left out, by kind.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Texts that take part.
    pub n_texts: usize,
    /// Videos that take part.
    pub n_videos: usize,
    /// The captions.
    pub captions: Option<CaptionFindings>,
    /// The embeddings of the texts.
    pub text_rows: Option<RowFindings>,
    /// The embeddings of the videos.
    pub video_rows: Option<RowFindings>,
    /// The matrix of scores.
    pub scores: Option<ScoreFindings>,
    /// Tied queries.
    pub ties: Option<Ties>,
    /// R@K as given and with duplicates as true items.
    pub cost: Option<Cost>,
    /// Why nothing could be ranked.
    pub not_ranked: Option<String>,
    /// Why there is no `cost`, though all was ranked.
    pub no_cost: Option<String>,
    /// What an evaluation warns of beside the findings.
    pub notices: Vec<String>,
    /// What each finding means for R@K.
    pub verdicts: Vec<Verdict>,
}

/// Queries whose best true item ties with one that is not true.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ties {
    /// Texts.
    pub t2v: Finding,
    /// Videos.
    pub v2t: Finding,
}

/// Audits.
///
/// # Errors
/// [`AuditError`] for input that cannot be audited. Values that are not finite are a finding, no error.
pub fn audit(request: AuditRequest) -> Result<Audit, AuditError> {
    let AuditRequest {
        given,
        names,
        captions,
        protocol,
        near,
    } = request;
    let mut audit = match (given, captions) {
        (Some(given), captions) => of_given(given, names, captions.as_ref(), protocol, near)?,
        (None, Some(captions)) => of_captions(&captions, &names, protocol)?,
        (None, None) => {
            return Err(AuditError::Eval(EvalError::Usage {
                problem: "nothing to audit",
                remedy: "give --sim, or --text and --video, or --captions",
            }));
        }
    };
    audit.verdicts = verdicts(&audit);
    Ok(audit)
}

impl Audit {
    fn new(protocol: Protocol, n_texts: usize, n_videos: usize) -> Self {
        Self {
            schema: "hitbench.audit/1",
            protocol: protocol.id,
            score: None,
            kernel: None,
            joined_by: None,
            left_out: BTreeMap::new(),
            n_texts,
            n_videos,
            captions: None,
            text_rows: None,
            video_rows: None,
            scores: None,
            ties: None,
            cost: None,
            not_ranked: None,
            no_cost: None,
            notices: Vec::new(),
            verdicts: Vec::new(),
        }
    }
}

/// Captions alone.
fn of_captions(table: &CaptionTable, names: &Names, protocol: Protocol) -> Result<Audit, AuditError> {
    let Names {
        texts: None,
        videos: None,
        map: None,
        mask: None,
        allow_missing: false,
    } = names
    else {
        return Err(AuditError::Eval(EvalError::Usage {
            problem: "ids, maps and masks are about scores or embeddings, and none are given",
            remedy: "a table of captions names its texts and videos in columns text_id and video_id",
        }));
    };
    let (video_of, n_videos) = table.videos();
    let n_texts = table.captions.len();
    check_protocol(protocol, n_texts, n_videos)?;
    let captions: Vec<Caption<'_>> = (0u32..)
        .zip(video_of)
        .zip(&table.captions)
        .map(|((text, video), words)| Caption { text, video, words })
        .collect();
    let (found, _) = look(&captions, (n_texts, 0), |text| table.id(text));
    Ok(Audit {
        captions: Some(found),
        ..Audit::new(protocol, n_texts, n_videos)
    })
}

/// Scores or embeddings, with or without captions.
fn of_given(
    given: Given,
    mut names: Names,
    table: Option<&CaptionTable>,
    protocol: Protocol,
    near: f64,
) -> Result<Audit, AuditError> {
    check_dims(&given)?;
    let joined = join(&names, given.texts(), given.videos())?;
    let pairing = &joined.pairing;
    let kept = pairing.kept_captions();
    check_protocol(protocol, kept.len(), pairing.n_videos())?;
    let texts = Side {
        chosen: &kept,
        ids: &joined.text_ids,
        video_of: kept.iter().map(|&text| pairing.video_of(text)).collect(),
    };
    let mut audit = Audit::new(protocol, kept.len(), pairing.n_videos());
    audit.score = Some(given.score());
    audit.joined_by = Some(joined.by.name());
    audit.left_out = joined
        .problems
        .iter()
        .map(|problem| (problem.kind.name(), problem.n))
        .collect();
    let mut of_captions = None;
    if let Some(table) = table {
        let (found, equal) = captions_of(table, &joined, &names, &texts, &given)?;
        audit.captions = Some(found);
        of_captions = Some(equal);
    }

    let given = match &joined.kept_videos {
        None => given,
        // From here on the videos left out are gone, and so are their ids.
        Some(kept) => {
            if let Some(videos) = &mut names.videos {
                videos.ids.clone_from(&joined.video_ids);
            }
            given.with_videos(kept)?
        }
    };
    let (by_rows, videos, videos_by) = match &given {
        Given::Scores(scores) => {
            let (found, rows, columns) = score_findings(scores, &texts, &joined.video_ids);
            audit.not_ranked = (found.not_finite.n > 0).then(|| NOT_FINITE.to_owned());
            audit.scores = Some(found);
            (rows, columns, "columns")
        }
        Given::Embeddings {
            text,
            video,
            normalize,
            ..
        } => {
            let all: Vec<u32> = (0..video.n_rows() as u32).collect();
            let videos = Side {
                chosen: &all,
                ids: &joined.video_ids,
                video_of: all.clone(),
            };
            let (of_texts, text_groups) = row_findings(text, &texts, near)?;
            let (of_videos, video_groups) = row_findings(video, &videos, near)?;
            let sides = [&of_texts, &of_videos];
            audit.not_ranked = if sides.iter().any(|found| found.not_finite.n > 0) {
                Some(NOT_FINITE.to_owned())
            } else if *normalize && sides.iter().any(|found| found.zero.n > 0) {
                Some("rows of zeros cannot be scaled to length 1".to_owned())
            } else {
                None
            };
            (audit.text_rows, audit.video_rows) = (Some(of_texts), Some(of_videos));
            (text_groups.equal, video_groups.near, "near")
        }
    };
    if audit.not_ranked.is_some() {
        return Ok(audit);
    }
    let (texts, texts_by) = match of_captions {
        Some(equal) => (equal, "captions"),
        None => (by_rows, "rows"),
    };
    let duplicates = Duplicates {
        texts,
        texts_by,
        videos,
        videos_by,
    };
    rank(&mut audit, given, names, protocol, &duplicates)?;
    Ok(audit)
}

/// Why values that are not finite end an audit early.
const NOT_FINITE: &str = "a row that takes part holds NaN or infinity";

/// Ranks what is given, for ties and for the metric as given and with duplicates as true items.
fn rank(
    audit: &mut Audit,
    given: Given,
    names: Names,
    protocol: Protocol,
    duplicates: &Duplicates,
) -> Result<(), AuditError> {
    let prepared = Prepared::new(EvalRequest {
        given,
        names,
        protocol,
        rules: protocol.rules(),
        post: None,
        bank: None,
        resampling: None,
    })?;
    let found = prepared.evaluate(&mut |_| ())?;
    audit.kernel = found.about.kernel.map(|kernel| kernel.to_string());
    // Lengths are a finding of their own.
    let others = found.notices.iter();
    let others = others.filter(|notice| !matches!(notice, Notice::Norms { .. }));
    audit.notices = others.map(ToString::to_string).collect();
    audit.ties = ties(&found);
    match cost(&prepared, &found, duplicates)? {
        Ok(cost) => audit.cost = Some(cost),
        Err(reason) => audit.no_cost = Some(reason),
    }
    Ok(())
}

fn ties(found: &Evaluated) -> Option<Ties> {
    let of = |result: &DirectionResult, ids: &[String]| {
        let counts = &result.counts;
        let tied = places(&counts.counts, |count| count.equal > count.own_equal);
        let id = |place: u32| ids[counts.queries[place as usize] as usize].clone();
        Finding::new(&tied, counts.counts.len(), id)
    };
    Some(Ties {
        t2v: of(&found.t2v, &found.joined.text_ids),
        v2t: of(found.v2t.as_ref()?, &found.joined.video_ids),
    })
}

fn captions_of(
    table: &CaptionTable,
    joined: &Joined,
    names: &Names,
    texts: &Side<'_>,
    given: &Given,
) -> Result<(CaptionFindings, Groups), AuditError> {
    let named = names.texts.is_some();
    let (_, location) = given.texts();
    let of_texts = table.of_texts(joined, texts.chosen, named, names.allow_missing, location)?;
    let captions: Vec<Caption<'_>> = (0u32..)
        .zip(&texts.video_of)
        .zip(&of_texts.captions)
        .filter_map(|((text, &video), words)| {
            Some(Caption {
                text,
                video,
                words: (*words)?,
            })
        })
        .collect();
    let n_texts = texts.chosen.len();
    Ok(look(&captions, (n_texts, of_texts.n_unused), |text| {
        texts.id(text)
    }))
}
