use std::time::Duration;

use serde::Serialize;

use crate::failure::Failure;
use crate::histogram::Histogram;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::text;
use crate::usage;

/// What a run took.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) done: u64,
    pub(super) failed: u64,
    elapsed: Duration,
    cpu: Option<Duration>,
    /// Half, 99 % and 99.9 % of the calls were not slower, in microseconds; `None` where there are no calls.
    quantiles: Option<[f64; 3]>,
}

/// What was measured.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) op: &'a str,
    pub(super) mode: &'a str,
    pub(super) threads: u16,
    /// Bytes of a body.
    pub(super) size: u64,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Table<'a> {
    op: &'a str,
    mode: &'a str,
    threads: u16,
    size: u64,
    count: u64,
    seconds: f64,
    per_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p999_us: Option<f64>,
    /// `None` where the system does not tell.
    cpu_us_per_msg: Option<f64>,
    peak_rss_mib: Option<f64>,
}

impl Figures {
    pub(super) fn new(
        done: u64,
        failed: u64,
        elapsed: Duration,
        cpu: Option<Duration>,
        latencies: Option<&Histogram>,
    ) -> Figures {
        let quantile = |of: &Histogram, part| rounded(of.quantile_us(part), 10.0);
        let quantiles = latencies.map(|of| [0.5, 0.99, 0.999].map(|part| quantile(of, part)));
        Figures { done, failed, elapsed, cpu, quantiles }
    }

    /// The figures of a run that was not worth measuring.
    pub(super) fn nothing(self) -> Figures {
        Figures { done: 0, ..self }
    }

    /// Prints them; what failed or was cut short decides the exit status.
    pub(super) fn print(&self, run: &Run<'_>, interrupt: &Interrupt, output: &mut Output) -> Result<(), Failure> {
        let seconds = self.elapsed.as_secs_f64();
        let [p50_us, p99_us, p999_us] = self.quantiles.map_or([None; 3], |all| all.map(Some));
        let Run { op, mode, threads, size } = *run;
        let table = Table {
            op,
            mode,
            threads,
            size,
            count: self.done,
            seconds: rounded(seconds, 1e6),
            per_s: rounded(self.done as f64 / seconds.max(1e-9), 10.0),
            p50_us,
            p99_us,
            p999_us,
            cpu_us_per_msg: self.cpu.map(|cpu| rounded(cpu.as_secs_f64() * 1e6 / self.done.max(1) as f64, 100.0)),
            peak_rss_mib: usage::peak_rss_mib().map(|mib| rounded(mib, 10.0)),
        };
        if self.done > 0 {
            output.line(&table, || table.people())?;
            output.flush()?;
        }
        if self.failed > 0 || (self.done == 0 && !interrupt.happened()) {
            return Err(Failure::Reported);
        }
        if interrupt.happened() { Err(Failure::Interrupted) } else { Ok(()) }
    }
}

/// Digits that mean nothing are left out.
fn rounded(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}

impl Table<'_> {
    fn people(&self) -> String {
        let threads = text::counted(u64::from(self.threads), "thread");
        let messages = text::count(self.count);
        let cpu = self.cpu_us_per_msg.map_or("unknown".to_owned(), |us| format!("{us} µs a message"));
        let memory = self.peak_rss_mib.map_or("unknown".to_owned(), |mib| format!("{mib} MiB at most"));
        let seconds = text::duration(Duration::from_secs_f64(self.seconds));
        let title =
            format!("{} {}, {threads}, {} bytes: {messages} messages in {seconds}", self.op, self.mode, self.size);
        let mut rows = vec![("", title), ("rate", format!("{} messages a second", text::count(self.per_s as u64)))];
        if let (Some(p50), Some(p99), Some(p999)) = (self.p50_us, self.p99_us, self.p999_us) {
            let calls = if self.op == "send" { "sends" } else { "pulls" };
            rows.push((calls, format!("50 % within {p50} µs, 99 % {p99} µs, 99.9 % {p999} µs")));
        }
        rows.extend([("processor", cpu), ("memory", memory)]);
        let line = |(name, value): (&str, String)| if name.is_empty() { value } else { format!("  {name:<11}{value}") };
        rows.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
