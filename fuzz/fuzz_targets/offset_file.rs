#![no_main]

rocketmq_blocking_fuzz::bytes!(offset_file);
