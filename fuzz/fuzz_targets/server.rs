#![no_main]

rocketmq_blocking_fuzz::bytes!(server);
