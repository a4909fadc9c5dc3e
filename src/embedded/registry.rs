//! What name servers keep beside routes: values by namespace and key, their own settings, and what operators tell them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::call::{Call, Handled};
use super::configs::{self, Values};
use super::name_server::NameServer;
use crate::code::ResponseCode;
use crate::protocol::json;
use crate::protocol::rpc::brokers::TableBody;
use crate::protocol::rpc::name_server::{
    AddReply, AddWritePermission, DeleteKv, ForgetTopic, GetKv, GetKvs, KvReply, ORDER_TOPICS, PutKv, WipeReply,
    WipeWritePermission,
};

/// What Apache's name server has by default and this one in effect.
const SETTINGS: &str = "clusterTest=false
configBlackList=configBlackList;configStorePath;kvConfigPath
deleteTopicWithBrokerRegistration=false
enableAllTopicList=true
needWaitForService=false
orderMessageEnable=false
productEnvName=center
returnOrderTopicConfigToBroker=true
scanNotActiveBrokerInterval=5000
supportActingMaster=false
";

/// Values by namespace and key.
#[derive(Debug, Default)]
pub(super) struct KeptValues {
    all: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
}

impl KeptValues {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, String>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NameServer {
    pub(super) fn put_kv(&self, call: &mut Call<'_>) -> Handled {
        let Ok(PutKv { namespace, key, value }) = call.frame.header() else {
            return call.error(ResponseCode::SYSTEM_ERROR, "namespace or key is null");
        };
        self.values.lock().entry(namespace).or_default().insert(key.to_string(), value);
        call.done()
    }

    pub(super) fn kv(&self, call: &mut Call<'_>) -> Handled {
        let Ok(GetKv { namespace, key }) = call.frame.header() else {
            return call.error(ResponseCode::SYSTEM_ERROR, "namespace or key is null");
        };
        let value = self.values.lock().get(&namespace).and_then(|values| values.get(&*key)).cloned();
        match value {
            Some(value) => call.fields(&KvReply { value: Some(value) }),
            None => {
                let remark = format!("No config item, Namespace: {namespace} Key: {key}");
                call.error(ResponseCode::QUERY_NOT_FOUND, &remark)
            }
        }
    }

    pub(super) fn delete_kv(&self, call: &mut Call<'_>) -> Handled {
        let Ok(DeleteKv { namespace, key }) = call.frame.header() else {
            return call.error(ResponseCode::SYSTEM_ERROR, "namespace or key is null");
        };
        self.values.lock().get_mut(&namespace).and_then(|values| values.remove(&*key));
        call.done()
    }

    pub(super) fn kvs(&self, call: &mut Call<'_>) -> Handled {
        let asked: GetKvs = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let table = self.values.lock().get(&asked.namespace).cloned();
        match table {
            Some(table) => call.body(&json::encode(&TableBody { table })),
            None => {
                let remark = format!("No config item, Namespace: {}", asked.namespace);
                call.error(ResponseCode::QUERY_NOT_FOUND, &remark)
            }
        }
    }

    /// What routes say of an ordered topic.
    pub(super) fn order_of(&self, topic: &str) -> Option<String> {
        let on = self.settings().get("orderMessageEnable").is_some_and(|value| value == "true");
        let values = self.values.lock();
        values.get(ORDER_TOPICS)?.get(topic).filter(|_| on).cloned()
    }

    fn settings(&self) -> Values {
        self.configs.values(configs::values(SETTINGS))
    }

    pub(super) fn config(&self, call: &mut Call<'_>) -> Handled {
        call.body(configs::text(&self.settings()).as_bytes())
    }

    pub(super) fn update_config(&self, call: &mut Call<'_>) -> Handled {
        match self.configs.update(configs::values(SETTINGS), call.frame.body()) {
            Ok(_) => call.done(),
            Err(remark) => call.error(ResponseCode::NO_PERMISSION, remark),
        }
    }

    pub(super) fn forget_topic(&self, call: &mut Call<'_>) -> Handled {
        let asked: ForgetTopic = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        self.sets.iter().for_each(|set| set.topics.registered.forget(&asked.topic));
        call.done()
    }

    pub(super) fn wipe_write_permission(&self, call: &mut Call<'_>) -> Handled {
        let asked: WipeWritePermission = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let sets = self.sets.iter().filter(|set| set.name == asked.broker_name);
        let count = sets.map(|set| set.topics.wipe_write_permission()).sum::<usize>();
        call.fields(&WipeReply { count: i32::try_from(count).unwrap_or(i32::MAX) })
    }

    pub(super) fn add_write_permission(&self, call: &mut Call<'_>) -> Handled {
        let asked: AddWritePermission = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let sets = self.sets.iter().filter(|set| set.name == asked.broker_name);
        let count = sets.map(|set| set.topics.add_write_permission()).sum::<usize>();
        call.fields(&AddReply { count: i32::try_from(count).unwrap_or(i32::MAX) })
    }
}
