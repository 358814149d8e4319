//! One conversion for many readers, and a new one when files change.

use std::fs;

use hitbench_models::batch::RowsView;

use super::*;

fn pack_in(folder: &tempfile::TempDir, videos: &[&str]) -> Result<FeatureSet, DataError> {
    load(
        request(&folder.path().join("features")),
        videos,
        &folder.path().join("cache"),
    )
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("features")).unwrap();
    folder
}

fn request(path: &Path) -> Request<'_> {
    Request {
        path,
        experts: &[],
        dtype: FeatureDtype::F32,
    }
}

fn tensors(path: &Path, value: f32) {
    let bytes = value.to_le_bytes();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1, 1], &bytes).unwrap();
    fs::write(path, safetensors::serialize([("x", view)], None).unwrap()).unwrap();
}

fn pack(set: &FeatureSet) -> &Path {
    set.videos[0][0].as_ref().unwrap().rows.pack().unwrap()
}

fn value(set: &FeatureSet) -> f32 {
    let features = set.videos[0][0].as_ref().unwrap();
    match features.rows.view() {
        RowsView::Dense(values) => values[0],
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_changed_source_is_packed_anew_and_an_old_map_keeps_its_values() {
    let folder = folder();
    let path = folder.path().join("features/e.safetensors");
    tensors(&path, 1.0);
    let first = pack_in(&folder, &["x", "y"]).unwrap();
    assert_eq!((value(&first), first.videos_without_file), (1.0, 1));
    let made = fs::metadata(pack(&first)).unwrap().modified().unwrap();
    let again = pack_in(&folder, &["x", "y"]).unwrap();
    assert_eq!(
        (
            pack(&again),
            fs::metadata(pack(&again)).unwrap().modified().unwrap()
        ),
        (pack(&first), made)
    );
    fs::remove_file(&path).unwrap();
    tensors(&path, 2.0);
    // File systems count time in steps; a change within one is told by other means only if the length changes.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(later)
        .unwrap();
    let changed = pack_in(&folder, &["x", "y"]).unwrap();
    assert_eq!((value(&changed), value(&first)), (2.0, 1.0));
    assert_eq!(pack(&changed), pack(&first));
    fs::write(pack(&changed), b"torn").unwrap();
    assert_eq!(value(&pack_in(&folder, &["x", "y"]).unwrap()), 2.0);
}

#[test]
fn many_at_once_make_one_file() {
    let folder = folder();
    tensors(&folder.path().join("features/e.safetensors"), 3.0);
    let sets: Vec<FeatureSet> = std::thread::scope(|scope| {
        let load = || scope.spawn(|| pack_in(&folder, &["x"]).unwrap());
        let threads: Vec<_> = (0..8).map(|_| load()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(
        sets.iter()
            .all(|set| value(set) == 3.0 && pack(set) == pack(&sets[0]))
    );
}

#[test]
fn experts_that_nobody_has_are_named() {
    let folder = folder();
    tensors(&folder.path().join("features/e.safetensors"), 3.0);
    let path = folder.path().join("features");
    let wanted = ["e".to_owned(), "f".to_owned()];
    let experts = Request {
        experts: &wanted,
        ..request(&path)
    };
    let error = load(experts, &["x"], &folder.path().join("cache"))
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("has features of expert `f` for none of the videos"),
        "{error}"
    );
    let error = pack_in(&folder, &["y"]).unwrap_err().to_string();
    assert!(
        error.ends_with("has features of any expert for none of the videos"),
        "{error}"
    );
    let error = load(request(&folder.path().join("none")), &["y"], &path).unwrap_err();
    assert!(matches!(error, DataError::Read { .. }), "{error}");
}
