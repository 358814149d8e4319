//! `cargo xtask setup`: libtorch and NVRTC into the cache, and the checkout's link to libtorch.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::cache::{self, LIBTORCH_VERSION};
use crate::error::Error;
use crate::tools::{self, Python};
use crate::wheels::{CUDA, LIBTORCH, NVRTC, Source};
use crate::{existing, fetch, unpack};

/// Name of the link in the checkout that `.cargo/config.toml` gives to cargo as `LIBTORCH`.
pub const LINK: &str = ".libtorch";

/// Does the set-up, with `cuda` also that of the CUDA libraries, and returns the libtorch folder in use. A second
/// call finds everything and changes nothing.
///
/// # Errors
/// Any [`Error`]; each says what to do.
pub fn setup(root: &Path, cuda: bool) -> Result<PathBuf, Error> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(Error::Platform {
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        });
    }
    tools::check_cxx()?;
    let own = own_libtorch(root);
    let libtorch = match &own {
        Some(path) if cuda => return Err(Error::CudaForOwnLibtorch { path: path.clone() }),
        Some(path) => {
            existing::check(path)?;
            path.clone()
        }
        None => {
            let cache = cache::cache_dir().ok_or(Error::NoCacheDir)?;
            let libtorch = cached_libtorch(&cache, Python::find)?;
            if cuda {
                let folder = cache::cuda_dir(&libtorch);
                bring(CUDA, &cache, &folder, Python::find, |_| Ok(()))?;
                eprintln!("xtask: CUDA libraries are in {}", folder.display());
            }
            libtorch
        }
    };
    bring_nvrtc()?;
    link(root, &libtorch, own.is_none())?;
    eprintln!("xtask: libtorch {LIBTORCH_VERSION} is {}", libtorch.display());
    Ok(libtorch)
}

/// The user's own `LIBTORCH`. Under cargo the variable is always set, by `.cargo/config.toml`: the link of this
/// checkout is not the user's.
fn own_libtorch(root: &Path) -> Option<PathBuf> {
    let value = PathBuf::from(std::env::var_os("LIBTORCH").filter(|value| !value.is_empty())?);
    (value != root.join(LINK)).then_some(value)
}

/// libtorch in the cache folder, fetched and unpacked if it is not there yet.
///
/// # Errors
/// As [`fetch::ensure_all`] and [`unpack::unpack`].
pub fn cached_libtorch(cache: &Path, python: impl Fn() -> Result<Python, Error>) -> Result<PathBuf, Error> {
    let libtorch = cache::libtorch_dir(cache);
    bring(LIBTORCH, cache, &libtorch, python, |folder| {
        let alias = folder.join("lib/libtorch.so");
        // `torch-sys` links `-ltorch`; the real one is an empty shell that needs `libtorch_cuda.so`.
        symlink("libtorch_cpu.so", &alias).map_err(Error::io("create", &alias))?;
        write_version(folder)
    })?;
    Ok(libtorch)
}

/// NVRTC into the cache folder. Where it cannot be fetched everything works but CUDA kernels, and the tests that
/// compile them say so.
fn bring_nvrtc() -> Result<(), Error> {
    let Some(cache) = cache::cache_dir() else {
        return Ok(()); // possible with a libtorch of the user's only
    };
    match bring(NVRTC, &cache, &cache::nvrtc_dir(&cache), Python::find, |_| Ok(())) {
        Err(error @ (Error::Download { .. } | Error::MissingTool { .. })) => {
            eprintln!("xtask: going on without NVRTC, which compiles CUDA kernels: {error}");
            Ok(())
        }
        other => other,
    }
}

/// Fetches and unpacks `sources` into `destination` unless that folder is there; one process at a time.
fn bring(
    sources: &[Source],
    cache: &Path,
    destination: &Path,
    python: impl Fn() -> Result<Python, Error>,
    finish: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    if destination.exists() {
        return Ok(());
    }
    let folder = cache.join("wheels");
    fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let lock_path = cache.join("lock");
    let lock = File::create(&lock_path).map_err(Error::io("create", &lock_path))?;
    lock.lock().map_err(Error::io("lock", &lock_path))?;
    if destination.exists() {
        return Ok(()); // another process brought it while this one waited
    }
    let wheels: Vec<_> = sources.iter().map(|source| source.wheel).collect();
    let wheels = fetch::ensure_all(&wheels, &folder, python)?;
    unpack::unpack(sources, &wheels, destination, finish)
}

/// States the release where `torch-sys` checks it.
fn write_version(libtorch: &Path) -> Result<(), Error> {
    let path = libtorch.join("build-version");
    fs::write(&path, format!("{LIBTORCH_VERSION}\n")).map_err(Error::io("write", &path))
}

/// Aims the checkout's link at `libtorch`; `cached` says that the folder is ours to write to.
fn link(root: &Path, libtorch: &Path, cached: bool) -> Result<(), Error> {
    let link = root.join(LINK);
    match fs::read_link(&link) {
        Ok(target) if target == libtorch => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => return Err(Error::LinkInTheWay { path: link }),
    }
    let fresh = root.join(format!("{LINK}.new"));
    if fs::symlink_metadata(&fresh).is_ok() {
        fs::remove_file(&fresh).map_err(Error::io("delete", &fresh))?;
    }
    symlink(libtorch, &fresh).map_err(Error::io("create", &fresh))?;
    fs::rename(&fresh, &link).map_err(Error::io("rename into place", &link))?;
    if cached {
        // The build scripts watch this file: binaries get the new run path.
        write_version(libtorch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_made_once_and_aimed_anew_when_libtorch_moves() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        for folder in [&first, &second] {
            fs::create_dir(folder).unwrap();
        }
        link(dir.path(), &first, true).unwrap();
        let stamp = fs::metadata(first.join("build-version"))
            .unwrap()
            .modified()
            .unwrap();
        link(dir.path(), &first, true).unwrap();
        let again = fs::metadata(first.join("build-version"))
            .unwrap()
            .modified()
            .unwrap();
        assert_eq!(stamp, again, "a second set-up must not make cargo build anew");
        link(dir.path(), &second, false).unwrap();
        assert_eq!(fs::read_link(dir.path().join(LINK)).unwrap(), second);
        assert!(
            !second.join("build-version").exists(),
            "nothing is written into a libtorch of the user's"
        );
    }

    #[test]
    fn a_folder_in_the_place_of_the_link_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(LINK)).unwrap();
        let error = link(dir.path(), &dir.path().join("libtorch"), true).unwrap_err();
        assert!(matches!(error, Error::LinkInTheWay { .. }), "{error}");
    }

    #[test]
    fn an_unpacked_cache_needs_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let libtorch = cache::libtorch_dir(dir.path());
        fs::create_dir(&libtorch).unwrap();
        let found = cached_libtorch(dir.path(), || panic!("nothing is to be fetched")).unwrap();
        assert_eq!(found, libtorch);
    }
}
