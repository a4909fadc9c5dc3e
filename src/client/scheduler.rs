//! The thread that does things at their time, and the periodic ones. Its jobs only submit: a slow server delays none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::heartbeat;
use super::timers::{Job, Step};
use crate::error::Result;
use crate::thread::Thread;

/// The first look for name servers, and the first heartbeat, when their intervals are not shorter.
const FIRST_DISCOVERY: Duration = Duration::from_secs(10);
const FIRST_HEARTBEAT: Duration = Duration::from_secs(1);

pub(super) fn start(core: &Arc<Core>) -> Result<Thread> {
    let shared = core.clone();
    let thread = Thread::spawn(format!("mq-schedule {}", core.client_id()), move || run(&shared))?;
    let options = core.options();
    repeat(core, options.route_interval, options.route_interval, |core| core.routes().refresh_all(core));
    repeat(core, FIRST_HEARTBEAT.min(options.heartbeat_interval), options.heartbeat_interval, heartbeat::round);
    if options.credentials_provider.is_some() {
        let interval = options.credentials_interval;
        repeat(core, interval, interval, |core| core.renew_used_keys());
    }
    if options.discovery.is_some() {
        let first = FIRST_DISCOVERY.min(options.discovery_interval);
        repeat(core, first, options.discovery_interval, |core| core.rediscover());
    }
    Ok(thread)
}

fn run(core: &Core) {
    loop {
        let now = Instant::now();
        match core.timers().step(now, now + core.options().scan_interval) {
            Step::Run(job) => contain(job),
            Step::Tick => {
                if let Some(next) = core.remoting().tick(now) {
                    core.timers().tick_at(next);
                }
            }
            Step::Wait(until) => core.timers().wait(until),
            Step::Stop => break,
        }
    }
    while let Some(job) = core.timers().take_left() {
        contain(job);
    }
}

fn contain(job: Job) {
    if catch_unwind(AssertUnwindSafe(job)).is_err() {
        log::error!("a job of the scheduler panicked; this is a bug in rocketmq-blocking");
    }
}

/// Does `job` after `first` and then again and again. The next time is set before it runs, so a panic ends nothing.
fn repeat(core: &Arc<Core>, first: Duration, interval: Duration, job: fn(&Arc<Core>)) {
    let shared = core.clone();
    core.timers().at(Instant::now() + first, move || {
        if shared.check_open().is_ok() {
            repeat(&shared, interval, interval, job);
            job(&shared);
        }
    });
}
