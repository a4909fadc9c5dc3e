//! Offsets in a file.

use std::collections::HashSet;
use std::error::Error as StdError;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::OffsetStore;
use super::format::{self, Table};
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::namespace::Namespace;

/// The files that stores of this process have open: two stores would take turns in undoing each other's work.
static OPEN: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// Keeps offsets in a file of Java's format (Java: `LocalFileOffsetStore`). Broadcasting consumers have one by themselves; for
/// others it can be [chosen](crate::PushConsumerBuilder::offset_store), when a group has a single member.
///
/// The file is never written in place. The new offsets are written beside it, to `….tmp`, and synced; then the file becomes
/// `….bak`, and the new one takes its name. So a crash at any moment leaves a whole file, and it is read like this:
///
/// * The file, when it can be read and is whole.
/// * Else its backup, which is as old as one interval of storing; this is logged.
/// * When there is neither, there are no offsets yet.
/// * When what there is can be read in neither, opening fails and nothing is consumed. To begin anew, where
///   [`ConsumeFromWhere`](crate::ConsumeFromWhere) says, delete both files.
///
/// Offsets of queues that are not consumed at present stay in it. Two stores of one process cannot have the same file; when
/// another process writes to it, that is logged.
pub struct LocalFileOffsetStore {
    path: PathBuf,
    namespace: Option<Namespace>,
    state: Mutex<State>,
}

struct State {
    /// What is in the file, or will be with the next write that succeeds.
    table: Table,
    /// Whether the file is whole, and so worth being the backup.
    is_whole: bool,
    /// The last write failed, so that the file is behind the table.
    behind: bool,
    /// By which a file that somebody else has written is told.
    seen: Option<(SystemTime, u64)>,
}

impl LocalFileOffsetStore {
    /// Opens the file at `path`, which need not exist, but its folder is made if it does not. Reads it, and its backup at
    /// `<path>.bak` if needed, before it returns.
    ///
    /// # Errors
    /// [`Error::OffsetStore`] when it cannot be read, or the folder not made; [`Error::Invalid`] when another store of this
    /// process has it.
    pub fn open(path: impl Into<PathBuf>) -> Result<LocalFileOffsetStore> {
        LocalFileOffsetStore::open_in(path.into(), None)
    }

    /// In the file topics have the names that they have on the wire.
    pub(super) fn open_in(path: PathBuf, namespace: Option<Namespace>) -> Result<LocalFileOffsetStore> {
        let folder = folder_of(&path);
        fs::create_dir_all(folder).map_err(|error| failed("make", folder, error))?;
        // Once the folder is there, it has one name only.
        let folder = fs::canonicalize(folder).map_err(|error| failed("find", folder, error))?;
        let path = folder.join(path.file_name().ok_or_else(|| Error::invalid(format!("{path:?} is no file's name")))?);
        if !open_files(|files| files.insert(path.clone())) {
            let what = format!("{} keeps the offsets of another consumer of this process", path.display());
            return Err(Error::invalid(what + ": give the client an instance_name, or the consumer an offset_folder"));
        }
        // From here on it gives the path back when it is dropped.
        let state = State { table: Table::new(), is_whole: false, behind: false, seen: None };
        let store = LocalFileOffsetStore { path, namespace, state: Mutex::new(state) };
        store.recover()?;
        Ok(store)
    }

    /// Returns where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn recover(&self) -> Result<()> {
        let mut state = self.lock();
        let (file, backup) = (read(&self.path), read(&beside(&self.path, ".bak")));
        let shown = self.path.display();
        (state.table, state.is_whole) = match (file, backup) {
            (Ok(Some(table)), _) => (table, true),
            (Ok(None), Ok(None)) => (Table::new(), false),
            (Ok(None), Ok(Some(table))) => {
                log::warn!("offsets: {shown} is missing, and its backup is used");
                (table, false)
            }
            (Err(error), Ok(Some(table))) => {
                log::warn!("offsets: {shown} is not used, but its backup: {error}");
                (table, false)
            }
            (Err(error), _) | (Ok(None), Err(error)) => {
                let what = format!("there is no backup in order of {shown}; delete both to begin anew: {error}");
                return Err(Error::OffsetStore { source: Arc::from(Box::<dyn StdError + Send + Sync>::from(what)) });
            }
        };
        state.seen = fs::metadata(&self.path).ok().as_ref().and_then(stamp);
        Ok(())
    }

    fn write(&self, state: &mut State) -> io::Result<()> {
        if state.seen != fs::metadata(&self.path).ok().as_ref().and_then(stamp) && !state.behind {
            let path = self.path.display();
            log::error!("offsets: somebody else has written to {path}: consumers there undo each other's progress");
        }
        let new = beside(&self.path, ".tmp");
        let mut file = File::create(&new)?;
        file.write_all(format::write(&state.table).as_bytes())?;
        file.sync_all()?;
        drop(file);
        if state.is_whole {
            match fs::rename(&self.path, beside(&self.path, ".bak")) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&new, &self.path)?;
        sync_folder(folder_of(&self.path));
        state.is_whole = true;
        state.seen = fs::metadata(&self.path).ok().as_ref().and_then(stamp);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue as the file names it.
    fn key(&self, queue: &MessageQueue) -> MessageQueue {
        match &self.namespace {
            Some(namespace) => {
                let topic = namespace.wrap_shared(queue.shared_topic());
                MessageQueue::new(topic, queue.shared_broker_name().clone(), queue.queue_id())
            }
            None => queue.clone(),
        }
    }
}

impl OffsetStore for LocalFileOffsetStore {
    fn load(&self, queue: &MessageQueue) -> Result<Option<i64>, Box<dyn StdError + Send + Sync>> {
        Ok(self.lock().table.get(&self.key(queue)).copied())
    }

    fn store(&self, offsets: &[(MessageQueue, i64)]) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let mut state = self.lock();
        let before = state.table.clone();
        state.table.extend(offsets.iter().map(|(queue, offset)| (self.key(queue), *offset)));
        if state.table == before && state.is_whole && !state.behind {
            return Ok(());
        }
        let written = self.write(&mut state);
        state.behind = written.is_err();
        written.map_err(|error| format!("cannot write {}: {error}", self.path.display()).into())
    }
}

impl Drop for LocalFileOffsetStore {
    fn drop(&mut self) {
        open_files(|files| files.remove(&self.path));
    }
}

impl fmt::Debug for LocalFileOffsetStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalFileOffsetStore").field("path", &self.path).finish_non_exhaustive()
    }
}

fn open_files<T>(then: impl FnOnce(&mut HashSet<PathBuf>) -> T) -> T {
    then(OPEN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// `None` when there is no such file.
fn read(path: &Path) -> Result<Option<Table>> {
    match fs::read(path) {
        Ok(text) => format::read(&text).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, error)),
    }
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let text = format!("cannot {what} {}: {error}", path.display());
    Error::OffsetStore { source: Arc::new(io::Error::new(error.kind(), text)) }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn stamp(metadata: &Metadata) -> Option<(SystemTime, u64)> {
    Some((metadata.modified().ok()?, metadata.len()))
}

/// A name is on the disk once its folder is. Not every system lets folders be opened, and then there is nothing to do.
fn sync_folder(folder: &Path) {
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        log::debug!("offsets: {} cannot be synced: {error}", folder.display());
    }
}
