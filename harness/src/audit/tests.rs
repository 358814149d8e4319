use super::finding::Group;
use super::*;
use crate::eval::{EvalError, F32_KERNEL, Given, IdList, Mask, Names};
use crate::format::tests::{file, matrix_f32, member};
use crate::format::{FormatError, Location, Matrix};
use crate::metric::Protocol;

fn request(given: Given) -> AuditRequest {
    AuditRequest {
        given: Some(given),
        names: Names::default(),
        captions: None,
        protocol: Protocol::CUSTOM,
        near: NEAR,
    }
}

fn embeddings(text: Matrix, video: Matrix, normalize: bool) -> Given {
    Given::Embeddings {
        text,
        video,
        kernel: F32_KERNEL,
        normalize,
    }
}

fn captions(captions: &[&str]) -> CaptionTable {
    CaptionTable {
        location: Location::file("captions.txt"),
        captions: captions.iter().map(|&caption| caption.to_owned()).collect(),
        text_ids: None,
        video_ids: None,
    }
}

fn list(ids: &[&str]) -> Option<IdList> {
    Some(IdList {
        location: Location::file("ids.txt"),
        ids: ids.iter().map(|&id| id.to_owned()).collect(),
    })
}

fn strings(texts: &[&str]) -> Option<Vec<String>> {
    Some(texts.iter().map(|&text| text.to_owned()).collect())
}

fn ids(group: &Group) -> String {
    group.ids.join(" ")
}

fn verdict<'a>(audit: &'a Audit, part: &str, check: &str) -> &'a Verdict {
    let mut all = audit.verdicts.iter();
    all.find(|verdict| (verdict.part, verdict.check) == (part, check))
        .unwrap_or_else(|| panic!("no verdict on {part}.{check}"))
}

/// Text 0 and text 2 are equal, videos 1 and 2 nearly; everything finds its own or its duplicate.
fn four() -> (Vec<tempfile::TempDir>, Matrix, Matrix) {
    let (a, text) = matrix_f32(&[
        &[1.0, 0.0, 0.0],
        &[0.0, 1.0, 0.0],
        &[1.0, 0.0, 0.0],
        &[0.0, 0.0, 1.0],
    ]);
    let (b, video) = matrix_f32(&[
        &[0.8, 0.6, 0.0],
        &[0.0, 0.8, 0.6],
        &[0.01, 0.8, 0.6],
        &[0.0, 0.0, 2.0],
    ]);
    (vec![a, b], text, video)
}

#[test]
fn embeddings_with_duplicates_on_both_sides() {
    let (_folders, text, video) = four();
    let found = audit(request(embeddings(text, video, false))).unwrap();
    let (texts, videos) = (
        found.text_rows.as_ref().unwrap(),
        found.video_rows.as_ref().unwrap(),
    );
    assert_eq!(
        (texts.duplicates.n, ids(&texts.duplicates.first[0])),
        (2, "0 2".into())
    );
    assert_eq!((texts.near_duplicates.n_pairs, texts.off_unit.n), (1, 0));
    assert_eq!(
        (videos.duplicates.n, videos.off_unit.first.as_slice()),
        (0, &["3".to_owned()][..])
    );
    let near = &videos.near_duplicates;
    assert_eq!(
        (near.n_pairs, near.groups.n_groups, ids(&near.groups.first[0])),
        (1, 1, "1 2".into())
    );

    // t2v scores: 0.8 0 .01 0 | .6 .8 .8 0 | .8 0 .01 0 | 0 .6 .6 2: text 1 ties, text 2 has rank 2.
    let ties = found.ties.as_ref().unwrap();
    assert_eq!((ties.t2v.n, &ties.t2v.first[..]), (1, &["1".to_owned()][..]));
    // Videos 0 and 2 tie between the equal texts 0 and 2.
    assert_eq!(
        (ties.v2t.n, &ties.v2t.first[..]),
        (2, &["0".to_owned(), "2".into()][..])
    );
    let cost = found.cost.as_ref().unwrap();
    assert_eq!((cost.texts_by, cost.videos_by), ("rows", "near"));
    assert_eq!((cost.t2v.n_with_more, cost.v2t.n_with_more), (3, 3));
    assert_eq!(
        (cost.t2v.as_given.r_at[&1], cost.t2v.duplicates_true.r_at[&1]),
        (0.5, 1.0)
    );
    // Video 2 finds text 1, which describes its near-duplicate.
    assert_eq!(
        (cost.v2t.as_given.r_at[&1], cost.v2t.duplicates_true.r_at[&1]),
        (0.5, 1.0)
    );
    assert_eq!(
        (
            cost.v2t.as_given.median_rank,
            cost.v2t.duplicates_true.median_rank
        ),
        (Some(1.25), Some(1.0))
    );
    assert!(
        verdict(&found, "cost", "t2v")
            .text
            .contains("R@1 is 100.0 % instead of 50.0 %")
    );
    assert!(verdict(&found, "video_rows", "off_unit").found);
    assert!(!verdict(&found, "text_rows", "off_unit").found);
    assert!(found.kernel.as_ref().unwrap().starts_with("cpu/"));
}

#[test]
fn captions_decide_over_rows_which_texts_are_the_same() {
    let (_folders, text, video) = four();
    let given = AuditRequest {
        captions: Some(captions(&["a", "b", "c", "B."])),
        near: 1.0,
        ..request(embeddings(text, video, true))
    };
    let found = audit(given).unwrap();
    let words = found.captions.as_ref().unwrap();
    assert_eq!(
        (words.across_videos.n, ids(&words.across_videos_loosely.first[0])),
        (0, "1 3".into())
    );
    let cost = found.cost.as_ref().unwrap();
    assert_eq!(
        (cost.texts_by, cost.t2v.n_with_more, cost.v2t.n_with_more),
        ("captions", 0, 0)
    );
    assert_eq!(cost.t2v.as_given, cost.t2v.duplicates_true);
    assert!(!verdict(&found, "cost", "v2t").found);
    assert_eq!(found.video_rows.as_ref().unwrap().near_duplicates.n_pairs, 0);
}

#[test]
fn values_that_are_not_finite_are_a_finding() {
    let (_a, text) = matrix_f32(&[&[1.0, 0.0], &[f32::NAN, f32::INFINITY]]);
    let (_b, video) = matrix_f32(&[&[0.0, 0.0], &[3.0, 3.0]]);
    let found = audit(request(embeddings(text, video, false))).unwrap();
    let bad = &found.text_rows.as_ref().unwrap().not_finite;
    assert_eq!(
        (bad.n, bad.n_values, bad.first[0].row, bad.first[0].value.as_str()),
        (1, 2, 1, "NaN")
    );
    let videos = found.video_rows.as_ref().unwrap();
    assert_eq!(
        (&videos.zero.first[..], &videos.constant.first[..]),
        (&["0".to_owned()][..], &["1".to_owned()][..])
    );
    assert!(found.cost.is_none() && found.ties.is_none());
    assert!(verdict(&found, "ranks", "done").text.contains("NaN or infinity"));

    let (_c, scores) = matrix_f32(&[&[1.0, 0.0], &[0.0, f32::NEG_INFINITY]]);
    let found = audit(request(Given::Scores(scores))).unwrap();
    let bad = &found.scores.as_ref().unwrap().not_finite.first[0];
    assert_eq!((bad.row, bad.column, bad.value.as_str()), (1, 1, "-inf"));
    assert!(found.not_ranked.is_some());
}

#[test]
fn zeros_can_be_ranked_but_not_scaled() {
    let rows: [&[f32]; 2] = [&[1.0, 0.0], &[0.0, 0.0]];
    for (normalize, ranked) in [(false, true), (true, false)] {
        let ((_a, text), (_b, video)) = (matrix_f32(&rows), matrix_f32(&rows));
        let found = audit(request(embeddings(text, video, normalize))).unwrap();
        assert_eq!(
            (found.cost.is_some(), found.not_ranked.is_none()),
            (ranked, ranked)
        );
    }
}

#[test]
fn masked_texts_take_no_part() {
    let (_folder, scores) = matrix_f32(&[&[0.9, 0.1], &[f32::NAN, 1.0], &[0.2, 0.8], &[0.2, 0.8]]);
    let mask = Mask {
        location: Location::file("mask.npy"),
        shape: vec![2, 2],
        kept: vec![true, false, true, true],
    };
    let given = AuditRequest {
        names: Names {
            mask: Some(mask),
            ..Names::default()
        },
        captions: Some(captions(&["x", "x", "y", "z"])),
        ..request(Given::Scores(scores))
    };
    let found = audit(given).unwrap();
    assert_eq!(
        (found.n_texts, found.n_videos, found.joined_by),
        (3, 2, Some("mask-layout"))
    );
    let words = found.captions.as_ref().unwrap();
    assert_eq!((words.n, words.within_a_video.n), (3, 0));
    // Rows 2 and 3 are equal, and of one video.
    let scores = found.scores.as_ref().unwrap();
    assert_eq!(
        (scores.not_finite.n, scores.duplicate_rows.n, scores.not_finite.of),
        (0, 0, 3)
    );
    assert!(found.cost.is_some());
}

#[test]
fn a_matrix_shows_constant_and_equal_lines() {
    let (_folder, scores) = matrix_f32(&[
        &[0.9, 0.1, 0.1, 0.5],
        &[0.3, 0.7, 0.7, 0.5],
        &[0.9, 0.1, 0.1, 0.5],
        &[0.5, 0.5, 0.5, 0.5],
    ]);
    let found = audit(request(Given::Scores(scores))).unwrap();
    let lines = found.scores.as_ref().unwrap();
    assert_eq!(&lines.constant_rows.first, &["3"]);
    assert_eq!(&lines.constant_columns.first, &["3"]);
    assert_eq!(ids(&lines.duplicate_rows.first[0]), "0 2");
    assert_eq!(ids(&lines.duplicate_columns.first[0]), "1 2");
    let cost = found.cost.as_ref().unwrap();
    assert_eq!(
        (cost.texts_by, cost.videos_by, cost.t2v.n_with_more),
        ("rows", "columns", 3)
    );
    // Text 2 finds video 0, which text 0 describes in the same words.
    assert_eq!(
        (cost.t2v.as_given.r_at[&1], cost.t2v.duplicates_true.r_at[&1]),
        (0.25, 0.75)
    );
}

#[test]
fn videos_of_repeated_ids_are_gone_for_every_check() {
    let (_folder, scores) = matrix_f32(&[&[0.9, 0.9, 0.1], &[0.2, f32::NAN, 0.8]]);
    let names = || Names {
        texts: list(&["v1", "v2"]),
        videos: list(&["v1", "v1", "v2"]),
        allow_missing: true,
        ..Names::default()
    };
    let given = AuditRequest {
        names: names(),
        ..request(Given::Scores(scores))
    };
    let found = audit(given).unwrap();
    assert_eq!((found.n_videos, found.left_out["repeated_videos"]), (2, 1));
    assert_eq!(found.scores.as_ref().unwrap().not_finite.n, 0);
    assert_eq!(found.cost.as_ref().unwrap().t2v.as_given.r_at[&1], 1.0);
}

#[test]
fn captions_join_by_id_or_are_refused() {
    let scores = || matrix_f32(&[&[0.9, 0.1], &[0.2, 0.8]]);
    let audit_of = |table: CaptionTable, allow_missing| {
        let (_folder, scores) = scores();
        let names = Names {
            texts: list(&["t1", "t2"]),
            videos: list(&["t1", "t2"]),
            allow_missing,
            ..Names::default()
        };
        audit(AuditRequest {
            names,
            captions: Some(table),
            ..request(Given::Scores(scores))
        })
    };
    let table = |texts: &[&str], videos: Option<Vec<String>>, words: &[&str]| CaptionTable {
        text_ids: strings(texts),
        video_ids: videos,
        ..captions(words)
    };
    let found = audit_of(table(&["t2", "t9", "t1"], None, &["x y", "x", "x"]), false).unwrap();
    let words = found.captions.as_ref().unwrap();
    assert_eq!((words.n, words.n_unused, words.longest.id.as_str()), (2, 1, "t2"));

    let lacking = table(&["t2"], None, &["x"]);
    let error = audit_of(lacking.clone(), false).unwrap_err();
    assert_eq!(error.to_string(), "`captions.txt` lacks 1 texts (`t1`)");
    let found = audit_of(lacking, true).unwrap();
    assert_eq!(found.captions.as_ref().unwrap().n_texts_without, 1);
    assert!(verdict(&found, "captions", "n_texts_without").found);
    let error = audit_of(table(&["t2", "t1", "t2"], None, &["x", "y", "z"]), true).unwrap_err();
    assert_eq!(error.to_string(), "`captions.txt` repeats 1 texts (`t2`)");

    let swapped = CaptionTable {
        video_ids: strings(&["t2", "t1"]),
        ..captions(&["x", "y"])
    };
    let error = audit_of(swapped, false).unwrap_err();
    assert!(
        matches!(&error, AuditError::CaptionVideo { row: 0, .. }),
        "{error}"
    );
    let other_ids = CaptionTable {
        video_ids: strings(&["m2", "m1"]),
        ..captions(&["x", "y"])
    };
    assert!(audit_of(other_ids, false).is_ok());
    let error = audit_of(captions(&["x"]), false).unwrap_err();
    assert!(
        matches!(
            &error,
            AuditError::CaptionCount {
                found: 1,
                expected: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn captions_alone_have_their_own_videos() {
    let alone = |table: CaptionTable, names: Names| {
        audit(AuditRequest {
            given: None,
            names,
            captions: Some(table),
            protocol: Protocol::CUSTOM,
            near: NEAR,
        })
    };
    let table = CaptionTable {
        text_ids: strings(&["p", "q", "r"]),
        video_ids: strings(&["v", "v", "w"]),
        ..captions(&["x", "x", "x"])
    };
    let found = alone(table, Names::default()).unwrap();
    assert_eq!((found.n_texts, found.n_videos), (3, 2));
    let words = found.captions.as_ref().unwrap();
    assert_eq!(
        (
            ids(&words.across_videos.first[0]),
            ids(&words.within_a_video.first[0])
        ),
        ("p q r".into(), "p q".into())
    );
    assert!(found.scores.is_none() && found.ties.is_none() && found.not_ranked.is_none());

    let names = Names {
        texts: list(&["p"]),
        ..Names::default()
    };
    assert!(matches!(
        alone(captions(&["x"]), names),
        Err(AuditError::Eval(EvalError::Usage { .. }))
    ));
    let nothing = AuditRequest {
        given: None,
        names: Names::default(),
        captions: None,
        protocol: Protocol::CUSTOM,
        near: NEAR,
    };
    assert!(matches!(
        audit(nothing),
        Err(AuditError::Eval(EvalError::Usage { .. }))
    ));
    let protocol = AuditRequest {
        given: None,
        names: Names::default(),
        captions: Some(captions(&["x"])),
        protocol: Protocol::find("msrvtt-1ka").unwrap(),
        near: NEAR,
    };
    assert!(matches!(
        audit(protocol),
        Err(AuditError::Eval(EvalError::Protocol { .. }))
    ));
}

#[test]
fn tables_and_lists_of_captions() {
    let read = |name: &str, text: &str, column: Option<&str>| {
        let (_folder, location) = file(name, text.as_bytes());
        let location = column.map_or(location.clone(), |column| member(&location, column));
        CaptionTable::read(&location).map(|table| (table.captions, table.text_ids, table.video_ids))
    };
    let found = read(
        "c.csv",
        "text_id,video_id,sentence\nt1,v1, a  b \nt2,v1,\nt3,v2,\"x, y\"\n",
        Some("sentence"),
    );
    assert_eq!(
        found.unwrap(),
        (
            vec!["a  b".to_owned(), String::new(), "x, y".into()],
            strings(&["t1", "t2", "t3"]),
            strings(&["v1", "v1", "v2"])
        )
    );
    let found = read("c.tsv", "video_id\tsentence\nv1\tx; y, z\n", Some("sentence")).unwrap();
    assert_eq!(found, (vec!["x; y, z".to_owned()], None, strings(&["v1"])));
    let found = read("c.txt", "a, b\n\nc\r\n", None).unwrap();
    assert_eq!(found.0, ["a, b", "", "c"]);
    for (name, text, column) in [
        ("c.csv", "video_id,sentence\nv1,a\n", None),
        ("c.csv", "video_id,sentence\nv1,a\n", Some("caption")),
        ("c.csv", "video_id,sentence\n,a\n", Some("sentence")),
        ("c.csv", "video_id,sentence\nv1,a,b\n", Some("sentence")),
        ("c.csv", "video_id,sentence\n", Some("sentence")),
        ("c.txt", "", None),
    ] {
        let error = read(name, text, column).unwrap_err();
        assert!(
            matches!(error, FormatError::Line { .. } | FormatError::Column { .. }),
            "{name} {text:?}: {error}"
        );
    }
}

#[test]
fn a_collapsed_model_is_told_and_nothing_is_listed_without_end() {
    let n = 6000;
    let rows: Vec<[f32; 2]> = (0..n).map(|i| [1.0, i as f32 * 1e-7]).collect();
    let rows: Vec<&[f32]> = rows.iter().map(|row| &row[..]).collect();
    let ((_a, text), (_b, video)) = (matrix_f32(&rows), matrix_f32(&rows));
    let found = audit(request(embeddings(text, video, false))).unwrap();
    let near = &found.video_rows.as_ref().unwrap().near_duplicates;
    assert_eq!((near.n_pairs, near.groups.n), (n * (n - 1) / 2, n as usize));
    assert!(found.cost.is_none() && found.ties.is_some());
    assert!(verdict(&found, "cost", "done").text.contains("36000000 pairs"));
}

#[test]
fn the_report_is_finite_and_says_what_was_not_found() {
    let (_folder, scores) = matrix_f32(&[&[0.9, 0.1], &[0.2, 0.8]]);
    let found = audit(request(Given::Scores(scores))).unwrap();
    assert!(
        found.verdicts.iter().all(|verdict| !verdict.found),
        "{:?}",
        found.verdicts
    );
    let shown = text(&found);
    assert!(shown.ends_with("0 of 9 checks found something.\n"), "{shown}");
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(
        (&json["schema"], &json["captions"]),
        (&"hitbench.audit/1".into(), &serde_json::Value::Null)
    );
}
