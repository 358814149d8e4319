//! Where the set-up keeps libtorch, the CUDA libraries and NVRTC: a folder outside the checkout.
//!
//! `xtask` compiles this very file too (by path), so that the set-up and the program agree on the places. It
//! therefore depends on nothing but the standard library.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The libtorch release that the pinned `tch` is made for.
pub const LIBTORCH_VERSION: &str = "2.11.0";

/// Environment variable that moves the cache folder.
pub const CACHE_VARIABLE: &str = "HITBENCH_CACHE";

/// The cache folder: `$HITBENCH_CACHE`, else `$XDG_CACHE_HOME/hitbench`, else `$HOME/.cache/hitbench`; `None`
/// where the environment has none of the three. Empty and (for XDG, as its specification asks) relative
/// values count as absent.
pub fn cache_dir() -> Option<PathBuf> {
    cache_dir_from(|name| std::env::var_os(name))
}

fn cache_dir_from(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    path(CACHE_VARIABLE)
        .or_else(|| {
            path("XDG_CACHE_HOME")
                .filter(|dir| dir.is_absolute())
                .map(|dir| dir.join("hitbench"))
        })
        .or_else(|| path("HOME").map(|home| home.join(".cache/hitbench")))
}

/// libtorch as unpacked by the set-up: `lib/`, `include/`, `licenses/` and `build-version`.
pub fn libtorch_dir(cache: &Path) -> PathBuf {
    cache.join(format!("libtorch-{LIBTORCH_VERSION}"))
}

/// The CUDA side of a libtorch folder, there after `cargo xtask setup --cuda`: the wheels' own layout, with
/// `torch/lib/libtorch_cuda.so` and `nvidia/cu13/{lib,include}`.
pub fn cuda_dir(libtorch: &Path) -> PathBuf {
    libtorch.join("cuda")
}

/// The run-time compiler of the CUDA kernels: `lib/libnvrtc.so.13` with its builtins, and `bin/nvdisasm`.
pub fn nvrtc_dir(cache: &Path) -> PathBuf {
    cache.join("nvrtc-13.0.88")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_usable_variable_names_the_cache() {
        let check = |variables: &[(&str, &str)], expected: Option<&str>| {
            let value = |name: &str| {
                variables
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).into())
            };
            assert_eq!(
                cache_dir_from(value),
                expected.map(PathBuf::from),
                "{variables:?}"
            );
        };
        check(
            &[("HITBENCH_CACHE", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")],
            Some("/a"),
        );
        check(
            &[("HITBENCH_CACHE", ""), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")],
            Some("/b/hitbench"),
        );
        check(
            &[("XDG_CACHE_HOME", "relative"), ("HOME", "/c")],
            Some("/c/.cache/hitbench"),
        );
        check(&[("HOME", "/c")], Some("/c/.cache/hitbench"));
        check(&[], None);
    }
}
