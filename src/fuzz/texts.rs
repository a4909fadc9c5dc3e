use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use fastrand::Rng;

use super::texts;
use crate::client::{discovery, name_server};
use crate::consumer::Filter;
use crate::consumer::offset_store::format;
use crate::message::{OffsetMessageId, UniqueIds};
use crate::protocol::base64;
use crate::protocol::bounds::Bounds;
use crate::protocol::filter::{java_hash, tags_of};
use crate::protocol::namespace::Namespace;
use crate::protocol::pop::{self as popping, Asked, Handle};
use crate::protocol::recall::RecallHandle;
use crate::protocol::rpc::batch_ack::{MOST_BITS, read_bits, write_bits};
use crate::protocol::rpc::pop::PopReply;
use crate::trace::read as traces;

/// A subscription's expression: what is accepted means the same after it was written.
pub fn subscription(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let filter = Filter::tag(&text);
    if filter.check().is_ok() {
        let written = filter.to_string();
        assert_eq!(Filter::tag(&written), filter, "{text:?} written as {written:?}");
        let (one, other) = (tags_of(&text), tags_of(&written));
        assert_eq!(one, other);
        assert!(one.iter().all(|tag| tag.trim() == tag && !tag.is_empty() && *tag != "*"));
        let _: Vec<i32> = one.iter().map(|tag| java_hash(tag)).collect();
    }
    let condition = Filter::sql(&*text);
    assert_eq!(condition.to_string(), text);
    assert_eq!(condition.check().is_err(), text.trim().is_empty());
}

/// Ids of messages and handles of recalls, as text and made of numbers.
pub fn ids(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(id) = text.parse::<OffsetMessageId>() {
        assert_eq!(id.to_string(), text.to_uppercase());
    }
    if let Some(handle) = RecallHandle::decode(&text) {
        assert_eq!(RecallHandle::decode(&handle.encode()), Some(handle));
    }
    for alphabet in [base64::URL_SAFE, base64::STANDARD] {
        assert_eq!(base64::decode(alphabet, &base64::encode(alphabet, data)).as_deref(), Some(data));
        if let Some(bytes) = base64::decode(alphabet, &text) {
            assert!(bytes.len() <= text.len());
        }
    }
    let Some((&[v6, numbers @ ..], _)) = data.split_first_chunk::<31>() else { return };
    let address: [u8; 16] = std::array::from_fn(|at| numbers[at]);
    let ip = if v6 & 1 == 0 { IpAddr::from([numbers[0], numbers[1], numbers[2], numbers[3]]) } else { address.into() };
    let number = u64::from_be_bytes(std::array::from_fn(|at| numbers[16 + at]));
    let port = u16::from_be_bytes([numbers[24], numbers[25]]);
    let id = OffsetMessageId { store_host: (ip, port).into(), commit_log_offset: number as i64 };
    assert_eq!(id.to_string().parse::<OffsetMessageId>().expect("our own"), id);
    let hash = u32::from_be_bytes([numbers[26], numbers[27], numbers[28], numbers[29]]);
    let unique = UniqueIds::of(ip, port, hash).at(number, port);
    assert!(matches!(unique.len(), 32 | 56) && unique.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

/// What answers to a pop consist of: handles, the three texts about offsets, and messages; and sets of bits.
pub fn pop(data: &[u8]) {
    let [handle, starts, offsets, orders, bits] = texts(data);
    if let Some(handle) = Handle::decode(&handle) {
        assert_eq!(Handle::decode(&handle.encode()), Some(handle));
    }
    if let Some(set) = read_bits(&bits) {
        assert_eq!(
            read_bits(&write_bits(set.iter().copied())),
            Some(set.into_iter().filter(|bit| *bit < MOST_BITS).collect())
        );
    }
    let body = data.splitn(5, |byte| *byte == 0).last().unwrap_or_default().to_vec();
    let some = |text: String| Some(text).filter(|text| text != "-");
    let reply = PopReply {
        pop_time: 7,
        invisible_time: i64::from(data.first().copied().unwrap_or(0)) << 56,
        revive_queue_id: 1,
        rest: None,
        start_offsets: some(starts),
        message_offsets: some(offsets),
        order_counts: some(orders),
    };
    let (topic, broker_name): (Arc<str>, Arc<str>) = ("t".into(), "b".into());
    let asked = Asked { topic: &topic, broker_name: &broker_name, order: handle.len() % 2 == 0, now: Instant::now() };
    let Ok((views, _)) = popping::messages(&reply, body.into(), asked, &Bounds { body: 4096, ..Bounds::default() })
    else {
        return;
    };
    let mut handles = Vec::new();
    for view in &views {
        let text = view.receipt_handle().expect("each has one");
        handles.push((topic.clone(), Handle::decode(text).expect("our own handle")));
        assert_eq!(view.topic(), "t");
    }
    let (bodies, alone) = popping::batches(&"g".into(), &handles);
    let mut acked = alone.len();
    for set in bodies.iter().flat_map(|(_, body)| &body.acks) {
        acked += read_bits(&set.bits).expect("our own set").len();
    }
    // Messages with the same handle are acknowledged by one bit.
    assert!(acked <= handles.len() && (acked > 0 || handles.is_empty()));
}

/// A list of name servers, and what an address server answers: the same however it arrives. The first byte says where it
/// is cut.
pub fn name_servers(data: &[u8]) {
    let Some((cuts, data)) = data.split_first() else { return };
    if let Ok(addrs) = name_server::parse(&String::from_utf8_lossy(data)) {
        assert!(addrs.iter().all(|addr| addr.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())));
        assert_eq!(name_server::parse(&addrs.join(";")).expect("our own list"), addrs);
    }
    let whole = discovery::first_line(data, true);
    assert_ne!(whole, Ok(None), "nothing more comes");
    let mut random = Rng::with_seed(u64::from(*cuts));
    for _ in 0..8 {
        let end = random.usize(0..=data.len());
        match discovery::first_line(&data[..end], false) {
            Ok(Some(line)) => assert_eq!(whole.as_ref(), Ok(&Some(line))),
            Ok(None) => {}
            Err(_) => assert!(whole.is_err(), "{end} bytes were wrong"),
        }
    }
}

/// Names in a namespace and out of it.
pub fn namespaces(data: &[u8]) {
    let [namespace, name] = texts(data);
    // A namespace is checked before it gets here.
    if namespace.is_empty() || namespace.contains('%') {
        return;
    }
    let namespace = Namespace::new(&namespace);
    let wrapped = namespace.wrap(&name);
    assert_eq!(namespace.wrap(&wrapped), wrapped, "{name:?} is wrapped once");
    let own = namespace.unwrap(&name);
    let own_wrapped = namespace.wrap(&own);
    assert_eq!(namespace.unwrap(&own_wrapped), if own_wrapped == own { namespace.unwrap(&own) } else { own.clone() });
    assert_eq!(&*namespace.wrap_shared(&name.as_str().into()), &*wrapped);
}

/// A file of offsets: what is read survives being written; and the name of its folder.
pub fn offset_file(data: &[u8]) {
    if let Ok(table) = format::read(data) {
        assert!(table.values().all(|offset| *offset >= 0));
        assert_eq!(format::read(format::write(&table).as_bytes()).expect("our own file"), table);
    }
    let folder = format::folder_name(&String::from_utf8_lossy(data));
    assert!(!folder.is_empty() && folder.len() <= 200 && !folder.starts_with('.') && !folder.contains(['/', '\\']));
}

/// The body of a trace message: what is read survives being written.
pub fn trace(data: &[u8]) {
    let written = |records: &[crate::trace::record::Record]| {
        let mut text = String::new();
        records.iter().for_each(|record| record.write(&mut text, false));
        text
    };
    let records = traces::read(&String::from_utf8_lossy(data));
    let again = traces::read(&written(&records));
    assert_eq!(again.len(), records.len(), "{records:?}");
    assert_eq!(written(&traces::read(&written(&again))), written(&again));
    for record in &again {
        let _ = record.index_keys().count();
    }
}
