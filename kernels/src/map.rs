//! Read-only file maps and library loading, behind a safe interface.
//!
//! Both are unsafe for reasons that no type can carry: another process may write to a mapped file, and a library
//! runs code when it is loaded. The reasons why our uses are sound stand at each.

use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::cache;

/// A whole file as bytes, read as they are touched. The start is aligned to a memory page.
///
/// Whoever maps a file promises that nobody writes to it meanwhile: what is read then is unspecified, and
/// reading beyond the new end of a file cut short ends the process (SIGBUS).
#[derive(Debug)]
pub struct FileMap {
    map: memmap2::Mmap,
}

impl FileMap {
    /// Maps a file.
    ///
    /// # Errors
    /// When the file cannot be opened or mapped.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = std::fs::File::open(path)?;
        // SAFETY: the map is read-only and private, and lives in `self`, whose borrows bound every use of the
        // bytes. That nobody writes to the file meanwhile is the caller's promise, stated on the type.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self { map })
    }
}

impl Deref for FileMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

/// Why a library was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file is not there.
    #[error("{library} not found")]
    NotFound {
        /// File name.
        library: &'static str,
    },
    /// The file is there, and the loader refuses it.
    #[error("{} cannot be loaded: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The loader's reason.
        reason: String,
    },
    /// It belongs to libtorch, which this process has not loaded.
    #[error("this build has no libtorch")]
    NoLibtorch,
}

/// File name of libtorch's CUDA side.
pub const LIBTORCH_CUDA: &str = "libtorch_cuda.so";

/// Loads libtorch's CUDA side for the rest of the process, if it lies with the libtorch in use, and returns its
/// path. To be called before libtorch is first asked about CUDA: it remembers the answer.
///
/// # Errors
/// [`LoadError`]; [`LoadError::NotFound`] is the ordinary case of a set-up for the CPU.
pub fn load_libtorch_cuda() -> Result<PathBuf, LoadError> {
    let path = libtorch_cuda()?;
    open_global(&path)?;
    Ok(path)
}

/// Where libtorch's CUDA side lies: beside the libtorch in use, or where the set-up puts it.
fn libtorch_cuda() -> Result<PathBuf, LoadError> {
    let cpu = loaded_library("libtorch_cpu.so").ok_or(LoadError::NoLibtorch)?;
    let folder = cpu.parent().ok_or(LoadError::NoLibtorch)?;
    let beside = folder.join(LIBTORCH_CUDA);
    let set_up = folder
        .parent()
        .map(|libtorch| cache::cuda_dir(libtorch).join("torch/lib").join(LIBTORCH_CUDA));
    [Some(beside), set_up]
        .into_iter()
        .flatten()
        .find(|path| path.exists())
        .ok_or(LoadError::NotFound {
            library: LIBTORCH_CUDA,
        })
}

/// The file from which this process has loaded a library, by file name; `None` when it has not, or where the
/// system does not tell.
pub fn loaded_library(name: &str) -> Option<PathBuf> {
    library_in_maps(&std::fs::read_to_string("/proc/self/maps").ok()?, name)
}

/// The sixth column of `/proc/PID/maps` is the file, which may hold spaces.
fn library_in_maps(maps: &str, name: &str) -> Option<PathBuf> {
    let mut files = maps
        .lines()
        .filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])));
    files
        .find(|path| path.file_name().is_some_and(|file| file == name))
        .map(Path::to_owned)
}

/// Loads a library for the rest of the process, all its symbols resolved now and visible to later libraries.
#[cfg(unix)]
pub(crate) fn open_global(path: &Path) -> Result<(), LoadError> {
    use std::error::Error as _;

    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

    // SAFETY: only libraries of libtorch and of the CUDA toolkit are opened, whose initialisers may run on any
    // thread at any time; no symbol is taken here.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
    let library = library.map_err(|error| {
        // The loader's own words are the cause of the error.
        let reason = error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string);
        LoadError::Refused {
            path: path.to_owned(),
            reason,
        }
    })?;
    // Never unloaded: others hold addresses in it from now on.
    let _ = library.into_raw();
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn open_global(path: &Path) -> Result<(), LoadError> {
    Err(LoadError::Refused {
        path: path.to_owned(),
        reason: "not supported on this system".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_file_reads_as_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for bytes in [
            vec![],
            vec![7],
            (0..=255).cycle().take(10_000).collect::<Vec<u8>>(),
        ] {
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(*FileMap::open(&path).unwrap(), bytes[..]);
        }
        assert_eq!(
            FileMap::open(&dir.path().join("absent")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn a_loaded_library_is_found_by_its_file_name() {
        let maps = "\
7f00-7f10 r--p 00000000 fe:00 12 /opt/my libs/libtorch_cpu.so
7f10-7f20 rw-p 00000000 00:00 0
7f20-7f30 r-xp 00000000 fe:00 13 /usr/lib/libtorch.so
";
        assert_eq!(
            library_in_maps(maps, "libtorch_cpu.so"),
            Some("/opt/my libs/libtorch_cpu.so".into())
        );
        assert_eq!(library_in_maps(maps, "torch.so"), None);
    }

    #[test]
    fn a_file_that_is_no_library_is_refused_with_the_loader_s_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libfake.so");
        std::fs::write(&path, "not a library").unwrap();
        let Err(LoadError::Refused { path: named, reason }) = open_global(&path) else {
            panic!("loaded a text file");
        };
        assert_eq!(named, path);
        assert!(reason.contains("libfake.so"), "{reason}");
    }

    #[cfg(not(feature = "torch"))]
    #[test]
    fn without_libtorch_its_cuda_side_is_not_looked_for() {
        assert_eq!(load_libtorch_cuda(), Err(LoadError::NoLibtorch));
    }

    #[cfg(feature = "torch")]
    #[test]
    fn the_cuda_side_of_the_libtorch_in_use_is_loaded_where_it_is_set_up() {
        tch::manual_seed(0); // a use, without which the linker leaves libtorch out of this test
        match load_libtorch_cuda() {
            Ok(path) => assert_eq!(loaded_library(LIBTORCH_CUDA), Some(path)),
            Err(LoadError::NotFound { library }) => println!("skipped: {library} not found"),
            // A libtorch of the user's may lie without the libraries that its CUDA side needs.
            Err(LoadError::Refused { path, reason })
                if !path.ends_with("cuda/torch/lib/libtorch_cuda.so") =>
            {
                println!("skipped: {reason}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
