use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::format::folder_name;
use super::{LocalFileOffsetStore, OffsetStore};
use crate::client::Core;
use crate::consumer::engine::MessageModel;
use crate::error::{Error, Result};

/// What a user said about where offsets are kept.
#[derive(Clone, Default)]
pub(in crate::consumer) struct Place {
    own: Option<Arc<dyn OffsetStore>>,
    folder: Option<PathBuf>,
}

impl Place {
    pub(in crate::consumer) fn own(&mut self, store: Arc<dyn OffsetStore>) {
        self.own = Some(store);
    }

    pub(in crate::consumer) fn folder(&mut self, folder: PathBuf) {
        self.folder = Some(folder);
    }

    /// Opens the store; `None` when brokers keep the offsets.
    pub(in crate::consumer) fn open(
        self,
        core: &Core,
        group: &Arc<str>,
        model: MessageModel,
    ) -> Result<Option<Arc<dyn OffsetStore>>> {
        let wrong = |what: &str| Err(Error::invalid(format!("consumer {group}: {what}")));
        match (self, model) {
            (Place { own: Some(_), folder: Some(_) }, _) => wrong("it has both an offset_store and an offset_folder"),
            (Place { own: Some(own), .. }, _) => Ok(Some(own)),
            (Place { folder: None, .. }, MessageModel::Clustering) => Ok(None),
            (_, MessageModel::Clustering) => wrong("an offset_folder is for broadcasting: brokers keep its offsets"),
            (Place { folder, .. }, MessageModel::Broadcasting) => {
                let environment = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
                let Some(folder) = folder.or_else(|| default_folder(environment)) else {
                    return wrong("its offsets need an offset_folder, because there is no home folder");
                };
                // Java's path: a group in a namespace has the name there that it has on the wire.
                let (client, group) = (core.lasting_id(), core.wire_name(group));
                let path = folder.join(folder_name(&client)).join(folder_name(&group)).join("offsets.json");
                let store = LocalFileOffsetStore::open_in(path, core.namespace().cloned())?;
                Ok(Some(Arc::new(store)))
            }
        }
    }
}

fn default_folder(environment: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let home = || environment("HOME").or_else(|| environment("USERPROFILE"));
    let chosen = environment("ROCKETMQ_CLIENT_LOCALOFFSETSTOREDIR").map(PathBuf::from);
    chosen.or_else(|| Some(PathBuf::from(home()?).join(".rocketmq_offsets")))
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("folder", &self.folder).field("own", &self.own.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_javas_unless_the_environment_names_another() {
        let of = |variables: &'static [(&str, &str)]| {
            default_folder(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        assert_eq!(of(&[("HOME", "/home/me")]), Some("/home/me/.rocketmq_offsets".into()));
        assert_eq!(of(&[("USERPROFILE", "/users/me")]), Some("/users/me/.rocketmq_offsets".into()));
        let chosen = &[("HOME", "/home/me"), ("ROCKETMQ_CLIENT_LOCALOFFSETSTOREDIR", "/data")];
        assert_eq!(of(chosen), Some("/data".into()));
        assert_eq!(of(&[]), None);
    }
}
