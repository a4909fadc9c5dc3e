//! What one thread does on the occasion of several answers is done once for all of them: frames that it submits one after
//! the other leave in one write, without waking the writer thread, and what the answers put in for an engine is seen to by
//! driving it once.

use std::cell::RefCell;
use std::sync::Arc;

use super::connection::Connection;
use super::sync::thread_local;

/// Work that is owed once, however often there was occasion to it.
pub(crate) trait Owed: Send + Sync {
    /// Does it, on the thread that owes it.
    fn settle(&self);

    /// Leaves it to another thread, because this one is panicking.
    fn leave(&self);
}

struct Held {
    depth: usize,
    /// What is owed is being done: what follows from that is not put off any more.
    settling: bool,
    owed: Vec<Arc<dyn Owed>>,
    /// Connections with frames that nobody was told of.
    connections: Vec<Arc<Connection>>,
}

impl Held {
    const NOTHING: Held = Held { depth: 0, settling: false, owed: Vec::new(), connections: Vec::new() };
}

thread_local! {
    static HELD: RefCell<Held> = const { RefCell::new(Held::NOTHING) };
}

/// Does `work`, then what is [owed](owe), and writes what both submitted. They must not wait for answers: the questions have
/// not left yet.
pub(crate) fn together<T>(work: impl FnOnce() -> T) -> T {
    let _release = Release::begin();
    let result = work();
    settle();
    result
}

/// Does what is owed, if this is the outermost [`together`].
fn settle() {
    while let Some(owed) = HELD.with(|held| {
        let mut held = held.borrow_mut();
        if held.depth > 1 {
            return None;
        }
        let owed = held.owed.pop();
        held.settling = owed.is_some();
        owed
    }) {
        owed.settle();
    }
}

/// Puts something off until the end of [`together`]; says whether that is going on, else it is to be done at once.
pub(crate) fn owe<T: Owed + 'static>(owed: &Arc<T>) -> bool {
    HELD.with(|held| {
        let mut held = held.borrow_mut();
        if held.depth == 0 || held.settling {
            return false;
        }
        let is_it = |other: &Arc<dyn Owed>| std::ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(owed));
        if !held.owed.iter().any(is_it) {
            held.owed.push(owed.clone());
        }
        true
    })
}

/// Leaves a connection's frames until the end of [`together`]; says whether that is going on.
pub(super) fn hold(connection: &Arc<Connection>) -> bool {
    HELD.with(|held| {
        let mut held = held.borrow_mut();
        if held.depth > 0 && !held.connections.iter().any(|other| Arc::ptr_eq(other, connection)) {
            held.connections.push(connection.clone());
        }
        held.depth > 0
    })
}

/// The end, also when the work panics.
struct Release;

impl Release {
    fn begin() -> Release {
        HELD.with(|held| held.borrow_mut().depth += 1);
        Release
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        let ended = HELD.with(|held| {
            let mut held = held.borrow_mut();
            held.depth -= 1;
            if held.depth > 0 {
                return None;
            }
            held.settling = false;
            Some((std::mem::take(&mut held.owed), std::mem::take(&mut held.connections)))
        });
        let Some((mut owed, mut connections)) = ended else { return };
        // Only a panic leaves any.
        owed.drain(..).for_each(|owed| owed.leave());
        connections.drain(..).for_each(|connection| connection.flush());
        // Nothing has come meanwhile: what was submitted by others, told of a failed write, was not held. The room is kept.
        HELD.with(|held| {
            let mut held = held.borrow_mut();
            (held.owed, held.connections) = (owed, connections);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Writes down what it is asked to do.
    #[derive(Default)]
    struct Debt {
        said: Mutex<Vec<&'static str>>,
        follows: bool,
    }

    impl Debt {
        fn say(&self, what: &'static str) {
            self.said.lock().unwrap().push(what);
        }
    }

    impl Owed for Debt {
        fn settle(&self) {
            self.say("settled");
            if self.follows {
                let more = Arc::new(Debt::default());
                together(|| ());
                self.say(together(|| if owe(&more) { "put off" } else { "at once" }));
                assert!(more.said.lock().unwrap().is_empty());
            }
        }

        fn leave(&self) {
            self.say("left");
        }
    }

    #[test]
    fn what_is_owed_several_times_is_done_once_at_the_end_of_the_outermost() {
        let (one, other) = (Arc::new(Debt::default()), Arc::new(Debt::default()));
        together(|| {
            together(|| assert!(owe(&one) && owe(&other) && owe(&one)));
            one.say("inside");
        });
        assert_eq!(*one.said.lock().unwrap(), ["inside", "settled"]);
        assert_eq!(*other.said.lock().unwrap(), ["settled"]);
        assert!(!owe(&one), "nothing would settle it");
    }

    #[test]
    fn what_settling_gives_occasion_to_is_not_put_off_again() {
        let debt = Arc::new(Debt { follows: true, ..Debt::default() });
        for _ in 0..2 {
            together(|| assert!(owe(&debt)));
        }
        assert_eq!(*debt.said.lock().unwrap(), ["settled", "at once", "settled", "at once"]);
    }

    #[test]
    fn a_panic_while_settling_leaves_what_is_left() {
        struct Panics;
        impl Owed for Panics {
            fn settle(&self) {
                std::panic::resume_unwind(Box::new("on purpose"));
            }
            fn leave(&self) {}
        }
        let debt = Arc::new(Debt::default());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            // The last is the first.
            together(|| owe(&debt) && owe(&Arc::new(Panics)))
        }));
        assert!(panicked.is_err());
        assert_eq!(*debt.said.lock().unwrap(), ["left"]);
        together(|| assert!(owe(&debt), "as before"));
    }

    #[test]
    fn a_thread_that_panics_leaves_what_it_owes_to_another() {
        let debt = Arc::new(Debt::default());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            together(|| {
                owe(&debt);
                std::panic::resume_unwind(Box::new("on purpose"));
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(*debt.said.lock().unwrap(), ["left"]);
        together(|| assert!(owe(&debt), "as before"));
        assert_eq!(*debt.said.lock().unwrap(), ["left", "settled"]);
    }
}
