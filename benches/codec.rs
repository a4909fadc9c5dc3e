//! What the codec costs per message: instructions, counted by valgrind, and allocations, counted by an allocator.
//!
//! `cargo bench --bench codec` prints both; with `-- --gate` it fails when one is above its limit, which is how the
//! project's checks keep the codec cheap. Times are not measured here, except those of compression, which have no limit:
//! see the benchmark `remoting`.

#[path = "common/compression.rs"]
mod compression;
#[path = "common/counting.rs"]
mod counting;

use std::hint::black_box;
use std::process::{Command, ExitCode};

use bytes::Bytes;
use rocketmq_blocking::bench::{Codec, Form, Stream};

/// The headers of one send and its answer, one written and the other read: neither frames are cut nor texts copied.
const MAX_INSTRUCTIONS: u64 = 5_000;
/// Of one send and its answer: the received frame, and the two ids in it that users keep.
const MAX_ALLOCATIONS: f64 = 3.0;

/// What can be measured, and its name.
#[derive(Clone, Copy)]
enum Step {
    Send,
    Reply,
    SendAndReply,
    Headers,
    PullRequest,
    PullReply,
}

const STEPS: [(&str, Step); 6] = [
    ("send", Step::Send),
    ("reply", Step::Reply),
    ("send+reply", Step::SendAndReply),
    ("headers of both", Step::Headers),
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
    reply_header: Bytes,
    pulled: Vec<u8>,
}

impl Bench {
    fn new(form: Form) -> Bench {
        let codec = Codec::new(form, "BenchTopic");
        let (mut reply, mut pulled) = (Vec::new(), Vec::new());
        codec.encode_send_reply(&mut reply, 123_456).expect("it fits");
        codec.encode_pull_reply(&mut pulled, 123_456, 32, 100).expect("it fits");
        let reply_header = Bytes::copy_from_slice(&reply[8..]);
        Bench { codec, stream: Stream::default(), out: Vec::new(), body: [b'x'; 100], reply_header, reply, pulled }
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
                Step::Headers => {
                    self.out.clear();
                    self.codec.encode_send_header(&mut self.out, black_box(123_456), 100).expect("it fits");
                    black_box(&self.out);
                    black_box(self.codec.read_send_reply_header(black_box(&self.reply_header)).expect("well formed"));
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
    counting::count(|| bench.run(step, TIMES)) as f64 / TIMES as f64
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
    let kept = measure();
    compression::measure();
    if kept || !arguments.iter().any(|argument| argument == "--gate") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the table and says whether every limit is kept.
fn measure() -> bool {
    println!("{:<24} {:>14} {:>12}", "per message, 100 B", "instructions", "allocations");
    let mut kept = true;
    for (form_name, form) in FORMS {
        for (step_name, step) in STEPS {
            let name = format!("{form_name}/{step_name}");
            let allocations = allocations(form, step);
            let instructions = instructions(&name);
            let shown = instructions.as_ref().map_or_else(|_| "not measured".to_owned(), u64::to_string);
            println!("{name:<24} {shown:>14} {allocations:>12.2}");
            kept &= match step {
                Step::Headers => few_instructions(&name, &instructions) & few_allocations(&name, allocations, 0.0),
                Step::SendAndReply => few_allocations(&name, allocations, MAX_ALLOCATIONS),
                _ => true,
            };
        }
    }
    kept
}

fn few_instructions(name: &str, instructions: &Result<u64, String>) -> bool {
    match instructions {
        Ok(count) if *count > MAX_INSTRUCTIONS => {
            println!("ABOVE THE LIMIT: {name} takes {count} instructions, at most {MAX_INSTRUCTIONS} are allowed");
            false
        }
        Ok(_) => true,
        Err(why) => {
            println!("NOT MEASURED: the instructions of {name}: {why}");
            false
        }
    }
}

fn few_allocations(name: &str, allocations: f64, limit: f64) -> bool {
    let few = allocations <= limit;
    if !few {
        println!("ABOVE THE LIMIT: {name} allocates {allocations} times, at most {limit} are allowed");
    }
    few
}
