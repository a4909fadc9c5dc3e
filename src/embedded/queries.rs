//! Looking messages up by key and by id.

use super::broker::Broker;
use super::call::{Call, Handled};
use crate::code::ResponseCode;
use crate::protocol::fields::NoFields;
use crate::protocol::rpc::query::{QueryMessage, QueryReply, ViewMessage};

/// Java's `defaultQueryMaxNum`, which replaces the asked number when the key is a unique id.
const UNIQUE_MAX: usize = 32;
/// Java's `maxMsgsNumBatch` of its index.
const MAX: usize = 64;

impl Broker {
    pub(super) fn find(&self, call: &mut Call<'_>) -> Handled {
        let asked: QueryMessage = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let limit = match asked.unique_id_query {
            Some(true) => UNIQUE_MAX,
            _ => usize::try_from(asked.max_messages).unwrap_or(0).min(MAX),
        };
        let store = self.set.store();
        let found = store.find(&asked.topic, &asked.key, limit, asked.begin_timestamp, asked.end_timestamp);
        let (time, offset) = if found.is_empty() { (0, 0) } else { store.newest() };
        drop(store);
        let header = QueryReply { last_update_timestamp: Some(time), last_update_offset: Some(offset) };
        if found.is_empty() {
            let remark = "can not find message, maybe time range not correct";
            return call.reply(ResponseCode::QUERY_NOT_FOUND, Some(remark), &header, &[]);
        }
        call.reply(ResponseCode::SUCCESS, None, &header, &found.concat())
    }

    pub(super) fn view(&self, call: &mut Call<'_>) -> Handled {
        let asked: ViewMessage = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let record = self.set.store().at(asked.offset).map(|entry| entry.record.clone());
        match record {
            Some(record) => call.reply(ResponseCode::SUCCESS, None, &NoFields, &record),
            None => {
                let remark = format!("can not find message by the offset, {}", asked.offset);
                call.error(ResponseCode::SYSTEM_ERROR, &remark)
            }
        }
    }
}
