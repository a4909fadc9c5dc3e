//! How fast bodies are compressed and inflated, and what is left of them. For the eye only: times depend on the machine.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rocketmq_blocking::Compression;
use rocketmq_blocking::bench::{deflate, inflate};

/// The types this build has; zstd comes with `--features zstd`.
const KINDS: &[Compression] = &[
    Compression::Zlib,
    Compression::Lz4,
    #[cfg(feature = "zstd")]
    Compression::Zstd,
];

/// How long each direction is measured.
const TIME: Duration = Duration::from_millis(200);

/// What orders look like that are sent as JSON: names that repeat, values that do not.
fn orders(len: usize) -> Vec<u8> {
    let mut state = 42u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    const NAMES: [&str; 8] = ["Ada", "Grace", "Edsger", "Barbara", "Donald", "Tony", "Leslie", "Frances"];
    let mut text = String::from("[");
    while text.len() < len {
        text.push_str(&format!(
            r#"{{"orderId":{},"customer":"{}","email":"c{}@example.com","amount":{}.{:02},"currency":"EUR","items":[{{"sku":"SKU-{:06}","count":{}}}],"paid":{},"createdAt":"2025-{:02}-{:02}T{:02}:{:02}:{:02}Z"}},"#,
            random(1_000_000_000), NAMES[random(8) as usize], random(100_000), random(5000), random(100),
            random(1_000_000), random(9) + 1, random(2) == 0, random(12) + 1, random(28) + 1, random(24), random(60),
            random(60)
        ));
    }
    text.truncate(len);
    text.into_bytes()
}

/// Megabytes of the uncompressed body a second.
fn speed(len: usize, mut run: impl FnMut()) -> f64 {
    (0..20).for_each(|_| run());
    let (start, mut times) = (Instant::now(), 0u32);
    while start.elapsed() < TIME {
        (0..10).for_each(|_| run());
        times += 10;
    }
    len as f64 * f64::from(times) / start.elapsed().as_secs_f64() / 1e6
}

pub(crate) fn measure() {
    println!("\n{:<24} {:>14} {:>12} {:>8}", "bodies of JSON", "deflate, MB/s", "inflate", "ratio");
    for kib in [4, 64] {
        let body = orders(kib << 10);
        for kind in KINDS {
            let (smaller, flag) = deflate(*kind, &body).expect("JSON gets smaller");
            let there = speed(body.len(), || drop(black_box(deflate(*kind, black_box(&body)))));
            let back = speed(body.len(), || drop(black_box(inflate(flag, black_box(&smaller)).expect("it is whole"))));
            let ratio = body.len() as f64 / smaller.len() as f64;
            println!("{:<24} {there:>14.0} {back:>12.0} {ratio:>8.2}", format!("{kind}, {kib} KiB"));
        }
    }
}
