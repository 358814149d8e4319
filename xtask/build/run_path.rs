//! The run path of programs and tests that link libtorch; part of the build scripts of all members that do.
//!
//! With the feature `torch` a binary looks for libtorch in `$ORIGIN/libtorch/lib` first (what
//! `cargo xtask install` links there), then in the folder it was built against. A build script, because
//! `rustflags` in the configuration would change with the machine and rebuild every crate, with and without
//! libtorch. Without the feature it adds nothing.

use std::path::Path;

/// Prints the linker arguments for cargo.
pub(crate) fn emit() {
    // Without any such line cargo would run this again whenever a file of the member changes.
    println!("cargo::rerun-if-env-changed=CARGO_FEATURE_TORCH");
    if std::env::var_os("CARGO_FEATURE_TORCH").is_none()
        || std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux")
    {
        return;
    }
    println!("cargo::rustc-link-arg=-Wl,-rpath,$ORIGIN/libtorch/lib");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let Some(libtorch) = std::env::var_os("LIBTORCH") else {
        return;
    };
    let libtorch = Path::new(&libtorch);
    // The set-up writes `build-version` anew when it aims the link elsewhere. A path that does not exist yet
    // makes cargo ask again at the next build.
    let version = libtorch.join("build-version");
    let watched = if version.exists() {
        version
    } else {
        libtorch.join("lib/libc10.so")
    };
    println!("cargo::rerun-if-changed={}", watched.display());
    // The link in the checkout is resolved: the program outlives the checkout.
    if let Ok(folder) = libtorch.join("lib").canonicalize() {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
}
