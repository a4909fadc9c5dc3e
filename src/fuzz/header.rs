use std::fmt::Debug;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::protocol::fields::{Collected, FieldSink, FieldSource, Header};
use crate::protocol::frame::{self, Frame, Head, HeaderKind, Language, decode_whole};
use crate::protocol::namespace::{InNamespace, Namespace};
use crate::protocol::rpc::{
    diagnosis, heartbeat, inspect, offset, pop, pull, query, recall, reply, route, send, send_back, topic, transaction,
};

/// A header in JSON: what is standard JSON is read as it says, and what was read survives being written, in both forms.
pub fn json_header(data: &[u8]) {
    let read = Frame::decode(HeaderKind::Json, Bytes::copy_from_slice(data), data.len());
    if let Ok(standard) = serde_json::from_slice::<Map<String, Value>>(data) {
        compare_with_standard(&standard, read.as_ref().ok(), data);
    }
    if let Ok(frame) = read {
        survives(&frame);
        read_as_tables(&frame);
    }
}

/// A header in Java's binary form: what was read survives being written, in both forms.
pub fn binary_header(data: &[u8]) {
    if let Ok(frame) = Frame::decode(HeaderKind::Binary, Bytes::copy_from_slice(data), data.len()) {
        survives(&frame);
        read_as_tables(&frame);
    }
}

/// Where two members have one name the last counts, as for Java and for serde.
fn compare_with_standard(standard: &Map<String, Value>, frame: Option<&Frame>, data: &[u8]) {
    let number = |name: &str| standard.get(name)?.as_i64().and_then(|number| i32::try_from(number).ok());
    let (Some(code), Some(opaque), Some(flag)) = (number("code"), number("opaque"), number("flag")) else { return };
    let fits = |name: &str, is: fn(&Value) -> bool| standard.get(name).is_none_or(|value| value.is_null() || is(value));
    let version = standard.get("version").is_none_or(Value::is_null) || number("version").is_some();
    if escapes_letters(data) || too_deep(data) {
        return;
    }
    if !(version && fits("extFields", Value::is_object) && fits("remark", Value::is_string)) {
        return;
    }
    let times = |name: &str| data.windows(name.len()).filter(|window| *window == name.as_bytes()).count();
    let names = ["\"code\"", "\"opaque\"", "\"flag\"", "\"version\"", "\"remark\"", "\"extFields\""];
    // What is there twice may be wrong the first time.
    let Some(frame) = frame else { return assert!(names.iter().any(|name| times(name) > 1), "it has everything") };
    assert_eq!((frame.code, frame.opaque, frame.flag), (code, opaque, flag));
    // One that is null changes nothing.
    if number("version").is_some() || times("\"version\"") < 2 {
        assert_eq!(frame.version, number("version").unwrap_or(0));
    }
    assert_eq!(frame.remark(), standard.get("remark").and_then(Value::as_str).unwrap_or_default());
    if let Some(language) = standard.get("language").and_then(Value::as_str) {
        assert_eq!(frame.language, Language::from_name(language.as_bytes()));
    }
    let Some(Value::Object(fields)) = standard.get("extFields") else { return assert_eq!(frame.fields().count(), 0) };
    for (name, value) in fields {
        match value {
            Value::String(text) => assert_eq!(frame.field(name).as_deref(), Some(&**text), "{name}"),
            Value::Null => {}
            _ => assert!(frame.field(name).is_some(), "{name}"),
        }
    }
}

/// Whether letters are written as their numbers: names that are written so are none of a header's to us.
fn escapes_letters(data: &[u8]) -> bool {
    data.windows(5).any(|text| text.starts_with(b"\\u00") && (b'2'..=b'7').contains(&text[4]))
}

/// Brackets nested more deeply than real headers have them, whether in text or not.
fn too_deep(data: &[u8]) -> bool {
    data.iter().filter(|byte| b"[{".contains(byte)).count() > 16
}

fn collect(frame: &Frame) -> Option<Vec<(String, String)>> {
    let fields = frame.fields().map(|field| field.map(|(name, value)| (name.into_owned(), value.into_owned())));
    fields.collect::<Result<_, _>>().ok()
}

/// Fields as they were collected.
struct Fields(Vec<(String, String)>);

impl Header for Fields {
    fn put<S: FieldSink>(&self, sink: &mut S) {
        self.0.iter().for_each(|(name, value)| sink.text(name, value));
    }

    fn take(fields: FieldSource<'_>) -> crate::Result<Fields> {
        let owned = |field: crate::Result<(std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)>| {
            field.map(|(name, value)| (name.into_owned(), value.into_owned()))
        };
        fields.map(owned).collect::<Result<_, _>>().map(Fields)
    }
}

fn written<H: Header>(head: Head<'_>, header: &H) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode_response(&mut out, &head, header, b"body").expect("it is not above the limit");
    out
}

fn survives(frame: &Frame) {
    let Some(fields) = collect(frame) else { return };
    let remark = frame.remark();
    for kind in [HeaderKind::Json, HeaderKind::Binary] {
        let binary = kind == HeaderKind::Binary;
        let fits = |number: i32| i16::try_from(number).is_ok();
        // Which the binary form cannot say.
        let unsaid = fields.iter().any(|(name, value)| value.is_empty() || u16::try_from(name.len()).is_err());
        if binary && !(fits(frame.code) && fits(frame.version) && !unsaid) {
            continue;
        }
        let Frame { code, language, version, opaque, flag, .. } = *frame;
        let text = Some(&*remark).filter(|remark| !remark.is_empty());
        let head = Head { kind, code, language, version, opaque, flag, remark: text };
        let bytes = written(head, &Fields(fields.clone()));
        let again = decode_whole(&bytes).expect("what was written is read");
        assert_eq!((again.kind, again.body()), (kind, &b"body"[..]));
        assert_eq!(
            (again.code, again.version, again.opaque, again.flag),
            (frame.code, frame.version, frame.opaque, frame.flag)
        );
        let known = Language::from_name(frame.language.name().as_bytes());
        assert_eq!(again.language, if binary { frame.language } else { known });
        assert_eq!(again.remark(), remark);
        assert_eq!(collect(&again).as_ref(), Some(&fields));
        let Ok(Fields(taken)) = again.header::<Fields>() else { panic!("fields that are taken at once") };
        assert_eq!(taken, fields);
    }
}

/// Reads the fields as all kinds of tables; what could be read survives being written, in both forms.
fn read_as_tables(frame: &Frame) {
    table::<send::SendMessage>(frame);
    table::<send::SendReply>(frame);
    table::<pull::PullMessage>(frame);
    table::<pull::PullReply>(frame);
    table::<pop::PopMessage>(frame);
    table::<pop::PopReply>(frame);
    table::<pop::ChangeInvisible>(frame);
    table::<pop::ChangeInvisibleReply>(frame);
    table::<pop::NotificationReply>(frame);
    table::<offset::SearchOffset>(frame);
    table::<offset::OffsetReply>(frame);
    table::<offset::ConsumerOffsetReply>(frame);
    table::<offset::UpdateConsumerOffset>(frame);
    table::<query::ViewMessage>(frame);
    table::<query::QueryMessage>(frame);
    table::<query::QueryReply>(frame);
    table::<route::GetRoute>(frame);
    table::<topic::CreateTopic>(frame);
    table::<heartbeat::UnregisterClient>(frame);
    table::<inspect::ResetOffset>(frame);
    table::<diagnosis::ConsumeDirectly>(frame);
    table::<recall::RecallMessage>(frame);
    table::<reply::PushReply>(frame);
    table::<send_back::SendBack>(frame);
    table::<transaction::EndTransaction>(frame);
    table::<transaction::CheckTransaction>(frame);
}

fn table<H: Header + PartialEq + Debug>(frame: &Frame) {
    let Ok(header) = frame.header::<H>() else { return };
    let mut texts = Collected::default();
    header.put(&mut texts);
    let unsaid = texts.0.iter().any(|(_, value)| value.is_empty());
    let head = |kind| Head::request(kind, crate::RequestCode(1), frame.opaque);
    for kind in [HeaderKind::Json, HeaderKind::Binary] {
        if kind == HeaderKind::Binary && unsaid {
            continue;
        }
        let again = decode_whole(&written(head(kind), &header)).expect("what was written is read");
        assert_eq!(again.header::<H>().expect("what was written is read"), header);
    }
    // Names are put into a namespace on their way out; every other field stays.
    let namespace = Namespace::new("ns");
    let wrapped = written(head(HeaderKind::Json), &InNamespace { header: &header, namespace: &namespace });
    let wrapped = collect(&decode_whole(&wrapped).expect("what was written is read")).expect("its fields");
    assert_eq!(wrapped.len(), texts.0.len());
    for ((name, value), (wrapped_name, wrapped)) in texts.0.iter().zip(&wrapped) {
        assert_eq!(name, wrapped_name);
        assert!(wrapped == value || *wrapped == namespace.wrap(value), "{name}: {value} became {wrapped}");
    }
}
