//! What became of each message: one cell for each, made before the run, so that the book does not grow while memory is measured.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Instant;

use rocketmq_blocking::{Error, Outcome, SendResult};

/// Of the groups that consume, by their number.
pub(crate) const GROUPS: [&str; 2] = ["concurrent", "orderly"];

/// How a send ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum End {
    /// The cell is not used, or the call has not returned.
    Open,
    Acknowledged,
    /// Acknowledged, and an earlier attempt may be stored too.
    Twice,
    NotSent,
    Rejected,
    Unknown,
    /// Written, and no answer was asked for.
    Oneway,
}

impl End {
    pub(crate) const ALL: [End; 7] =
        [End::Open, End::Acknowledged, End::Twice, End::NotSent, End::Rejected, End::Unknown, End::Oneway];

    pub(crate) fn of(result: Result<&SendResult, &Error>) -> End {
        match result {
            Ok(sent) if sent.may_be_duplicated() => End::Twice,
            Ok(_) => End::Acknowledged,
            Err(error) => match error.outcome() {
                Outcome::NotSent => End::NotSent,
                Outcome::Rejected => End::Rejected,
                Outcome::Unknown => End::Unknown,
            },
        }
    }

    pub(crate) fn is_acknowledged(self) -> bool {
        matches!(self, End::Acknowledged | End::Twice)
    }
}

/// What is said of one message in its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) sender: usize,
    /// Counts the sender's calls: a second attempt of the application is another message.
    pub(crate) number: usize,
    /// The key and what comes how many-th for it, of those that keep an order.
    pub(crate) ordered: Option<(usize, u32)>,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, place) = self.ordered.map_or((-1, -1), |(key, place)| (key as i64, i64::from(place)));
        write!(f, "{} {} {key} {place}", self.sender, self.number)
    }
}

impl Mark {
    pub(crate) fn read(body: &str) -> Option<Mark> {
        let mut parts = body.split(' ').map(|part| part.parse::<i64>().ok());
        let mut next = || parts.next().flatten();
        let (sender, number, key, place) = (next()?, next()?, next()?, next()?);
        let ordered = (key >= 0).then_some((key as usize, place as u32));
        Some(Mark { sender: sender as usize, number: number as usize, ordered })
    }
}

#[derive(Debug, Default)]
struct Cell {
    end: AtomicU8,
    consumed: [AtomicU8; 2],
    stored: AtomicU8,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    cells: Vec<Vec<Cell>>,
    pub(crate) began: Instant,
}

impl Ledger {
    pub(crate) fn new(senders: usize, calls: usize) -> Ledger {
        let cells = || (0..calls).map(|_| Cell::default()).collect();
        Ledger { cells: (0..senders).map(|_| cells()).collect(), began: Instant::now() }
    }

    /// Milliseconds since the beginning, at least one.
    pub(crate) fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64 + 1
    }

    pub(crate) fn calls(&self) -> usize {
        self.cells[0].len()
    }

    pub(crate) fn ended(&self, mark: Mark, end: End) {
        self.cells[mark.sender][mark.number].end.store(end as u8, Relaxed);
    }

    pub(crate) fn consumed(&self, mark: Mark, group: usize) {
        count(&self.cells[mark.sender][mark.number].consumed[group]);
    }

    pub(crate) fn stored(&self, mark: Mark) {
        count(&self.cells[mark.sender][mark.number].stored);
    }

    /// How many messages ended so.
    pub(crate) fn count(&self, end: End) -> usize {
        self.cells.iter().flatten().filter(|cell| cell.end.load(Relaxed) == end as u8).count()
    }

    /// What is acknowledged and was not consumed by a group so far.
    pub(crate) fn missing(&self, group: usize) -> usize {
        let is_missing = |cell: &&Cell| {
            End::ALL[usize::from(cell.end.load(Relaxed))].is_acknowledged() && cell.consumed[group].load(Relaxed) == 0
        };
        self.cells.iter().flatten().filter(is_missing).count()
    }

    /// How many deliveries to a group were not the first of their message.
    pub(crate) fn repeated(&self, group: usize) -> usize {
        let more = |cell: &Cell| usize::from(cell.consumed[group].load(Relaxed)).saturating_sub(1);
        self.cells.iter().flatten().map(more).sum()
    }

    /// How many messages are stored more than once.
    pub(crate) fn duplicates(&self) -> usize {
        self.cells.iter().flatten().filter(|cell| cell.stored.load(Relaxed) > 1).count()
    }

    /// What contradicts how a send ended, once everything was read back and consumed.
    pub(crate) fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (sender, cells) in self.cells.iter().enumerate() {
            for (number, cell) in cells.iter().enumerate() {
                let end = End::ALL[usize::from(cell.end.load(Relaxed))];
                let (stored, consumed) =
                    (cell.stored.load(Relaxed), [0, 1].map(|group| cell.consumed[group].load(Relaxed)));
                let there = stored > 0 || consumed.iter().any(|times| *times > 0);
                let wrong = match end {
                    End::Acknowledged => stored != 1 || consumed.contains(&0),
                    End::Twice => stored == 0 || consumed.contains(&0),
                    End::NotSent | End::Rejected => there,
                    // What is stored is consumed by both; a call that never ended must not exist.
                    End::Unknown | End::Oneway => stored > 0 && consumed.contains(&0),
                    End::Open => there,
                };
                if wrong {
                    found.push(format!(
                        "{sender}/{number}: {end:?}, stored {stored} times, consumed {consumed:?} times"
                    ));
                }
            }
        }
        found
    }
}

fn count(cell: &AtomicU8) {
    let _ = cell.fetch_update(Relaxed, Relaxed, |times| Some(times.saturating_add(1)));
}
