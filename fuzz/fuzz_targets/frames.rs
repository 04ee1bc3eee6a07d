//! Whatever a peer sends, in whatever pieces: see `frames_body.rs`.

#![no_main]

mod frames_body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| frames_body::run(data));
