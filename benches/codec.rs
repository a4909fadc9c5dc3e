//! What the codec costs per message: instructions, counted by valgrind, and allocations, counted by an allocator.
//!
//! `cargo bench --bench codec` prints both; with `-- --gate` it fails when one is above its limit, which is how the
//! project's checks keep the codec cheap. Times are not measured here: see the benchmark `remoting`.

#![allow(unsafe_code, reason = "an allocator that counts has to be one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};

use rocketmq_blocking::bench::{Codec, Form, Stream};

/// One send and its answer: header codec, both directions, without the body.
const MAX_INSTRUCTIONS: u64 = 5_000;
/// The received frame, and the two ids in it that users keep.
const MAX_ALLOCATIONS: f64 = 3.0;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `alloc` above with the same layout.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What can be measured, and its name.
#[derive(Clone, Copy)]
enum Step {
    Send,
    Reply,
    SendAndReply,
    PullRequest,
    PullReply,
}

const STEPS: [(&str, Step); 5] = [
    ("send", Step::Send),
    ("reply", Step::Reply),
    ("send+reply", Step::SendAndReply),
    ("pull", Step::PullRequest),
    ("pulled-32", Step::PullReply),
];
const FORMS: [(&str, Form); 2] = [("json", Form::Json), ("binary", Form::Binary)];

/// A codec and the bytes it works on.
struct Bench {
    codec: Codec,
    stream: Stream,
    out: Vec<u8>,
    body: [u8; 100],
    reply: Vec<u8>,
    pulled: Vec<u8>,
}

impl Bench {
    fn new(form: Form) -> Bench {
        let codec = Codec::new(form, "BenchTopic");
        let (mut reply, mut pulled) = (Vec::new(), Vec::new());
        codec.encode_send_reply(&mut reply, 123_456).expect("it fits");
        codec.encode_pull_reply(&mut pulled, 123_456, 32, 100).expect("it fits");
        Bench { codec, stream: Stream::default(), out: Vec::new(), body: [b'x'; 100], reply, pulled }
    }

    fn run(&mut self, step: Step, times: u64) {
        for _ in 0..times {
            match step {
                Step::Send => self.send(),
                Step::Reply => self.read_reply(),
                Step::SendAndReply => {
                    self.send();
                    self.read_reply();
                }
                Step::PullRequest => {
                    self.out.clear();
                    self.codec.encode_pull(&mut self.out, black_box(123_456), false).expect("it fits");
                    black_box(&self.out);
                }
                Step::PullReply => {
                    let Ok(Some(frame)) = self.stream.read(black_box(&self.pulled)) else { panic!("a whole frame") };
                    black_box(self.codec.decode_pull_reply(&frame).expect("well formed"));
                }
            }
        }
    }

    fn send(&mut self) {
        self.out.clear();
        self.codec.encode_send(&mut self.out, black_box(123_456), false, black_box(&self.body)).expect("it fits");
        black_box(&self.out);
    }

    fn read_reply(&mut self) {
        let Ok(Some(frame)) = self.stream.read(black_box(&self.reply)) else { panic!("a whole frame") };
        black_box((frame.opaque(), self.codec.decode_send_reply(&frame).expect("well formed")));
    }
}

/// Allocations per run, after a few runs that fill what is reused.
fn allocations(form: Form, step: Step) -> f64 {
    const TIMES: u64 = 1_000;
    let mut bench = Bench::new(form);
    bench.run(step, 10);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    bench.run(step, TIMES);
    (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / TIMES as f64
}

/// Instructions per run: this program runs under valgrind twice, and the difference is shared out.
fn instructions(name: &str) -> Result<u64, String> {
    const FEW: u64 = 200;
    const MANY: u64 = 1_200;
    let count = |times: u64| {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(program)
            .args(["--one", name, &times.to_string()])
            .output()
            .map_err(|error| format!("valgrind cannot be run ({error})"))?;
        let report = String::from_utf8_lossy(&output.stderr);
        let collected = report.lines().find_map(|line| line.split_once("Collected :")).map(|(_, count)| count.trim());
        let collected = collected.and_then(|count| count.parse::<u64>().ok());
        collected.filter(|_| output.status.success()).ok_or_else(|| format!("valgrind said: {report}"))
    };
    Ok((count(MANY)?.saturating_sub(count(FEW)?)) / (MANY - FEW))
}

fn find(name: &str) -> Option<(Form, Step)> {
    let (form, step) = name.split_once('/')?;
    let form = FORMS.iter().find(|(name, _)| *name == form)?.1;
    let step = STEPS.iter().find(|(name, _)| *name == step)?.1;
    Some((form, step))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [one, name, times] = &arguments[..] {
        if let ("--one", Some((form, step)), Ok(times)) = (one.as_str(), find(name), times.parse()) {
            Bench::new(form).run(step, times);
            return ExitCode::SUCCESS;
        }
    }
    if measure() || !arguments.iter().any(|argument| argument == "--gate") {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints the table and says whether every limit is kept.
fn measure() -> bool {
    println!("{:<20} {:>14} {:>12}", "per message, 100 B", "instructions", "allocations");
    let mut kept = true;
    for (form_name, form) in FORMS {
        for (step_name, step) in STEPS {
            let name = format!("{form_name}/{step_name}");
            let allocations = allocations(form, step);
            let instructions = instructions(&name);
            let shown = instructions.as_ref().map_or_else(|_| "not measured".to_owned(), u64::to_string);
            println!("{name:<20} {shown:>14} {allocations:>12.2}");
            if let Step::SendAndReply = step {
                kept &= gate(&name, &instructions, allocations);
            }
        }
    }
    kept
}

fn gate(name: &str, instructions: &Result<u64, String>, allocations: f64) -> bool {
    let mut kept = true;
    match instructions {
        Ok(count) if *count > MAX_INSTRUCTIONS => {
            println!("ABOVE THE LIMIT: {name} takes {count} instructions, at most {MAX_INSTRUCTIONS} are allowed");
            kept = false;
        }
        Ok(_) => {}
        Err(why) => {
            println!("NOT MEASURED: the instructions of {name}: {why}");
            kept = false;
        }
    }
    if allocations > MAX_ALLOCATIONS {
        println!("ABOVE THE LIMIT: {name} allocates {allocations} times, at most {MAX_ALLOCATIONS} are allowed");
        kept = false;
    }
    kept
}
