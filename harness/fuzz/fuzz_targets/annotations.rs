#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hitbench_fuzz::run("annotations", bytes));
