use super::*;
use crate::eval::{Bank, Names};
use crate::eval::{IdList, IdProblemKind};
use crate::format::Location;
use crate::format::tests::{dictionary, file, matrix_f32, npy};

fn request(given: Given) -> EvalRequest {
    EvalRequest {
        given,
        names: Names::default(),
        protocol: Protocol::CUSTOM,
        rules: Rules::default(),
        post: None,
        bank: None,
        resampling: None,
    }
}

fn ids(of: &[&str]) -> Option<IdList> {
    Some(IdList {
        location: Location::file("ids"),
        ids: of.iter().map(|&id| id.to_owned()).collect(),
    })
}

/// The counts of both directions, without where they were counted.
fn counts(found: &Evaluated) -> Vec<hitbench_kernels::RankCount> {
    let v2t = found.v2t.as_ref().unwrap();
    [&found.t2v.counts.counts[..], &v2t.counts.counts[..]].concat()
}

#[test]
fn a_repeated_video_counts_as_if_it_were_not_there() {
    let (_folder, whole) = matrix_f32(&[
        &[0.9, 0.9, 0.1, 0.2],
        &[0.3, 0.4, 0.2, 0.5],
        &[0.1, 0.1, 0.6, 0.5],
    ]);
    let (_folder, bank) = matrix_f32(&[&[0.9, 0.9, 0.3, 0.1], &[0.1, 0.8, 0.3, 0.7]]);
    let (_folder, bank_v2t) = matrix_f32(&[&[0.9, 0.2], &[0.3, 0.4], &[0.1, 0.6]]);
    let mut given = request(Given::Scores(whole));
    given.names = Names {
        texts: ids(&["a", "b", "c"]),
        videos: ids(&["a", "a", "c", "b"]),
        allow_missing: true,
        ..Names::default()
    };
    given.post = Some("qbnorm:beta=2".parse().unwrap());
    given.bank = Some(Bank {
        t2v: bank,
        v2t: Some(bank_v2t),
    });
    let found = evaluate(given).unwrap();
    assert_eq!(found.joined.problems[0].kind, IdProblemKind::RepeatedVideo);

    let (_folder, fewer) = matrix_f32(&[&[0.9, 0.1, 0.2], &[0.3, 0.2, 0.5], &[0.1, 0.6, 0.5]]);
    let (_folder, bank) = matrix_f32(&[&[0.9, 0.3, 0.1], &[0.1, 0.3, 0.7]]);
    let (_folder, bank_v2t) = matrix_f32(&[&[0.9, 0.2], &[0.3, 0.4], &[0.1, 0.6]]);
    let mut expected = request(Given::Scores(fewer));
    expected.names = Names {
        texts: ids(&["a", "b", "c"]),
        videos: ids(&["a", "c", "b"]),
        ..Names::default()
    };
    expected.post = found.about.post;
    expected.bank = Some(Bank {
        t2v: bank,
        v2t: Some(bank_v2t),
    });
    assert_eq!(counts(&found), counts(&evaluate(expected).unwrap()));
}

#[test]
fn embeddings_of_a_repeated_video_are_left_out_too() {
    let rows: [&[f32]; 3] = [&[1.0, 0.0], &[1.0, 0.0], &[0.0, 1.0]];
    let (_texts, text) = matrix_f32(&[rows[0], rows[2]]);
    let (_videos, video) = matrix_f32(&rows);
    let mut given = request(Given::Embeddings {
        text,
        video,
        kernel: F32_KERNEL,
        normalize: false,
    });
    given.names = Names {
        texts: ids(&["a", "b"]),
        videos: ids(&["a", "a", "b"]),
        allow_missing: true,
        ..Names::default()
    };
    let found = evaluate(given).unwrap();
    let t2v = &found.t2v.metrics;
    assert_eq!((t2v.n_gallery, t2v.n_tied, t2v.r_at[&1]), (Some(2), 0, 1.0));
}

#[test]
fn bad_values_of_embeddings_name_their_file() {
    let (_texts, text) = matrix_f32(&[&[1.0, 0.0], &[0.0, 1.0]]);
    let (_videos, video) = matrix_f32(&[&[1.0, 0.0], &[0.0, f32::NAN]]);
    let path = video.location().path.clone();
    for kernel in ["reference/f64", "cpu/auto/f32"] {
        for post in [None, Some(Post::Dsl { temperature: 1.0 })] {
            let read = |matrix: &Matrix| Matrix::read(matrix.location()).unwrap();
            let mut given = request(Given::Embeddings {
                text: read(&text),
                video: read(&video),
                kernel: kernel.parse().unwrap(),
                normalize: false,
            });
            given.post = post;
            match evaluate(given) {
                Err(EvalError::NotFinite {
                    location,
                    row: 1,
                    column: 1,
                    ..
                }) => assert_eq!(location.path, path),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let (_texts, text) = matrix_f32(&[&[1.0, 0.0]]);
    let (_videos, video) = matrix_f32(&[&[1.0, 0.0, 0.0]]);
    let given = Given::Embeddings {
        text,
        video,
        kernel: F32_KERNEL,
        normalize: false,
    };
    assert!(matches!(
        evaluate(request(given)),
        Err(EvalError::Dim {
            text_dim: 2,
            video_dim: 3,
            ..
        })
    ));
    let (_folder, scores) = matrix_f32(&[&[1.0, 0.0], &[0.0, 1.0]]);
    let protocol = EvalRequest {
        protocol: Protocol::find("msvd-670").unwrap(),
        ..request(Given::Scores(scores))
    };
    let error = evaluate(protocol).unwrap_err();
    assert!(
        matches!(
            error,
            EvalError::Protocol {
                transposed: false,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn scores_that_leave_f64_are_the_fault_of_the_post_processing() {
    let (_folder, scores) = matrix_f32(&[&[3e38, 0.0], &[0.0, 3e38]]);
    let mut given = request(Given::Scores(scores));
    given.post = Some(Post::Dsl { temperature: 1e-300 });
    assert!(matches!(
        evaluate(given),
        Err(EvalError::Post {
            row: 0,
            column: 0,
            ..
        })
    ));
}

/// `n` rows of `dim` values in f16, read from a file.
fn matrix_f16(n: usize, dim: usize, seed: u32) -> Matrix {
    let value =
        |at: usize| half::f16::from_f32(((at as u32).wrapping_mul(2_654_435_761) ^ seed) as f32 / 4e9 - 0.5);
    let values: Vec<u8> = (0..n * dim).flat_map(|at| value(at).to_le_bytes()).collect();
    let (_folder, location) = file("rows.npy", &npy(&dictionary("<f2", false, &[n, dim]), &values));
    Matrix::read(&location).unwrap()
}

#[test]
fn an_f16_kernel_does_nothing_to_rows_stored_in_f16() {
    let with = |kernel: &str| {
        let given = Given::Embeddings {
            text: matrix_f16(90, 77, 1),
            video: matrix_f16(90, 77, 2),
            kernel: kernel.parse().unwrap(),
            normalize: false,
        };
        evaluate(request(given)).unwrap()
    };
    let (narrow, wide) = (with("cpu/auto/f16"), with("cpu/auto/f32"));
    assert_eq!((narrow.narrowing, wide.narrowing), (Some(NOTHING_NARROWED), None));
    assert_eq!(narrow.t2v.counts, wide.t2v.counts);
    assert_eq!(narrow.v2t.unwrap().counts, wide.v2t.unwrap().counts);
}
