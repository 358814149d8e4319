//! Both forms, all value types, and files that are damaged.

use std::fs;
use std::path::Path;

use half::{bf16, f16};
use npyz::{Order, WriterBuilder};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::*;

fn npy<T: npyz::AutoSerialize>(
    path: &Path,
    shape: &[u64],
    order: Order,
    values: impl IntoIterator<Item = T>,
) {
    let file = fs::File::create(path).unwrap();
    let options = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .order(order)
        .writer(file);
    let mut writer = options.begin_nd().unwrap();
    writer.extend(values).unwrap();
    writer.finish().unwrap();
}

fn tensors(path: &Path, tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) {
    let views = tensors
        .iter()
        .map(|(id, dtype, shape, bytes)| (*id, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap()));
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn files(features: &Path) -> ExpertFiles {
    ExpertFiles {
        features: features.to_owned(),
        times: None,
        dim: 2,
    }
}

fn dense(features: &Option<ExpertFeatures>) -> &[f32] {
    match features {
        Some(ExpertFeatures {
            rows: FeatureRows::Dense(values),
            ..
        }) => values,
        _ => panic!("dense features expected"),
    }
}

const VALUES: [f32; 6] = [1.0, -2.5, 0.125, 4.0, 5.0, 6.0];

#[test]
fn npy_files_of_all_types_and_orders_give_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = |id: &str| folder.path().join(format!("{id}.npy"));
    npy(&path("f4"), &[3, 2], Order::C, VALUES);
    npy(&path("f8"), &[3, 2], Order::C, VALUES.map(f64::from));
    npy(&path("f2"), &[3, 2], Order::C, VALUES.map(f16::from_f32));
    let columns = [VALUES[0], VALUES[2], VALUES[4], VALUES[1], VALUES[3], VALUES[5]];
    npy(&path("fortran"), &[3, 2], Order::Fortran, columns);
    npy(&path("one"), &[2], Order::C, [7.0f32, 8.0]);
    npy(&path("none"), &[0, 2], Order::C, [0.0f32; 0]);
    let read = read_expert(
        &files(folder.path()),
        &["f4", "f8", "f2", "fortran", "one", "none", "absent"],
    )
    .unwrap();
    assert!(read[..4].iter().all(|features| dense(features) == VALUES));
    assert_eq!(dense(&read[4]), [7.0, 8.0]);
    assert_eq!(read[5..], [None, None]);
}

#[test]
fn real_numpy_files_of_both_byte_orders_agree() {
    let Some(data) = hitbench_tests::test_data("synthetic/eval/single") else {
        return;
    };
    let ids = ["sims", "sims_bigendian", "sims_fortran_order", "sims_f64"];
    let read = read_expert(
        &ExpertFiles {
            dim: 24,
            ..files(&data)
        },
        &ids,
    )
    .unwrap();
    for (id, features) in ids.iter().zip(&read) {
        let close = dense(features)
            .iter()
            .zip(dense(&read[0]))
            .all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close && dense(features).len() == dense(&read[0]).len(), "{id}");
    }
}

#[test]
fn safetensors_of_all_types_give_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.safetensors");
    let wide: Vec<u8> = VALUES
        .iter()
        .flat_map(|&value| f64::from(value).to_le_bytes())
        .collect();
    let half: Vec<u8> = VALUES
        .iter()
        .flat_map(|&value| f16::from_f32(value).to_le_bytes())
        .collect();
    let brain: Vec<u8> = VALUES
        .iter()
        .flat_map(|&value| bf16::from_f32(value).to_le_bytes())
        .collect();
    let shape = &[3, 2][..];
    tensors(
        &path,
        &[
            ("a/b", Dtype::F32, shape, bytes(&VALUES)),
            ("f8", Dtype::F64, shape, wide),
            ("f2", Dtype::F16, shape, half),
            ("bf", Dtype::BF16, shape, brain),
            ("int", Dtype::U8, &[1, 2], vec![1, 2]),
        ],
    );
    let read = read_expert(&files(&path), &["a/b", "f8", "f2", "bf", "absent"]).unwrap();
    assert!(read[..4].iter().all(|features| dense(features) == VALUES));
    assert_eq!(read[4], None);
    let error = read_expert(&files(&path), &["int"]).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("e.safetensors` cannot be read as features of video `int`"),
        "{error}"
    );
}

/// The message after the path.
fn refused(files: &ExpertFiles, id: &str) -> String {
    let message = read_expert(files, &[id]).unwrap_err().to_string();
    message
        .split_once("`: ")
        .expect("the message starts with a path")
        .1
        .to_owned()
}

#[test]
fn values_that_are_no_numbers_name_video_row_and_column() {
    let folder = tempfile::tempdir().unwrap();
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let mut values = VALUES;
        values[3] = value;
        npy(&folder.path().join("v.npy"), &[3, 2], Order::C, values);
        assert_eq!(
            refused(&files(folder.path()), "v"),
            format!("video `v`, row 1, column 1 is {name}")
        );
        let path = folder.path().join("e.safetensors");
        tensors(&path, &[("v", Dtype::F32, &[3, 2], bytes(&values))]);
        assert_eq!(
            refused(&files(&path), "v"),
            format!("video `v`, row 1, column 1 is {name}")
        );
    }
}

#[test]
fn files_that_are_cut_off_name_video_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let cut = |path: &Path, n_bytes: usize| {
        let whole = fs::read(path).unwrap();
        fs::write(path, &whole[..whole.len() - n_bytes]).unwrap();
    };
    let path = folder.path().join("v.npy");
    npy(&path, &[3, 2], Order::C, VALUES);
    cut(&path, 9);
    let error = read_expert(&files(folder.path()), &["v"]).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        error
            .to_string()
            .ends_with("v.npy` cannot be read as features of video `v`")
            && cause.ends_with("byte 128: expected 24 bytes of values for f32 of shape (3, 2), found 15"),
        "{error}: {cause}"
    );
    let path = folder.path().join("e.safetensors");
    let two = [
        ("v", Dtype::F32, &[3, 2][..], bytes(&VALUES)),
        ("w", Dtype::F32, &[1, 2], bytes(&VALUES[..2])),
    ];
    for (n_bytes, message) in [
        (1, "video `w` is cut off in row 0 of 1"),
        (8, "video `w` is cut off in row 0 of 1"),
        (9, "video `v` is cut off in row 2 of 3"),
        (30, "video `v` is cut off in row 0 of 3"),
    ] {
        tensors(&path, &two);
        cut(&path, n_bytes);
        assert_eq!(refused(&files(&path), "v"), message);
    }
    fs::write(&path, b"no safetensors").unwrap();
    let error = read_expert(&files(&path), &["v"]).unwrap_err();
    assert!(
        matches!(error, DataError::Features { video: None, .. }),
        "{error}"
    );
}

#[test]
fn rows_of_another_length_and_times_of_another_number_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    npy(&folder.path().join("v.npy"), &[2, 3], Order::C, VALUES);
    assert_eq!(
        refused(&files(folder.path()), "v"),
        "video `v` has features of shape [2, 3], expected [rows, 2]"
    );
    npy(
        &folder.path().join("w.npy"),
        &[3, 1, 2, 2],
        Order::C,
        [0.0f32; 12],
    );
    assert_eq!(
        refused(&files(folder.path()), "w"),
        "video `w` has features of shape [3, 2, 2], expected [rows, 2]"
    );
    let times = folder.path().join("times");
    fs::create_dir(&times).unwrap();
    npy(&times.join("v.npy"), &[3], Order::C, [1.0f32, 2.0, 3.0]);
    let with_times = ExpertFiles {
        times: Some(times),
        dim: 3,
        ..files(folder.path())
    };
    assert_eq!(
        refused(&with_times, "v"),
        "video `v` has times of shape [3], expected [2]"
    );
}
