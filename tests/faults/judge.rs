//! Judges every call: it must end by its deadline and a little, however the peer behaves.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a call may take beyond its deadline.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Book {
    /// How long after its deadline each call ended; zero for those that were in time.
    late: Vec<Duration>,
    latest: Option<(Duration, String)>,
    to_their_deadline: usize,
    begun: usize,
    /// What was wrong in the test that runs now.
    complaints: Vec<String>,
}

static BOOK: Mutex<Book> =
    Mutex::new(Book { late: Vec::new(), latest: None, to_their_deadline: 0, begun: 0, complaints: Vec::new() });

/// One call under way; it goes where the call ends.
#[derive(Debug)]
pub(crate) struct Timer {
    what: &'static str,
    started: Instant,
    limit: Duration,
}

impl Timer {
    pub(crate) fn start(what: &'static str, limit: Duration) -> Timer {
        BOOK.lock().unwrap().begun += 1;
        Timer { what, started: Instant::now(), limit }
    }

    /// The call has ended.
    pub(crate) fn end(self) {
        let took = self.started.elapsed();
        let late = took.saturating_sub(self.limit);
        let mut book = BOOK.lock().unwrap();
        book.late.push(late);
        book.to_their_deadline += usize::from(took + Duration::from_millis(5) >= self.limit);
        let Timer { what, limit, .. } = self;
        if book.latest.as_ref().is_none_or(|(latest, _)| *latest < late) {
            book.latest = Some((late, format!("{what} with a limit of {limit:?}")));
        }
        if late > GRACE {
            book.complaints.push(format!("{what} with a limit of {limit:?} took {took:?}"));
        }
    }
}

/// Judges a call that blocks.
pub(crate) fn timed<T>(what: &'static str, limit: Duration, call: impl FnOnce() -> T) -> T {
    let timer = Timer::start(what, limit);
    let result = call();
    timer.end();
    result
}

/// What was wrong since the last look; a call that has not ended is wrong too.
pub(crate) fn complaints() -> Vec<String> {
    let mut book = BOOK.lock().unwrap();
    let open = book.begun - book.late.len();
    let mut complaints = std::mem::take(&mut book.complaints);
    if open > 0 {
        complaints.push(format!("{open} calls never ended"));
        book.begun = book.late.len();
    }
    complaints
}

/// How late calls were, in all.
pub(crate) fn summary() -> String {
    let mut book = BOOK.lock().unwrap();
    book.late.sort_unstable();
    let (count, reached) = (book.late.len(), book.to_their_deadline);
    let percentile = book.late.get((count * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default();
    let (most, whose) = book.latest.clone().unwrap_or_default();
    format!(
        "{count} calls, {reached} of them to their deadline; end after the deadline: 99th percentile {percentile:.1?}, maximum {most:.1?} ({whose})"
    )
}
