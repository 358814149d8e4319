//! Every array file of the test data through the readers of `eval`, against what other programs and published tables
//! give.

use std::fs;
use std::path::{Path, PathBuf};

use hitbench::eval::{
    EvalError, EvalReport, EvalRequest, Evaluated, Given, IdList, IdMap, JoinedBy, Mask, Names, Notice,
    evaluate,
};
use hitbench::format::{FormatError, Location, Matrix};
use hitbench::metric::{CaptionRule, DirectionCounts, Protocol, Rules, TieRule};
use hitbench_kernels::KernelId;
use serde_json::Value;

use crate::metric_goldens::{assert_close, check, data, json};

pub(crate) const ALL_TIES: [TieRule; 5] = [
    TieRule::Average,
    TieRule::Optimistic,
    TieRule::Pessimistic,
    TieRule::Expected,
    TieRule::Clip4clip,
];

pub(crate) fn location(path: PathBuf, member: Option<&str>) -> Location {
    Location {
        path,
        member: member.map(str::to_owned),
    }
}

pub(crate) fn matrix(path: PathBuf, member: Option<&str>) -> Matrix {
    Matrix::read(&location(path, member)).unwrap()
}

fn request(given: Given, names: Names, rules: Rules) -> EvalRequest {
    EvalRequest {
        given,
        names,
        protocol: Protocol::CUSTOM,
        rules,
        post: None,
        bank: None,
        resampling: None,
    }
}

fn scores(path: PathBuf, names: Names) -> Evaluated {
    evaluate(request(
        Given::Scores(matrix(path, None)),
        names,
        Rules::default(),
    ))
    .unwrap()
}

fn embeddings(text: Matrix, video: Matrix, kernel: &str) -> Evaluated {
    let given = Given::Embeddings {
        text,
        video,
        kernel: kernel.parse::<KernelId>().unwrap(),
        normalize: false,
    };
    evaluate(request(given, Names::default(), Rules::default())).unwrap()
}

fn v2t(found: &Evaluated) -> &DirectionCounts {
    &found.v2t.as_ref().unwrap().counts
}

/// The `directions` object of the JSON under a tie rule.
pub(crate) fn directions(given: impl Fn() -> Given, names: impl Fn() -> Names, ties: TieRule) -> Value {
    let rules = Rules {
        ties,
        ..Rules::default()
    };
    let found = evaluate(request(given(), names(), rules)).unwrap();
    serde_json::to_value(EvalReport::from(&found)).unwrap()["directions"].clone()
}

#[test]
fn every_form_of_the_small_matrix() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/eval/single");
    let golden = json(folder.join("expected.json"));
    let forms = [
        "sims.npy",
        "sims_bigendian.npy",
        "sims_fortran_order.npy",
        "sims_f64.npy",
    ];
    for file in forms {
        let found = scores(folder.join(file), Names::default());
        let counts = [("t2v", &found.t2v.counts), ("v2t", v2t(&found))];
        for (direction, counts) in counts {
            check(
                counts,
                TieRule::Average,
                &golden[format!("mmt_{direction}")],
                file,
            );
            check(
                counts,
                TieRule::Clip4clip,
                &golden[format!("clip4clip_{direction}")],
                file,
            );
            let ranks: Vec<f64> = counts
                .counts
                .iter()
                .map(|count| TieRule::Average.rank(count) - 1.0)
                .collect();
            let expected = golden[format!("fractional_ranks_{direction}")].clone();
            assert_eq!(
                ranks,
                serde_json::from_value::<Vec<f64>>(expected).unwrap(),
                "{file}"
            );
        }
    }
    for ties in ALL_TIES {
        let of = |file: &str| {
            directions(
                || Given::Scores(matrix(folder.join(file), None)),
                Names::default,
                ties,
            )
        };
        let first = of(forms[0]);
        for file in &forms[1..] {
            assert_eq!(of(file), first, "{file}, {ties:?}");
        }
    }
}

#[test]
fn f16_scores_are_ranked_as_they_are_stored() {
    let Some(data) = data() else { return };
    let half = matrix(data.join("synthetic/eval/single/sims_f16.npy"), None);
    let rows = half.rows();
    let n = rows.n_rows();
    let count = |own: f64, others: &dyn Fn(usize) -> f64| {
        let others = || (0..n).map(others);
        let greater = others().filter(|&score| score > own).count() as u64;
        (greater, others().filter(|&score| score == own).count() as u64)
    };
    let expected: Vec<_> = (0..n)
        .map(|i| count(rows.get(i, i), &|j| rows.get(i, j)))
        .collect();
    let expected_v2t: Vec<_> = (0..n)
        .map(|i| count(rows.get(i, i), &|j| rows.get(j, i)))
        .collect();
    let found = scores(data.join("synthetic/eval/single/sims_f16.npy"), Names::default());
    let pairs = |counts: &DirectionCounts| -> Vec<(u64, u64)> {
        counts
            .counts
            .iter()
            .map(|count| (count.greater, count.equal))
            .collect()
    };
    assert_eq!(
        (pairs(&found.t2v.counts), pairs(v2t(&found))),
        (expected, expected_v2t)
    );
    // The stored order is kept, and never decided by a wider type.
    assert_eq!(half.dtype().to_string(), "f16");
}

#[test]
fn every_container_of_the_small_embeddings_gives_the_same() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/eval/single");
    let golden = json(folder.join("expected.json"));
    let forms = [
        ("txt_embeds_test.npy", None, "vid_embeds_test.npy", None),
        (
            "embeds.npz",
            Some("text_embeds"),
            "embeds.npz",
            Some("video_embeds"),
        ),
        (
            "embeds_compressed.npz",
            Some("text_embeds"),
            "embeds_compressed.npz",
            Some("video_embeds.npy"),
        ),
        (
            "embeds.safetensors",
            Some("text_embeds"),
            "embeds.safetensors",
            Some("video_embeds"),
        ),
        (
            "coot_embeddings.h5",
            Some("par_emb"),
            "coot_embeddings.h5",
            Some("vid_emb"),
        ),
        ("txt_embeds_test.npy", None, "bigfile", None),
    ];
    let read = |(text, text_member, video, video_member): (&str, Option<&str>, &str, Option<&str>)| {
        let text = matrix(folder.join(text), text_member);
        (text, matrix(folder.join(video), video_member))
    };
    for kernel in ["reference/f64", "cpu/auto/f32"] {
        for ties in ALL_TIES {
            let of = |form| {
                let given = || {
                    let (text, video) = read(form);
                    Given::Embeddings {
                        text,
                        video,
                        kernel: kernel.parse().unwrap(),
                        normalize: false,
                    }
                };
                directions(given, Names::default, ties)
            };
            let first = of(forms[0]);
            for form in &forms[1..] {
                assert_eq!(of(*form), first, "{}, {kernel}, {ties:?}", form.0);
            }
        }
        let (text, video) = read(forms[0]);
        let found = embeddings(text, video, kernel);
        check(&found.t2v.counts, TieRule::Average, &golden["mmt_t2v"], kernel);
        check(v2t(&found), TieRule::Average, &golden["mmt_v2t"], kernel);
    }
}

#[test]
fn every_container_of_the_ids_joins_the_same() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/eval/single");
    let at = |(file, member): (&str, Option<&str>)| location(folder.join(file), member);
    let list = ("ids_test.csv", Some("0"));
    let keys = ("coot_embeddings.h5", Some("key"));
    // Text, video, ids of both; the last form is that of the other ones without a name for the only list of texts.
    let forms = [
        (
            ("txt_embeds_test.npy", None),
            ("vid_embeds_test.npy", None),
            list,
            list,
        ),
        (
            ("coot_embeddings.h5", Some("par_emb")),
            ("coot_embeddings.h5", Some("vid_emb")),
            keys,
            keys,
        ),
        (
            ("txt_embeds_test.npy", None),
            ("bigfile", None),
            list,
            ("bigfile", None),
        ),
        (
            ("txt_embeds_test.npy", None),
            ("bigfile", None),
            ("coot_embeddings.h5", None),
            ("bigfile", None),
        ),
    ];
    let given = |form: usize| {
        let (text, video, _, _) = forms[form];
        Given::Embeddings {
            text: Matrix::read(&at(text)).unwrap(),
            video: Matrix::read(&at(video)).unwrap(),
            kernel: "reference/f64".parse().unwrap(),
            normalize: false,
        }
    };
    let names = |form: usize| {
        let (_, _, texts, videos) = forms[form];
        Names {
            texts: Some(IdList::read(&at(texts)).unwrap()),
            videos: Some(IdList::read(&at(videos)).unwrap()),
            ..Names::default()
        }
    };
    assert_eq!(names(0).texts.unwrap().ids[23], "video7161");
    let counts = |form| {
        let found = evaluate(request(given(form), names(form), Rules::default())).unwrap();
        (found.t2v.counts.counts.clone(), v2t(&found).counts.clone())
    };
    for form in 1..forms.len() {
        assert_eq!(counts(form), counts(0), "{form}");
        for ties in ALL_TIES {
            let of = |form| directions(|| given(form), || names(form), ties);
            assert_eq!(of(form), of(0), "{form}, {ties:?}");
        }
    }
    // Ids that do not fit the rows are refused, wherever they come from.
    let shorter = tempfile::tempdir().unwrap();
    for file in ["feature.bin", "shape.txt"] {
        fs::copy(folder.join("bigfile").join(file), shorter.path().join(file)).unwrap();
    }
    fs::write(shorter.path().join("id.txt"), "video7000 video7007").unwrap();
    let names = Names {
        videos: Some(IdList::read(&Location::file(shorter.path())).unwrap()),
        ..names(0)
    };
    let refused = evaluate(request(given(0), names, Rules::default())).unwrap_err();
    assert!(matches!(refused, EvalError::IdCount { .. }), "{refused}");
}

/// Rows and columns of arrays, by name.
type Shapes = &'static [(&'static str, [usize; 2])];

/// Rows and columns of features and of times, and words of captions, by data set.
const MMT: [(&str, Shapes, &[usize]); 3] = [
    (
        "video7020",
        &[
            ("features.face", [1, 512]),
            ("features.ocr", [2, 300]),
            ("features.rgb", [3, 2048]),
            ("features.s3d", [5, 1024]),
            ("features.scene", [2, 2208]),
            ("features.speech", [4, 300]),
            ("features.vggish", [5, 128]),
            ("features_t.s3d", [5, 2]),
            ("features_t.vggish", [6, 2]),
            ("raw_captions_t.0", [8, 2]),
            ("raw_captions_t.1", [6, 2]),
        ],
        &[8, 6],
    ),
    (
        "video9770",
        &[
            ("features.face", [0, 512]),
            ("features.ocr", [2, 300]),
            ("features.rgb", [3, 2048]),
            ("features.s3d", [5, 1024]),
            ("features.scene", [2, 2208]),
            ("features.vggish", [5, 128]),
            ("features_t.s3d", [5, 2]),
            ("features_t.vggish", [5, 2]),
        ],
        &[7],
    ),
    (
        "video9771",
        &[
            ("features.face", [1, 512]),
            ("features.ocr", [1, 300]),
            ("features.rgb", [3, 2048]),
            ("features.s3d", [5, 1024]),
            ("features.scene", [2, 2208]),
            ("features.speech", [4, 300]),
            ("features.vggish", [5, 128]),
            ("features_t.s3d", [5, 2]),
            ("features_t.vggish", [5, 2]),
            ("raw_captions_t.0", [5, 2]),
            ("raw_captions_t.1", [3, 2]),
            ("raw_captions_t.2", [7, 2]),
        ],
        &[5, 3, 7],
    ),
];

#[test]
fn every_data_set_of_mmt_is_listed_and_read() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/mmt/vid_feat_files/mult_h5/v/i/d");
    for (video, matrices, captions) in MMT {
        let path = folder.join(format!("{video}.h5"));
        let at = |member: &str| location(path.clone(), Some(member));
        let Err(FormatError::Member { mut known, .. }) = Matrix::read(&at("features")) else {
            panic!("no data set is called `features`")
        };
        let caption = |number: usize| format!("raw_captions.{number}");
        let mut expected: Vec<String> = (0..captions.len()).map(caption).collect();
        expected.extend(matrices.iter().map(|(name, _)| (*name).to_owned()));
        expected.sort();
        known.sort();
        assert_eq!(known, expected);
        for &(name, shape) in matrices {
            let found = match Matrix::read(&at(name)) {
                Ok(matrix) => [matrix.n_rows(), matrix.n_columns()],
                Err(FormatError::Size { shape, .. }) => shape.0.try_into().unwrap(),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(found, shape, "{video} {name}");
        }
        for (number, &n_words) in captions.iter().enumerate() {
            let words = IdList::read(&at(&caption(number))).unwrap().ids;
            assert_eq!(words.len(), n_words, "{video} {number}: {words:?}");
        }
    }
}

#[test]
fn f16_tensors_are_scored_from_their_own_values() {
    let Some(data) = data() else { return };
    let path = data.join("synthetic/eval/single/embeds_f16.safetensors");
    let read = || {
        (
            matrix(path.clone(), Some("text_embeds")),
            matrix(path.clone(), Some("video_embeds")),
        )
    };
    let (text, video) = read();
    assert_eq!(
        (text.dtype().to_string(), text.n_rows(), text.n_columns()),
        ("f16".into(), 24, 16)
    );
    let (texts, videos) = (text.rows(), video.rows());
    let score = |t: usize, v: usize| -> f64 { (0..16).map(|i| texts.get(t, i) * videos.get(v, i)).sum() };
    let expected: Vec<(u64, u64)> = (0..24)
        .map(|t| {
            let others = || (0..24).map(|v| score(t, v));
            let greater = others().filter(|&s| s > score(t, t)).count() as u64;
            (greater, others().filter(|&s| s == score(t, t)).count() as u64)
        })
        .collect();
    let (text, video) = read();
    let found = embeddings(text, video, "reference/f64");
    let counts = found.t2v.counts.counts.iter();
    assert_eq!(
        counts
            .map(|count| (count.greater, count.equal))
            .collect::<Vec<_>>(),
        expected
    );
}

/// A file of ids, one a line.
fn write_ids(path: &Path, ids: impl IntoIterator<Item = String>) -> IdList {
    fs::write(path, ids.into_iter().collect::<Vec<_>>().join("\n")).unwrap();
    IdList::read(&Location::file(path)).unwrap()
}

#[test]
fn several_captions_by_mask_by_member_and_by_map() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/eval/multi");
    let golden = json(folder.join("expected.json"));
    let masked = |path: &str, member| Names {
        mask: Some(Mask::read(&location(folder.join(path), member)).unwrap()),
        ..Names::default()
    };
    let found = scores(folder.join("sims.npy"), masked("query_masks.npy", None));
    assert_eq!(found.joined.by, JoinedBy::MaskLayout);
    check(&found.t2v.counts, TieRule::Average, &golden["mmt_t2v"], "mmt t2v");
    check(v2t(&found), TieRule::Average, &golden["mmt_v2t"], "mmt v2t");

    // The same scores without the absent captions, by ids in another order.
    let cuts = json(folder.join("clip4clip_cut_off_points.json"));
    let cuts: Vec<usize> = serde_json::from_value(cuts["cut_off_points"].clone()).unwrap();
    let video_of = |caption: usize| cuts.iter().filter(|&&cut| cut <= caption).count();
    let dir = tempfile::tempdir().unwrap();
    let map = dir.path().join("map.csv");
    let lines = (0..83)
        .rev()
        .map(|caption| format!("c{caption},v{}\n", video_of(caption)));
    fs::write(&map, format!("text_id,video_id\n{}", lines.collect::<String>())).unwrap();
    let by_id = || Names {
        texts: Some(write_ids(
            &dir.path().join("texts"),
            (0..83).map(|caption| format!("c{caption}")),
        )),
        videos: Some(write_ids(
            &dir.path().join("videos"),
            (0..18).map(|video| format!("v{video}")),
        )),
        map: Some(IdMap::read(&Location::file(&map)).unwrap()),
        ..Names::default()
    };
    let flat = scores(folder.join("clip4clip_flat_sims.npy"), by_id());
    assert_eq!(flat.t2v.counts.counts, found.t2v.counts.counts);
    assert_eq!(v2t(&flat).counts, v2t(&found).counts);

    let npz = folder.join("sims_and_masks.npz");
    for ties in ALL_TIES {
        let first = directions(
            || Given::Scores(matrix(folder.join("sims.npy"), None)),
            || masked("query_masks.npy", None),
            ties,
        );
        let member = directions(
            || Given::Scores(matrix(npz.clone(), Some("sims"))),
            || masked("sims_and_masks.npz", Some("query_masks")),
            ties,
        );
        assert_eq!(member, first);
        let mut flat = directions(
            || Given::Scores(matrix(folder.join("clip4clip_flat_sims.npy"), None)),
            by_id,
            ties,
        );
        for direction in ["t2v", "v2t"] {
            assert_eq!(first[direction]["n_masked"], 7);
            flat[direction]["n_masked"] = 7.into();
        }
        assert_eq!(flat, first);
    }

    let rules = Rules {
        captions: CaptionRule::MaxOverCaptions,
        ..Rules::default()
    };
    let given = Given::Scores(matrix(folder.join("sims.npy"), None));
    let maxed = evaluate(request(given, masked("query_masks.npy", None), rules)).unwrap();
    check(
        v2t(&maxed),
        TieRule::Clip4clip,
        &golden["clip4clip_v2t_max_over_captions_then_compute_metrics"],
        "max over captions",
    );
}

#[test]
fn the_real_matrix_under_its_protocol() {
    let Some(data) = data() else { return };
    let path = data.join("cap4video/sim_matrix/msrvtt_video_matrix.npy");
    let protocol = Protocol::find("msrvtt-1ka").unwrap();
    let given = || Given::Scores(matrix(path.clone(), None));
    let golden = json(data.join("derived/cap4video_tie_policies.json"));
    for (name, ties) in [
        ("optimistic", TieRule::Optimistic),
        ("average", TieRule::Average),
        ("pessimistic", TieRule::Pessimistic),
        ("clip4clip", TieRule::Clip4clip),
    ] {
        let asked = EvalRequest {
            protocol,
            ..request(
                given(),
                Names::default(),
                Rules {
                    ties,
                    ..protocol.rules()
                },
            )
        };
        let found = evaluate(asked).unwrap();
        for (direction, result) in [("t2v", &found.t2v), ("v2t", found.v2t.as_ref().unwrap())] {
            let golden = &golden[format!("video/{direction}")][name];
            check(&result.counts, ties, golden, name);
            for k in [1, 5, 10, 50] {
                let expected = golden[format!("R{k}")].as_f64().unwrap();
                assert_close(result.metrics.r_at[&k] * 100.0, expected, name);
            }
        }
        assert_eq!(found.notices, []);
    }
    let other = EvalRequest {
        protocol: Protocol::find("didemo-paragraph").unwrap(),
        ..request(given(), Names::default(), Rules::default())
    };
    let error = evaluate(other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "protocol `didemo-paragraph` has 1004 captions, found 1000"
    );
}

#[test]
fn the_order_of_the_csv_file_against_that_of_the_list_is_said() {
    let Some(data) = data() else { return };
    let csv = data.join("drl/data/MSR-VTT/anns/MSRVTT_JSFUSION_test.csv");
    let list = data.join("collaborative-experts/misc/datasets/msrvtt/val_list_jsfusion.txt");
    let sims = data.join("cap4video/sim_matrix/msrvtt_video_matrix.npy");
    let csv_ids = || IdList::read(&location(csv.clone(), Some("video_id"))).unwrap();
    let list_ids = || IdList::read(&Location::file(&list)).unwrap();
    let found = |texts, videos| {
        let names = Names {
            texts: Some(texts),
            videos: Some(videos),
            ..Names::default()
        };
        scores(sims.clone(), names)
    };
    let right = found(csv_ids(), csv_ids());
    assert_eq!((right.t2v.metrics.r_at[&1], &right.notices[..]), (0.48, &[][..]));
    let wrong = found(csv_ids(), list_ids());
    assert!(wrong.t2v.metrics.r_at[&1] < 0.01);
    assert_eq!(wrong.notices[0], Notice::Reordered { n: 1000 });
    assert!(
        matches!(wrong.notices[1], Notice::DiagonalWins { n, of } if n > 900 && of <= 1000),
        "{:?}",
        wrong.notices
    );
}

#[test]
fn a_shuffled_matrix_without_ids_is_said_to_rank_like_chance() {
    let Some(data) = data() else { return };
    let sims = data.join("cap4video/sim_matrix/msrvtt_video_matrix.npy");
    let bytes = fs::read(&sims).unwrap();
    let values = &bytes[bytes.len() - 4_000_000..];
    let mut shifted = bytes[..bytes.len() - 4_000_000].to_vec();
    shifted.extend(&values[8 * 4000..]);
    shifted.extend(&values[..8 * 4000]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shifted.npy");
    fs::write(&path, shifted).unwrap();
    let found = scores(path, Names::default());
    assert!(
        matches!(found.notices[..], [Notice::LikeChance { of: 1000, n_gallery: 1000, hits }] if hits < 23),
        "{:?}",
        found.notices
    );
}

/// A file of f64 values.
fn write_npy(path: &Path, rows: &[Vec<f64>]) {
    let text = format!(
        "{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, {}), }}\n",
        rows.len(),
        rows[0].len()
    );
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(rows.concat().iter().flat_map(|value| value.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_examples_of_clip4clip_issue_80_with_a_video_of_no_text() {
    let Some(data) = data() else { return };
    let golden = json(data.join("derived/clip4clip_issue80_examples.json"));
    let dir = tempfile::tempdir().unwrap();
    for (name, example) in golden.as_object().unwrap() {
        let rows: Vec<Vec<f64>> = serde_json::from_value(example["x"].clone()).unwrap();
        let path = dir.path().join("x.npy");
        write_npy(&path, &rows);
        let names = |allow_missing| Names {
            texts: Some(write_ids(&dir.path().join("t"), ["0", "1"].map(str::to_owned))),
            videos: Some(write_ids(
                &dir.path().join("v"),
                ["0", "1", "2"].map(str::to_owned),
            )),
            allow_missing,
            ..Names::default()
        };
        let found = scores(path.clone(), names(true));
        check(&found.t2v.counts, TieRule::Clip4clip, &example["clip4clip"], name);
        let given = Given::Scores(matrix(path, None));
        let refused = evaluate(request(given, names(false), Rules::default())).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "ids do not fit together: 1 videos have no text (`2`)"
        );
    }
}

#[test]
fn values_that_other_programs_drop_are_errors_with_row_and_column() {
    let Some(data) = data() else { return };
    let golden = json(data.join("derived/nan_inf_tie_behaviour.json"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let diagonal = |n: usize| -> Vec<Vec<f64>> {
        (0..n)
            .map(|row| (0..n).map(|column| f64::from(u8::from(row == column))).collect())
            .collect()
    };
    for (name, row, column, value) in [
        ("nan_off_diagonal", 1, 2, f64::NAN),
        ("nan_on_diagonal", 2, 2, f64::NAN),
        ("row_all_neg_inf", 3, 0, f64::NEG_INFINITY),
        ("pos_inf_off_diagonal", 0, 3, f64::INFINITY),
    ] {
        assert!(
            golden[name].is_object(),
            "other programs have an answer to {name}"
        );
        let mut rows = diagonal(4);
        rows[row][column] = value;
        write_npy(&path, &rows);
        let found = evaluate(request(
            Given::Scores(matrix(path.clone(), None)),
            Names::default(),
            Rules::default(),
        ));
        match found {
            Err(EvalError::NotFinite {
                row: found_row,
                column: found_column,
                value: found,
                ..
            }) => {
                assert_eq!((found_row, found_column), (row, column), "{name}");
                assert!(found.to_bits() == value.to_bits() || found.is_nan() && value.is_nan());
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    // Behind a mask they are not looked at.
    let mut rows = diagonal(4);
    rows[3] = vec![f64::NEG_INFINITY; 4];
    write_npy(&path, &rows);
    let mask = dir.path().join("mask.npy");
    write_npy(&mask, &[vec![1.0], vec![1.0], vec![1.0], vec![0.0]]);
    let names = Names {
        mask: Some(Mask::read(&Location::file(&mask)).unwrap()),
        ..Names::default()
    };
    let found = scores(path, names);
    assert_eq!(
        (found.t2v.metrics.r_at[&1], found.t2v.metrics.n_queries),
        (1.0, 3)
    );
    assert_eq!((found.t2v.metrics.n_gallery, v2t(&found).n_gallery), (Some(4), 3));
}
