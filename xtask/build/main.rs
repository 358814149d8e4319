//! Build script of the members whose tests link libtorch.

mod run_path;

fn main() {
    run_path::emit();
}
