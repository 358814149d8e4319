//! What is packed comes back, and what is torn is not opened.

use std::fs;

use super::*;
use crate::data::features::recording::Recording;

fn recording(dim: usize, values: &[f32], times_s: Option<&[f32]>) -> Recording {
    Recording {
        dim,
        values: values.to_vec(),
        times_s: times_s.map(<[f32]>::to_vec),
        times_cut: false,
    }
}

fn header(dtype: FeatureDtype, n_videos: usize) -> Header {
    Header {
        sources: "abc".to_owned(),
        dtype,
        n_videos,
        experts: Vec::new(),
        layout: "a test".to_owned(),
        videos_without_file: 1,
        times_cut: 2,
    }
}

/// Two experts and three videos, the last of which nobody saw.
fn write(path: &Path, dtype: FeatureDtype) {
    let mut writer = PackWriter::create(path, dtype).unwrap();
    let of = |name: &str, recording| (name.to_owned(), recording);
    let source = Path::new("here");
    let first = [of("b", recording(2, &[1.0, 2.0, 3.0, 4.0], Some(&[0.5, 1.5])))];
    writer.push(source, "x", &first).unwrap();
    let second = [
        of("a", recording(1, &[-1.0], None)),
        of("b", recording(2, &[0.1, 6.0], Some(&[7.0]))),
    ];
    writer.push(source, "y", &second).unwrap();
    writer.push(source, "z", &[]).unwrap();
    writer.finish(header(dtype, 3)).unwrap();
}

fn values(pack: &Arc<Pack>, video: usize, expert: usize) -> Option<(Vec<f32>, Option<Vec<f32>>)> {
    let (rows, times_s) = pack.get(video, expert)?;
    rows.check().unwrap();
    let values = match rows.view() {
        RowsView::Dense(values) => values.to_vec(),
        RowsView::Half(values) => values.iter().map(|value| value.to_f32()).collect(),
        RowsView::Indexed { .. } => panic!("no table is packed"),
    };
    Some((values, times_s))
}

#[test]
fn what_is_packed_comes_back_in_either_type() {
    let folder = tempfile::tempdir().unwrap();
    for (dtype, tenth) in [
        (FeatureDtype::F32, 0.1),
        (FeatureDtype::F16, f16::from_f32(0.1).to_f32()),
    ] {
        let path = folder.path().join(dtype.name());
        write(&path, dtype);
        let pack = Arc::new(Pack::open(&path, "abc").unwrap());
        let names: Vec<&str> = pack
            .header()
            .experts
            .iter()
            .map(|expert| expert.name.as_str())
            .collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(
            (pack.header().videos_without_file, pack.header().times_cut),
            (1, 2)
        );
        assert_eq!(values(&pack, 0, 0), None);
        assert_eq!(
            values(&pack, 0, 1),
            Some((vec![1.0, 2.0, 3.0, 4.0], Some(vec![0.5, 1.5])))
        );
        assert_eq!(values(&pack, 1, 0), Some((vec![-1.0], None)));
        assert_eq!(values(&pack, 1, 1), Some((vec![tenth, 6.0], Some(vec![7.0]))));
        assert_eq!((values(&pack, 2, 0), values(&pack, 2, 1)), (None, None));
        assert!(Pack::open(&path, "other sources").is_none());
    }
}

#[test]
fn digests_are_those_of_rows_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    write(&path, FeatureDtype::F32);
    let pack = Arc::new(Pack::open(&path, "abc").unwrap());
    let (rows, times_s) = pack.get(0, 1).unwrap();
    let in_memory = digest([RowBytes::F32(&[1.0, 2.0, 3.0, 4.0])], times_s.as_deref());
    assert_eq!(rows.digest(), in_memory);
}

#[test]
fn no_byte_can_change_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    write(&path, FeatureDtype::F32);
    let whole = fs::read(&path).unwrap();
    let changed = folder.path().join("changed");
    let (mut n_refused, mut n_damaged, mut n_padding) = (0, 0, 0);
    for byte in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1;
        fs::write(&changed, bytes).unwrap();
        match Pack::open(&changed, "abc") {
            None => n_refused += 1,
            Some(pack) => {
                let pack = Arc::new(pack);
                let blocks = [(0, 1), (1, 0), (1, 1)];
                let checks = blocks.map(|(video, expert)| pack.get(video, expert).unwrap().0.check());
                match checks.iter().filter(|check| check.is_err()).count() {
                    0 => n_padding += 1,
                    _ => n_damaged += 1,
                }
            }
        }
    }
    // The values are 4, 1 and 2 floats; between blocks lie zeros up to a multiple of 64.
    assert_eq!(n_damaged, 7 * 4);
    assert_eq!(n_padding, (64 - 24) + (64 - 16) + (64 - 4));
    assert_eq!(n_refused, whole.len() - n_damaged - n_padding);
    for len in 0..whole.len() {
        fs::write(&changed, &whole[..len]).unwrap();
        assert!(Pack::open(&changed, "abc").is_none(), "{len} bytes");
    }
}

#[test]
fn experts_keep_their_length_and_half_precision_its_range() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    let mut writer = PackWriter::create(&path, FeatureDtype::F16).unwrap();
    let one = |name: &str, recording| [(name.to_owned(), recording)];
    writer
        .push(
            Path::new("here"),
            "x",
            &one("a", recording(2, &[1.0, 65504.0], None)),
        )
        .unwrap();
    let other = writer
        .push(Path::new("here"), "y", &one("a", recording(1, &[1.0], None)))
        .unwrap_err();
    assert_eq!(
        other.to_string(),
        "expert `a` has rows of 1 values in `here`, expected 2"
    );
    let large = recording(2, &[1.0, 2.0, 3.0, 65520.0], None);
    let overflow = writer.push(Path::new("here"), "z", &one("a", large)).unwrap_err();
    assert_eq!(
        overflow.to_string(),
        "video `z`, expert `a`, row 1, column 1 is 65520, beyond f16; use `dtype: f32`"
    );
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
