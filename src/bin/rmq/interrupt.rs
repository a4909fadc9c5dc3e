use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, bounded};

use crate::failure::Failure;

/// Tells whether the user asked for the end (Ctrl-C, or a termination signal).
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    happened: Arc<AtomicBool>,
    signal: Receiver<()>,
}

impl Interrupt {
    /// From here on an interrupt no longer ends the process at once, a second one does.
    pub(crate) fn listen() -> Result<Interrupt, Failure> {
        let happened = Arc::new(AtomicBool::new(false));
        let (sender, signal) = bounded::<()>(0);
        let (mut sender, set) = (Some(sender), happened.clone());
        let handler = move || {
            set.store(true, Ordering::SeqCst);
            if sender.take().is_none() {
                process::exit(130);
            }
        };
        ctrlc::set_handler(handler).map_err(|error| Failure::Failed(format!("cannot listen for Ctrl-C: {error}")))?;
        Ok(Interrupt { happened, signal })
    }

    pub(crate) fn happened(&self) -> bool {
        self.happened.load(Ordering::Relaxed)
    }

    /// A channel that is disconnected by the interrupt, and never has a value.
    pub(crate) fn signal(&self) -> &Receiver<()> {
        &self.signal
    }

    /// Blocks until the interrupt.
    pub(crate) fn wait(&self) {
        // Only the disconnection ends it.
        let _ = self.signal.recv();
    }
}
