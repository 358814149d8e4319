//! What the fuzz targets share. All of it is in `readers.rs`, which the tests of the harness compile too.
#![forbid(unsafe_code)]

mod readers;

/// Has the reader `name` read an input. Panics where a reader does, or gives an error that helps nobody.
pub fn run(name: &str, bytes: &[u8]) {
    readers::run(name, bytes);
}
