//! What each finding means for R@K, in a sentence; what was not found is said too.

use serde::Serialize;

use super::captions::CaptionFindings;
use super::cost::CostOfDirection;
use super::examine::Audit;
use super::finding::{BadRows, Finding, GroupFinding};
use super::rows::{RowFindings, ScoreFindings};
use crate::eval::NORM_TOLERANCE;

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The part of the audit.
    pub part: &'static str,
    /// The check, as the part calls it.
    pub check: &'static str,
    /// Whether something was found that moves R@K or makes it doubtful.
    pub found: bool,
    /// The sentence.
    pub text: String,
    /// The first items, for a person.
    #[serde(skip)]
    pub examples: String,
}

/// All checks that were made.
pub(super) fn verdicts(audit: &Audit) -> Vec<Verdict> {
    let mut all = Vec::new();
    if let Some(captions) = &audit.captions {
        all.extend(of_captions(captions));
    }
    let normalised = audit.score == Some("cosine");
    if let Some(rows) = &audit.text_rows {
        all.extend(of_rows("text_rows", rows, normalised));
    }
    if let Some(rows) = &audit.video_rows {
        all.extend(of_rows("video_rows", rows, normalised));
    }
    if let Some(scores) = &audit.scores {
        all.extend(of_scores(scores));
    }
    if let Some(ties) = &audit.ties {
        all.extend([("t2v", &ties.t2v), ("v2t", &ties.v2t)].map(|(direction, tied)| {
            simple(
                ("ties", direction),
                tied,
                "queries",
                [
                    &format!(
                        "tie in {direction} with an item that is not true: the tie rule decides their rank"
                    ),
                    &format!("no query ties in {direction}: every tie rule gives the same R@K"),
                ],
            )
        }));
    }
    if let Some(cost) = &audit.cost {
        all.extend(
            [("t2v", &cost.t2v), ("v2t", &cost.v2t)].map(|(direction, cost)| of_cost(direction, cost)),
        );
    }
    let missing = [
        ("ranks", &audit.not_ranked, "nothing could be ranked"),
        (
            "cost",
            &audit.no_cost,
            "R@K was not computed with duplicates as true items",
        ),
    ];
    for (part, reason, what) in missing {
        all.extend(reason.as_ref().map(|reason| Verdict {
            part,
            check: "done",
            found: true,
            text: format!("{what}: {reason}"),
            examples: String::new(),
        }));
    }
    all.extend(audit.notices.iter().map(|notice| Verdict {
        part: "ranks",
        check: "notices",
        found: true,
        text: notice.clone(),
        examples: String::new(),
    }));
    all
}

/// `9 of 1000 captions (0.9 %)`.
fn counted(n: usize, of: usize, what: &str) -> String {
    let percent = super::finding::share(n, of) * 100.0;
    format!("{n} of {of} {what} ({percent:.1} %)")
}

fn named(ids: &[String], n: usize) -> String {
    let more = if n > ids.len() { ", ..." } else { "" };
    format!("{}{more}", ids.join(", "))
}

/// A verdict on items with a property, with a sentence for when there are some and one for when there are none.
fn simple(
    (part, check): (&'static str, &'static str),
    finding: &Finding,
    what: &str,
    [some, none]: [&str; 2],
) -> Verdict {
    let found = finding.n > 0;
    Verdict {
        part,
        check,
        found,
        text: if found {
            format!("{} {some}", counted(finding.n, finding.of, what))
        } else {
            none.to_owned()
        },
        examples: named(&finding.first, finding.n),
    }
}

/// A verdict on items that are alike.
fn grouped(
    (part, check): (&'static str, &'static str),
    finding: &GroupFinding,
    what: &str,
    [some, none]: [&str; 2],
) -> Verdict {
    let found = finding.n > 0;
    let groups: Vec<String> = (finding.first.iter())
        .map(|group| format!("{{{}}}", named(&group.ids, group.n)))
        .collect();
    Verdict {
        part,
        check,
        found,
        text: if found {
            let groups = if finding.n_groups == 1 { "group" } else { "groups" };
            let counted = counted(finding.n, finding.of, what);
            format!("{counted}, in {} {groups}, {some}", finding.n_groups)
        } else {
            none.to_owned()
        },
        examples: named(&groups, finding.n_groups),
    }
}

fn bad(part: &'static str, rows: &BadRows) -> Verdict {
    let first = rows.first.iter().map(|bad| {
        format!(
            "{} (row {}, column {}: {})",
            bad.id, bad.row, bad.column, bad.value
        )
    });
    let finding = Finding {
        n: rows.n,
        of: rows.of,
        share: rows.share,
        first: first.collect(),
    };
    let some = format!(
        "hold NaN or infinity, {} values in all: no ranking exists until they are mended or masked",
        rows.n_values
    );
    simple(
        (part, "not_finite"),
        &finding,
        "rows",
        [&some, "all values are finite"],
    )
}

fn of_captions(found: &CaptionFindings) -> Vec<Verdict> {
    const PART: &str = "captions";
    let mut loosely = grouped(
        (PART, "across_videos_loosely"),
        &found.across_videos_loosely,
        "captions",
        [
            "are those of another video too when case and a final period do not count: a tokenizer that drops \
             them makes these texts one",
            "",
        ],
    );
    if found.across_videos_loosely.n == found.across_videos.n {
        (loosely.found, loosely.examples) = (false, String::new());
        loosely.text = "no further caption is shared when case and a final period do not count".to_owned();
    }
    let mut verdicts = vec![
        grouped(
            (PART, "across_videos"),
            &found.across_videos,
            "captions",
            [
                "are word for word those of another video too: such a query \
                 describes several videos, and which of them counts is no matter of skill",
                "no two videos share a caption",
            ],
        ),
        loosely,
        grouped(
            (PART, "within_a_video"),
            &found.within_a_video,
            "captions",
            [
                "repeat one of the same video: as queries of t2v they count more than once, in v2t they tie",
                "no video has a caption twice",
            ],
        ),
        simple(
            (PART, "empty"),
            &found.empty,
            "captions",
            [
                "have no words: such a query finds its video by chance only",
                "no caption is empty",
            ],
        ),
    ];
    let (n_words, id) = (found.longest.n_words, &found.longest.id);
    verdicts.push(Verdict {
        part: PART,
        check: "longest",
        found: false,
        text: format!(
            "the longest caption has {n_words} words ({id}): a text encoder of fewer positions cuts it"
        ),
        examples: String::new(),
    });
    let n_texts = found.n + found.n_texts_without;
    if found.n_texts_without > 0 {
        verdicts.push(Verdict {
            part: PART,
            check: "n_texts_without",
            found: true,
            text: format!(
                "{} have no caption: nothing is known of their duplicates",
                counted(found.n_texts_without, n_texts, "texts")
            ),
            examples: String::new(),
        });
    }
    if found.n_unused > 0 {
        verdicts.push(Verdict {
            part: PART,
            check: "n_unused",
            found: false,
            text: format!(
                "{} captions of the table belong to no text that takes part",
                found.n_unused
            ),
            examples: String::new(),
        });
    }
    verdicts
}

fn of_rows(part: &'static str, found: &RowFindings, normalised: bool) -> Vec<Verdict> {
    let videos = part == "video_rows";
    let near = &found.near_duplicates;
    let (whose, equal) = if videos {
        (
            "another video",
            "are bit for bit that of another video: every query of t2v ties between them, and the tie rule decides",
        )
    } else {
        (
            "another video's text",
            "are bit for bit that of another video's text: these texts rank all videos alike, and in v2t they tie",
        )
    };
    let off_unit = if normalised {
        format!(
            "had a length further than {NORM_TOLERANCE} from 1; --normalize scaled them, and R@K is that of cosines"
        )
    } else {
        format!(
            "have a length further than {NORM_TOLERANCE} from 1: scores are dot products, where long rows win; \
             --normalize makes them cosines"
        )
    };
    vec![
        bad(part, &found.not_finite),
        simple(
            (part, "zero"),
            &found.zero,
            "rows",
            [
                "are zero, as a missing embedding is: they score 0 with everything, and their ranks are ties",
                "no row is zero",
            ],
        ),
        simple(
            (part, "constant"),
            &found.constant,
            "rows",
            [
                "have one value throughout, as a failed embedding has: they say little of their item",
                "no row has one value throughout",
            ],
        ),
        simple(
            (part, "off_unit"),
            &found.off_unit,
            "rows",
            [&off_unit, "all rows have length 1, or one other length"],
        ),
        grouped(
            (part, "duplicates"),
            &found.duplicates,
            "rows",
            [equal, &format!("no row is bit for bit that of {whose}")],
        ),
        grouped(
            (part, "near_duplicates"),
            &near.groups,
            "rows",
            [
                &format!(
                    "point nearly where {whose} does (cosine of at least {}; pairs: {}): the order among them \
                     hangs on small differences",
                    near.cosine, near.n_pairs
                ),
                &format!(
                    "no row points nearly where {whose} does (cosine of at least {})",
                    near.cosine
                ),
            ],
        ),
    ]
}

fn of_scores(found: &ScoreFindings) -> Vec<Verdict> {
    const PART: &str = "scores";
    vec![
        bad(PART, &found.not_finite),
        simple(
            (PART, "constant_rows"),
            &found.constant_rows,
            "texts",
            [
                "score the same with all videos: such a query ranks nothing, and the tie rule decides",
                "no text scores the same with all videos",
            ],
        ),
        simple(
            (PART, "constant_columns"),
            &found.constant_columns,
            "videos",
            [
                "score the same with all texts, as a missing embedding would: their rank is up to the others",
                "no video scores the same with all texts",
            ],
        ),
        grouped(
            (PART, "duplicate_rows"),
            &found.duplicate_rows,
            "texts",
            [
                "have bit for bit the scores of another video's text, as equal captions do: in v2t they tie",
                "no text has bit for bit the scores of another video's text",
            ],
        ),
        grouped(
            (PART, "duplicate_columns"),
            &found.duplicate_columns,
            "videos",
            [
                "have bit for bit the scores of another video: every query of t2v ties between them",
                "no video has bit for bit the scores of another",
            ],
        ),
    ]
}

fn of_cost(direction: &'static str, cost: &CostOfDirection) -> Verdict {
    let found = cost.n_with_more > 0;
    let queries = counted(cost.n_with_more as usize, cost.n_queries as usize, "queries");
    let text = match (found, cost.as_given.r_at.first_key_value()) {
        (true, Some((k, given))) => {
            let again = cost.duplicates_true.r_at.get(k).copied().unwrap_or_default();
            let points = (again - given) * 100.0;
            format!(
                "{queries} of {direction} have duplicates of their true items; with these counted as found R@{k} is \
                 {:.1} % instead of {:.1} %: false negatives of this kind cost {points:.1} points at most",
                again * 100.0,
                given * 100.0
            )
        }
        _ => format!(
            "no query of {direction} has a duplicate of its true items: no false negatives were found"
        ),
    };
    Verdict {
        part: "cost",
        check: direction,
        found,
        text,
        examples: String::new(),
    }
}
