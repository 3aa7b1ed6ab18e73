#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sandman_tests::fuzz::tokens(data));
