use std::sync::Arc;
use std::time::Duration;

use super::texts;
use crate::embedded::sql::Expression;
use crate::protocol::frame::{self, Head, HeaderKind, decode_whole};
use crate::protocol::rpc::pull::{PullMessage, pull_flag};

/// A condition in SQL, behind the properties it is evaluated against: it reaches brokers unchanged, and the embedded
/// broker's reading of it obeys logic.
pub fn sql(data: &[u8]) {
    let [properties, condition] = texts(data);
    let properties = properties.replace('=', "\u{1}").replace(';', "\u{2}");
    if !condition.is_empty() {
        passes(&condition.clone().into());
    }
    let Ok(expression) = Expression::parse(&condition) else { return };
    let truth = expression.matches(&properties);
    assert_eq!(expression.matches(&properties), truth);
    let matches = |text: String| Expression::parse(&text).ok().map(|expression| expression.matches(&properties));
    for same in [format!("({condition})"), format!("TRUE AND ({condition})"), format!("FALSE OR ({condition})")] {
        if let Some(found) = matches(same) {
            assert_eq!(found, truth, "{condition:?}");
        }
    }
    if let Some(opposite) = matches(format!("NOT ({condition})")) {
        assert!(!(truth && opposite), "{condition:?} is true and false");
    }
}

fn passes(condition: &Arc<str>) {
    let pull = PullMessage {
        consumer_group: "g".into(),
        topic: "t".into(),
        queue_id: 0,
        queue_offset: 0,
        max_messages: 32,
        sys_flag: pull_flag::SUBSCRIPTION,
        commit_offset: 0,
        suspend_timeout: Duration::ZERO,
        subscription: Some(condition.clone()),
        sub_version: 0,
        expression_type: Some("SQL92".into()),
        max_bytes: None,
        broker_name: None,
    };
    for kind in [HeaderKind::Json, HeaderKind::Binary] {
        let (mut bytes, head) = (Vec::new(), Head::request(kind, crate::RequestCode::PULL_MESSAGE, 1));
        frame::encode_request(&mut bytes, &head, &pull, &[]).expect("it is not above the limit");
        let read = decode_whole(&bytes).and_then(|frame| frame.header::<PullMessage>());
        assert_eq!(read.expect("what was written is read"), pull);
    }
}
