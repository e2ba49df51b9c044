#![no_main]
use hashpact_protocol::testing::fuzz;
libfuzzer_sys::fuzz_target!(|data: &[u8]| { let _ = fuzz::add_checkpoint(data); });
