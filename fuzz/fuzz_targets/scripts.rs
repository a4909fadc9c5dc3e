#![no_main]

use rocketmq_blocking_fuzz::libfuzzer_sys;
use rocketmq_blocking_fuzz::scripts::{Script, play};

libfuzzer_sys::fuzz_target!(|script: Script| play(&script));
