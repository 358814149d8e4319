use hitbench_kernels::Dtype;
use proptest::prelude::*;

use super::*;
use crate::eval::{EvalReport, EvalRequest, F32_KERNEL, Given, IdList, IdMap, Names, View};
use crate::format::tests::{file, matrix_f32};
use crate::format::{Location, Matrix};
use crate::metric::{CaptionRule, MetricError, Protocol, Resampling, Rules};

const RESAMPLING: Resampling = Resampling {
    seed: 0,
    resamples: 200,
};

fn rows(n: usize, seed: usize) -> Vec<[f32; 3]> {
    let value = |at: usize| ((at * 7919 + seed * 104_729) % 13) as f32 - 6.0;
    (0..n)
        .map(|row| [value(3 * row), value(3 * row + 1), value(3 * row + 2)])
        .collect()
}

fn matrix(n: usize, seed: usize) -> Matrix {
    let rows = rows(n, seed);
    let rows: Vec<&[f32]> = rows.iter().map(|row| &row[..]).collect();
    let (_folder, matrix) = matrix_f32(&rows);
    matrix
}

fn ids(prefix: &str, n: usize) -> IdList {
    IdList {
        location: Location::file(prefix),
        ids: (0..n).map(|at| format!("{prefix}{at}")).collect(),
    }
}

/// Twelve texts of five videos, of which the last has none and is left out.
fn embeddings(captions: CaptionRule) -> Prepared {
    let pairs = (0..12).map(|text| (format!("t{text}"), format!("v{}", text * text % 4)));
    Prepared::new(EvalRequest {
        given: Given::Embeddings {
            text: matrix(12, 1),
            video: matrix(5, 2),
            kernel: F32_KERNEL,
            normalize: false,
        },
        names: Names {
            texts: Some(ids("t", 12)),
            videos: Some(ids("v", 5)),
            map: Some(IdMap {
                location: Location::file("map"),
                pairs: pairs.collect(),
            }),
            allow_missing: true,
            ..Names::default()
        },
        protocol: Protocol::CUSTOM,
        rules: Rules {
            captions,
            ..Rules::default()
        },
        post: None,
        bank: None,
        resampling: Some(RESAMPLING),
    })
    .unwrap()
}

fn scores(n: usize) -> Prepared {
    let rows: Vec<Vec<f32>> = (0..n)
        .map(|row| {
            (0..n)
                .map(|column| ((row * 31 + column * 17) % 7) as f32)
                .collect()
        })
        .collect();
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let (_folder, scores) = matrix_f32(&rows);
    Prepared::new(EvalRequest {
        given: Given::Scores(scores),
        names: Names::default(),
        protocol: Protocol::CUSTOM,
        rules: Rules::default(),
        post: None,
        bank: None,
        resampling: Some(RESAMPLING),
    })
    .unwrap()
}

fn shard(prepared: &Prepared, index: usize, of: usize) -> Shard {
    let part = Part::new(index, of).unwrap();
    Shard::count(prepared, part, vec!["hitbench".to_owned()], &mut |_| ()).unwrap()
}

fn json(found: &Evaluated) -> String {
    serde_json::to_string(&EvalReport::from(View::from(found))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn shards_through_files_give_the_whole_to_the_byte(
        of in 1usize..7,
        order in Just((0..7).collect::<Vec<usize>>()).prop_shuffle(),
        which in 0usize..3,
    ) {
        let prepared = match which {
            0 => embeddings(CaptionRule::MinRank),
            1 => embeddings(CaptionRule::MaxOverCaptions),
            _ => scores(9),
        };
        let whole = prepared.evaluate(&mut |_| ()).unwrap();
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for index in order.into_iter().filter(|index| *index < of) {
            shard(&prepared, index + 1, of).write(folders[index % 2].path()).unwrap();
        }
        let runs = folders.each_ref().map(|folder| folder.path().to_owned());
        let merged = Merged::new(Shard::read_all(&runs).unwrap()).unwrap();
        prop_assert_eq!(json(&merged.found), json(&whole));
        prop_assert_eq!(&merged.found.t2v.counts, &whole.t2v.counts);
        prop_assert_eq!(&merged.found.v2t.unwrap().counts, &whole.v2t.unwrap().counts);
        prop_assert_eq!(merged.contents, prepared.content_hash());
    }
}

#[test]
fn a_shard_that_is_there_twice_counts_once_and_one_that_is_not_is_named() {
    let prepared = scores(9);
    let (first, second) = (shard(&prepared, 1, 2), shard(&prepared, 2, 2));
    assert!(Merged::new(vec![first.clone(), second.clone(), first.clone()]).is_ok());
    let missing = Merged::new(vec![second.clone()]).unwrap_err();
    assert_eq!(
        (missing.to_string(), missing.reason()),
        ("part 1/2 is missing".to_owned(), "missing-shard")
    );
    let mut other = first.clone();
    other.counts.counts.t2v.counts[0].greater += 1;
    let twice = Merged::new(vec![first, second, other]).unwrap_err();
    assert!(
        matches!(twice, EvalError::Metric(MetricError::RepeatedPart { .. })),
        "{twice}"
    );
}

/// What makes a shard one of another evaluation.
type Change = fn(&mut Shard);

#[test]
fn shards_of_other_evaluations_are_refused_with_what_differs() {
    let read = |index: usize| Shard {
        path: PathBuf::from(format!("{index}.json")),
        ..shard(&scores(9), index, 2)
    };
    let (first, second) = (read(1), read(2));
    let refused = |change: &dyn Fn(&mut Shard)| {
        let mut changed = second.clone();
        change(&mut changed);
        Merged::new(vec![first.clone(), changed]).unwrap_err().to_string()
    };
    let changes: [(Change, &str); 5] = [
        (|shard| shard.contents.push('0'), "contents of the files"),
        (|shard| shard.build_id.push('0'), "build of hitbench"),
        (|shard| shard.about.kernel = Some(F32_KERNEL), "kernel"),
        (|shard| shard.about.rules.recall_at.push(3), "rules"),
        (|shard| shard.joined.text_ids[0].push('0'), "ids"),
    ];
    for (change, what) in changes {
        assert_eq!(
            refused(&change),
            format!("`2.json` is a shard of another evaluation than `1.json`: other {what}")
        );
    }
}

#[test]
fn damaged_shards_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = shard(&scores(9), 1, 1).write(folder.path()).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let runs = [folder.path().to_owned()];
    assert!(Shard::read_all(&runs).is_ok());
    let refused = |text: &str| {
        fs::write(&path, text).unwrap();
        match Shard::read_all(&runs) {
            Err(EvalError::Shard { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    };
    for cut in [0, 1, good.len() / 2, good.len() - 3] {
        assert!(refused(&good[..cut]).starts_with("EOF"), "{cut}");
    }
    for (from, to, problem) in [
        (
            "hitbench.shard/1",
            "hitbench.shard/2",
            "expected schema `hitbench.shard/1`, found `hitbench.shard/2`",
        ),
        (
            "\"part\":1",
            "\"part\":2",
            "no part 2 of 1: parts are numbered from 1",
        ),
        ("\"matrix\"", "\"sum\"", "unknown score `sum`"),
        ("\"custom\"", "\"msrvtt\"", "unknown protocol `msrvtt`"),
        (
            "\"n_videos\":9",
            "\"n_videos\":8",
            "expected an id for every text and every video",
        ),
        ("\"kept\":[0,", "\"kept\":[99,", "there is no text 99"),
        (
            "\"greater\":[",
            "\"greater\":[0,",
            "t2v: expected 9 entries of `greater`, found 10",
        ),
    ] {
        let changed = good.replacen(from, to, 1);
        if from.starts_with("\"part") {
            assert_eq!(refused(&changed), "its checksum is that of other contents");
        }
        let found = refused(&wire::with_checksum(&changed));
        assert!(found.starts_with(problem), "{found}");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(Shard::read_all(&runs), Err(EvalError::NoShards { .. })));
}

#[test]
fn a_folder_of_other_files_takes_no_shards() {
    let (folder, _) = file("notes.txt", b"mine");
    let refused = Shard::check_folder(folder.path(), Part::WHOLE).unwrap_err();
    assert!(matches!(refused, EvalError::OtherRun { .. }), "{refused}");
    let new = folder.path().join("new");
    let of = |index, of| Part::new(index, of).unwrap();
    Shard::check_folder(&new, of(1, 2)).unwrap();
    shard(&scores(4), 1, 2).write(&new).unwrap();
    Shard::check_folder(&new, of(2, 2)).unwrap();
    let refused = Shard::check_folder(&new, of(1, 3)).unwrap_err().to_string();
    assert!(
        refused.ends_with("the shard `1-of-2.json` of another number of parts"),
        "{refused}"
    );
}

#[test]
fn what_parts_do_not_make_whole_is_refused() {
    let mut prepared = scores(4);
    prepared.request.post = Some("dsl".parse().unwrap());
    let part = Part::new(1, 2).unwrap();
    let refused = Shard::count(&prepared, part, Vec::new(), &mut |_| ()).unwrap_err();
    assert!(refused.to_string().starts_with("--post"), "{refused}");
    let mut prepared = embeddings(CaptionRule::MinRank);
    if let Given::Embeddings { kernel, .. } = &mut prepared.request.given {
        *kernel = "cpu/auto/f16".parse().unwrap();
        assert_eq!(kernel.dtype(), Dtype::F16);
    }
    let refused = Shard::count(&prepared, part, Vec::new(), &mut |_| ()).unwrap_err();
    assert!(refused.to_string().contains("f16 kernel"), "{refused}");
}
