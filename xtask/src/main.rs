//! Set-up and the README's commands: `cargo xtask setup|demo|test|install|deep`.
#![forbid(unsafe_code)]

fn main() {}
