use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use super::TARGETS;
use super::seeds::seeds;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

#[test]
fn every_seed_holds_and_so_do_damaged_ones() {
    let mut random = Rng::with_seed(1);
    let seeds = seeds();
    for (name, run) in TARGETS {
        let own: Vec<&[u8]> = seeds.iter().filter(|(target, _)| target == name).map(|(_, bytes)| &**bytes).collect();
        assert!(!own.is_empty(), "{name} starts from nothing");
        for seed in own {
            held(name, *run, seed);
            for _ in 0..200 {
                let mut damaged = seed.to_vec();
                for _ in 0..random.usize(1..4) {
                    let at = random.usize(..damaged.len().max(1));
                    match random.u8(..3) {
                        0 => damaged.truncate(at),
                        1 => damaged.insert(at, random.u8(..)),
                        _ => damaged.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.u8(..8)),
                    }
                }
                held(name, *run, &damaged);
            }
        }
    }
}

/// What fuzzing has found so far, and what leads everywhere in the code: `fuzz/corpus`, which is not in the package.
#[test]
fn the_kept_corpus_holds() {
    for (name, run) in TARGETS {
        for entry in fs::read_dir(corpus(name)).into_iter().flatten().flatten() {
            held(name, *run, &fs::read(entry.path()).expect("a file of the corpus"));
        }
    }
}

/// Runs a target and names the input when it fails.
fn held(name: &str, run: fn(&[u8]), data: &[u8]) {
    struct Naming<'a>(&'a str, &'a [u8]);
    impl Drop for Naming<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("{} fails on b\"{}\"", self.0, self.1.escape_ascii());
            }
        }
    }
    let _naming = Naming(name, data);
    run(data);
}

#[test]
#[ignore = "it writes files: the seeds, into fuzz/corpus"]
fn the_seeds_are_written() {
    for (at, (target, bytes)) in seeds().iter().enumerate() {
        fs::create_dir_all(corpus(target)).expect("a folder of the corpus");
        fs::write(corpus(target).join(format!("seed-{at:02}")), bytes).expect("a file of the corpus");
    }
}
