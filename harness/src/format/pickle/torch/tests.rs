//! Files that PyTorch wrote, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::{Key, Pickle, View};
use super::file::LEGACY;
use crate::format::location::Location;

/// Names, shapes and values of all tensors of a dictionary.
fn tensors(path: &Path) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let pickle = Pickle::read(path).unwrap();
    let View::Dict(entries) = pickle.root().view() else {
        panic!("a dictionary expected");
    };
    let tensors = entries.map(|(key, value)| match (key, value.view()) {
        (Key::Text(name), View::Array(array)) => {
            let (shape, values) = array.values().unwrap();
            (name.into_owned(), shape, values.unwrap_or_default())
        }
        (key, _) => panic!("{key}: {}", value.describe()),
    });
    tensors.collect()
}

fn bert(file: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/goldens/bert");
    Path::new(folder).join(file)
}

#[test]
fn both_forms_hold_the_same_tensors() {
    let (legacy, zip) = (tensors(&bert("pytorch_model.bin")), tensors(&bert("zip.bin")));
    assert_eq!(legacy.len(), zip.len());
    let mut n_values = 0;
    for ((name, shape, values), (other, other_shape, half)) in legacy.iter().zip(&zip) {
        assert_eq!((name, shape), (other, other_shape));
        let rounded: Vec<f32> = values
            .iter()
            .map(|&value| half::f16::from_f32(value).to_f32())
            .collect();
        assert_eq!(&rounded, half, "{name}");
        n_values += values.len();
    }
    assert!(n_values > 5000, "{n_values} values compared");
    let words = &legacy[0];
    assert_eq!(
        (words.0.as_str(), &words.1[..]),
        ("bert.embeddings.word_embeddings.weight", &[40, 16][..])
    );
}

#[test]
fn strided_tensors_are_gathered_and_integers_have_no_floats() {
    let Some(folder) = hitbench_tests::test_data("candle/candle-core/tests") else {
        return;
    };
    let found = tensors(&folder.join("test.pt"));
    assert_eq!(
        (found[0].0.as_str(), &found[0].1[..], found[0].2.len()),
        ("test", &[2, 4][..], 0)
    );
    let views = tensors(&bert("views.bin"));
    let view = |shape: &[usize], values: &[f32]| (shape.to_vec(), values.to_vec());
    let views: Vec<_> = views
        .into_iter()
        .map(|(_, shape, values)| (shape, values))
        .collect();
    assert_eq!(
        views,
        [
            view(&[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
            view(&[4], &[4.0, 5.0, 6.0, 7.0]),
            view(&[6], &[1.0, 3.0, 5.0, 7.0, 9.0, 11.0]),
        ]
    );
    let pickle = Pickle::read(&folder.join("fortran_tensor_3d.pth")).unwrap();
    let tensor = match pickle.root().view() {
        View::Dict(mut entries) => entries.next().unwrap().1,
        _ => pickle.root(),
    };
    let View::Array(array) = tensor.view() else {
        panic!("a tensor expected");
    };
    let (layout, buffer) = array.read(&Location::file("fortran")).unwrap();
    let values = buffer
        .bytes()
        .as_chunks()
        .0
        .iter()
        .map(|&value| i64::from_ne_bytes(value));
    let values: Vec<i64> = values.collect();
    assert_eq!(
        (layout.shape.len(), values.len()),
        (3, layout.shape.iter().product())
    );
    assert!(values.is_sorted(), "{values:?}");
}

/// The message about a changed file.
fn refused(path: &Path, change: impl Fn(&mut Vec<u8>)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.bin");
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(&changed, bytes).unwrap();
    match Pickle::read(&changed) {
        Ok(_) => "read".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let place = bytes
        .windows(old.len())
        .position(|found| found == old)
        .expect("the bytes are there");
    bytes[place..place + new.len()].copy_from_slice(new);
}

#[test]
fn nothing_but_tensors_may_be_named() {
    let path = bert("pytorch_model.bin");
    let message = refused(&path, |bytes| {
        replace(
            bytes,
            b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"cposix\nsystem\nXXXXXXXXXXXXXXXXXX\n",
        )
    });
    assert!(message.contains("found `posix system`"), "{message}");
    let message = refused(&path, |bytes| {
        replace(bytes, b"ctorch\nFloatStorage\n", b"ctorch\nload_storage\n")
    });
    assert!(message.contains("found `torch load_storage`"), "{message}");
    // A plain pickle may name neither tensors nor values outside of it.
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.pkl");
    for text in [
        &b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n."[..],
        b"\x80\x02X\x01\0\0\0aQ.",
    ] {
        fs::write(&plain, text).unwrap();
        assert!(Pickle::read(&plain).is_err());
    }
}

#[test]
fn cut_files_are_refused_and_no_change_reads_beyond_the_file() {
    for file in ["pytorch_model.bin", "zip.bin"] {
        let path = bert(file);
        let len = fs::read(&path).unwrap().len();
        for cut in [1, 7, len / 3, len / 2, len - 40, len - 2] {
            let message = refused(&path, |bytes| bytes.truncate(len - cut));
            assert_ne!(message, "read", "{file} without its last {cut} bytes");
        }
    }
    // Every byte of the object of the older form, changed: values or an error, never a panic.
    let whole = fs::read(bert("pytorch_model.bin")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.bin");
    let object = whole
        .windows(12)
        .rposition(|found| found == b"FloatStorage")
        .map_or(0, |end| end + 900);
    for byte in (LEGACY.len()..object).step_by(3) {
        let mut bytes = whole.clone();
        bytes[byte] = bytes[byte].wrapping_add(1);
        fs::write(&changed, bytes).unwrap();
        let Ok(pickle) = Pickle::read(&changed) else {
            continue;
        };
        if let View::Dict(entries) = pickle.root().view() {
            for (_, value) in entries {
                if let View::Array(array) = value.view() {
                    let _ = array.values();
                }
            }
        }
    }
}

/// A file of today's form with a dictionary of `n_views` tensors that are the whole of one storage.
fn archive(path: &Path, n_values: u32, n_views: u8) {
    let mut pickle = b"\x80\x02}(".to_vec();
    for view in 0..n_views {
        pickle.extend([b'K', view]);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n");
        pickle.extend(b"X\x01\0\0\x000X\x03\0\0\0cpuJ");
        pickle.extend(n_values.to_le_bytes());
        pickle.extend(b"tQK\0J");
        pickle.extend(n_values.to_le_bytes());
        pickle.extend(b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [
        ("x/data.pkl", pickle),
        ("x/data/0", vec![0; n_values as usize * 4]),
    ] {
        zip.start_file(name, stored).unwrap();
        std::io::Write::write_all(&mut zip, &bytes).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn large_weights_are_read_and_the_same_values_not_told_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bin");
    // As bert-base: tens of megabytes in a tensor, two of which may share their values.
    archive(&path, 24 << 20, 2);
    let pickle = Pickle::read(&path).unwrap();
    let View::Dict(mut entries) = pickle.root().view() else {
        panic!("a dictionary expected");
    };
    let View::Array(array) = entries.next().unwrap().1.view() else {
        panic!("a tensor expected");
    };
    assert_eq!(array.values().unwrap().0, [24 << 20]);
    archive(&path, 24 << 20, 9);
    let error = Pickle::read(&path).unwrap_err().to_string();
    assert!(error.contains("shared values"), "{error}");
}
