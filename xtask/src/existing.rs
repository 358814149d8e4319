//! A libtorch that is already there: which release is it, and is it whole?

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::LIBTORCH_VERSION;
use crate::error::Error;

/// Files that state the release, in the order asked: the one of libtorch archives (and of our set-up), then the
/// headers of any installation.
const VERSION_FILES: [&str; 3] = [
    "build-version",
    "include/torch/headeronly/version.h",
    "include/torch/csrc/api/include/torch/version.h",
];

/// Checks a libtorch folder of the user's.
///
/// # Errors
/// [`Error::OtherLibtorch`] with both releases named, or [`Error::NotLibtorch`] with the missing file.
pub fn check(libtorch: &Path) -> Result<(), Error> {
    let found = release(libtorch).ok_or_else(|| Error::NotLibtorch {
        path: libtorch.join("include/torch/csrc/api/include/torch/version.h"),
    })?;
    // A local part (`+cu130`, `+cpu`) says how it was built, not which release it is.
    if found.split('+').next() != Some(LIBTORCH_VERSION) {
        return Err(Error::OtherLibtorch {
            path: libtorch.to_owned(),
            found,
        });
    }
    match missing_library(libtorch) {
        Some(path) => Err(Error::NotLibtorch { path }),
        None => Ok(()),
    }
}

/// The release that a libtorch folder states, `None` if it states none.
pub fn release(libtorch: &Path) -> Option<String> {
    VERSION_FILES.iter().find_map(|file| {
        let text = fs::read_to_string(libtorch.join(file)).ok()?;
        if file.ends_with(".h") {
            from_header(&text)
        } else {
            Some(text.trim().to_owned())
        }
    })
}

/// The first linked library that is not there.
fn missing_library(libtorch: &Path) -> Option<PathBuf> {
    ["libtorch_cpu.so", "libc10.so", "libtorch.so"]
        .iter()
        .map(|name| libtorch.join("lib").join(name))
        .find(|path| !path.exists())
}

/// `major.minor.patch` from the three macros of `version.h`.
fn from_header(text: &str) -> Option<String> {
    let part = |name: &str| {
        text.lines().find_map(|line| {
            let value = line
                .trim()
                .strip_prefix("#define")?
                .trim()
                .strip_prefix(name)?
                .trim();
            value.parse::<u32>().ok()
        })
    };
    let major = part("TORCH_VERSION_MAJOR")?;
    let minor = part("TORCH_VERSION_MINOR")?;
    let patch = part("TORCH_VERSION_PATCH")?;
    Some(format!("{major}.{minor}.{patch}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn libraries(root: &Path) {
        for name in ["libtorch_cpu.so", "libc10.so", "libtorch.so"] {
            write(root, &format!("lib/{name}"), "");
        }
    }

    #[test]
    fn another_release_is_refused_with_both_named() {
        let dir = tempfile::tempdir().unwrap();
        libraries(dir.path());
        write(dir.path(), "build-version", "2.7.1+cpu\n");
        let message = check(dir.path()).unwrap_err().to_string();
        assert!(
            message.contains("2.7.1+cpu") && message.contains("needs 2.11.0"),
            "{message}"
        );
        assert!(message.contains(dir.path().to_str().unwrap()), "{message}");
    }

    #[test]
    fn the_release_is_read_from_headers_too() {
        let header =
            "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 12\n#define TORCH_VERSION_PATCH 1\n";
        for file in &VERSION_FILES[1..] {
            let dir = tempfile::tempdir().unwrap();
            libraries(dir.path());
            write(dir.path(), file, header);
            let message = check(dir.path()).unwrap_err().to_string();
            assert!(message.contains("libtorch 2.12.1 "), "{message}");
        }
    }

    #[test]
    fn the_pinned_release_is_accepted_whatever_its_build() {
        for version in ["2.11.0", "2.11.0+cpu", "2.11.0+cu130\n"] {
            let dir = tempfile::tempdir().unwrap();
            libraries(dir.path());
            write(dir.path(), "build-version", version);
            check(dir.path()).unwrap();
        }
    }

    #[test]
    fn a_folder_without_libraries_or_release_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(check(dir.path()), Err(Error::NotLibtorch { .. })));
        write(dir.path(), "build-version", "2.11.0");
        let message = check(dir.path()).unwrap_err().to_string();
        assert!(message.contains("lib/libtorch_cpu.so is missing"), "{message}");
    }
}
