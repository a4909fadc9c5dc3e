//! Which messages travel together, and when they leave: pure. The caller brings the time, sends what it is given, and says
//! when that has ended.
//!
//! What is gathered leaves when it counts as many messages as are under way, or few are: so a lone sender never waits, two
//! halves of many senders' messages are under way in turn, and a batch is the larger the more there is to send.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::remoting::Deadline;

/// With fewer messages of a group than this under way the next is not held back: a few threads are served best at once.
const FEW: usize = 4;
/// Groups without anything gathered or under way that are remembered, so that they need not be made anew.
const IDLE_GROUPS: usize = 64;

/// What may share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) topic: &'a Arc<str>,
    pub(super) tag: Option<&'a str>,
    pub(super) wait_store: bool,
    /// Attempts allowed: senders who wait and those who do not may have different settings.
    pub(super) attempts: u32,
}

/// The bounds that the user set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) delay: Duration,
    pub(super) bytes: usize,
    pub(super) held: usize,
}

/// Messages that leave together. `M` is what the caller has to know of each.
#[derive(Debug, PartialEq)]
pub(super) struct Batch<M> {
    pub(super) share: Share,
    pub(super) topic: Arc<str>,
    pub(super) wait_store: bool,
    pub(super) attempts: u32,
    pub(super) members: Vec<M>,
    pub(super) body: Vec<u8>,
    /// The earliest of the members'.
    pub(super) deadline: Deadline,
}

/// What a batch, or a message that left alone, counts for in its group; handed back at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    group: usize,
    messages: usize,
    bytes: usize,
}

/// Room for one message, and its group.
#[derive(Debug, PartialEq)]
#[must_use = "room that is not used stays taken"]
pub(super) struct Place {
    group: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Group<M> {
    topic: Arc<str>,
    wait_store: bool,
    attempts: u32,
    open: Option<Open<M>>,
    /// Messages that have a place and were not added yet.
    coming: usize,
    under_way: usize,
    /// The size of its last batch: the next will be about as large.
    last: (usize, usize),
}

#[derive(Debug)]
struct Open<M> {
    members: Vec<M>,
    body: Vec<u8>,
    deadline: Deadline,
    /// When the first message came.
    oldest: Instant,
}

/// All groups of one producer.
#[derive(Debug)]
pub(super) struct Gather<M> {
    limits: Limits,
    groups: Vec<Group<M>>,
    /// By the text that a key comes to.
    index: HashMap<Box<str>, usize>,
    /// Places in `groups` to be used again.
    free: Vec<usize>,
    /// Bytes gathered and under way in batches.
    held: usize,
    batches: usize,
    /// When the tick comes that was asked for.
    tick: Option<Instant>,
    text: String,
}

impl<M> Gather<M> {
    pub(super) fn new(limits: Limits) -> Gather<M> {
        Gather {
            limits,
            groups: Vec::new(),
            index: HashMap::new(),
            free: Vec::new(),
            held: 0,
            batches: 0,
            tick: None,
            text: String::new(),
        }
    }

    /// Takes note of a message that its sender sends by itself, at once. `None` when it is better gathered.
    pub(super) fn alone(&mut self, key: &Key<'_>) -> Option<Share> {
        let number = self.group(key);
        let group = &mut self.groups[number];
        if group.open.is_some() || !group.is_due(1) {
            return None;
        }
        group.under_way += 1;
        Some(Share { group: number, messages: 1, bytes: 0 })
    }

    /// Makes room for a message of so many bytes. `None` when too much is held; the first message always gets in.
    pub(super) fn place(&mut self, key: &Key<'_>, bytes: usize) -> Option<Place> {
        if self.held > 0 && self.held.saturating_add(bytes) > self.limits.held {
            return None;
        }
        let group = self.group(key);
        self.held += bytes;
        self.groups[group].coming += 1;
        Some(Place { group, bytes })
    }

    /// Adds a message, encoded as it stands in a batch. Returns what leaves because of it, and for when a tick is wanted.
    pub(super) fn add(
        &mut self,
        now: Instant,
        place: Place,
        deadline: Deadline,
        encoded: &[u8],
        member: M,
    ) -> (Option<Batch<M>>, Option<Instant>) {
        debug_assert_eq!(encoded.len(), place.bytes, "room for another message");
        let (number, limit) = (place.group, self.limits.bytes);
        let full = self.groups[number].open.as_ref().is_some_and(|open| open.body.len() + encoded.len() > limit);
        let before = if full { self.take(number) } else { None };
        self.groups[number].coming -= 1;
        let group = &mut self.groups[number];
        let (members, bytes) = group.last;
        let open = group.open.get_or_insert_with(|| Open {
            members: Vec::with_capacity(members),
            body: Vec::with_capacity(bytes.max(encoded.len())),
            deadline,
            oldest: now,
        });
        if deadline.at() < open.deadline.at() {
            open.deadline = deadline;
        }
        open.members.push(member);
        open.body.extend_from_slice(encoded);
        let (gathered, bytes, oldest) = (open.members.len(), open.body.len(), open.oldest);
        if before.is_some() {
            // There is more under way than before, so the message that found no room in that batch waits.
            return (before, self.ask_tick(oldest));
        }
        if bytes >= limit || group.is_due(gathered) {
            return (self.take(number), None);
        }
        (None, self.ask_tick(oldest))
    }

    /// Adds a message that leaves at once and takes no other along.
    pub(super) fn add_alone(&mut self, place: Place, deadline: Deadline, encoded: &[u8], member: M) -> Batch<M> {
        self.groups[place.group].coming -= 1;
        self.leave(place.group, vec![member], encoded.to_vec(), deadline)
    }

    fn ask_tick(&mut self, oldest: Instant) -> Option<Instant> {
        if self.tick.is_some() {
            return None;
        }
        self.tick = Some(oldest + self.limits.delay);
        self.tick
    }

    /// Takes note of the end of a batch, or of a message that was sent alone; returns what leaves because of it.
    pub(super) fn ended(&mut self, share: Share) -> Option<Batch<M>> {
        self.held -= share.bytes;
        self.batches -= usize::from(share.bytes > 0);
        let group = self.groups.get_mut(share.group)?;
        group.under_way -= share.messages;
        match &group.open {
            Some(open) if group.is_due(open.members.len()) => self.take(share.group),
            _ => None,
        }
    }

    /// Takes what has waited long enough; returns it and for when the next tick is wanted.
    pub(super) fn tick(&mut self, now: Instant) -> (Vec<Batch<M>>, Option<Instant>) {
        let delay = self.limits.delay;
        self.tick = None;
        let mut due = Vec::new();
        for number in 0..self.groups.len() {
            match &self.groups[number].open {
                Some(open) if open.oldest + delay <= now => due.extend(self.take(number)),
                Some(open) => self.tick = Some(self.tick.map_or(open.oldest + delay, |at| at.min(open.oldest + delay))),
                None => {}
            }
        }
        (due, self.tick)
    }

    /// Takes everything that is gathered.
    pub(super) fn take_all(&mut self) -> Vec<Batch<M>> {
        (0..self.groups.len()).filter_map(|number| self.take(number)).collect()
    }

    /// How many batches have left and not ended.
    pub(super) fn batches(&self) -> usize {
        self.batches
    }

    fn take(&mut self, number: usize) -> Option<Batch<M>> {
        let group = &mut self.groups[number];
        let Open { members, body, deadline, .. } = group.open.take()?;
        group.last = (members.len(), body.len());
        Some(self.leave(number, members, body, deadline))
    }

    fn leave(&mut self, number: usize, members: Vec<M>, body: Vec<u8>, deadline: Deadline) -> Batch<M> {
        let group = &mut self.groups[number];
        group.under_way += members.len();
        self.batches += 1;
        let share = Share { group: number, messages: members.len(), bytes: body.len() };
        let (topic, wait_store, attempts) = (group.topic.clone(), group.wait_store, group.attempts);
        Batch { share, topic, wait_store, attempts, members, body, deadline }
    }

    /// Finds a key's group, or makes it.
    fn group(&mut self, key: &Key<'_>) -> usize {
        let Key { topic, tag, wait_store, attempts } = *key;
        // No topic and no tag contains the separator.
        self.text.clear();
        self.text.push_str(topic);
        self.text.push(if wait_store { '\u{1}' } else { '\u{2}' });
        self.text.extend(char::from_u32(attempts.min(1000)));
        self.text.extend(tag);
        if let Some(number) = self.index.get(self.text.as_str()) {
            return *number;
        }
        if self.index.len() >= IDLE_GROUPS {
            self.forget_idle();
        }
        let name: Box<str> = self.text.as_str().into();
        let topic = topic.clone();
        let group = Group { topic, wait_store, attempts, open: None, coming: 0, under_way: 0, last: (0, 0) };
        let number = match self.free.pop() {
            Some(number) => {
                self.groups[number] = group;
                number
            }
            None => {
                self.groups.push(group);
                self.groups.len() - 1
            }
        };
        self.index.insert(name, number);
        number
    }

    fn forget_idle(&mut self) {
        let (groups, free) = (&self.groups, &mut self.free);
        self.index.retain(|_, number| {
            let idle = groups[*number].is_idle();
            if idle {
                free.push(*number);
            }
            !idle
        });
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    #[cfg(test)]
    pub(super) fn known_groups(&self) -> usize {
        self.index.len()
    }
}

impl<M> Group<M> {
    /// Whether so many gathered messages are enough to leave.
    fn is_due(&self, gathered: usize) -> bool {
        self.under_way < FEW || gathered >= self.under_way
    }

    fn is_idle(&self) -> bool {
        self.open.is_none() && self.coming == 0 && self.under_way == 0
    }
}
